// error.h - how every fallible function of the library reports.
//
// A caller's bug is an assert. Whatever the world can do wrong (files, memory, options) is a
// returned status plus one line of text in a struct that the caller passes:
//
//     gv_error err = {0};
//     gv_video *v = NULL;
//     if (gv_video_open(&v, path, NULL, &err) != GV_OK) { fprintf(stderr, "gvhmr: %s\n", err.text); return 1; }
//
// The text names the file, the item, what was found and what was expected. The library never prints
// an error itself, never exits and keeps no global error state.
#pragma once

typedef enum gv_status {
    GV_OK = 0,
    GV_ERR_ARGUMENT,  // an option or parameter that makes no sense
    GV_ERR_IO,        // file missing, unreadable, unwritable, disk full
    GV_ERR_FORMAT,    // the bytes are not what they claim to be
    GV_ERR_MEMORY,    // allocation failed or a size is beyond the limits
    GV_ERR_MISSING,   // a model, tensor or key that is needed is not there
    GV_ERR_EMPTY,     // nothing to work on: no frames, no person
    GV_ERR_INTERNAL,  // a library underneath failed unexpectedly
    GV_ERR_CANCELLED, // whoever asked for the work has ended it
} gv_status;

typedef struct gv_error {
    gv_status status;
    char text[1024]; // one line without newline, UTF-8, always terminated
} gv_error;

// Writes the message (printf style, cut to fit, control characters replaced by '?') and returns `status`.
// `err` may be NULL. A message that is already there is overwritten.
gv_status gv_fail(gv_error *err, gv_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Puts "prefix: " before the message that is there and returns its status: `return gv_wrap(err, "%s", path);`
gv_status gv_wrap(gv_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
