// Bytes as a pickle; every value and cell is looked at.
#include "fuzz.h"
#include "formats/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gv_error err = {0};
    gv_pickle *p = NULL;
    size_t used = 0, total = 0;
    if (gv_pickle_parse(&p, data, size, &used, "fuzz", &err) != GV_OK) return 0;
    for (gv_value v = 1; v <= gv_pickle_size(p); v++) {
        size_t n = 0;
        const char *s = gv_pickle_string(p, v, &n);
        for (size_t i = 0; s && i < n && i < 64; i++) total += (unsigned char)s[i] + (unsigned char)s[n - 1 - i];
        uint32_t count = 0;
        for (gv_cell c = gv_pickle_first(p, v); c; c = gv_pickle_next(p, c), count++)
            total += gv_pickle_kind_of(p, gv_pickle_item(p, c)) + gv_pickle_kind_of(p, gv_pickle_key(p, c));
        if (count != gv_pickle_count(p, v)) abort();
        total += gv_pickle_is_call(p, v, "os system") + gv_pickle_kind_of(p, gv_pickle_state(p, v)) +
                 gv_pickle_get(p, v, "state_dict");
    }
    if (used > size || total == SIZE_MAX) abort();
    gv_pickle_free(p);
    return 0;
}
