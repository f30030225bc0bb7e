#include "camera/choose_optics.h"

#include "camera/intrinsics_file.h"
#include "camera/metadata.h"

gv_status gv_optics_choose(gv_optics *o, const gv_optics_request *request, const char *video, int width, int height,
                           struct gv_jail *jail, gv_error *err) {
    *o = (gv_optics){0};
    if (request->focal_length && request->intrinsics)
        return gv_fail(err, GV_ERR_ARGUMENT, "a focal length and a file of intrinsics: expected one of them");
    double px;
    if (request->focal_length) {
        gv_status s = gv_focal_parse(&px, request->focal_length, width, height, err);
        return s == GV_OK ? gv_optics_pinhole(o, px, width, height, GV_FOCAL_GIVEN, 0, err) : s;
    }
    if (request->intrinsics) return gv_optics_load(o, request->intrinsics, width, height, err);
    gv_lens lens;
    double sd;
    gv_status s = gv_optics_guess(o, width, height, err);
    bool found = false;
    if (s == GV_OK) s = gv_lens_from_metadata(&found, &lens, &sd, video, width, height, jail, err);
    if (s != GV_OK) gv_optics_free(o);
    if (found) *o->lens = lens, o->origin = GV_FOCAL_METADATA, o->sd = sd;
    return s;
}
