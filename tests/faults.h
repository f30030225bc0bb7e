// faults.h - what the preloaded library (faults.c) and the test that drives it (test_faults.c) share.
#pragma once

enum {
    FAULT_OWN,         // one allocation by gvhmr's own code
    FAULT_ALL,         // all of them from the n-th on
    FAULT_LIBRARY,     // one allocation by jansson or libzip
    FAULT_SHORT_READ,  // one read gives half
    FAULT_SHORT_WRITE, // one write takes half
    FAULT_INTERRUPT,   // one read or write says EINTR
    FAULT_READ,        // one read says EIO
    FAULT_FULL,        // from the n-th write on the disk is full
    FAULT_OPEN,        // one open says EMFILE, or one mkdir EACCES
    FAULT_RENAME,      // one rename or fsync says EIO
    FAULT_KINDS
};

static const char *const fault_names[FAULT_KINDS] = {"own",       "all",  "library", "short-read", "short-write",
                                                     "interrupt", "read", "full",    "open",       "rename"};

typedef struct faults_shared {
    long count[FAULT_KINDS];
    unsigned long where;  // return address of the first allocation that was refused, from the start of the program
    int unable;           // the kernel lets no filter be set: files are not watched
    int ended;            // main has returned
    long kept;            // allocations of gvhmr's own code that nobody had released by then
    unsigned long keeper; // where the last of them was made, as `where`
} faults_shared;

typedef struct faults_point {
    int kind; // -1: none
    long at;  // counted from 1
} faults_point;

enum { FAULTS_IN = 200, FAULTS_OUT = 201 };
