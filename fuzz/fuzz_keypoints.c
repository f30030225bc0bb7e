// Bytes as a file of keypoints, JSON or npz.
#include "fuzz.h"
#include "formats/keypoints_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[32];
    gv_error err = {0};
    gv_keypoints k;
    const gv_keypoints_video video = {640, 480, size % 2 ? 4 : 0};
    int fd = fuzz_file(path, data, size);
    if (gv_keypoints_read(&k, path, &video, &err) == GV_OK)
        for (int i = 0; i < k.count; i++)
            if (k.person[i].frame < 0 || (video.frames && k.person[i].frame >= video.frames)) abort();
    gv_keypoints_free(&k);
    close(fd);
    return 0;
}
