// camera_kinds.h - the kinds of clips on which the camera's rotation is measured, as scenes with truth.
//
// Made after what issue trackers and phones bring: turning on the spot, night, shaking hands, walking past things
// at many depths, a person who fills half of the picture, a single wall, a rolling shutter.
#pragma once
#include "camera_scene.h"

typedef struct camera_kind {
    const char *name;
    void (*pose)(double t, double R[9], double c[3]);
    void (*furnish)(scene *s);           // adds to the empty scene; may be NULL
    void (*animate)(scene *s, double t); // may be NULL
    bool turns;                          // by more than 20 degrees
    bool moves;                          // walks: translation matters
} camera_kind;

static inline void kind_pan(double t, double R[9], double c[3]) {
    scene_rotation(R, 0.8 * scene_wobble(t, 50, 1), 0.4 * t + 0.5 * scene_wobble(t, 23, 2),
                   0.4 * scene_wobble(t, 40, 2));
    c[0] = c[1] = c[2] = 0;
}
static inline void kind_there_and_back(double t, double R[9], double c[3]) { // 70 degrees, farther than the picture is wide
    scene_rotation(R, 0.8 * scene_wobble(t, 50, 1), 35 * (1 - cos(t * 0.0528)), 0.4 * scene_wobble(t, 40, 2));
    c[0] = c[1] = c[2] = 0;
}
static inline void kind_tilt(double t, double R[9], double c[3]) {
    scene_rotation(R, -18 + 0.3 * t, 0.7 * scene_wobble(t, 41, 1), 0.4 * scene_wobble(t, 37, 2));
    c[0] = c[1] = c[2] = 0;
}
static inline void kind_roll(double t, double R[9], double c[3]) {
    scene_rotation(R, 0.6 * scene_wobble(t, 45, 1), 2 * scene_wobble(t, 80, 3), 22 * sin(t / 28));
    c[0] = c[1] = c[2] = 0;
}
static inline void kind_shake(double t, double R[9], double c[3]) {
    scene_rotation(R, 1.2 * scene_wobble(t, 9, 1), 1.5 * scene_wobble(t, 11, 0.5), 0.8 * scene_wobble(t, 13, 3));
    c[0] = c[1] = c[2] = 0;
}
static inline void kind_shake_near(double t, double R[9], double c[3]) { // the hands move, too
    kind_shake(t, R, c);
    c[0] = 0.02 * scene_wobble(t, 12, 2), c[1] = 0.02 * scene_wobble(t, 10, 1), c[2] = 0.01 * scene_wobble(t, 17, 0);
}
static inline void kind_walk(double t, double R[9], double c[3]) {
    scene_rotation(R, 1.0 * scene_wobble(t, 16, 1), 12 * sin(t / 40), 0.9 * scene_wobble(t, 32, 3));
    c[0] = 0.2 * scene_wobble(t, 90, 2), c[1] = 0.03 * sin(t * 0.42), c[2] = 0.033 * t;
}
static inline void kind_walk_sideways(double t, double R[9], double c[3]) {
    scene_rotation(R, 0.8 * scene_wobble(t, 17, 1), 10 + 5 * sin(t / 35), 0.8 * scene_wobble(t, 31, 3));
    c[0] = -1.5 + 0.028 * t, c[1] = 0.025 * sin(t * 0.4), c[2] = 0.1 * scene_wobble(t, 70, 1);
}
static inline void kind_wall_pose(double t, double R[9], double c[3]) { // along a wall, 3 m away
    scene_rotation(R, 0.8 * scene_wobble(t, 17, 1), 4 * sin(t / 25), 0.6 * scene_wobble(t, 31, 3));
    c[0] = 0.025 * t, c[1] = 0.02 * sin(t * 0.4), c[2] = 0.1 * scene_wobble(t, 60, 1);
}

static inline void kind_night(scene *s) {
    s->sky_bright = 30, s->sky_contrast = 20, s->noise = 4;
}
static inline void kind_night_street(scene *s) {
    scene_street(s);
    for (int i = 0; i < s->rects; i++) s->rect[i].bright *= 0.25f, s->rect[i].contrast *= 0.25f;
    kind_night(s);
}
static inline void kind_wall(scene *s) {
    scene_add(s, -6, -5, 3, 14, 0, 0, 0, 10, 0, 0.3, 110);
}
// A body close by: torso, head and arms, about half of the picture.
static inline void kind_body(scene *s) {
    static const double part[][4] = {
        {0, 0.15, 1.0, 1.5}, {0, -0.75, 0.42, 0.5}, {-0.6, 0.1, 0.3, 1.2}, {0.6, 0.15, 0.3, 1.2}};
    for (int i = 0; i < 4; i++) {
        scene_rect *r = scene_add(s, 0, 0, 1.6, part[i][2], 0, 0, 0, part[i][3], 0, 0.09, 90.f + 25.f * (float)i);
        r->ellipse = true;
    }
}
static inline void kind_body_moves(scene *s, double t) {
    static const double part[][4] = {
        {0, 0.15, 1.0, 1.5}, {0, -0.75, 0.42, 0.5}, {-0.6, 0.1, 0.3, 1.2}, {0.6, 0.15, 0.3, 1.2}};
    double R[9], c[3], at[3], ahead[3] = {0.25 * scene_wobble(t, 70, 1), 0.1 + 0.05 * sin(t * 0.42), 1.6};
    s->pose(t, R, c);
    gv_so3_apply_t(at, R, ahead); // stays before the camera
    scene_rect *r = &s->rect[s->rects - 4];
    for (int i = 0; i < 4; i++) {
        double swing = i >= 2 ? 0.15 * sin(t * 0.21 + 3.14 * i) : 0.03 * sin(t * 0.42);
        r[i].o[0] = c[0] + at[0] + part[i][0] - part[i][2] / 2 + swing,
        r[i].o[1] = c[1] + at[1] + part[i][1] - part[i][3] / 2;
        r[i].o[2] = c[2] + at[2] + 0.02 * i;
    }
}
static inline void kind_street_body(scene *s) {
    scene_street(s);
    kind_body(s);
}
static inline void kind_rolling(scene *s) {
    s->readout = 0.7;
}
static inline void kind_rolling_street(scene *s) {
    scene_street(s);
    s->readout = 0.7;
}

static const camera_kind camera_kinds[] = {
    {"pan", kind_pan, NULL, NULL, true, false},
    {"there-and-back", kind_there_and_back, NULL, NULL, true, false},
    {"tilt", kind_tilt, NULL, NULL, true, false},
    {"roll-night", kind_roll, kind_night, NULL, true, false},
    {"pan-night", kind_pan, kind_night, NULL, true, false},
    {"shake", kind_shake, NULL, NULL, false, false},
    {"shake-near", kind_shake_near, scene_street, NULL, false, false},
    {"walk-depths", kind_walk, scene_street, NULL, true, true},
    {"walk-sideways", kind_walk_sideways, scene_street, NULL, false, true},
    {"walk-night", kind_walk, kind_night_street, NULL, true, true},
    {"foreground-pan", kind_pan, kind_body, kind_body_moves, true, false},
    {"foreground-walk", kind_walk, kind_street_body, kind_body_moves, true, true},
    {"flat-wall", kind_wall_pose, kind_wall, NULL, false, true},
    {"rolling-pan", kind_pan, kind_rolling, NULL, true, false},
    {"rolling-shake", kind_shake, kind_rolling, NULL, false, false},
    {"rolling-walk", kind_walk, kind_rolling_street, NULL, true, true},
};
enum { CAMERA_KINDS = sizeof camera_kinds / sizeof *camera_kinds };

static inline scene camera_kind_scene(const camera_kind *k, int width, int height, double focal) {
    scene s = scene_empty(width, height, focal);
    s.pose = k->pose, s.animate = k->animate;
    if (k->furnish) k->furnish(&s);
    return s;
}
