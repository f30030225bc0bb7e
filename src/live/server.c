#include "live/server.h"
#include "live/page.h"

#ifdef GV_HAVE_WEBSOCKETS
#include "base/memory.h"

#include <libwebsockets.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gv_server {
    struct lws_context *context;
    struct lws_protocols protocols[3];
    pthread_t thread;
    bool running;
    atomic_bool stop;
    char address[64];
    pthread_mutex_t lock;
    unsigned char *newest; // under the lock: LWS_PRE bytes, then the text
    size_t size, room;
    unsigned long serial;
    unsigned char *sending; // the thread's own copy, alike
    size_t sending_room;
};

typedef struct client {
    unsigned long serial; // of what it got last
} client;

// ---- the page

static int answer_page(struct lws *wsi, const char *path) {
    if (strcmp(path, "/") != 0) return lws_return_http_status(wsi, HTTP_STATUS_NOT_FOUND, NULL) < 0 ? -1 : 0;
    unsigned char room[LWS_PRE + 1024], *start = room + LWS_PRE, *p = start, *end = room + sizeof room;
    if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/html; charset=utf-8", sizeof gv_live_page - 1, &p,
                                    end) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return -1;
    lws_callback_on_writable(wsi);
    return 0;
}

static int send_page(struct lws *wsi) {
    static const size_t size = sizeof gv_live_page - 1;
    unsigned char *text = malloc(LWS_PRE + size);
    if (!text) return -1;
    memcpy(text + LWS_PRE, gv_live_page, size);
    int sent = lws_write(wsi, text + LWS_PRE, size, LWS_WRITE_HTTP_FINAL);
    free(text);
    return sent < (int)size || lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
    if (reason == LWS_CALLBACK_HTTP) return answer_page(wsi, in);
    if (reason == LWS_CALLBACK_HTTP_WRITEABLE) return send_page(wsi);
    return lws_callback_http_dummy(wsi, reason, user, in, len);
}

// ---- the motion

static int send_newest(gv_server *s, struct lws *wsi, client *c) {
    pthread_mutex_lock(&s->lock);
    bool fresh = c->serial != s->serial && s->size > 0;
    size_t size = s->size;
    if (fresh && LWS_PRE + size > s->sending_room) {
        unsigned char *grown = realloc(s->sending, LWS_PRE + 2 * size);
        fresh = grown != NULL;
        if (grown) s->sending = grown, s->sending_room = LWS_PRE + 2 * size;
    }
    if (fresh) memcpy(s->sending + LWS_PRE, s->newest + LWS_PRE, size);
    c->serial = s->serial;
    pthread_mutex_unlock(&s->lock);
    return fresh && lws_write(wsi, s->sending + LWS_PRE, size, LWS_WRITE_TEXT) < (int)size ? -1 : 0;
}

static int on_motion(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
    (void)in;
    (void)len;
    gv_server *s = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_SERVER_WRITEABLE) return send_newest(s, wsi, user);
    if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED)
        lws_callback_on_writable_all_protocol(s->context, &s->protocols[1]);
    return 0;
}

// ---- life

static void *serve(void *context) {
    gv_server *s = context;
    while (!atomic_load(&s->stop) && lws_service(s->context, 0) >= 0) continue;
    return NULL;
}

static bool parse(gv_server *s, const char *where, int *port) {
    const char *colon = strrchr(where, ':'), *number = colon ? colon + 1 : where;
    char *end;
    long n = strtol(number, &end, 10);
    size_t length = colon ? (size_t)(colon - where) : 0;
    if (*number < '0' || *number > '9' || *end || n < 1 || n > 65535 || length >= sizeof s->address) return false;
    *port = (int)n;
    snprintf(s->address, sizeof s->address, "%.*s", colon ? (int)length : 9, colon ? where : "127.0.0.1");
    return true;
}

gv_status gv_server_open(gv_server **out, const char *where, gv_error *err) {
    *out = NULL;
    int port;
    gv_server *s = gv_calloc2(1, sizeof *s);
    if (!s) return gv_fail(err, GV_ERR_MEMORY, "no memory for the server");
    pthread_mutex_init(&s->lock, NULL);
    if (!parse(s, where, &port)) {
        gv_server_close(s);
        return gv_fail(err, GV_ERR_ARGUMENT, "\"%s\" is no place for a server, expected PORT or ADDRESS:PORT", where);
    }
    s->protocols[0] = (struct lws_protocols){.name = "http", .callback = on_http};
    s->protocols[1] =
        (struct lws_protocols){.name = "gvhmr", .callback = on_motion, .per_session_data_size = sizeof(client)};
    struct lws_context_creation_info info = {.port = port,
                                             .iface = s->address,
                                             .protocols = s->protocols,
                                             .user = s,
                                             .gid = (gid_t)-1,
                                             .uid = (uid_t)-1,
                                             .options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND};
    lws_set_log_level(0, NULL);
    s->context = lws_create_context(&info);
    if (s->context) s->running = pthread_create(&s->thread, NULL, serve, s) == 0;
    if (!s->running) {
        gv_server_close(s);
        return gv_fail(err, GV_ERR_IO, "%s: cannot listen there", where);
    }
    *out = s;
    return GV_OK;
}

void gv_server_close(gv_server *s) {
    if (!s) return;
    atomic_store(&s->stop, true);
    if (s->running) {
        lws_cancel_service(s->context);
        pthread_join(s->thread, NULL);
    }
    if (s->context) lws_context_destroy(s->context);
    pthread_mutex_destroy(&s->lock);
    free(s->newest);
    free(s->sending);
    free(s);
}

void gv_server_send(gv_server *s, const char *text, size_t size) {
    pthread_mutex_lock(&s->lock);
    if (LWS_PRE + size > s->room) {
        unsigned char *grown = realloc(s->newest, LWS_PRE + 2 * size);
        if (grown) s->newest = grown, s->room = LWS_PRE + 2 * size;
    }
    if (LWS_PRE + size <= s->room) {
        memcpy(s->newest + LWS_PRE, text, size);
        s->size = size;
        s->serial++;
    }
    pthread_mutex_unlock(&s->lock);
    lws_cancel_service(s->context);
}

#else

gv_status gv_server_open(gv_server **out, const char *where, gv_error *err) {
    *out = NULL;
    (void)gv_live_page;
    return gv_fail(err, GV_ERR_MISSING, "%s: this program was built without a server (libwebsockets-dev)", where);
}
void gv_server_close(gv_server *s) {
    (void)s;
}
void gv_server_send(gv_server *s, const char *text, size_t size) {
    (void)s, (void)text, (void)size;
}

#endif
