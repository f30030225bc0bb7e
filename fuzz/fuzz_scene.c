// fuzz_scene.c - scene.json as `gvhmr view` reads it; seed with one that `gvhmr run` wrote.
#include "pipeline/view.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    gv_scene_names names;
    gv_error err = {0};
    if (gv_scene_names_read(&names, text, &err) == GV_OK) {
        for (int k = 0; k < names.people; k++)
            if (strchr(names.file[k], '/') || !*names.file[k]) abort();
        if (strchr(names.video, '/')) abort();
        gv_scene_names_free(&names);
    } else if (!*err.text) {
        abort();
    }
    free(text);
    return 0;
}
