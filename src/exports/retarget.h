// retarget.h - a person's motion on a humanoid robot, by inverse kinematics of our own.
//
// Per frame, damped Gauss-Newton over the root's pose and all joints: ankles where the person's are, scaled by the leg
// length (so planted feet stay planted), feet, pelvis and torso turned like the person's, upper arms and forearms in
// the person's directions, knees and hands loosely, joints within their limits and near the frame before.
#pragma once
#include "exports/robot.h"
#include "formats/motion_file.h"

typedef struct gv_robot_motion { // z up, m, rad
    int frames, joints;
    double fps;
    double *place;                        // [L, 3] of the root link
    double *turn;                         // [L, 4] of the root link, quaternion x, y, z, w
    double *q;                            // [L, joints] in the robot's order
    double ankle_error_m, limb_error_rad; // how well it came out: means over frames
} gv_robot_motion;

// The robot needs links (or joints that move them) whose names say left and right hip, knee, ankle, shoulder, elbow and
// wrist or hand; the torso is the link named so, else the root. What it lacks is named. m: evenly spaced in time.
gv_status gv_robot_retarget(gv_robot_motion *out, const gv_robot *r, const gv_motion *m, const char *robot_name,
                            gv_error *err);
void gv_robot_motion_free(gv_robot_motion *m);

// As text: a comment line (#) with the rate and the columns, then per frame root place, root quaternion x, y, z, w and
// the joints. The column order is that of Unitree's own retargeted motions.
gv_status gv_robot_motion_csv(const gv_robot_motion *m, const gv_robot *r, const char *path, gv_error *err);

// As GMR stores it (pickled dictionary of float64 arrays: fps, root_pos, root_rot x y z w, dof_pos, local_body_pos
// None, link_body_list None). Source: GMR, scripts/smplx_to_robot.py.
gv_status gv_robot_motion_pickle(const gv_robot_motion *m, const char *path, gv_error *err);
