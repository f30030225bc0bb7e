// sheet.h - a contact sheet: skeletons of a store's clips, or of the sequences that training makes of them, to look at.
#pragma once
#include "training/sample.h"

enum { GV_SHEET_COLUMNS = 12, GV_SHEET_CELL = 150 };

// Writes a PNG of `count` skeletons, the left side blue, the right side red, the ground grey, at a sequence's middle.
// Clips: evenly chosen from the sampler's. made: drawn by the sampler instead. `cell` is told what is where, or NULL.
gv_status gv_sheet_write(const char *path, const gv_sampler *s, int count, bool made, uint64_t seed,
                         void (*cell)(void *user, int row, int column, const char *name), void *user, gv_error *err);
