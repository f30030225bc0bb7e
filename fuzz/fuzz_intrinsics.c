// Bytes as a file of intrinsics, JSON; every lens is used.
#include "camera/intrinsics_file.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[32];
    int fd = fuzz_file(path, data, size);
    gv_error err = {0};
    gv_optics o;
    if (gv_optics_load(&o, path, 1280, 720, &err) == GV_OK) {
        for (long i = 0; i < o.count && i < 16; i++) {
            double d[2], p[2];
            gv_lens_direction(&o.lens[i], 100, 700, d);
            gv_lens_pixel(&o.lens[i], d[0], d[1], p);
        }
        gv_optics_free(&o);
    }
    close(fd);
    return 0;
}
