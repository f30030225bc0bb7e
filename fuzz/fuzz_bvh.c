// Bytes as a BVH clip; every local transform is computed.
#include "fuzz.h"
#include "training/bvh.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gv_error err = {0};
    gv_bvh b;
    if (gv_bvh_parse(&b, "fuzz", (const char *)data, size, &err) != GV_OK) return 0;
    for (int t = 0; t < b.frames && t < 64; t++)
        for (int j = 0; j < b.joint_count; j++) {
            float R[9], p[3];
            gv_bvh_local(&b, t, j, R, p);
        }
    gv_bvh_free(&b);
    return 0;
}
