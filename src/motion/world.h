// world.h - from per-frame gravity-view orientations to one world (SPEC.md 8). Internal to src/motion.
#pragma once

// orient_w, transl_w [L, 3]: y-up world, before post-processing. orient_gv, orient_c, velocity [L, 3] as
// decoded; cam_angvel [L, 6] raw. scratch [2 L] numbers.
//
// The yaw between two frames is the exact atan2 angle. The reference's acos in float32 makes even a camera
// that stands still wander by a degree in minutes (SPEC.md 16.1).
void gv_compose_world(double *orient_w, double *transl_w, const double *orient_gv, const double *orient_c,
                      const double *velocity, const float *cam_angvel, int frames, double *scratch);
