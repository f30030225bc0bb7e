// scene_file.h - scene.json: who is where, the camera's path, what was used and how long it took.
#pragma once
#include "evaluation/quality.h"
#include "pipeline/scene.h"

typedef struct gv_model_used {
    const char *role, *method; // gv_role_name, gv_method_name
    const char *path;
    char sha256[65]; // "" for a folder
} gv_model_used;

// The text of scene.json, malloc'ed. quality [people].
gv_status gv_scene_json(char **text, const gv_scene *scene, const gv_scene_observations *s, const gv_quality *quality,
                        const char *video, const gv_model_used *models, int nmodels, gv_error *err);
