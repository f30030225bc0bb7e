// figure.h - one set of body landmarks as tracking sees it: where, how large, how plausible, what colours.
//
// A figure is built from the landmark network's result on one frame and stands for itself; nothing here
// keeps state. Lengths are px; `size` is the side of BlazePose's body region (SPEC-perception 7.6, before the
// enlargement), about 1.1 times the height of a standing person.
#pragma once
#include "perception/blazepose.h"

enum { GV_LOOK_BINS = 8, GV_LOOK = 2 * 3 * GV_LOOK_BINS };

// Colours of torso and thighs: for each of the two parts histograms of brightness and the two colour
// differences, every one summing to 1 (or all 0 where the part is outside the picture).
typedef struct gv_look {
    float bin[GV_LOOK];
} gv_look;

typedef struct gv_figure {
    gv_landmarks marks;
    float hip[2];  // auxiliary point 33
    float size;    // 2 |34 - 33|
    float box[4];  // x0, y0, x1, y1 as a person detector would draw it, inside the picture
    float quality; // presence times the mean visibility of shoulders, hips, knees and ankles, 0..1
    gv_look look;
} gv_figure;

// Derives everything from the landmarks. false where they cannot be a person: presence not above
// `min_presence`, coordinates not finite, a body outside the picture, or limbs out of proportion.
bool gv_figure_from(gv_figure *f, const gv_landmarks *l, const gv_image *image, float min_presence);

// Nose, shoulders, elbows, wrists, hips, knees and ankles among BlazePose's points.
enum { GV_BODY_POINTS = 13 };
extern const int GV_BODY_POINT[GV_BODY_POINTS];

// Likeness of two poses in place, 0..1: mean over 13 body points of exp(-d^2 / (2 (0.08 size)^2)). Two readings of
// one person lie above 0.7, people walking side by side below 0.3.
float gv_figure_oks(const gv_figure *a, const gv_figure *b);

// The same where b is first moved by dx, dy.
float gv_figure_oks_moved(const gv_figure *a, const gv_figure *b, float dx, float dy);

// Distance of two looks: 0 equal, about 0.2 the same person some seconds later, above 0.45 usually another one.
float gv_look_distance(const gv_look *a, const gv_look *b);
void gv_look_blend(gv_look *mean, const gv_look *sample, float weight); // mean += weight (sample - mean)
