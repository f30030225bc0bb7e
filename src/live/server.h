// server.h - live motion to browsers: a small page at http://ADDRESS:PORT/, and each frame's JSON by WebSocket there.
//
// A thread of its own. The newest frame wins: a client that is slow misses frames, and never holds anybody up. Built
// with libwebsockets; without it gv_server_open fails and says so.
#pragma once
#include "base/error.h"
#include <stddef.h>

typedef struct gv_server gv_server;
// `where`: PORT (then 127.0.0.1) or ADDRESS:PORT.
gv_status gv_server_open(gv_server **out, const char *where, gv_error *err);
void gv_server_close(gv_server *s); // accepts NULL
void gv_server_send(gv_server *s, const char *text, size_t size);
