#include "camera/tracks.h"

#include "base/memory.h"
#include "geometry/so3.h"

#include <stdlib.h>

gv_status gv_tracks_store_alloc(gv_tracks_store *s, long capacity, gv_error *err) {
    *s = (gv_tracks_store){.capacity = capacity, .scale = 1};
    s->slot = gv_calloc2((size_t)capacity, sizeof *s->slot);
    return s->slot ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "no memory for the tracks of %ld frames", capacity);
}

void gv_tracks_store_free(gv_tracks_store *s) {
    for (long i = 0; s->slot && i < s->capacity; i++) free(s->slot[i]);
    free(s->slot);
    *s = (gv_tracks_store){0};
}

gv_status gv_tracks_store_put(gv_tracks_store *s, const gv_corners *corners, double scale_x, double scale_y,
                              const gv_lens *lens, long from, gv_error *err) {
    gv_track_frame **slot = &s->slot[s->frames % s->capacity], *r = *slot;
    if (!r) *slot = r = gv_calloc2(1, sizeof *r);
    if (!r) return gv_fail(err, GV_ERR_MEMORY, "no memory for the tracks of frame %ld", s->frames);
    r->frame = s->frames++, r->count = 0;
    gv_so3_identity(r->chain), r->from = from;
    for (int i = 0; corners && i < corners->count; i++) {
        const gv_corner *k = &corners->track[i];
        double d[2];
        if (!gv_lens_direction(lens, k->x * scale_x, k->y * scale_y, d)) continue;
        int n = r->count++;
        r->id[n] = k->id, r->x[n] = r->raw_x[n] = (float)d[0], r->y[n] = r->raw_y[n] = (float)d[1];
    }
    return GV_OK;
}

gv_track_frame *gv_tracks_store_at(const gv_tracks_store *s, long frame) {
    if (frame < 0 || frame >= s->frames || frame < s->frames - s->capacity) return NULL;
    return s->slot[frame % s->capacity];
}

int gv_tracks_shared(const gv_track_frame *a, const gv_track_frame *b) {
    int n = 0;
    for (int i = 0, j = 0; i < a->count && j < b->count;)
        if (a->id[i] == b->id[j])
            n++, i++, j++;
        else if (a->id[i] < b->id[j])
            i++;
        else
            j++;
    return n;
}

// Pairs of places of the tracks that both have.
static int shared_places(const gv_track_frame *a, const gv_track_frame *b, int (*pair)[2]) {
    int n = 0;
    for (int i = 0, j = 0; i < a->count && j < b->count;)
        if (a->id[i] == b->id[j])
            pair[n][0] = i++, pair[n++][1] = j++;
        else if (a->id[i] < b->id[j])
            i++;
        else
            j++;
    return n;
}

int gv_tracks_match(const gv_track_frame *a, const gv_track_frame *b, double scale, gv_match *m) {
    int pair[GV_CORNERS_MAX][2], n = shared_places(a, b, pair);
    for (int k = 0; k < n; k++) {
        int i = pair[k][0], j = pair[k][1];
        m[k] = (gv_match){{a->x[i] * scale, a->y[i] * scale}, {b->x[j] * scale, b->y[j] * scale}};
    }
    return n;
}

int gv_tracks_raw_match(const gv_track_frame *a, const gv_track_frame *b, double scale, gv_match *m) {
    int pair[GV_CORNERS_MAX][2], n = shared_places(a, b, pair);
    for (int k = 0; k < n; k++) {
        int i = pair[k][0], j = pair[k][1];
        m[k] = (gv_match){{a->raw_x[i] * scale, a->raw_y[i] * scale}, {b->raw_x[j] * scale, b->raw_y[j] * scale}};
    }
    return n;
}
