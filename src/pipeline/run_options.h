// run_options.h - the options of a run by their names: one table for the command line and for the library.
#pragma once
#include "pipeline/run.h"

typedef struct gv_option {
    const char *name;
    bool is_switch; // takes no value on the command line
} gv_option;

// What every run begins with.
gv_run_options gv_run_options_default(void);

// The options of observing come first, then those of a run; NULL after the last.
const gv_option *gv_run_option_at(int i);

// Sets one; text values are borrowed. A switch takes yes, no, 1, 0, true, false, on, off. value NULL: the default.
// An unknown name, or a value that cannot be, is GV_ERR_ARGUMENT, and nothing is changed.
gv_status gv_run_option_set(gv_run_options *o, const char *name, const char *value, gv_error *err);

// The same where only a video is observed: no others than those are known.
gv_status gv_observe_option_set(gv_observe_options *o, const char *name, const char *value, gv_error *err);

// A whole number, a number, strictly: the whole text, within the range. `name` is for the message.
gv_status gv_parse_int(long *out, const char *name, const char *text, long lo, long hi, gv_error *err);
gv_status gv_parse_double(double *out, const char *name, const char *text, double lo, double hi, gv_error *err);
