// jail.h - work on what strangers have made, in processes that nothing is lost with.
//
//     gv_jail_create(&jail, &err);                       // while the program has one thread
//     gv_jail_start(jail, work, &request, sizeof request, fds, 2, &socket, &err);
//     ... gv_jail_receive(socket, ...) and gv_jail_send ...
//     gv_jail_end(socket);
//
// The jail is a copy of this program, made before there are threads or models, which does nothing but fork: each piece
// of work gets a process of its own, and that one a guard. The guard ends it when the socket is shut, and when it ends
// by itself the guard says how: the last message on the socket. All of them go with the program, however that ends.
// `work` is to call gv_confine as soon as it has what it needs.
#pragma once
#include "base/error.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct gv_jail gv_jail;
gv_status gv_jail_create(gv_jail **out, gv_error *err);
void gv_jail_destroy(gv_jail *j); // accepts NULL

// What is done: with its end of the socket, copies of the request and of the descriptors. Returning ends the process.
typedef void gv_jail_work(int socket, const void *request, const int *fds);
enum { GV_JAIL_REQUEST = 8192, GV_JAIL_FDS = 4 };

// May be called by several threads. *socket: of packets, to be closed by gv_jail_end.
gv_status gv_jail_start(gv_jail *j, gv_jail_work *work, const void *request, size_t bytes, const int *fds, int count,
                        int *socket, gv_error *err);
void gv_jail_end(int socket); // returns when the process is gone

// One packet. False: the other side is gone.
bool gv_jail_send(int socket, const void *data, size_t bytes);

typedef enum gv_jail_answer {
    GV_JAIL_PACKET,  // `bytes` of it
    GV_JAIL_ENDED,   // the process has ended; err->text has how, err->status is GV_ERR_FORMAT where it fell over
    GV_JAIL_SILENT,  // nothing for so long
    GV_JAIL_STOPPED, // *stop
} gv_jail_answer;
// patience_sec 0: for ever; stop may be NULL. A longer packet is cut.
gv_jail_answer gv_jail_receive(int socket, void *data, size_t *bytes, double patience_sec, const atomic_bool *stop,
                               gv_error *err);
