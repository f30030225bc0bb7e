// fuzz_body.c - body model files: clang -fsanitize=fuzzer,address; seed with a small body of the tests.
#include "body/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[] = "/tmp/fuzz-body-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) abort();
    FILE *f = fdopen(fd, "wb");
    fwrite(data, 1, size, f);
    fclose(f);
    gv_body *b;
    gv_error err = {0};
    if (gv_body_open(&b, path, &err) == GV_OK) {
        float betas[GV_BETAS] = {1}, pose[63] = {1}, root[3] = {0};
        float *v = malloc((size_t)b->vertices * 3 * sizeof *v), joints[165];
        gv_body_evaluate(b, betas, pose, root, NULL, v, joints);
        free(v);
        gv_body_close(b);
    } else if (!strlen(err.text)) {
        abort();
    }
    unlink(path);
    return 0;
}
