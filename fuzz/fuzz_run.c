// Bytes as a video for the first half of `run`: decoded, times and rates made out, metadata looked at, the people of a
// keypoints file put into its frames. No networks, a camera that is known to stand still.
#include "fuzz.h"
#include "pipeline/observe.h"

#include <string.h>

// One person in frames 0 to 3.
static void make_keypoints(const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) abort();
    for (int t = 0; t < 4; t++) {
        fprintf(f, "%s{\"image_id\": %d, \"category_id\": 1, \"score\": 0.9, \"keypoints\": [", t ? ", " : "[", t);
        for (int j = 0; j < 17; j++) fprintf(f, "%s%d, %d, 0.9", j ? ", " : "", 20 + j % 4 + t, 4 + j);
        fprintf(f, "]}");
    }
    fprintf(f, "]");
    if (fclose(f)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char folder[] = "/tmp/fuzz-run-XXXXXX", points[64];
    char path[32];
    if (!*points) {
        if (!mkdtemp(folder)) abort();
        snprintf(points, sizeof points, "%s/points.json", folder);
        make_keypoints(points);
    }
    int fd = fuzz_file(path, data, size);
    gv_error err = {0};
    gv_scene_observations s;
    gv_observe_options o = {.want = {.keypoints = points, .features = "none"}, .static_camera = true, .quiet = true};
    if (gv_observe(&s, path, &o, &err) == GV_OK) {
        for (int k = 0; k < s.people; k++)
            if (s.person[k].frames < 1 || s.person[k].frames > s.frames) abort();
        for (long i = 1; i < s.frames; i++)
            if (!(s.time_sec[i] > s.time_sec[i - 1])) abort();
        gv_scene_observations_free(&s);
    } else if (!*err.text) {
        abort();
    }
    close(fd);
    return 0;
}
