// batch.h - many videos, one after the other, with the models loaded once; nothing done twice, nothing lost.
//
// A second process does the work. A video that cannot be used, or that brings that process down, costs only itself:
// it is written down with its reason, and the next one begins. What is done is known by the video's contents
// and the options (BATCH.json in its folder), so a batch that was stopped, by whatever means, goes on where it was.
#pragma once
#include "pipeline/run.h"

typedef struct gv_batch_options {
    gv_run_options run;
    const char *options_text;  // everything that the results depend on; another text: done work is not taken
    int shard, shards;         // this part, from 1, of how many (perhaps on several machines); 0, 0: all
    bool retry;                // videos that failed before are tried again
    bool report_only;          // nothing is run; others may be at work
    const volatile bool *stop; // set from a signal handler: the video under way is given up; may be NULL
    bool quiet;                // no progress line
    void (*failed)(const char *video, const char *reason, void *user); // told as it happens; may be NULL
    void *user;
} gv_batch_options;

typedef struct gv_batch_summary {
    int videos, done, failed, open; // open: not yet tried (stopped, or other shards)
    bool busy;                      // nothing was done: another batch is at work
} gv_batch_summary;

// `list`: a text file, one video a line (relative to the list's folder), optionally a tab and the name of its folder
// below `folder`; empty lines and lines that begin with # are left out. Results go to folder/NAME; a table of
// everything to folder/report.json (of a shard: report-I-of-N.json). Where another batch that could do the same videos
// is at work in `folder` (all but other shards of as many) that is GV_ERR_ARGUMENT and out->busy. Failed videos are not
// an error of the batch.
gv_status gv_batch_run(gv_batch_summary *out, const char *list, const char *folder, const gv_batch_options *opt,
                       gv_error *err);
