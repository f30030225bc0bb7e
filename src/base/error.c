#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void clean(char *text) {
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
}

gv_status gv_fail(gv_error *err, gv_status status, const char *format, ...) {
    if (!err) return status;
    char text[sizeof err->text];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    clean(text);
    memcpy(err->text, text, sizeof text);
    err->status = status;
    return status;
}

gv_status gv_wrap(gv_error *err, const char *format, ...) {
    if (!err) return GV_ERR_INTERNAL;
    char prefix[sizeof err->text], old[sizeof err->text];
    va_list ap;
    va_start(ap, format);
    vsnprintf(prefix, sizeof prefix, format, ap);
    va_end(ap);
    memcpy(old, err->text, sizeof old);
    return gv_fail(err, err->status, "%s: %s", prefix, old);
}
