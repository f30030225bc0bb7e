// scene_file.h - scene.json: who is where, the camera's path, what was used and how long it took.
#pragma once
#include "evaluation/quality.h"
#include "pipeline/scene.h"

typedef struct gv_model_used {
    const char *role; // "network", "body", "detector", "landmarks"
    char *path;       // owned
    char sha256[65];
} gv_model_used;

// SHA-256 of a file in hexadecimal.
gv_status gv_sha256_file(char hex[65], const char *path, gv_error *err);

// The text of scene.json, malloc'ed. quality [people].
gv_status gv_scene_json(char **text, const gv_scene *scene, const gv_scene_observations *s, const gv_quality *quality,
                        const char *video, const gv_model_used *models, int nmodels, gv_error *err);
