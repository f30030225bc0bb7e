// Bytes as the list of motion capture clips and, behind the first byte that is 0, the map of their joints. The one
// clip that exists is "clip.bvh".
#include "fuzz.h"
#include "training/import.h"

#include <string.h>

static const char clip[] =
    "HIERARCHY\nROOT Hips\n{\nOFFSET 0 90 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation "
    "Xrotation Yrotation\nJOINT Leg\n{\nOFFSET 0 -40 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
    "End Site\n{\nOFFSET 0 -40 0\n}\n}\n}\nMOTION\nFrames: 2\nFrame Time: 0.033333\n"
    "0 90 0 0 0 0 0 0 0\n0 90 1 0 1 0 0 2 0\n";

static void put(char path[64], const char *folder, const char *name, const void *data, size_t size) {
    snprintf(path, 64, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char folder[] = "/tmp/fuzz-import-XXXXXX";
    static int made;
    char list[64], map[64], store[64];
    if (!made && !mkdtemp(folder)) abort();
    if (!made) put(list, folder, "clip.bvh", clip, sizeof clip - 1);
    made = 1;
    const uint8_t *gap = memchr(data, 0, size);
    size_t first = gap ? (size_t)(gap - data) : size;
    put(list, folder, "list.csv", data, first);
    put(map, folder, "map.json", gap ? gap + 1 : data, gap ? size - first - 1 : 0);
    snprintf(store, sizeof store, "%s/store.gvs", folder);
    gv_error err = {0};
    gv_import_report report = {0};
    gv_import_options o = {.list = list, .map = map, .root = folder};
    if (gv_import_clips(store, &o, &report, &err) != GV_OK && !*err.text) abort();
    return 0;
}
