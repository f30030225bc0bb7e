// Bytes as a motion store; all frames of all clips are touched.
#include "fuzz.h"
#include "training/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[32];
    gv_error err = {0};
    gv_store s;
    volatile float sum = 0;
    int fd = fuzz_file(path, data, size);
    if (gv_store_open(&s, path, &err) == GV_OK) {
        for (int i = 0; i < s.clip_count; i++)
            for (uint64_t f = s.clips[i].first; f < s.clips[i].first + s.clips[i].frames; f++)
                sum += s.hips[3 * f + 2] + s.rotation[f * 88 + 87] + s.still[4 * f + 3];
        gv_store_close(&s);
    }
    close(fd);
    return 0;
}
