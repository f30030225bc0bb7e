// Bytes as the header of a safetensors file, its length put before and 64 bytes of data behind.
#include "fuzz.h"
#include "formats/tensors.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[32];
    gv_error err = {0};
    gv_tensors *w = NULL;
    uint8_t *file = calloc(1, 8 + size + 64);
    if (!file) abort();
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)size >> 8 * i);
    memcpy(file + 8, data, size);
    int fd = fuzz_file(path, file, 8 + size + 64);
    if (gv_tensors_open(&w, path, &err) == GV_OK)
        for (int i = 0; i < gv_tensors_count(w); i++)
            free(gv_tensors_read_f32(w, gv_tensors_at(w, i)->name, NULL, -1, &err));
    gv_tensors_close(w);
    close(fd);
    free(file);
    return 0;
}
