// Bytes as an archive with one person's motion, or observations: loaded, and read as what `export` takes.
#include "exports/people.h"
#include "formats/motion_file.h"
#include "formats/observations.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[32], *const paths[] = {path};
    gv_error err = {0};
    gv_motion m = {0};
    gv_observations o = {0};
    gv_export_people p = {0};
    int fd = fuzz_file(path, data, size);
    if (gv_motion_load(&m, path, &err) == GV_OK && m.frames < 1) abort();
    gv_motion_free(&m);
    if (gv_observations_load(&o, path, &err) == GV_OK && o.frames < 1) abort();
    gv_observations_free(&o);
    if (gv_export_load(&p, paths, 1, 0, &err) == GV_OK) gv_export_free(&p);
    close(fd);
    return 0;
}
