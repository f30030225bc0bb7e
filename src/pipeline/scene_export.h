// scene_export.h - the files for other programs that `gvhmr run` writes beside its own.
#pragma once
#include "body/body.h"
#include "pipeline/scene.h"

// list: names separated by commas, out of glb (scene.glb), bvh, amass, trc, csv, pt (person-N.bvh, person-N-amass.npz,
// person-N.trc ...), or none; NULL: glb,bvh.
gv_status gv_scene_export_check(const char *list, gv_error *err);

// Writes them into `folder`.
gv_status gv_scene_export(const gv_scene *scene, const gv_scene_observations *s, const gv_body *body, const char *list,
                          const char *folder, gv_error *err);
