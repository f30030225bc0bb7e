// Bytes as an archive; where the first is odd, the rest as one stored .npy member of an archive.
#include "fuzz.h"
#include "formats/npz.h"

#include <zip.h>

static void read_all(const char *path) {
    gv_error err = {0};
    gv_npz *z = NULL;
    if (gv_npz_open(&z, path, &err) != GV_OK) return;
    for (int i = 0; i < gv_npz_count(z); i++) {
        const gv_array *a = gv_npz_at(z, i);
        int64_t n;
        free(gv_npz_read_f32(z, a->name, NULL, -1, &n, &err));
        free(gv_npz_read_i32(z, a->name, a->shape, a->ndim, NULL, &err));
        free(gv_npz_read_strings(z, a->name, &n, &err));
    }
    gv_npz_close(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[40];
    if (size < 1) return 0;
    if (data[0] != 'P' && data[0] & 1) {
        snprintf(path, sizeof path, "/dev/shm/fuzz-npz-%d", (int)getpid());
        int code;
        zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
        if (!z) abort();
        zip_int64_t i = zip_file_add(z, "m.npy", zip_source_buffer(z, data + 1, size - 1, 0), 0);
        zip_set_file_compression(z, (zip_uint64_t)i, ZIP_CM_STORE, 0);
        if (zip_close(z) != 0) abort();
        read_all(path);
        unlink(path);
    } else {
        int fd = fuzz_file(path, data, size);
        read_all(path);
        close(fd);
    }
    return 0;
}
