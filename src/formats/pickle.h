// pickle.h - Python pickles, protocols 0 to 4, read without executing anything.
//
//     gv_pickle *p = NULL;
//     if (gv_pickle_parse(&p, bytes, size, NULL, "x.ckpt", &err) != GV_OK) ...
//     gv_value top = gv_pickle_root(p), sd = gv_pickle_get(p, top, "state_dict");
//     for (gv_cell c = gv_pickle_first(p, sd); c; c = gv_pickle_next(p, c)) use(gv_pickle_key(p, c), gv_pickle_item(p,
//     c)); gv_pickle_free(p);
//
// The machine builds plain values. A GLOBAL is only a name; what REDUCE or NEWOBJ would call becomes a
// GV_PICKLE_OBJECT that remembers the callable, its arguments, its state (BUILD) and its items. The one
// exception: collections.OrderedDict and dict become dictionaries.
//
// Values can contain themselves: walk them with a bound or a mark, never by plain recursion. Strings point
// into the bytes that were parsed, which must outlive the gv_pickle. Time and memory are proportional to
// the input (at most some 50 times, and capped).
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum gv_pickle_kind {
    GV_PICKLE_NONE,
    GV_PICKLE_BOOL,
    GV_PICKLE_INT,
    GV_PICKLE_BIG, // an integer beyond 64 bits, its value is not kept
    GV_PICKLE_FLOAT,
    GV_PICKLE_STRING, // text or bytes
    GV_PICKLE_TUPLE,
    GV_PICKLE_LIST,
    GV_PICKLE_SET,
    GV_PICKLE_DICT,
    GV_PICKLE_GLOBAL, // "module name"
    GV_PICKLE_OBJECT,
    GV_PICKLE_PERSISTENT, // a reference outside the pickle; its id is gv_pickle_args
} gv_pickle_kind;

typedef uint32_t gv_value; // 0: no such value (its kind is GV_PICKLE_NONE)
typedef uint32_t gv_cell;  // one element of a container, 0: end
typedef struct gv_pickle gv_pickle;

// *used (may be NULL) receives the bytes up to and including STOP. `path` only serves the messages.
gv_status gv_pickle_parse(gv_pickle **out, const void *data, size_t size, size_t *used, const char *path,
                          gv_error *err);
void gv_pickle_free(gv_pickle *p); // accepts NULL

gv_value gv_pickle_root(const gv_pickle *p);
uint32_t gv_pickle_size(const gv_pickle *p); // values are 1 .. size
gv_pickle_kind gv_pickle_kind_of(const gv_pickle *p, gv_value v);
bool gv_pickle_int(const gv_pickle *p, gv_value v, int64_t *out); // false unless INT or BOOL
double gv_pickle_float(const gv_pickle *p, gv_value v);           // 0 unless FLOAT
// Bytes of a STRING or GLOBAL, not terminated; NULL for others.
const char *gv_pickle_string(const gv_pickle *p, gv_value v, size_t *length);
bool gv_pickle_is(const gv_pickle *p, gv_value v, const char *text); // a STRING or GLOBAL with this text

// Elements of a tuple, list or set; items of a dictionary; both for objects (items have a key).
uint32_t gv_pickle_count(const gv_pickle *p, gv_value v);
gv_cell gv_pickle_first(const gv_pickle *p, gv_value v);
gv_cell gv_pickle_next(const gv_pickle *p, gv_cell c);
gv_value gv_pickle_key(const gv_pickle *p, gv_cell c); // 0 for elements
gv_value gv_pickle_item(const gv_pickle *p, gv_cell c);
gv_value gv_pickle_get(const gv_pickle *p, gv_value v, const char *key); // last item with this text as key, or 0
gv_value gv_pickle_at(const gv_pickle *p, gv_value v, uint32_t i);       // i-th element, or 0

// Of an OBJECT: what was called, with which arguments (a tuple), and the state given by BUILD (0: none).
gv_value gv_pickle_callable(const gv_pickle *p, gv_value v);
gv_value gv_pickle_args(const gv_pickle *p, gv_value v);
gv_value gv_pickle_state(const gv_pickle *p, gv_value v);
bool gv_pickle_is_call(const gv_pickle *p, gv_value v, const char *callable); // an OBJECT made by "module name"
