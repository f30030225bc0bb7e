// Bytes as GoPro's metadata format: every value of every item is read.
#include "formats/gpmf.h"
#include "fuzz.h"

static double walk(gv_gpmf_reader r, int depth) {
    gv_gpmf_item item;
    double sum = 0;
    while (gv_gpmf_next(&r, &item)) {
        if (item.type == 0 && depth < 4) sum += walk(gv_gpmf_open(item.data, item.size), depth + 1);
        for (int s = 0; s < item.count && s < 1000; s++)
            for (int i = 0; i < gv_gpmf_values(&item); i++) sum += gv_gpmf_value(&item, s, i);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    volatile double sum = walk(gv_gpmf_open(data, size), 0);
    (void)sum;
    return 0;
}
