#include "perception/sides.h"

#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// The parts whose sides can be exchanged, a bit of the state each: trunk (and face), arms, legs (and feet).
enum { TRUNK, ARMS, LEGS, PARTS, JOINTS = 4, STATES = 1 << PARTS };
static const int joint[PARTS][JOINTS] = {{5, 6, 11, 12}, {7, 8, 9, 10}, {13, 14, 15, 16}};

// Costs in heights of the body; those of states are per frame.
static const float EXCHANGED = 0.0007f, TWISTED = 0.001f, CHANGE = 0.04f;
static const float FARTHEST = 0.4f; // what a joint can cost at most
static const int LONG_GAP = 15;     // frames after which points tell nothing

static int other(int j) {
    return j & 1 ? j + 1 : j - 1; // COCO-17: 5, 7 ... are left, 6, 8 ... right
}

// Mean way of a part's joints from a to b, of which one has its sides exchanged or not; 0 where no joint is sure.
static float way(const gv_sighting *a, const gv_sighting *b, int part, bool exchanged) {
    float height = fmaxf(fmaxf(a->box[3] - a->box[1], b->box[3] - b->box[1]), 1), sum = 0, weight = 0;
    for (int i = 0; i < JOINTS; i++) {
        int j = joint[part][i];
        const float *p = a->kp2d[j], *q = b->kp2d[exchanged ? other(j) : j];
        float w = fminf(p[2], q[2]);
        if (!(w > 0)) continue;
        sum += w * fminf(hypotf(p[0] - q[0], p[1] - q[1]) / height, FARTHEST);
        weight += w;
    }
    return weight > 0 ? sum / weight : 0;
}

// change [c]: the cost of going to a state that differs in the parts c.
static void step_costs(float change[STATES], const gv_sighting *a, const gv_sighting *b, int frames) {
    memset(change, 0, STATES * sizeof *change);
    for (int part = 0; part < PARTS && frames <= LONG_GAP; part++) {
        float same = way(a, b, part, false) / (float)frames, crossed = way(a, b, part, true) / (float)frames + CHANGE;
        for (int c = 0; c < STATES; c++) change[c] += c >> part & 1 ? crossed : same;
    }
}

static float state_cost(int s) {
    float cost = 0;
    for (int part = 0; part < PARTS; part++)
        cost += (s >> part & 1 ? EXCHANGED : 0) + ((s >> part ^ s >> TRUNK) & 1 ? TWISTED : 0);
    return cost;
}

static void swap(float *a, float *b) {
    float t[3];
    memcpy(t, a, sizeof t);
    memcpy(a, b, sizeof t);
    memcpy(b, t, sizeof t);
}

static void exchange(gv_sighting *s, int state) {
    for (int part = 0; part < PARTS; part++)
        for (int i = 0; state >> part & 1 && i < JOINTS; i += 2)
            swap(s->kp2d[joint[part][i]], s->kp2d[joint[part][i + 1]]);
    for (int j = 1; state >> TRUNK & 1 && j < 5; j += 2) swap(s->kp2d[j], s->kp2d[j + 1]); // eyes, ears
    for (int j = 0; state >> LEGS & 1 && j < 2; j++) swap(s->feet[j], s->feet[j + 2]);
    memset(s->kp3d, 0, sizeof s->kp3d);
}

int gv_history_mend_sides(gv_history *h) {
    if (h->count == 0) return 0;
    uint8_t *from = gv_calloc2((size_t)h->count, STATES);
    if (!from) return -1;
    float best[STATES];
    int last = -1, changed = 0;
    for (int i = 0; i < h->count; i++) {
        if (!h->item[i].observed) continue;
        float change[STATES] = {0}, next[STATES];
        if (last >= 0) step_costs(change, &h->item[last], &h->item[i], i - last);
        for (int s = 0; s < STATES; s++) {
            next[s] = INFINITY;
            for (int q = 0; q < STATES; q++) {
                float c = last < 0 ? 0 : best[q] + change[s ^ q];
                if (!(c < next[s])) continue;
                next[s] = c;
                from[STATES * i + s] = (uint8_t)q;
            }
            next[s] += state_cost(s);
        }
        memcpy(best, next, sizeof best);
        last = i;
    }
    int state = 0;
    for (int s = 1; last >= 0 && s < STATES; s++)
        if (best[s] < best[state]) state = s;
    for (int i = last; i >= 0; i--) {
        if (!h->item[i].observed) continue;
        int before = from[STATES * i + state];
        if (state) {
            exchange(&h->item[i], state);
            changed++;
        }
        state = before;
    }
    free(from);
    return changed;
}
