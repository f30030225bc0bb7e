// fuzz_result.c - a result folder as gvhmr_open reads it: scene.json with people and camera, and one motion beside it.
// The first byte that is 0 parts the two.
#include "fuzz.h"
#include "gvhmr.h"

#include <string.h>

static void put(const char *folder, const char *name, const uint8_t *data, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char folder[] = "/tmp/fuzz-result-XXXXXX";
    static gvhmr *g;
    if (!g && (!mkdtemp(folder) || !(g = gvhmr_create()))) abort();
    const uint8_t *gap = memchr(data, 0, size);
    size_t scene = gap ? (size_t)(gap - data) : size;
    put(folder, "scene.json", data, scene);
    put(folder, "person-1.npz", gap ? gap + 1 : data, gap ? size - scene - 1 : 0);
    gvhmr_result *r;
    if (gvhmr_open(g, folder, &r) == GVHMR_OK) {
        gvhmr_array a;
        for (int k = GVHMR_CAMERA; k < gvhmr_result_people(r); k++)
            for (int i = 0; gvhmr_result_key(r, k, i); i++)
                if (gvhmr_result_array(r, k, gvhmr_result_key(r, k, i), &a) || !a.data) abort();
        gvhmr_result_free(r);
    } else if (r || !*gvhmr_error(g)) {
        abort();
    }
    return 0;
}
