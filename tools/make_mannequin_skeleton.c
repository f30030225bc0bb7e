// make_mannequin_skeleton.c - the rest skeleton and how it varies.
//
// Sources:
//   segment lengths    de Leva 1996, "Adjustments to Zatsiorsky-Seluyanov's segment inertia parameters",
//                      J. Biomechanics 29(9), table 4: the mean of women and men, scaled to a stature of
//                      1.72 m (thigh 0.391, shank 0.429, upper arm 0.275, forearm 0.264, hip to cervicale 0.603 m)
//   heights, breadths  Drillis and Contini 1966 (as in Winter, Biomechanics and Motor Control, fig. 4.1): eyes
//                      at 0.936 of the stature; ANSUR II 2012: biacromial breadth 0.23, foot length 0.152,
//                      hand length 0.11, and the standard deviations of the girths
//   hip joint centres  0.36 of the breadth between the spines of the ilium from the middle: Bell et al. 1990
//   finger bones       Buryanov and Kotiuk 2010, Proportions of hand segments, Int. J. Morphology 28(3)
// The tree and the kind of joint are SMPL-X's; where a joint has no anatomical counterpart (spine, collar) it
// lies on the column at a third of the way.
#include "make_mannequin.h"

#include "body/body.h"

#include <math.h>
#include <string.h>

// clang-format off: tables are laid out to be read

enum { THIGH_MM = 391, SHANK_MM = 429, UPPER_ARM_MM = 275, FOREARM_MM = 264 };

// Left and middle joints; y above the ground. The right side is the mirror image. Hips, knees, ankles, elbows and
// wrists follow from the segment lengths.
static const struct {
    int joint;
    double x, y, z;
} placed[] = {
    {0, 0, 0.958, -0.012},      // pelvis: middle of the pelvic ring, above the hip joints
    {3, 0, 1.068, -0.022},      // spine1: L3
    {6, 0, 1.198, -0.022},      // spine2: T11
    {9, 0, 1.258, -0.026},      // spine3: T8
    {12, 0, 1.440, -0.034},     // neck: C7
    {15, 0, 1.556, -0.008},     // head: atlas
    {13, 0.048, 1.362, -0.018}, // collar
    {16, 0.172, 1.382, -0.026}, // shoulder: centre of the humeral head
    {22, 0, 1.560, 0.020},      // jaw hinge
    {23, 0.0312, 1.610, 0.074}, // eye
};

// Fingers of the left hand from the wrist, palm down: knuckle position (x outward, y, z to the thumb), then the
// lengths of the first two bones and the direction in the plane of the palm. Order of SMPL-X.
static const struct {
    double x, y, z, bone1, bone2, tilt, sink;
} fingers[5] = {
    {0.0900, -0.002, 0.0270, 0.0410, 0.0240, 0.07, -0.02},   // index
    {0.0930, 0.000, 0.0060, 0.0450, 0.0275, 0.01, -0.02},    // middle
    {0.0800, -0.006, -0.0330, 0.0330, 0.0190, -0.13, -0.02}, // little
    {0.0880, -0.002, -0.0140, 0.0415, 0.0260, -0.05, -0.02}, // ring
    {0.0240, -0.010, 0.0230, 0.0420, 0.0330, 0.72, -0.22},   // thumb: saddle joint, then its knuckle and the last
};

enum bone_group { PELVIS, WAIST, CHEST, NECK, HEAD, COLLAR, UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT, GROUPS };

static enum bone_group group_of(int j) {
    static const enum bone_group body[22] = {PELVIS,    THIGH,     THIGH,   WAIST,   SHANK, SHANK,  CHEST,  FOOT,
                                             FOOT,      CHEST,     FOOT,    FOOT,    NECK,  COLLAR, COLLAR, HEAD,
                                             UPPER_ARM, UPPER_ARM, FOREARM, FOREARM, HAND,  HAND};
    return j < 22 ? body[j] : j < 25 ? HEAD : HAND;
}

// One standard deviation of each shape: relative stretch of the bones along x, y, z in the T-pose (arms lie
// along x, legs and spine along y), and the swelling of the skin over them in millimetres.
typedef struct change {
    double x, y, z, swell_mm;
} change;
static const change changes[SHAPES][GROUPS] = {
    // 0: stature, +70 mm
    {[PELVIS] = {.020, .0445, .020, 0},
     [WAIST] = {.020, .0445, .020, 0},
     [CHEST] = {.020, .0445, .020, 0},
     [NECK] = {.015, .0445, .015, 0},
     [HEAD] = {.015, .015, .015, 0},
     [COLLAR] = {.025, .0445, .020, 0},
     [UPPER_ARM] = {.0445, .015, .015, 0},
     [FOREARM] = {.0445, .015, .015, 0},
     [HAND] = {.035, .035, .035, 0},
     [THIGH] = {.018, .0445, .018, 0},
     [SHANK] = {.018, .0445, .018, 0},
     [FOOT] = {.030, .0400, .035, 0}},
    // 1: girth, fuller; waist circumference about +95 mm
    {[PELVIS] = {0, 0, 0, 13},
     [WAIST] = {0, 0, 0, 15},
     [CHEST] = {0, 0, 0, 12},
     [NECK] = {0, 0, 0, 4.5},
     [HEAD] = {0, 0, 0, 1.8},
     [COLLAR] = {0, 0, 0, 5},
     [UPPER_ARM] = {0, 0, 0, 5},
     [FOREARM] = {0, 0, 0, 3},
     [HAND] = {0, 0, 0, .5},
     [THIGH] = {0, 0, 0, 9},
     [SHANK] = {0, 0, 0, 4.5},
     [FOOT] = {0, 0, 0, .6}},
    // 2: longer legs and a shorter trunk at the same stature
    {[PELVIS] = {0, -.042, 0, 0},
     [WAIST] = {0, -.055, 0, 0},
     [CHEST] = {0, -.050, 0, 0},
     [NECK] = {0, -.030, 0, 0},
     [THIGH] = {0, .032, 0, 0},
     [SHANK] = {0, .032, 0, 0}},
    // 3: longer arms
    {[UPPER_ARM] = {.040, 0, 0, 0}, [FOREARM] = {.040, 0, 0, 0}, [HAND] = {.020, .01, .01, 0}},
    // 4: broader shoulders and chest
    {[COLLAR] = {.060, 0, 0, 0}, [CHEST] = {.045, 0, .010, 0}, [UPPER_ARM] = {0, 0, 0, 1}},
    // 5: broader hips
    {[PELVIS] = {.060, 0, .015, 2}, [WAIST] = {.012, 0, 0, 0}, [THIGH] = {.015, 0, .010, 1}},
    // 6: larger head
    {[HEAD] = {.035, .035, .035, 0}, [NECK] = {.020, 0, .020, 0}},
    // 7: stronger limbs
    {[COLLAR] = {0, 0, 0, 3},
     [CHEST] = {0, 0, 0, 1.5},
     [UPPER_ARM] = {0, 0, 0, 5},
     [FOREARM] = {0, 0, 0, 3.5},
     [HAND] = {0, 0, 0, .3},
     [THIGH] = {0, 0, 0, 7},
     [SHANK] = {0, 0, 0, 4.5},
     [NECK] = {0, 0, 0, 2}},
    // 8: belly forward; the bump itself is added to the surface (make_mannequin.c)
    {[CHEST] = {0, 0, 0, -2}},
    // 9: larger hands and feet
    {[HAND] = {.050, .050, .050, 0}, [FOOT] = {.050, .030, .050, 0}},
};

static void mirror(skeleton *s, int left, int right) {
    memcpy(s->joint[right], s->joint[left], sizeof s->joint[left]);
    s->joint[right][0] *= -1;
}

static void place(skeleton *s, int j, double x, double y, double z) {
    s->joint[j][0] = x, s->joint[j][1] = y, s->joint[j][2] = z;
}

static void make_leg(skeleton *s) {
    double hip[3] = {0.083, FLOOR + 0.888, -0.002};
    double kx = 0.013, kz = -0.004, ax = 0.004, az = -0.030; // knee from hip, ankle from knee: x and z
    double ky = sqrt(pow(THIGH_MM * 1e-3, 2) - kx * kx - kz * kz),
           ay = sqrt(pow(SHANK_MM * 1e-3, 2) - ax * ax - az * az);
    place(s, 1, hip[0], hip[1], hip[2]);
    place(s, 4, hip[0] + kx, hip[1] - ky, hip[2] + kz);
    place(s, 7, s->joint[4][0] + ax, s->joint[4][1] - ay, s->joint[4][2] + az);
    place(s, 10, s->joint[7][0] + 0.016, FLOOR + 0.022, s->joint[7][2] + 0.128); // ball of the foot
    for (int j = 1; j <= 10; j += 3) mirror(s, j, j + 1);
}

static void make_hand(skeleton *s) {
    const double *wrist = s->joint[20];
    for (int i = 0; i < 5; i++) {
        double knuckle[3] = {wrist[0] + fingers[i].x, wrist[1] + fingers[i].y, wrist[2] + fingers[i].z};
        double u[3] = {cos(fingers[i].tilt) * cos(fingers[i].sink), sin(fingers[i].sink),
                       sin(fingers[i].tilt) * cos(fingers[i].sink)};
        double along[3] = {0, fingers[i].bone1, fingers[i].bone1 + fingers[i].bone2};
        for (int k = 0; k < 3; k++) {
            int j = 25 + 3 * i + k;
            place(s, j, knuckle[0] + along[k] * u[0], knuckle[1] + along[k] * u[1], knuckle[2] + along[k] * u[2]);
            mirror(s, j, j + 15);
        }
    }
}

// COCO's points as annotators place them: face points on the skin, shoulders on the joint, hips a little
// outside the joint centres, elbows, wrists and knees in the joints, ankles just above. Where annotators leave room,
// BlazePose decides (bench/bench_keypoints).
static void make_keypoints(skeleton *s) {
    static const struct {
        int bone, joint;
        double x, y, z;
    } rule[] = {{15, -1, 0, 1.566, 0.116},
                {15, -1, 0.0325, 1.612, 0.086},
                {15, -1, 0.062, 1.595, -0.004},
                {13, 16, 0.002, 0.010, 0},
                {18, 18, 0, 0, 0},
                {20, 20, 0, 0, 0},
                {0, 1, 0.014, 0.006, 0},
                {4, 4, 0, 0, 0.004},
                {4, 7, 0, 0.012, 0}};
    for (int i = 0; i < 9; i++) { // nose, then pairs
        int left = i ? 2 * i - 1 : 0;
        double *p = s->keypoint[left];
        p[0] = rule[i].x, p[1] = rule[i].y, p[2] = rule[i].z;
        if (rule[i].joint < 0) p[1] += FLOOR;
        for (int c = 0; rule[i].joint >= 0 && c < 3; c++) p[c] += s->joint[rule[i].joint][c];
        s->keypoint_bone[left] = rule[i].bone;
        if (!i) continue;
        memcpy(s->keypoint[left + 1], p, sizeof s->keypoint[0]);
        s->keypoint[left + 1][0] *= -1;
        s->keypoint_bone[left + 1] = rule[i].bone == 15 || rule[i].bone == 0 ? rule[i].bone : rule[i].bone + 1;
    }
}

// A child's offset stretches with its parent's bone, so bones and skin stay together for every shape.
static void make_directions(skeleton *s) {
    for (int j = 0; j < JOINTS; j++)
        for (int k = 0; k < SHAPES; k++) {
            double *d = s->direction[j][k];
            if (j) {
                bone_direction(d, s, gv_parents55[j], k, s->joint[j]);
            } else { // the root stretches about the origin
                d[0] = 0, d[1] = k == 0 ? changes[0][WAIST].y * s->joint[0][1] : 0, d[2] = 0;
            }
        }
}

void make_skeleton(skeleton *s) {
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < sizeof placed / sizeof *placed; i++)
        place(s, placed[i].joint, placed[i].x, FLOOR + placed[i].y, placed[i].z);
    mirror(s, 13, 14);
    mirror(s, 16, 17);
    mirror(s, 23, 24);
    make_leg(s);
    const double *shoulder = s->joint[16];
    place(s, 18, shoulder[0] + UPPER_ARM_MM * 1e-3, shoulder[1], shoulder[2] - 0.004);
    place(s, 20, s->joint[18][0] + FOREARM_MM * 1e-3, shoulder[1], shoulder[2]);
    mirror(s, 18, 19);
    mirror(s, 20, 21);
    make_hand(s);
    make_keypoints(s);
    make_directions(s);
}

void bone_direction(double d[3], const skeleton *s, int j, int k, const double p[3]) {
    const change *c = &changes[k][group_of(j)];
    const double strain[3] = {c->x, c->y, c->z};
    for (int i = 0; i < 3; i++) d[i] = s->direction[j][k][i] + strain[i] * (p[i] - s->joint[j][i]);
}

double bone_swelling(int j, int k) {
    return changes[k][group_of(j)].swell_mm * 1e-3;
}
