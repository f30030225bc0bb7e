#include "camera/metadata.h"

#include "formats/gpmf.h"
#include "video/telemetry.h"

#include <math.h>
#include <string.h>

static const double FULL_FRAME_DIAGONAL = 43.266615; // mm, of 36 x 24

// Phones state the equivalent of their 4:3 stills; a wider video keeps the sensor's width.
static double focal_of_still(double mm, int width, int height) {
    double longer = fmax(width, height), shorter = fmin(width, height);
    return mm / FULL_FRAME_DIAGONAL * hypot(longer, fmax(shorter, 0.75 * longer));
}

typedef struct gopro {
    double diagonal_deg; // 0: unknown
    bool linear;         // the camera itself has removed the distortion
} gopro;

static void read_gopro(gopro *g, gv_gpmf_reader r, int depth) {
    gv_gpmf_item item;
    while (gv_gpmf_next(&r, &item)) {
        if (item.type == 0 && depth < 4) read_gopro(g, gv_gpmf_open(item.data, item.size), depth + 1);
        if (!strcmp(item.key, "ZFOV")) g->diagonal_deg = gv_gpmf_value(&item, 0, 0);
        if (!strcmp(item.key, "VFOV") && item.size >= 1) g->linear = item.data[0] == 'L' || item.data[0] == 'N';
    }
}

// ZFOV is the angle along the diagonal. Lenses of action cameras are near to equidistant: r = f theta.
static bool lens_of_gopro(gv_lens *lens, const gv_video_tags *t, int width, int height) {
    gopro g = {0};
    read_gopro(&g, gv_gpmf_open(t->settings, t->settings_size), 0);
    double half = g.diagonal_deg * 0.5 * 0.017453292519943295, r = 0.5 * hypot(width, height);
    if (!(g.diagonal_deg > 10 && g.diagonal_deg < (g.linear ? 150 : 200))) return false;
    *lens = gv_lens_pinhole(g.linear ? r / tan(half) : r / half, width, height);
    lens->model = g.linear ? GV_LENS_PINHOLE : GV_LENS_FISHEYE;
    return true;
}

gv_status gv_lens_from_metadata(bool *found, gv_lens *lens, double *sd, const char *video, int width, int height,
                                struct gv_jail *jail, gv_error *err) {
    gv_video_tags t;
    *found = false;
    gv_status status = gv_video_tags_read(&t, video, jail, err);
    if (status != GV_OK) return status;
    if (t.settings && lens_of_gopro(lens, &t, width, height)) {
        *found = true, *sd = 0.06;
    } else if (t.focal_35mm > 0) {
        *lens = gv_lens_pinhole(focal_of_still(t.focal_35mm, width, height), width, height);
        *found = true, *sd = 0.1;
    }
    gv_video_tags_free(&t);
    return GV_OK;
}
