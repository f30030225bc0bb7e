// batch_list.h - the videos of a batch, and what is known of each (internal to batch.c).
#pragma once
#include "base/error.h"
#include <stdbool.h>

typedef struct gv_batch_item {
    char *video, *name, *folder; // name: of the folder below the batch's
} gv_batch_item;

typedef struct gv_batch_list {
    gv_batch_item *item;
    int count;
} gv_batch_list;

// Names are made from the file names, with -2, -3 ... where they repeat.
gv_status gv_batch_list_read(gv_batch_list *out, const char *path, const char *folder, gv_error *err);
void gv_batch_list_free(gv_batch_list *l); // leaves a zeroed struct

typedef enum gv_batch_state { GV_BATCH_OPEN, GV_BATCH_DONE, GV_BATCH_FAILED } gv_batch_state;

typedef struct gv_batch_record { // BATCH.json
    gv_batch_state state;
    char fingerprint[65]; // of the video
    char options[65];     // sum of the options' text
    char reason[512];
    double seconds;
    int people;
    long frames;
} gv_batch_record;

gv_status gv_batch_record_write(const gv_batch_item *item, const gv_batch_record *r, gv_error *err);
// What was written for this video with these options; state open where there is nothing, or it is of something else.
gv_batch_record gv_batch_record_read(const gv_batch_item *item, const char *fingerprint, const char *options);

// The table of all items as JSON.
gv_status gv_batch_report(const char *path, const gv_batch_list *l, const gv_batch_record *records, gv_error *err);

// Removes what a killed process left half-written in a folder and its cache.
void gv_batch_clean(const char *folder);
