// bvh.c - a recursive text format, read with a token cursor and an explicit stack.
#include "training/bvh.h"
#include "base/file.h"
#include "base/memory.h"
#include "geometry/rotation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct cursor {
    const char *p, *end, *name;
    gv_error *err;
} cursor;

static int is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Next word into `word` (cut to fit); 0 at the end of the text.
static int next(cursor *c, char *word, size_t size) {
    while (c->p < c->end && is_space(*c->p)) c->p++;
    const char *from = c->p;
    while (c->p < c->end && !is_space(*c->p)) c->p++;
    size_t n = (size_t)(c->p - from);
    if (n >= size) n = size - 1;
    memcpy(word, from, n);
    word[n] = 0;
    return n > 0;
}

static gv_status expect(cursor *c, const char *what) {
    char word[64];
    if (next(c, word, sizeof word) && !strcmp(word, what)) return GV_OK;
    return gv_fail(c->err, GV_ERR_FORMAT, "%s: found \"%s\" where \"%s\" is expected", c->name, word, what);
}

static gv_status number(cursor *c, const char *what, double *out) {
    char word[64], *stop = NULL;
    if (next(c, word, sizeof word)) {
        *out = strtod(word, &stop);
        if (*stop == 0 && isfinite(*out) && fabs(*out) < 1e9) return GV_OK;
    }
    return gv_fail(c->err, GV_ERR_FORMAT, "%s: %s is \"%s\", expected a finite number", c->name, what, word);
}

static gv_status channels(cursor *c, gv_bvh *b, gv_bvh_joint *j) {
    static const char *const names[6] = {"Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation"};
    double n;
    if (number(c, "channel count", &n)) return c->err->status;
    if (n < 0 || n > 6 || n != floor(n))
        return gv_fail(c->err, GV_ERR_FORMAT, "%s: joint \"%s\" has %g channels, expected 0 to 6", c->name, j->name, n);
    j->channels = (int)n;
    j->first = b->width;
    for (int i = 0; i < j->channels; i++) {
        char word[64];
        next(c, word, sizeof word);
        int k = 0;
        while (k < 6 && strcmp(word, names[k])) k++;
        if (k == 6) return gv_fail(c->err, GV_ERR_FORMAT, "%s: unknown channel \"%s\"", c->name, word);
        j->channel[i] = (unsigned char)k;
    }
    b->width += j->channels;
    return GV_OK;
}

static gv_status offset(cursor *c, float out[3]) {
    for (int i = 0; i < 3; i++) {
        double v;
        if (number(c, "offset", &v)) return c->err->status;
        out[i] = (float)v;
    }
    return GV_OK;
}

static gv_status open_joint(cursor *c, gv_bvh *b, int parent, int *index) {
    if (b->joint_count == GV_BVH_JOINTS)
        return gv_fail(c->err, GV_ERR_FORMAT, "%s: more than %d joints", c->name, GV_BVH_JOINTS);
    gv_bvh_joint *j = &b->joints[ *index = b->joint_count++];
    j->parent = parent;
    j->first = b->width;
    if (!next(c, j->name, sizeof j->name)) return gv_fail(c->err, GV_ERR_FORMAT, "%s: joint without a name", c->name);
    return expect(c, "{");
}

static gv_status hierarchy(cursor *c, gv_bvh *b) {
    int stack[64], depth = 0;
    float ignored[3];
    char word[64];
    if (expect(c, "HIERARCHY") || expect(c, "ROOT") || open_joint(c, b, -1, &stack[0])) return c->err->status;
    depth = 1;
    while (depth > 0) {
        gv_bvh_joint *j = &b->joints[stack[depth - 1]];
        if (!next(c, word, sizeof word))
            return gv_fail(c->err, GV_ERR_FORMAT, "%s: ends inside the hierarchy", c->name);
        gv_status s = GV_OK;
        if (!strcmp(word, "OFFSET"))
            s = offset(c, j->offset);
        else if (!strcmp(word, "CHANNELS"))
            s = j->channels
                    ? gv_fail(c->err, GV_ERR_FORMAT, "%s: joint \"%s\" states its channels twice", c->name, j->name)
                    : channels(c, b, j);
        else if (!strcmp(word, "}"))
            depth--;
        else if (!strcmp(word, "End")) {
            if (!(s = expect(c, "Site")) && !(s = expect(c, "{")) && !(s = expect(c, "OFFSET")) &&
                !(s = offset(c, ignored)))
                s = expect(c, "}");
        } else if (!strcmp(word, "JOINT")) {
            if (depth == 64) return gv_fail(c->err, GV_ERR_FORMAT, "%s: hierarchy deeper than 64", c->name);
            s = open_joint(c, b, stack[depth - 1], &stack[depth]);
            depth++;
        } else
            s = gv_fail(c->err, GV_ERR_FORMAT, "%s: unknown word \"%s\" in the hierarchy", c->name, word);
        if (s) return s;
    }
    return GV_OK;
}

static gv_status motion(cursor *c, gv_bvh *b) {
    double frames;
    if (expect(c, "MOTION") || expect(c, "Frames:") || number(c, "frame count", &frames) || expect(c, "Frame") ||
        expect(c, "Time:") || number(c, "frame time", &b->frame_time))
        return c->err->status;
    if (b->width < 1) return gv_fail(c->err, GV_ERR_FORMAT, "%s: no channels", c->name);
    // every value takes two bytes at least, so the text bounds what is allocated
    if (frames < 1 || frames > GV_BVH_FRAMES || frames != floor(frames) ||
        frames * b->width * 2 > (double)(c->end - c->p) + 2)
        return gv_fail(c->err, GV_ERR_FORMAT, "%s: %g frames of %d values do not fit the file", c->name, frames,
                       b->width);
    if (!(b->frame_time > 1e-4 && b->frame_time <= 1))
        return gv_fail(c->err, GV_ERR_FORMAT, "%s: frame time %g s, expected 0.0001 to 1", c->name, b->frame_time);
    b->frames = (int)frames;
    b->values = gv_calloc2((size_t)b->frames * (size_t)b->width, sizeof(float));
    if (!b->values) return gv_fail(c->err, GV_ERR_MEMORY, "%s: no memory for %d frames", c->name, b->frames);
    for (size_t i = 0, n = (size_t)b->frames * (size_t)b->width; i < n; i++) {
        double v;
        if (number(c, "a motion value", &v)) return c->err->status;
        b->values[i] = (float)v;
    }
    return GV_OK;
}

gv_status gv_bvh_parse(gv_bvh *b, const char *name, const char *text, unsigned long size, gv_error *err) {
    gv_error local = {0};
    cursor c = {text, text + size, name, err ? err : &local};
    *b = (gv_bvh){.joints = gv_calloc2(GV_BVH_JOINTS, sizeof(gv_bvh_joint))};
    if (!b->joints) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", name);
    gv_status s = hierarchy(&c, b);
    if (!s) s = motion(&c, b);
    if (s) gv_bvh_free(b);
    return s;
}

gv_status gv_bvh_load(gv_bvh *b, const char *path, gv_error *err) {
    unsigned char *data = NULL;
    size_t size = 0;
    *b = (gv_bvh){0};
    gv_status s = gv_file_read(path, 0, &data, &size, err);
    if (!s) s = gv_bvh_parse(b, path, (const char *)data, size, err);
    free(data);
    return s;
}

void gv_bvh_free(gv_bvh *b) {
    free(b->joints);
    free(b->values);
    *b = (gv_bvh){0};
}

int gv_bvh_find(const gv_bvh *b, const char *name) {
    for (int i = 0; i < b->joint_count; i++)
        if (!strcmp(b->joints[i].name, name)) return i;
    return -1;
}

void gv_bvh_local(const gv_bvh *b, int t, int j, float R[9], float position[3]) {
    const gv_bvh_joint *joint = &b->joints[j];
    const float *v = b->values + (size_t)t * (size_t)b->width + joint->first;
    float M[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    memcpy(position, joint->offset, sizeof(float[3]));
    for (int i = 0; i < joint->channels; i++) {
        int c = joint->channel[i];
        if (c < GV_BVH_XROT) {
            position[c] = v[i];
            continue;
        }
        float aa[3] = {0}, A[9], P[9];
        aa[c - GV_BVH_XROT] = v[i] * 0.017453292519943295f;
        gv_rot_from_aa(A, aa);
        gv_mat3_mul(P, M, A);
        memcpy(M, P, sizeof M);
    }
    memcpy(R, M, sizeof M);
}
