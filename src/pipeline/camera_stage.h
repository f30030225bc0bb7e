// camera_stage.h - what is decided about the camera before and after the pictures have been seen.
#pragma once
#include "pipeline/observe.h"

// After the last frame: rotations, the focal length that was measured, and where both come from, into s->camera,
// s->optics and the sources. Rotations come from the odometry, else (NULL) are those of a static camera; where
// s->camera is known already from an earlier run, it stays.
gv_status gv_camera_conclude(gv_scene_observations *s, gv_odometry *odometry, bool static_given, long frames,
                             gv_error *err);
// After that: rotations from a file (camera/outside.h) instead, where that is not NULL. time_sec [s->camera.frames];
// jail: who reads a video (base/jail.h), or NULL.
gv_status gv_camera_from_file(gv_scene_observations *s, const char *file, const double *time_sec, struct gv_jail *jail,
                              gv_error *err);
// Makes the focal length of s's only lens `ratio` times as long, from people, and tells everybody's observations.
void gv_camera_adopt_focal(gv_scene_observations *s, double ratio, double sd);
// Keypoints [17, 3], feet [4, 3] and square box [3] of one frame where a lens without distortion would show them.
void gv_camera_straighten(const gv_lens *lens, float *box, float *kp, float *feet);
