// curves.h - a picture of a training's log: losses, rate, norm and speed, and the errors on what was held out.
#pragma once
#include "base/error.h"

// Draws the JSON lines of `log` (train.h) to a PNG, one panel for each quantity that is in it, steps to the right.
// Quantities that span more than a factor of ten and are all positive have a logarithmic axis. Where a run went back to
// a checkpoint its later lines count. A line that is no JSON object is an error that names it; a last line without its
// end is the mark of an interrupted run and does not count. At most 256 MiB.
gv_status gv_curves_write(const char *png, const char *log, gv_error *err);
