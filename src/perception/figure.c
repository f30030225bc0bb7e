#include "perception/figure.h"

#include <math.h>
#include <string.h>

// BlazePose's points
enum {
    NOSE = 0,
    SHOULDER_L = 11,
    SHOULDER_R,
    HIP_L = 23,
    HIP_R,
    KNEE_L,
    KNEE_R,
    ANKLE_L,
    ANKLE_R,
    HEEL_L,
    HEEL_R,
    TOE_L,
    TOE_R,
    AUX_HIP,
    AUX_TOP
};
static const int MAIN_POINTS[8] = {SHOULDER_L, SHOULDER_R, HIP_L, HIP_R, KNEE_L, KNEE_R, ANKLE_L, ANKLE_R};
const int GV_BODY_POINT[GV_BODY_POINTS] = {NOSE,  SHOULDER_L, SHOULDER_R, 13,     14,      15,     16,
                                           HIP_L, HIP_R,      KNEE_L,     KNEE_R, ANKLE_L, ANKLE_R};
static const float OKS_SPREAD = 0.08f;

static float distance(const float *a, const float *b) {
    return hypotf(a[0] - b[0], a[1] - b[1]);
}

static void middle(float out[2], const float *a, const float *b) {
    out[0] = (a[0] + b[0]) / 2;
    out[1] = (a[1] + b[1]) / 2;
}

static void include(float box[4], float x, float y, float margin) {
    box[0] = fminf(box[0], x - margin);
    box[1] = fminf(box[1], y - margin);
    box[2] = fmaxf(box[2], x + margin);
    box[3] = fmaxf(box[3], y + margin);
}

// The landmarks lie inside the body: joints get a margin of flesh, the head reaches beyond the ears, and what is
// guessed is left out unless it belongs to the trunk. On the marks of vtest_people.csv the height of these boxes is
// 1.02 times the person's on average.
static void draw_box(gv_figure *f, int width, int height) {
    const float(*p)[5] = f->marks.point;
    float *box = f->box, flesh = 0.03f * f->size;
    box[0] = box[1] = INFINITY;
    box[2] = box[3] = -INFINITY;
    for (int i = 0; i < GV_BLAZE_POINTS; i++) {
        bool trunk = i == SHOULDER_L || i == SHOULDER_R || i == HIP_L || i == HIP_R;
        if (trunk || p[i][3] > 0.3f) include(box, p[i][0], p[i][1], i >= HEEL_L ? 0.6f * flesh : flesh);
    }
    float up[2];
    for (int c = 0; c < 2; c++) up[c] = p[AUX_TOP][c] - p[AUX_HIP][c];
    float length = fmaxf(hypotf(up[0], up[1]), 1e-6f);
    // the crown: from the middle of the ears on along the body's axis
    float ears[2];
    middle(ears, p[7], p[8]);
    if (p[NOSE][3] > 0.3f)
        include(box, ears[0] + up[0] / length * 0.06f * f->size, ears[1] + up[1] / length * 0.06f * f->size, flesh);
    box[0] = fminf(fmaxf(box[0], 0), (float)width);
    box[1] = fminf(fmaxf(box[1], 0), (float)height);
    box[2] = fminf(fmaxf(box[2], 0), (float)width);
    box[3] = fminf(fmaxf(box[3], 0), (float)height);
}

// Adds one colour to the three histograms of a part, split between the two nearest bins.
static void count_colour(float *bins, const uint8_t *rgb) {
    float r = rgb[0], g = rgb[1], b = rgb[2], y = 0.299f * r + 0.587f * g + 0.114f * b;
    float at[3] = {y / 32 - 0.5f, (0.564f * (b - y) + 48) / 12 - 0.5f, (0.713f * (r - y) + 48) / 12 - 0.5f};
    for (int c = 0; c < 3; c++) {
        float v = fminf(fmaxf(at[c], 0), GV_LOOK_BINS - 1);
        int i = (int)v;
        if (i > GV_LOOK_BINS - 2) i = GV_LOOK_BINS - 2;
        bins[c * GV_LOOK_BINS + i] += 1 - (v - (float)i);
        bins[c * GV_LOOK_BINS + i + 1] += v - (float)i;
    }
}

// Samples a band of the given width around the segment a-b, 12 x 5 points.
static int sample_band(float *bins, const gv_image *image, const float *a, const float *b, float width) {
    float along[2] = {b[0] - a[0], b[1] - a[1]}, length = fmaxf(hypotf(along[0], along[1]), 1e-6f);
    int n = 0;
    for (int i = 0; i < 12; i++)
        for (int j = 0; j < 5; j++) {
            float u = 0.1f + 0.8f * (float)i / 11, v = ((float)j / 4 - 0.5f) * width / length;
            float x = a[0] + u * along[0] - v * along[1], y = a[1] + u * along[1] + v * along[0];
            if (!(x >= 0 && y >= 0 && x < (float)image->width && y < (float)image->height)) continue;
            count_colour(bins, image->rgb + (size_t)y * image->stride + 3 * (size_t)x);
            n++;
        }
    return n;
}

static void take_look(gv_figure *f, const gv_image *image) {
    const float(*p)[5] = f->marks.point;
    float shoulders[2], hips[2];
    middle(shoulders, p[SHOULDER_L], p[SHOULDER_R]);
    middle(hips, p[HIP_L], p[HIP_R]);
    float *torso = f->look.bin, *legs = f->look.bin + 3 * GV_LOOK_BINS;
    memset(&f->look, 0, sizeof f->look);
    int n = sample_band(torso, image, shoulders, hips, 0.12f * f->size);
    int m = sample_band(legs, image, p[HIP_L], p[KNEE_L], 0.05f * f->size) +
            sample_band(legs, image, p[HIP_R], p[KNEE_R], 0.05f * f->size);
    for (int i = 0; i < 3 * GV_LOOK_BINS; i++) {
        if (n) torso[i] /= (float)n;
        if (m) legs[i] /= (float)m;
    }
}

// Loose bounds: they refuse scribbles, not unusual poses.
static bool in_proportion(const gv_figure *f) {
    const float(*p)[5] = f->marks.point;
    float shoulders[2], hips[2], s = f->size;
    middle(shoulders, p[SHOULDER_L], p[SHOULDER_R]);
    middle(hips, p[HIP_L], p[HIP_R]);
    float torso = distance(shoulders, hips);
    float thigh = fmaxf(distance(p[HIP_L], p[KNEE_L]), distance(p[HIP_R], p[KNEE_R]));
    float shin = fmaxf(distance(p[KNEE_L], p[ANKLE_L]), distance(p[KNEE_R], p[ANKLE_R]));
    return torso > 0.04f * s && torso < 0.6f * s && thigh < 0.6f * s && shin < 0.6f * s &&
           torso + thigh + shin > 0.25f * s && distance(hips, f->hip) < 0.25f * s;
}

bool gv_figure_from(gv_figure *f, const gv_landmarks *l, const gv_image *image, float min_presence) {
    if (!(l->presence > min_presence)) return false;
    for (int i = 0; i < GV_BLAZE_ALL_POINTS; i++)
        for (int c = 0; c < 5; c++)
            if (!(fabsf(l->point[i][c]) < 1e6f)) return false;
    f->marks = *l;
    f->hip[0] = l->point[AUX_HIP][0];
    f->hip[1] = l->point[AUX_HIP][1];
    f->size = 2 * distance(l->point[AUX_TOP], l->point[AUX_HIP]);
    if (!(f->size > 4) || !in_proportion(f)) return false;
    draw_box(f, image->width, image->height);
    if (!(f->box[2] - f->box[0] > 2 && f->box[3] - f->box[1] > 2)) return false;
    float visible = 0;
    for (int i = 0; i < 8; i++) visible += l->point[MAIN_POINTS[i]][3] / 8;
    f->quality = l->presence * visible;
    take_look(f, image);
    return true;
}

float gv_figure_oks_moved(const gv_figure *a, const gv_figure *b, float dx, float dy) {
    float s = OKS_SPREAD * sqrtf(a->size * b->size), sum = 0;
    for (int i = 0; i < 13; i++) {
        const float *p = a->marks.point[GV_BODY_POINT[i]], *q = b->marks.point[GV_BODY_POINT[i]];
        float x = p[0] - q[0] - dx, y = p[1] - q[1] - dy;
        sum += expf(-(x * x + y * y) / (2 * s * s)) / 13;
    }
    return sum;
}

float gv_figure_oks(const gv_figure *a, const gv_figure *b) {
    return gv_figure_oks_moved(a, b, 0, 0);
}

// Earth mover's distance per histogram (in bins of 32 grey levels or 12 of colour), averaged.
float gv_look_distance(const gv_look *a, const gv_look *b) {
    float sum = 0;
    for (int h = 0; h < 6; h++) {
        float cdf = 0;
        for (int i = 0; i < GV_LOOK_BINS; i++) {
            cdf += a->bin[h * GV_LOOK_BINS + i] - b->bin[h * GV_LOOK_BINS + i];
            sum += fabsf(cdf);
        }
    }
    return sum / 6;
}

void gv_look_blend(gv_look *mean, const gv_look *sample, float weight) {
    for (int i = 0; i < GV_LOOK; i++) mean->bin[i] += weight * (sample->bin[i] - mean->bin[i]);
}
