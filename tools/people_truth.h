// people_truth.h - holds tracks against marks made by hand (tests/data/vtest_people.csv).
//
// A mark says where one person's head top and feet are in one frame. It is met by the box whose middle, top and
// bottom lie nearest, each within a quarter of the mark's height. A person's coverage is the part of its clear
// marks that are met by the one identity that meets most of them.
#pragma once
#include "perception/people.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GV_TRUTH_MAX = 1024, GV_TRUTH_PEOPLE = 64 };

typedef struct truth_mark {
    int frame, person, clear;
    float x, top, bottom;
    int met; // index of the tracked person, -1 = nobody
} truth_mark;

typedef struct truth {
    truth_mark mark[GV_TRUTH_MAX];
    int marks, people;
    char name[GV_TRUTH_PEOPLE][16];
} truth;

// false where the file cannot be read or holds nothing.
static inline bool truth_read(truth *t, const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) return false;
    *t = (truth){0};
    char line[256], name[16];
    while (t->marks < GV_TRUTH_MAX && fgets(line, sizeof line, f)) {
        truth_mark m = {.met = -1};
        if (sscanf(line, "%d,%15[^,],%f,%f,%f,%d", &m.frame, name, &m.x, &m.top, &m.bottom, &m.clear) != 6) continue;
        while (m.person < t->people && strcmp(t->name[m.person], name)) m.person++;
        if (m.person == GV_TRUTH_PEOPLE) continue;
        if (m.person == t->people) memcpy(t->name[t->people++], name, sizeof name);
        t->mark[t->marks++] = m;
    }
    fclose(f);
    return t->marks > 0;
}

static inline float truth_distance(const truth_mark *m, const gv_person *p) {
    int i = m->frame - p->first;
    if (i < 0 || i >= p->frames) return INFINITY;
    const float *b = p->bbx_xyxy + 4 * i;
    float limit = 0.25f * (m->bottom - m->top);
    float d[3] = {fabsf((b[0] + b[2]) / 2 - m->x), fabsf(b[1] - m->top), fabsf(b[3] - m->bottom)};
    return fmaxf(d[0], fmaxf(d[1], d[2])) > limit ? INFINITY : d[0] + d[1] + d[2];
}

// Pairs marks and boxes of each frame, nearest first.
static inline void truth_match(truth *t, const gv_tracks *tracks) {
    for (int i = 0; i < t->marks; i++) t->mark[i].met = -1;
    for (;;) {
        float best = INFINITY;
        int mark = -1, person = -1;
        for (int i = 0; i < t->marks; i++) {
            if (t->mark[i].met >= 0) continue;
            for (int k = 0; k < tracks->count; k++) {
                float d = truth_distance(&t->mark[i], &tracks->person[k]);
                for (int j = 0; j < t->marks && d < best; j++)
                    if (t->mark[j].frame == t->mark[i].frame && t->mark[j].met == k) d = INFINITY;
                if (!(d < best)) continue;
                best = d;
                mark = i;
                person = k;
            }
        }
        if (mark < 0) return;
        t->mark[mark].met = person;
    }
}

typedef struct truth_score {
    int marks, found; // clear marks; those met by anybody
    int identity;     // the tracked person who meets most of them, -1 = none
    int covered;      // how many this is
    int identities;   // how many different ones
} truth_score;

static inline truth_score truth_judge(const truth *t, int person) {
    truth_score s = {.identity = -1};
    for (int i = 0; i < t->marks; i++) {
        const truth_mark *m = &t->mark[i];
        if (m->person != person || !m->clear) continue;
        s.marks++;
        if (m->met < 0) continue;
        s.found++;
        int same = 0;
        bool first = true;
        for (int j = 0; j < t->marks; j++) {
            if (t->mark[j].person != person || !t->mark[j].clear || t->mark[j].met != m->met) continue;
            same++;
            first &= j >= i;
        }
        s.identities += first;
        if (same > s.covered) {
            s.covered = same;
            s.identity = m->met;
        }
    }
    return s;
}
