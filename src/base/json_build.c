#include "base/json_build.h"

#include <stdbool.h>
#include <stddef.h>

void gv_json_append(json_t **array, json_t *value) {
    if (json_array_append_new(*array, value) == 0) return;
    json_decref(*array);
    *array = NULL;
}

void gv_json_set(json_t **object, const char *key, json_t *value) {
    if (json_object_set_new(*object, key, value) == 0) return;
    json_decref(*object);
    *object = NULL;
}

json_t *gv_json_text(const char *bytes) {
    json_t *o = json_string(bytes);
    char plain[1024];
    size_t n = 0;
    bool ascii = true;
    if (o) return o;
    for (; bytes[n] && n < sizeof plain - 1; n++) {
        bool beyond = (unsigned char)bytes[n] >= 0x80;
        plain[n] = bytes[n];
        if (beyond) plain[n] = '?', ascii = false;
    }
    plain[n] = 0;
    return ascii ? NULL : json_string(plain);
}
