#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int gv_cli_fail(const gv_error *err) {
    fprintf(stderr, "gvhmr: %s\n", err->text);
    return 1;
}

int gv_cli_usage(const char *command, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "gvhmr %s: ", command);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "; see `gvhmr %s --help`\n", command);
    return 2;
}

bool gv_cli_int(const char *command, const char *option, const char *text, long lo, long hi, long *out) {
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    if (*text && !*end && !errno && *out >= lo && *out <= hi) return true;
    gv_cli_usage(command, "%s: \"%s\" is not a whole number from %ld to %ld", option, text, lo, hi);
    return false;
}

bool gv_cli_double(const char *command, const char *option, const char *text, double lo, double hi, double *out) {
    char *end;
    *out = strtod(text, &end);
    if (*text && !*end && isfinite(*out) && *out >= lo && *out <= hi) return true;
    gv_cli_usage(command, "%s: \"%s\" is not a number from %g to %g", option, text, lo, hi);
    return false;
}
