#include "cli.h"
#include "base/confine.h"
#include "base/jail.h"
#include "pipeline/run_options.h"

#include <stdarg.h>
#include <stdio.h>

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

static bool unless_wrong(const char *command, gv_status status, const gv_error *err) {
    if (status != GV_OK) gv_cli_usage(command, "%s", err->text);
    return status == GV_OK;
}

bool gv_cli_int(const char *command, const char *option, const char *text, long lo, long hi, long *out) {
    gv_error err = {0};
    return unless_wrong(command, gv_parse_int(out, option, text, lo, hi, &err), &err);
}

bool gv_cli_double(const char *command, const char *option, const char *text, double lo, double hi, double *out) {
    gv_error err = {0};
    return unless_wrong(command, gv_parse_double(out, option, text, lo, hi, &err), &err);
}

int gv_cli_jail(gv_jail **jail, bool quiet) {
    gv_error err = {0};
    const char *lack = gv_confine_lack();
    if (lack && !quiet)
        fprintf(stderr, "gvhmr: videos are decoded by a process of their own, but with most of its rights: %s\n", lack);
    return gv_jail_create(jail, &err) == GV_OK ? 0 : gv_cli_fail(&err);
}

bool gv_cli_device(const char *command, const char *text, gv_device_choice *out) {
    gv_observe_options observe = {0};
    gv_error err = {0};
    bool good = gv_observe_option_set(&observe, "device", text, &err) == GV_OK;
    if (!good) gv_cli_usage(command, "--%s", err.text);
    *out = observe.where;
    return good;
}

gv_status gv_cli_open_device(gv_device **out, gv_device_choice where, bool quiet, gv_error *err) {
    gv_error why = {0};
    gv_status s = gv_device_open(out, where, &why);
    if (s && err) *err = why;
    if (!s && !*out && *why.text && !quiet) fprintf(stderr, "gvhmr: %s\n", why.text);
    return s;
}
