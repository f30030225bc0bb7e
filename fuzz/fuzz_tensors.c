// Bytes as a weight file of any container; every tensor that opens is read; as a tree, too.
#include "fuzz.h"
#include "formats/tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[32];
    gv_error err = {0};
    gv_tensors *w = NULL;
    int fd = fuzz_file(path, data, size);
    if (gv_tensors_open(&w, path, &err) == GV_OK)
        for (int i = 0; i < gv_tensors_count(w); i++)
            free(gv_tensors_read_f32(w, gv_tensors_at(w, i)->name, NULL, -1, &err));
    gv_tensors_close(w);
    if (gv_tensors_open_tree(&w, path, &err) == GV_OK)
        for (int i = 0; i < gv_tensors_count(w); i++)
            free(gv_tensors_read_f32(w, gv_tensors_at(w, i)->name, NULL, -1, &err));
    gv_tensors_close(w);
    close(fd);
    return 0;
}
