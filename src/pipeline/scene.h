// scene.h - everybody's motion and the camera in one world.
//
// The world is that of the most prominent person: y up, ground at y = 0, that person's origin and heading
// (alone, a person's file is therefore the reference's own result). The other persons are turned about
// the vertical and moved along the ground so that all of them agree with what one camera saw.
#pragma once
#include "formats/motion_file.h"
#include "pipeline/observe.h"

typedef struct gv_scene {
    int people;
    gv_motion *motion;    // [people], borrowed; person 0 is left untouched
    long frames;          // of the video
    float *R_w2c, *t_w2c; // [frames, 3, 3], [frames, 3] camera in the common world, x_cam = R x + t
    bool *camera_known;   // [frames] false where neither people nor the picture tell its place: t is carried over
    // [frames] 0..1, how well the picture told the way there; 0 where the place is from people alone
    float *way_confidence;
    double unit_sd; // relative error of the way's unit, where the picture told it
} gv_scene;

// Moves motions 1.. (global_orient, transl, joints_world) into the world of motion 0 and finds the camera's path.
// s->person and motions correspond. people >= 1.
gv_status gv_scene_compose(gv_scene *scene, gv_motion *motions, int people, const gv_scene_observations *s,
                           gv_error *err);
void gv_scene_free(gv_scene *scene); // not the motions

// The whole motion in its world (global_orient, transl, joints_world) turned about the origin by the rotation Q, or
// moved by d, m.
void gv_motion_turn(gv_motion *m, const float Q[9]);
void gv_motion_move(gv_motion *m, const float d[3]);

// Rotation from m's own world to the odometry's, the mean of what all frames say: R_w2c^T R_incam R_world^T of the body.
void gv_motion_to_odometry(double M[9], const gv_motion *m);
