// robot.h - a robot's kinematic tree from a URDF or MJCF file.
//
//     gv_robot *r = NULL;
//     if (gv_robot_open(&r, "g1.xml", &err) != GV_OK) ...
//     gv_robot_pose(r, place, R, q, places, rotations);
//
// Read are links (bodies), their places, hinges and slides with axes and limits, and spheres and boxes for collision
// (to know where the soles are). Meshes, masses, actuators and everything else are stepped over; files that the
// description names are never opened. Robot frames are z up, metres, radians.
// Source: URDF specification (ROS wiki, urdf/XML); MuJoCo documentation, "XML Reference".
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

enum { GV_ROBOT_LINKS = 1024, GV_ROBOT_JOINTS = 512, GV_ROBOT_POINTS = 4096, GV_ROBOT_NAME = 64 };

typedef struct gv_robot_link {
    char name[GV_ROBOT_NAME];
    int parent;              // -1: the root, which moves freely; a parent comes before its children
    double place[3], R[9];   // in the parent, all joints at 0
    int first_joint, joints; // those that move this link, in order; consecutive
} gv_robot_link;

typedef struct gv_robot_joint { // in the order in which simulators count them
    char name[GV_ROBOT_NAME];
    int link;
    bool slide;       // else a hinge
    double axis[3];   // unit, in the link
    double anchor[3]; // in the link
    double lo, hi;    // rad, m; +-1e9: none
} gv_robot_joint;

typedef struct gv_robot_point { // a sphere on a link; boxes are eight with radius 0
    int link;
    double at[3], radius;
} gv_robot_point;

typedef struct gv_robot {
    int links, joints, points;
    gv_robot_link *link;
    gv_robot_joint *joint;
    gv_robot_point *point;
    double root_height; // of the root as the file places it, 0 where it does not say
} gv_robot;

// Refused with one line: what is not XML or neither of the two, document type declarations, a missing or double root,
// links that hang on nothing or on each other in a ring, ball and planar joints, numbers that are not finite, more than
// the limits above. Time and memory are bounded by the file's size, at most 64 MiB.
gv_status gv_robot_open(gv_robot **out, const char *path, gv_error *err);
gv_status gv_robot_parse(gv_robot **out, const void *text, size_t size, const char *path, gv_error *err);
void gv_robot_close(gv_robot *r); // accepts NULL

// Places [links, 3] and rotations [links, 9] of all links in the world for the root's pose and joint values q [joints].
void gv_robot_pose(const gv_robot *r, const double place[3], const double R[9], const double *q, double (*places)[3],
                   double (*rotations)[9]);
