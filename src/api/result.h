// result.h - how results come into being, between the two files of the public interface.
#pragma once
#include "gvhmr.h"
#include "pipeline/run.h"

// Takes over motions and scene of a run, which are then no longer in `run`.
gv_status gv_result_take(gvhmr_result **out, gv_run_result *run, gv_error *err);

// A folder with scene.json, or a motion file.
gv_status gv_result_load(gvhmr_result **out, const char *path, gv_error *err);
