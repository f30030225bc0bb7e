#include "camera/intrinsics.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double FULL_FRAME_DIAGONAL = 43.266615; // mm, of 36 x 24

double gv_focal_default(int width, int height) {
    return hypot(width, height);
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
    double f = mm ? v / FULL_FRAME_DIAGONAL * hypot(width, height) : v, diagonal = hypot(width, height);
    if (!(f >= 0.1 * diagonal && f <= 100 * diagonal))
        return gv_fail(err, GV_ERR_ARGUMENT,
                       "focal length \"%s\" is %g px, expected %.0f to %.0f for a picture of %d x %d", text, f,
                       0.1 * diagonal, 100 * diagonal, width, height);
    *px = f;
    return GV_OK;
}

const char *gv_focal_origin_text(gv_focal_origin o) {
    static const char *const text[] = {
        [GV_FOCAL_DIAGONAL] = "image diagonal", [GV_FOCAL_UPRIGHT] = "upright picture",
        [GV_FOCAL_PEOPLE] = "people",           [GV_FOCAL_METADATA] = "metadata",
        [GV_FOCAL_GYROSCOPE] = "gyroscope",     [GV_FOCAL_MEASURED] = "measured from the turning camera",
        [GV_FOCAL_FILE] = "intrinsics file",    [GV_FOCAL_GIVEN] = "given",
    };
    return text[o];
}

void gv_optics_free(gv_optics *o) {
    free(o->lens);
    *o = (gv_optics){0};
}

gv_status gv_optics_pinhole(gv_optics *o, double focal_px, int width, int height, gv_focal_origin origin, double sd,
                            gv_error *err) {
    *o = (gv_optics){.count = 1, .lens = gv_calloc2(1, sizeof *o->lens), .origin = origin, .sd = sd};
    if (!o->lens) return gv_fail(err, GV_ERR_MEMORY, "no memory for a lens");
    *o->lens = gv_lens_pinhole(focal_px, width, height);
    return GV_OK;
}

gv_status gv_optics_guess(gv_optics *o, int width, int height, gv_error *err) {
    const double diagonal = gv_focal_default(width, height);
    return height > width ? gv_optics_pinhole(o, GV_FOCAL_UPRIGHT_SHARE * diagonal, width, height, GV_FOCAL_UPRIGHT,
                                              GV_FOCAL_UPRIGHT_SD, err)
                          : gv_optics_pinhole(o, diagonal, width, height, GV_FOCAL_DIAGONAL, GV_FOCAL_DEFAULT_SD, err);
}

const gv_lens *gv_optics_at(const gv_optics *o, long frame) {
    return &o->lens[frame < o->count ? frame : o->count - 1];
}
