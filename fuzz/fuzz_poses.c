// Bytes as another tracker's rotations, for a video of 40 frames.
#include "camera/rotation_list.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { FRAMES = 40 };
    gv_error err = {0};
    gv_rotation_list l;
    gv_rotation_list_is((const char *)data, size);
    if (gv_rotation_list_parse(&l, "fuzz", (const char *)data, size, &err) != GV_OK) return 0;
    static float R[FRAMES * 9], confidence[FRAMES];
    double time[FRAMES];
    for (int f = 0; f < FRAMES; f++) time[f] = f / 30.;
    gv_camera_path path = {.frames = FRAMES, .R_w2c = R, .confidence = confidence};
    gv_rotation_list_apply(&path, &l, "fuzz", time, &err);
    gv_rotation_list_free(&l);
    return 0;
}
