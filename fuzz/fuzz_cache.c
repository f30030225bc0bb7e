// Records of the cache: bytes from a file that anybody may have written.
#include "pipeline/keep.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gv_sightings s;
    gv_camera_path c;
    if (gv_sightings_unpack(&s, data, size)) gv_sightings_free(&s);
    if (gv_camera_unpack(&c, data, size)) gv_camera_path_free(&c);
    return 0;
}
