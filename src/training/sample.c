// sample.c - which clips sequences are made of.
#include "training/sample.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const gv_sample_options gv_sample_defaults = GV_SAMPLE_DEFAULTS;

// ---- which clip ----

// Shares of the categories; what is not named gets the last. Within one, sources share by the square root of their
// length, clips by their length: little things stay visible beside hours of waving.
static const struct {
    const char *name;
    double share;
} shares[] = {{"daily", 0.26},         {"locomotion", 0.24},   {"turning", 0.10},  {"dance", 0.09},
              {"sport", 0.09},         {"martial arts", 0.07}, {"climbing", 0.05}, {"sitting", 0.05},
              {"stairs/ladder", 0.02}, {"acrobatics", 0.015},  {"floor", 0.015},   {NULL, 0.02}};

static double share_of(const char *category) {
    int i = 0;
    while (shares[i].name && strcmp(shares[i].name, category)) i++;
    return shares[i].share;
}

static bool listed(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *p = list; p && (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ',') && (p[n] == 0 || p[n] == ',')) return true;
    return false;
}

typedef struct group { // clips of one category and source
    const gv_clip *like;
    double frames;
} group;

enum { GROUPS = 4096 }; // what comes after so many shares the last one's probability
static int group_of(const group *g, int count, const gv_clip *c) {
    int i = 0;
    while (i < count && (strcmp(g[i].like->category, c->category) || strcmp(g[i].like->source, c->source))) i++;
    return i;
}

static void set_probabilities(gv_sampler *s, group *g) {
    int groups = 0, last = -1;
    for (int i = 0; i < s->count; i++) {
        const gv_clip *c = &s->store->clips[s->clip[i]];
        int k = group_of(g, groups, c);
        if (k == GROUPS) k = GROUPS - 1;
        if (k == groups) g[groups++] = (group){.like = c};
        g[k].frames += c->frames;
    }
    double sum = 0, per_frame = 1;
    for (int i = 0; i < s->count; i++) {
        const gv_clip *c = &s->store->clips[s->clip[i]];
        int k = group_of(g, groups, c);
        if (k == groups) k = groups - 1;
        if (k != last && !s->options.plain) {
            double roots = 0;
            for (int e = 0; e < groups; e++)
                if (!strcmp(g[e].like->category, c->category)) roots += sqrt(g[e].frames);
            per_frame = share_of(c->category) * sqrt(g[k].frames) / roots / g[k].frames;
        }
        last = k;
        s->cumulative[i] = sum += per_frame * c->frames;
    }
    for (int i = 0; i < s->count; i++) s->cumulative[i] /= sum;
}

gv_status gv_sampler_init(gv_sampler *s, const gv_store *store, const gv_rig *rig, const gv_sample_options *o,
                          gv_error *err) {
    *s = (gv_sampler){.store = store, .rig = rig, .options = *o};
    s->clip = gv_calloc2((size_t)store->clip_count, sizeof(int));
    s->cumulative = gv_calloc2((size_t)store->clip_count, sizeof(double));
    group *groups = gv_calloc2(GROUPS, sizeof *groups);
    if (!s->clip || !s->cumulative || !groups) {
        gv_sampler_free(s);
        free(groups);
        return gv_fail(err, GV_ERR_MEMORY, "no memory for %d clips", store->clip_count);
    }
    for (int i = 0; i < store->clip_count; i++) {
        const char *subject = store->clips[i].subject;
        if (o->plain && store->clips[i].incam_only) continue; // there is no truth to hold against
        if ((!o->leave_out || !listed(o->leave_out, subject)) && (!o->only || listed(o->only, subject)))
            s->clip[s->count++] = i;
    }
    if (!s->count) {
        gv_sampler_free(s);
        free(groups);
        return gv_fail(err, GV_ERR_EMPTY, "no clip of the subjects asked for (%s)",
                       o->only ? o->only : "all but the left-out ones");
    }
    set_probabilities(s, groups);
    free(groups);
    return GV_OK;
}
