// Bytes as an MP4 file: its tags, its settings, its metadata track as a gyroscope and as orientations.
#include "camera/gyro.h"
#include "camera/metadata.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[32];
    int fd = fuzz_file(path, data, size);
    gv_error err = {0};
    gv_gyro g;
    gv_lens lens;
    double sd;
    bool found;
    gv_lens_from_metadata(&found, &lens, &sd, path, 1280, 720, NULL, &err);
    if (gv_gyro_load(&g, path, NULL, &err) == GV_OK) gv_gyro_free(&g);
    if (gv_gyro_load_own(&g, path, NULL, &err) == GV_OK) gv_gyro_free(&g);
    close(fd);
    return 0;
}
