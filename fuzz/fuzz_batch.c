// Bytes as a batch's list of videos, and as the record of a video that was done.
#include "fuzz.h"
#include "pipeline/batch_list.h"

#include <string.h>

static void put(const char *path, const uint8_t *data, size_t size) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char folder[] = "/tmp/fuzz-batch-XXXXXX", path[64];
    gv_error err = {0};
    gv_batch_list l = {0};
    if (!*path && !mkdtemp(folder)) abort();
    snprintf(path, sizeof path, "%s/BATCH.json", folder);
    put(path, data, size);
    gv_batch_record r = gv_batch_record_read(&(gv_batch_item){"v", "n", folder}, "0", "1");
    if (memchr(r.reason, 0, sizeof r.reason) == NULL) abort();
    if (gv_batch_list_read(&l, path, "out", &err) == GV_OK)
        for (int i = 0; i < l.count; i++)
            if (!*l.item[i].name || strstr(l.item[i].name, "..") == l.item[i].name || *l.item[i].name == '/') abort();
    gv_batch_list_free(&l);
    return 0;
}
