#include "live/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(gv_live_buffer *b, size_t more) {
    if (b->failed || b->size + more <= b->room) return !b->failed;
    size_t room = 2 * (b->size + more);
    char *grown = realloc(b->data, room);
    b->failed = !grown;
    if (grown) b->data = grown, b->room = room;
    return !b->failed;
}

void gv_live_buffer_free(gv_live_buffer *b) {
    free(b->data);
    *b = (gv_live_buffer){0};
}

__attribute__((format(printf, 2, 3))) static void put(gv_live_buffer *b, const char *format, ...) {
    enum { MOST = 400 };
    if (!reserve(b, MOST)) return;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(b->data + b->size, MOST, format, ap);
    va_end(ap);
    b->size += n < 0 ? 0 : n < MOST ? (size_t)n : MOST - 1;
}

static void put_numbers(gv_live_buffer *b, const char *name, const float *x, int n, int decimals) {
    put(b, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) put(b, "%s%.*f", i ? "," : "", decimals, (double)x[i]);
    put(b, "]");
}

static void put_person(gv_live_buffer *b, const gv_live_person *p) {
    const gv_step_output *m = &p->motion;
    put(b, "{\"id\":%d,\"seen\":%s", p->id, p->seen ? "true" : "false");
    put_numbers(b, "transl", m->transl, 3, 4);
    put_numbers(b, "global_orient", m->global_orient, 3, 4);
    put_numbers(b, "transl_incam", m->transl_incam, 3, 4);
    put_numbers(b, "global_orient_incam", m->global_orient_incam, 3, 4);
    put_numbers(b, "body_pose", m->body_pose, 63, 4);
    put_numbers(b, "betas", m->betas, 10, 3);
    put_numbers(b, "contacts", m->static_prob, GV_STILL_JOINTS, 3);
    put(b, ",\"joints_world\":[");
    for (int j = 0; j < 22; j++) {
        const float *x = m->joints_world + 3 * j;
        put(b, "%s[%.4f,%.4f,%.4f]", j ? "," : "", (double)x[0], (double)x[1], (double)x[2]);
    }
    put(b, "]}");
}

// A message as JSON's text: what would end it or is no letter is left out.
static void put_text(gv_live_buffer *b, const char *text) {
    for (const char *c = text; *c; c++)
        put(b, "%c", (unsigned char)*c < 32 || (unsigned char)*c > 126 || *c == '"' || *c == '\\' ? ' ' : *c);
}

bool gv_live_json(gv_live_buffer *b, const gv_live_frame *f) {
    b->size = 0;
    if (f->gap) {
        put(b, "{\"gap\":\"");
        put_text(b, f->gap);
        put(b, "\",\"frame\":%ld,\"time_sec\":%.4f}\n", f->frame, f->time_sec);
        return !b->failed;
    }
    put(b, "{\"frame\":%ld,\"time_sec\":%.4f,\"latency_ms\":%.1f,\"people\":[", f->frame, f->time_sec,
        1000 * f->latency_sec);
    for (int i = 0; i < f->people; i++) {
        if (i) put(b, ",");
        put_person(b, &f->person[i]);
    }
    put(b, "]}\n");
    return !b->failed;
}

bool gv_live_floats(gv_live_buffer *b, const gv_live_frame *f) {
    b->size = 0;
    for (int i = 0; i < f->people || i == 0; i++) {
        float r[GV_LIVE_FLOATS] = {f->gap ? -1 : 0, (float)f->frame, (float)f->time_sec, (float)(1000 * f->latency_sec),
                                   (float)f->people};
        if (i < f->people) {
            const gv_step_output *m = &f->person[i].motion;
            r[0] = 1;
            r[5] = (float)f->person[i].id;
            r[6] = f->person[i].seen;
            memcpy(r + 7, m->transl, sizeof m->transl);
            memcpy(r + 10, m->global_orient, sizeof m->global_orient);
            memcpy(r + 13, m->transl_incam, sizeof m->transl_incam);
            memcpy(r + 16, m->global_orient_incam, sizeof m->global_orient_incam);
            memcpy(r + 19, m->body_pose, sizeof m->body_pose);
            memcpy(r + 82, m->betas, sizeof m->betas);
            memcpy(r + 92, m->static_prob, sizeof m->static_prob);
            memcpy(r + 98, m->joints_world, sizeof m->joints_world);
        }
        if (!reserve(b, sizeof r)) return false;
        memcpy(b->data + b->size, r, sizeof r);
        b->size += sizeof r;
    }
    return true;
}
