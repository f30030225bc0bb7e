// Bytes as an AMASS file and as a pack of the reference's, read into a motion store.
#include "fuzz.h"
#include "training/motions.h"

static void done(void *user, int frames, const char *why) {
    (void)user, (void)frames, (void)why;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static gv_motion_bodies bodies; // the mannequin, opened once
    char path[32];
    gv_error err = {0};
    int fd = fuzz_file(path, data, size);
    gv_motion_reader r = {.out = gv_store_builder_create(), .bodies = &bodies, .done = done};
    if (!r.out) abort();
    gv_motion_read_npz(&r, path, &err);
    gv_motion_read_pack(&r, path, &err);
    gv_store_builder_destroy(r.out);
    close(fd);
    return 0;
}
