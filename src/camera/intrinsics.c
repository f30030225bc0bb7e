#include "camera/intrinsics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double FULL_FRAME_DIAGONAL = 43.266615; // mm, of 36 x 24

double gv_focal_default(int width, int height) {
    return hypot(width, height);
}
double gv_focal_from_mm(double mm, int width, int height) {
    return mm / FULL_FRAME_DIAGONAL * hypot(width, height);
}
double gv_focal_to_mm(double px, int width, int height) {
    return px * FULL_FRAME_DIAGONAL / hypot(width, height);
}

gv_status gv_focal_parse(double *px, const char *text, int width, int height, gv_error *err) {
    char *end;
    double v = strtod(text, &end);
    bool mm = end != text && !strcmp(end, "mm");
    if (end == text || (*end && !mm) || !isfinite(v))
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "focal length \"%s\": expected pixels (1468.6) or millimetres of a full-frame lens (24mm)",
                       text);
    double f = mm ? gv_focal_from_mm(v, width, height) : v, diagonal = hypot(width, height);
    if (!(f >= 0.1 * diagonal && f <= 100 * diagonal))
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "focal length \"%s\" is %g px, expected %.0f to %.0f for a picture of %d x %d", text, f,
                       0.1 * diagonal, 100 * diagonal, width, height);
    *px = f;
    return GV_OK;
}

void gv_intrinsics(float K[9], double focal_px, int width, int height) {
    memset(K, 0, 9 * sizeof *K);
    K[0] = K[4] = (float)focal_px, K[2] = (float)(width / 2.), K[5] = (float)(height / 2.), K[8] = 1;
}
