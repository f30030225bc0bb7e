// confine.h - a process gives up its rights, for good: before it reads what a stranger has made.
//
//     gv_confine(0, (size_t)4 << 30);   // from here on: compute, read what is open, talk over the sockets that are
//     there
//
// What is left is memory (never executable), threads, and the descriptors that are open. Opening files fails with
// EPERM, as does all else that is not on the list; starting programs or processes, new sockets, and reaching into other
// processes end the process (SIGSYS). Capabilities are dropped; no file can grow, no core is written. Threads that
// exist already are confined as well.
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum {                    // what a source may need beyond that
    GV_RIGHT_STREAM = 1,  // to use sockets that are open
    GV_RIGHT_CONNECT = 2, // to open new ones (by address: name servers' files are out of reach)
    GV_RIGHT_CAMERA = 4,  // Video4Linux's requests
};

// memory: bytes of private memory at most, 0: no limit (nor under a sanitizer). False where this system has no filter
// for system calls; everything else is in force then.
bool gv_confine(unsigned rights, size_t memory);

// NULL, or what this system lacks.
const char *gv_confine_lack(void);
