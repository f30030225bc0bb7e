#include "pipeline/run_options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind {
    TEXT,     // const char *
    SWITCH,   // bool: the field is `set` when the switch is on, else its default
    WHOLE,    // int
    NUMBER,   // double
    CHOICE,   // an enum: one of `words`
    CONSTANT, // a switch that puts `set` into an enum's field
    NO_CACHE, // a switch that makes the cache's name empty
} kind;

typedef struct row {
    gv_option public;
    kind kind;
    size_t offset; // of the field in gv_observe_options or gv_run_options
    double lo, hi; // WHOLE, NUMBER
    int set;       // SWITCH, CONSTANT
    const char *words[4];
} row;

#define ROW(name_, switch_, kind_, ...)                                                                                \
    { .public = {name_, switch_}, .kind = kind_, .offset = __VA_ARGS__ }
#define AT(field) offsetof(gv_observe_options, field)
static const row observing[] = {
    ROW("static-camera", true, SWITCH, AT(static_camera), .set = true),
    ROW("focal-length", false, TEXT, AT(optics.focal_length)),
    ROW("intrinsics", false, TEXT, AT(optics.intrinsics)),
    ROW("gyro", false, TEXT, AT(gyro)),
    ROW("fps", false, NUMBER, AT(fps), .lo = 0.1, .hi = 10000),
    ROW("people", false, WHOLE, AT(max_people), .lo = 1, .hi = 1000),
    ROW("landmarks", false, CHOICE, AT(want.landmarks), .words = {"lite", "full", "heavy"}),
    ROW("weights", false, TEXT, AT(want.weights)),
    ROW("detector", false, TEXT, AT(want.detector)),
    ROW("keypoints", false, TEXT, AT(want.keypoints)),
    ROW("features", false, TEXT, AT(want.features)),
    ROW("device", false, CHOICE, AT(where), .words = {"cpu", "auto", "cuda"}),
    ROW("fast", true, SWITCH, AT(fast), .set = true),
    ROW("low-memory", true, SWITCH, AT(low_memory), .set = true),
    ROW("cache", false, TEXT, AT(cache)),
    ROW("no-cache", true, NO_CACHE, AT(cache)),
};
#undef AT
#define AT(field) offsetof(gv_run_options, field)
static const row running[] = {
    ROW("side-by-side", true, SWITCH, AT(side_by_side), .set = true),
    ROW("no-video", true, SWITCH, AT(pictures), .set = false),
    ROW("model", false, TEXT, AT(observe.want.network)),
    ROW("heads", false, WHOLE, AT(heads), .lo = 1, .hi = 256),
    ROW("body-model", false, TEXT, AT(observe.want.body)),
    ROW("bf16", true, CONSTANT, AT(precision), .set = GV_PRECISION_BF16),
    ROW("verbose", true, SWITCH, AT(verbose), .set = true),
    ROW("refine", true, CONSTANT, AT(refinement), .set = GV_REFINE_ON),
    ROW("no-refinement", true, CONSTANT, AT(refinement), .set = GV_REFINE_OFF),
    ROW("export", false, TEXT, AT(exports)),
};
#undef AT
enum { OBSERVING = sizeof observing / sizeof *observing, RUNNING = sizeof running / sizeof *running };

gv_run_options gv_run_options_default(void) {
    return (gv_run_options){.observe.want.landmarks = GV_BLAZE_FULL, .pictures = true};
}

const gv_option *gv_run_option_at(int i) {
    if (i < 0 || i >= OBSERVING + RUNNING) return NULL;
    return i < OBSERVING ? &observing[i].public : &running[i - OBSERVING].public;
}

// ---- values

gv_status gv_parse_int(long *out, const char *name, const char *text, long lo, long hi, gv_error *err) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (!*text || *end || errno || value < lo || value > hi)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: \"%.200s\" is not a whole number from %ld to %ld", name, text, lo,
                       hi);
    *out = value;
    return GV_OK;
}

gv_status gv_parse_double(double *out, const char *name, const char *text, double lo, double hi, gv_error *err) {
    char *end;
    double value = strtod(text, &end);
    if (!*text || *end || !isfinite(value) || value < lo || value > hi)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: \"%.200s\" is not a number from %g to %g", name, text, lo, hi);
    *out = value;
    return GV_OK;
}

static gv_status parse_switch(bool *out, const char *name, const char *text, gv_error *err) {
    static const char *const words[] = {"no", "yes", "0", "1", "false", "true", "off", "on"};
    for (int i = 0; i < 8; i++)
        if (!strcmp(text, words[i])) {
            *out = i & 1;
            return GV_OK;
        }
    return gv_fail(err, GV_ERR_ARGUMENT, "%s: \"%.200s\", expected yes or no", name, text);
}

static gv_status choose(int *field, const row *r, const char *value, gv_error *err) {
    for (int i = 0; r->words[i]; i++)
        if (!strcmp(value, r->words[i])) {
            *field = i;
            return GV_OK;
        }
    return gv_fail(err, GV_ERR_ARGUMENT, "%s: \"%.200s\", expected %s, %s or %s", r->public.name, value, r->words[0],
                   r->words[1], r->words[2]);
}

// ---- setting

// Bytes of a field, to give it its default.
static size_t field_size(kind k) {
    switch (k) {
    case SWITCH:
        return sizeof(bool);
    case WHOLE:
    case CHOICE:
    case CONSTANT:
        return sizeof(int);
    case NUMBER:
        return sizeof(double);
    default:
        return sizeof(char *);
    }
}
_Static_assert(sizeof(gv_blaze_model) == sizeof(int) && sizeof(gv_precision) == sizeof(int) &&
                   sizeof(gv_refinement) == sizeof(int) && sizeof(gv_device_choice) == sizeof(int),
               "enums are written as int");

static gv_status put(void *field, const void *usual, const row *r, const char *value, gv_error *err) {
    const char *name = r->public.name;
    bool on = false;
    long n = 0;
    gv_status status = GV_OK;
    if (!value) {
        memcpy(field, usual, field_size(r->kind));
        return GV_OK;
    }
    switch (r->kind) {
    case TEXT:
        if (!*value) return gv_fail(err, GV_ERR_ARGUMENT, "%s: an empty value", name);
        *(const char **)field = value;
        return GV_OK;
    case WHOLE:
        if ((status = gv_parse_int(&n, name, value, (long)r->lo, (long)r->hi, err)) == GV_OK) *(int *)field = (int)n;
        return status;
    case NUMBER:
        return gv_parse_double(field, name, value, r->lo, r->hi, err);
    case CHOICE:
        return choose(field, r, value, err);
    default:
        break;
    }
    status = parse_switch(&on, name, value, err);
    if (status != GV_OK) return status;
    if (!on)
        memcpy(field, usual, field_size(r->kind));
    else if (r->kind == SWITCH)
        *(bool *)field = r->set;
    else if (r->kind == CONSTANT)
        *(int *)field = r->set;
    else
        *(const char **)field = "";
    return GV_OK;
}

static const row *find(const row *rows, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (!strcmp(rows[i].public.name, name)) return rows + i;
    return NULL;
}

gv_status gv_observe_option_set(gv_observe_options *o, const char *name, const char *value, gv_error *err) {
    const gv_run_options usual = gv_run_options_default();
    const row *r = find(observing, OBSERVING, name);
    if (!r) return gv_fail(err, GV_ERR_ARGUMENT, "\"%.100s\" is not an option", name);
    return put((char *)o + r->offset, (const char *)&usual.observe + r->offset, r, value, err);
}

gv_status gv_run_option_set(gv_run_options *o, const char *name, const char *value, gv_error *err) {
    const gv_run_options usual = gv_run_options_default();
    const row *r = find(running, RUNNING, name);
    if (!r) return gv_observe_option_set(&o->observe, name, value, err);
    return put((char *)o + r->offset, (const char *)&usual + r->offset, r, value, err);
}
