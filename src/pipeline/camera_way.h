// camera_way.h - the camera's way in metres, from what people and the picture say about it.
//
// Every person says in every frame where the camera is: the place in the world less what the camera sees. That is in
// metres, good across the line of sight and poor along it, and wrong for seconds at a time. The picture says how the
// camera went (odometry.h): smoothly and well, in a unit of its own. The unit follows from how far the camera went within
// a second as both say; then least squares over all frames weighs them: short ways are the picture's, long ones
// the people's, and while nobody is in view the picture leads on.
#pragma once
#include "base/error.h"
#include "camera/odometry.h"

typedef struct gv_place_votes { // what people say
    double *information;        // [frames, 3, 3] 1 / m^2, sums over people
    double *weighted;           // [frames, 3] sums of information times place
    int *count;                 // [frames] people
} gv_place_votes;
gv_status gv_place_votes_alloc(gv_place_votes *v, long frames, gv_error *err);
void gv_place_votes_free(gv_place_votes *v);
// One person's opinion on a frame: the camera is at `place`, and sees the person along `sight` (world; any length).
void gv_place_votes_add(gv_place_votes *v, long frame, const double place[3], const double sight[3]);

typedef struct gv_camera_way {
    double *place;  // [frames, 3] world, metres
    bool *known;    // [frames] the picture takes part: the frame lies in a stretch whose unit is known
    double unit_sd; // relative, of the worst of the units used
    bool any;       // false: no unit is sure enough, and the arrays tell nothing
} gv_camera_way;
// A [9]: common world to odometry's world. Places of frames that are not known are not set.
gv_status gv_camera_way_find(gv_camera_way *way, const gv_camera_path *camera, const float A[9],
                             const gv_place_votes *votes, gv_error *err);
void gv_camera_way_free(gv_camera_way *way);
