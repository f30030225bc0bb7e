// follower.h - one person's motion while it happens: the last seconds of observations through the network, its answer
// taken a few frames before their end and put behind the motion so far (motion/stepwise.h).
//
//     gv_follower_create(&f, &settings, &err);
//     for each look: gv_follower_look(f, time_sec, presence or NULL, R_w2c);
//                    gv_follower_solve(f, &world, times, n, out, &err);
//
// The network sees 120 frames at 30 fps, the look-ahead among them; looks at other times are resampled. Memory is
// constant.
#pragma once
#include "camera/lens.h"
#include "motion/stepwise.h"
#include "network/network.h"
#include "perception/people.h"

typedef struct gv_follower_settings { // borrowed
    gv_network *network;
    const gv_body *body;
    gv_lens lens;
    int width, height; // of the picture, px
    bool static_camera;
    const gv_points *points; // of body->coco17: the motion is drawn towards the keypoints (pipeline/refine.h); or NULL
} gv_follower_settings;

typedef struct gv_follower gv_follower;
gv_status gv_follower_create(gv_follower **out, const gv_follower_settings *s, gv_error *err);
void gv_follower_destroy(gv_follower *f); // accepts NULL

// Times increase. p NULL or not seen: not there in this look.
void gv_follower_look(gv_follower *f, double time_sec, const gv_presence *p, const float R_w2c[9]);

// Motion at `times` [n], increasing, beyond those solved before and not after the last look. *got: how many at the end
// of `times` could be had: none while there are fewer than eight looks, and none from before the first.
gv_status gv_follower_solve(gv_follower *f, gv_world_view *world, const double *times, int n, gv_step_output *out,
                            int *got, gv_error *err);
