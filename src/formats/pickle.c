// pickle.c - a stack machine over an array of values and an array of cells (the elements of containers,
// linked lists in order). Nothing recurses; freeing is freeing the arrays.
//
// Opcodes: Python's documentation of pickletools. Limits: SPEC-perception.md 2.3 and 2.6.
#include "formats/pickle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_VALUES = 1 << 24,
    MAX_CELLS = 1 << 25,
    MEMO_SLACK = 64,    // writers number the memo without gaps, from 0 or 1; popped values may leave a few
    MAX_LINE = 1 << 16, // of a number or name in the text protocol
};

typedef struct value {
    gv_pickle_kind kind;
    uint32_t count; // of cells, or bytes of a string
    gv_cell first, last;
    union {
        int64_t i;
        double f;
        const char *s;
        struct {
            gv_value callable, args;
        } call;
    } u;
    gv_value state;
} value;

typedef struct cell {
    gv_value key, item;
    gv_cell next;
} cell;

struct gv_pickle {
    value *values; // [0] is NONE
    cell *cells;   // [0] unused
    uint32_t value_count, value_capacity, cell_count, cell_capacity;
    char **texts; // decoded strings of protocol 0
    uint32_t text_count, text_capacity;
    gv_value root;
};

typedef struct machine {
    gv_pickle *p;
    const unsigned char *start, *at, *end;
    gv_value *stack, *memo; // memo 0: never stored
    uint32_t *marks;
    uint32_t depth, stack_capacity, mark_count, mark_capacity, memo_count, memo_capacity, puts;
    const char *wrong; // first thing that went wrong
    bool no_memory;
} machine;

static bool fail(machine *m, const char *wrong) {
    if (!m->wrong) m->wrong = wrong;
    return false;
}

// Doubles an array when it is full. Items are uint32_t or structs.
static bool grow(machine *m, void *array, uint32_t count, uint32_t *capacity, size_t size, uint32_t limit) {
    if (count < *capacity) return true;
    if (count >= limit) return fail(m, "holds too many values");
    uint32_t wanted = *capacity ? *capacity * 2 : 256;
    if (wanted > limit) wanted = limit;
    void *grown = realloc(*(void **)array, wanted * size);
    if (!grown) {
        m->no_memory = true;
        return fail(m, "needs more memory than there is");
    }
    *(void **)array = grown;
    *capacity = wanted;
    return true;
}

// ---- values and the stack

static gv_value make(machine *m, gv_pickle_kind kind) {
    gv_pickle *p = m->p;
    if (!grow(m, &p->values, p->value_count, &p->value_capacity, sizeof *p->values, MAX_VALUES)) return 0;
    p->values[p->value_count] = (value){.kind = kind};
    return p->value_count++;
}

static bool push(machine *m, gv_value v) {
    if (!v || !grow(m, &m->stack, m->depth, &m->stack_capacity, sizeof *m->stack, MAX_CELLS)) return false;
    m->stack[m->depth++] = v;
    return true;
}

static uint32_t floor_of_stack(const machine *m) {
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

static gv_value pop(machine *m) {
    if (m->depth <= floor_of_stack(m)) return fail(m, "takes a value from an empty stack"), 0u;
    return m->stack[--m->depth];
}

static gv_value top(machine *m) {
    if (m->depth <= floor_of_stack(m)) return fail(m, "takes a value from an empty stack"), 0u;
    return m->stack[m->depth - 1];
}

static bool push_mark(machine *m) {
    if (!grow(m, &m->marks, m->mark_count, &m->mark_capacity, sizeof *m->marks, MAX_CELLS)) return false;
    m->marks[m->mark_count++] = m->depth;
    return true;
}

// Removes the topmost mark; *from is where the values above it begin.
static bool pop_mark(machine *m, uint32_t *from) {
    if (!m->mark_count) return fail(m, "looks for a mark that was never set");
    *from = m->marks[--m->mark_count];
    return true;
}

static bool append(machine *m, gv_value container, gv_value key, gv_value item) {
    gv_pickle *p = m->p;
    if (!grow(m, &p->cells, p->cell_count, &p->cell_capacity, sizeof *p->cells, MAX_CELLS)) return false;
    gv_cell c = p->cell_count++;
    p->cells[c] = (cell){.key = key, .item = item};
    value *v = &p->values[container];
    if (v->last)
        p->cells[v->last].next = c;
    else
        v->first = c;
    v->last = c;
    v->count++;
    return true;
}

static bool is_container(const machine *m, gv_value v) {
    gv_pickle_kind k = m->p->values[v].kind;
    return k == GV_PICKLE_LIST || k == GV_PICKLE_SET || k == GV_PICKLE_DICT || k == GV_PICKLE_OBJECT;
}

// stack[from..depth) becomes the content of a container; the values are dropped from the stack.
static bool fill(machine *m, gv_value container, uint32_t from, bool pairs) {
    if (!container) return false;
    if (!is_container(m, container) && m->p->values[container].kind != GV_PICKLE_TUPLE)
        return fail(m, "adds items to something that holds none");
    if (pairs && (m->depth - from) % 2) return fail(m, "has a key without a value");
    for (uint32_t i = from; i < m->depth; i += pairs ? 2 : 1)
        if (!append(m, container, pairs ? m->stack[i] : 0, m->stack[pairs ? i + 1 : i])) return false;
    m->depth = from;
    return true;
}

static bool push_tuple(machine *m, uint32_t n) {
    if (m->depth - floor_of_stack(m) < n) return fail(m, "takes a value from an empty stack");
    gv_value t = make(m, GV_PICKLE_TUPLE);
    return t && fill(m, t, m->depth - n, false) && push(m, t);
}

static bool push_marked(machine *m, gv_pickle_kind kind) {
    uint32_t from;
    if (!pop_mark(m, &from)) return false;
    gv_value v = make(m, kind);
    return v && fill(m, v, from, kind == GV_PICKLE_DICT) && push(m, v);
}

// APPENDS, SETITEMS, ADDITEMS: what is above the mark goes into the value below it.
static bool extend(machine *m, bool pairs) {
    uint32_t from;
    if (!pop_mark(m, &from)) return false;
    if (from <= floor_of_stack(m)) return fail(m, "takes a value from an empty stack");
    return fill(m, m->stack[from - 1], from, pairs);
}

// APPEND and SETITEM: one element or one item.
static bool extend_by(machine *m, uint32_t n) {
    if (m->depth - floor_of_stack(m) < n + 1) return fail(m, "takes a value from an empty stack");
    return fill(m, m->stack[m->depth - n - 1], m->depth - n, n == 2);
}

// ---- bytes

static const unsigned char *take(machine *m, size_t n) {
    if ((size_t)(m->end - m->at) < n) return fail(m, "is cut off: more bytes are claimed than are left"), NULL;
    const unsigned char *p = m->at;
    m->at += n;
    return p;
}

static bool take_uint(machine *m, int bytes, uint64_t *out) {
    const unsigned char *p = take(m, (size_t)bytes);
    *out = 0;
    for (int i = 0; p && i < bytes; i++) *out |= (uint64_t)p[i] << 8 * i;
    return p != NULL;
}

// A line of the text protocol without its newline.
static const char *take_line(machine *m, size_t *length, size_t limit) {
    size_t left = (size_t)(m->end - m->at);
    const unsigned char *p = m->at, *newline = memchr(p, '\n', left < limit ? left : limit);
    if (!newline) return fail(m, "has a line without end"), NULL;
    *length = (size_t)(newline - p);
    m->at = newline + 1;
    return (const char *)p;
}

static bool push_int(machine *m, int64_t i) {
    gv_value v = make(m, GV_PICKLE_INT);
    if (v) m->p->values[v].u.i = i;
    return push(m, v);
}

static bool push_float(machine *m, double f) {
    gv_value v = make(m, GV_PICKLE_FLOAT);
    if (v) m->p->values[v].u.f = f;
    return push(m, v);
}

static bool push_bool(machine *m, bool b) {
    gv_value v = make(m, GV_PICKLE_BOOL);
    if (v) m->p->values[v].u.i = b;
    return push(m, v);
}

static bool push_text(machine *m, gv_pickle_kind kind, const char *s, uint64_t length) {
    if (!s) return false;
    if (length > UINT32_MAX) return fail(m, "has a string of 4 GiB");
    gv_value v = make(m, kind);
    if (v) {
        m->p->values[v].u.s = s;
        m->p->values[v].count = (uint32_t)length;
    }
    return push(m, v);
}

static bool push_string(machine *m, int length_bytes) {
    uint64_t n;
    if (!take_uint(m, length_bytes, &n)) return false;
    if (n > (size_t)(m->end - m->at)) return fail(m, "has a string longer than what is left of the file");
    return push_text(m, GV_PICKLE_STRING, (const char *)take(m, (size_t)n), n);
}

// Two's complement, little-endian.
static bool push_long(machine *m, int length_bytes) {
    uint64_t n, u = 0;
    if (!take_uint(m, length_bytes, &n)) return false;
    if (n > (size_t)(m->end - m->at)) return fail(m, "has a number longer than what is left of the file");
    const unsigned char *p = take(m, (size_t)n);
    if (!p) return false;
    unsigned char sign = n && p[n - 1] & 0x80 ? 0xff : 0;
    for (uint64_t i = 8; i < n; i++)
        if (p[i] != sign) return push(m, make(m, GV_PICKLE_BIG));
    for (uint64_t i = 0; i < 8; i++) u |= (uint64_t)(i < n ? p[i] : sign) << 8 * i;
    return push_int(m, (int64_t)u);
}

static bool push_double(machine *m) {
    const unsigned char *p = take(m, 8);
    if (!p) return false;
    uint64_t u = 0;
    for (int i = 0; i < 8; i++) u = u << 8 | p[i]; // the format's only big-endian number
    double f;
    memcpy(&f, &u, sizeof f);
    return push_float(m, f);
}

// ---- the text protocol (0)

static bool line_number(machine *m, char *text, size_t capacity, size_t *n) {
    const char *s = take_line(m, n, MAX_LINE);
    if (!s) return false;
    if (*n && s[*n - 1] == 'L') --*n;
    if (*n == 0 || *n >= capacity) return fail(m, "has a malformed number");
    memcpy(text, s, *n);
    text[*n] = 0;
    return true;
}

static bool push_line_int(machine *m) {
    char text[32], *end;
    size_t n;
    if (!line_number(m, text, sizeof text, &n)) return false;
    if (!strcmp(text, "00") || !strcmp(text, "01")) return push_bool(m, text[1] == '1');
    errno = 0;
    long long i = strtoll(text, &end, 10);
    if (*end || errno) return fail(m, "has a malformed number");
    return push_int(m, i);
}

static bool push_line_float(machine *m) {
    char text[64], *end;
    size_t n;
    if (!line_number(m, text, sizeof text, &n)) return false;
    double f = strtod(text, &end);
    return *end ? fail(m, "has a malformed number") : push_float(m, f);
}

// Bytes that live as long as the pickle.
static char *own_text(machine *m, size_t n) {
    gv_pickle *p = m->p;
    if (!grow(m, &p->texts, p->text_count, &p->text_capacity, sizeof *p->texts, MAX_VALUES)) return NULL;
    char *text = malloc(n);
    if (text) {
        p->texts[p->text_count++] = text;
    } else {
        m->no_memory = true;
        fail(m, "needs more memory than there is");
    }
    return text;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// Python's string escapes within s[0..n): writes at most n bytes.
static bool unescape(machine *m, const char *s, size_t n, char *out, size_t *length) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '\\') {
            out[k++] = s[i];
            continue;
        }
        static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
        if (++i >= n) return fail(m, "has a malformed string");
        const char *simple = s[i] ? strchr(from, s[i]) : NULL;
        if (simple) {
            out[k++] = to[simple - from];
        } else if (s[i] == 'x' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
            out[k++] = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        } else if (s[i] >= '0' && s[i] <= '7') {
            int octal = 0;
            for (int d = 0; d < 3 && i < n && s[i] >= '0' && s[i] <= '7'; d++, i++) octal = octal * 8 + (s[i] - '0');
            i--;
            out[k++] = (char)octal;
        } else {
            return fail(m, "has an unknown escape in a string");
        }
    }
    *length = k;
    return true;
}

// A quoted string on one line; without escapes it is used in place.
static bool push_line_string(machine *m) {
    size_t n;
    const char *s = take_line(m, &n, (size_t)(m->end - m->at));
    if (!s) return false;
    if (n < 2 || (s[0] != '\'' && s[0] != '"') || s[n - 1] != s[0]) return fail(m, "has a malformed string");
    s++, n -= 2;
    if (!memchr(s, '\\', n)) return push_text(m, GV_PICKLE_STRING, s, n);
    size_t length;
    char *text = own_text(m, n);
    return text && unescape(m, s, n, text, &length) && push_text(m, GV_PICKLE_STRING, text, length);
}

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)), out[2] = (char)(0x80 | (c & 63)),
               3;
    out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 63));
    return out[2] = (char)(0x80 | (c >> 6 & 63)), out[3] = (char)(0x80 | (c & 63)), 4;
}

// Text on one line: Latin-1 with \\uXXXX and \\UXXXXXXXX; kept as UTF-8.
static bool push_line_unicode(machine *m) {
    size_t n, k = 0;
    const char *s = take_line(m, &n, (size_t)(m->end - m->at));
    char *text = s ? own_text(m, 2 * n + 1) : NULL;
    if (!text) return false;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = (unsigned char)s[i];
        size_t digits = s[i] == '\\' && i + 1 < n ? (s[i + 1] == 'u' ? 4u : s[i + 1] == 'U' ? 8u : 0u) : 0u;
        if (digits) {
            if (i + 1 + digits >= n) return fail(m, "has a malformed string");
            c = 0;
            for (size_t d = 0; d < digits; d++) {
                int h = hex_digit(s[i + 2 + d]);
                if (h < 0) return fail(m, "has a malformed string");
                c = c << 4 | (uint32_t)h;
            }
            if (c > 0x10ffff) return fail(m, "has a malformed string");
            i += 1 + digits;
        }
        k += put_utf8(text + k, c);
    }
    return push_text(m, GV_PICKLE_STRING, text, k);
}

// ---- names, calls, memo

// "module\nname\n" in the file is used in place: the text of a GLOBAL has '\n' between its parts.
static bool push_global(machine *m) {
    size_t a, b;
    const char *module = take_line(m, &a, MAX_LINE);
    if (!module || !take_line(m, &b, MAX_LINE)) return false;
    return push_text(m, GV_PICKLE_GLOBAL, module, a + 1 + b);
}

// STACK_GLOBAL: module and name are strings somewhere in the file.
static bool push_stack_global(machine *m) {
    gv_value name = pop(m), module = pop(m);
    if (!name || !module) return false;
    value a = m->p->values[module], b = m->p->values[name];
    if (a.kind != GV_PICKLE_STRING || b.kind != GV_PICKLE_STRING || a.count > MAX_LINE || b.count > MAX_LINE)
        return fail(m, "has a name that is not text");
    char *text = own_text(m, (size_t)a.count + b.count + 1);
    if (!text) return false;
    memcpy(text, a.u.s, a.count);
    text[a.count] = '\n';
    memcpy(text + a.count + 1, b.u.s, b.count);
    return push_text(m, GV_PICKLE_GLOBAL, text, (uint64_t)a.count + 1 + b.count);
}

// OrderedDict() is empty; very old files give it a list of [key, value] lists.
static bool push_ordered_dict(machine *m, gv_value args) {
    gv_pickle *p = m->p;
    gv_value dict = make(m, GV_PICKLE_DICT), list = gv_pickle_at(p, args, 0);
    if (!dict) return false;
    for (gv_cell c = gv_pickle_first(p, list); c; c = gv_pickle_next(p, c)) {
        gv_value pair = gv_pickle_item(p, c);
        if (gv_pickle_count(p, pair) != 2) return fail(m, "has an OrderedDict of something else than pairs");
        if (!append(m, dict, gv_pickle_at(p, pair, 0), gv_pickle_at(p, pair, 1))) return false;
    }
    return push(m, dict);
}

// What Python would call is only remembered.
static bool push_call(machine *m, gv_value callable, gv_value args) {
    if (!callable || !args) return false;
    if (m->p->values[args].kind != GV_PICKLE_TUPLE) return fail(m, "calls something with arguments that are no tuple");
    if (gv_pickle_is(m->p, callable, "collections OrderedDict") || gv_pickle_is(m->p, callable, "__builtin__ dict") ||
        gv_pickle_is(m->p, callable, "builtins dict"))
        return push_ordered_dict(m, args);
    gv_value v = make(m, GV_PICKLE_OBJECT);
    if (!v) return false;
    m->p->values[v].u.call.callable = callable;
    m->p->values[v].u.call.args = args;
    return push(m, v);
}

static bool reduce(machine *m) {
    gv_value args = pop(m), callable = pop(m);
    return push_call(m, callable, args);
}

static bool push_persistent(machine *m) {
    gv_value id = pop(m), v = id ? make(m, GV_PICKLE_PERSISTENT) : 0;
    if (!v) return false;
    m->p->values[v].u.call.args = id;
    return push(m, v);
}

static bool build(machine *m) {
    gv_value state = pop(m), object = top(m);
    if (!state || !object) return false;
    if (m->p->values[object].kind == GV_PICKLE_OBJECT)
        m->p->values[object].state = state; // dictionaries: _metadata, not kept
    return true;
}

static bool put(machine *m, uint64_t index) {
    gv_value v = top(m);
    if (!v) return false;
    if (index >= 2 * (uint64_t)m->puts + MEMO_SLACK) return fail(m, "stores to a memo slot far out of order");
    while (m->memo_count <= index) {
        if (!grow(m, &m->memo, m->memo_count, &m->memo_capacity, sizeof *m->memo, 2 * MAX_CELLS)) return false;
        m->memo[m->memo_count++] = 0;
    }
    m->memo[index] = v;
    m->puts++;
    return true;
}

static bool get(machine *m, uint64_t index) {
    if (index >= m->memo_count || !m->memo[index]) return fail(m, "reads a memo slot that was never stored");
    return push(m, m->memo[index]);
}

static bool put_line(machine *m, bool store) {
    char text[24], *end;
    size_t n;
    if (!line_number(m, text, sizeof text, &n)) return false;
    unsigned long long i = strtoull(text, &end, 10);
    return *end ? fail(m, "has a malformed number") : store ? put(m, i) : get(m, i);
}

static bool pop_any(machine *m) {
    if (m->mark_count && m->depth == floor_of_stack(m)) return m->mark_count--, true;
    return pop(m) != 0;
}

static bool drop_marked(machine *m) {
    uint32_t from;
    if (!pop_mark(m, &from)) return false;
    m->depth = from;
    return true;
}

// OBJ 'o': mark, class, arguments...
static bool push_obj(machine *m) {
    uint32_t from;
    if (!pop_mark(m, &from)) return false;
    if (m->depth == from) return fail(m, "takes a value from an empty stack");
    gv_value callable = m->stack[from], args = make(m, GV_PICKLE_TUPLE);
    if (!args || !fill(m, args, from + 1, false)) return false;
    m->depth = from;
    return push_call(m, callable, args);
}

static bool number_and(machine *m, int bytes, bool (*use)(machine *, uint64_t)) {
    uint64_t n;
    return take_uint(m, bytes, &n) && use(m, n);
}

static bool push_uint(machine *m, uint64_t n) {
    return push_int(m, (int64_t)n);
}

static bool push_int32(machine *m, uint64_t n) {
    return push_int(m, (int32_t)n);
}

static bool check_protocol(machine *m, uint64_t n) {
    return n <= 5 || fail(m, "has an unknown protocol");
}

static bool skip_frame(machine *m, uint64_t n) {
    return n <= (uint64_t)(m->end - m->at) || fail(m, "has a frame longer than the file");
}

static bool new_object(machine *m, bool keywords) {
    if (keywords && !pop(m)) return false;
    return reduce(m);
}

static bool step(machine *m, unsigned char op) {
    switch (op) {
    case 0x80:
        return number_and(m, 1, check_protocol);
    case 0x95:
        return number_and(m, 8, skip_frame);
    case '(':
        return push_mark(m);
    case '}':
        return push(m, make(m, GV_PICKLE_DICT));
    case ']':
        return push(m, make(m, GV_PICKLE_LIST));
    case ')':
        return push(m, make(m, GV_PICKLE_TUPLE));
    case 0x8f:
        return push(m, make(m, GV_PICKLE_SET));
    case 'N':
        return push(m, make(m, GV_PICKLE_NONE));
    case 0x88:
        return push_bool(m, true);
    case 0x89:
        return push_bool(m, false);
    case 't':
        return push_marked(m, GV_PICKLE_TUPLE);
    case 'l':
        return push_marked(m, GV_PICKLE_LIST);
    case 'd':
        return push_marked(m, GV_PICKLE_DICT);
    case 0x91:
        return push_marked(m, GV_PICKLE_SET); // FROZENSET
    case 0x85:
        return push_tuple(m, 1);
    case 0x86:
        return push_tuple(m, 2);
    case 0x87:
        return push_tuple(m, 3);
    case 'K':
        return number_and(m, 1, push_uint);
    case 'M':
        return number_and(m, 2, push_uint);
    case 'J':
        return number_and(m, 4, push_int32);
    case 0x8a:
        return push_long(m, 1);
    case 0x8b:
        return push_long(m, 4);
    case 'G':
        return push_double(m);
    case 'I':
    case 'L':
        return push_line_int(m);
    case 'F':
        return push_line_float(m);
    case 'S':
        return push_line_string(m);
    case 'V':
        return push_line_unicode(m);
    case 'X': // BINUNICODE
    case 'T': // BINSTRING
    case 'B':
        return push_string(m, 4);
    case 0x8c: // SHORT_BINUNICODE
    case 'U':  // SHORT_BINSTRING
    case 'C':
        return push_string(m, 1);
    case 0x8d: // BINUNICODE8
    case 0x8e:
        return push_string(m, 8);
    case 'q':
        return number_and(m, 1, put);
    case 'r':
        return number_and(m, 4, put);
    case 0x94:
        return put(m, m->puts); // MEMOIZE
    case 'p':
        return put_line(m, true);
    case 'h':
        return number_and(m, 1, get);
    case 'j':
        return number_and(m, 4, get);
    case 'g':
        return put_line(m, false);
    case 'c':
        return push_global(m);
    case 0x93:
        return push_stack_global(m);
    case 'R':
        return reduce(m);
    case 0x81:
        return new_object(m, false);
    case 0x92:
        return new_object(m, true);
    case 'o':
        return push_obj(m);
    case 'b':
        return build(m);
    case 'a':
        return extend_by(m, 1);
    case 's':
        return extend_by(m, 2);
    case 'e':
    case 0x90:
        return extend(m, false);
    case 'u':
        return extend(m, true);
    case 'Q':
        return push_persistent(m);
    case '0':
        return pop_any(m);
    case '1':
        return drop_marked(m);
    case '2':
        return push(m, top(m));
    default:
        return fail(m, "has an opcode that is not supported");
    }
}

static bool run(machine *m) {
    make(m, GV_PICKLE_NONE); // value 0
    if (!grow(m, &m->p->cells, 0, &m->p->cell_capacity, sizeof *m->p->cells, MAX_CELLS)) return false;
    m->p->cells[m->p->cell_count++] = (cell){0};
    while (m->at < m->end) {
        unsigned char op = *m->at++;
        if (op == '.') {
            m->p->root = pop(m);
            return m->p->root != 0;
        }
        if (!step(m, op)) return fail(m, "is malformed");
    }
    return fail(m, "ends before its end mark");
}

gv_status gv_pickle_parse(gv_pickle **out, const void *data, size_t size, size_t *used, const char *path,
                          gv_error *err) {
    *out = NULL;
    gv_pickle *p = calloc(1, sizeof *p);
    if (!p) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    machine m = {.p = p, .start = data, .at = data, .end = (const unsigned char *)data + size};
    bool ok = run(&m);
    free(m.stack);
    free(m.memo);
    free(m.marks);
    if (used) *used = (size_t)(m.at - m.start);
    if (!ok) {
        gv_pickle_free(p);
        return gv_fail(err, m.no_memory ? GV_ERR_MEMORY : GV_ERR_FORMAT, "%s: its pickle %s (at byte %zu of %zu)", path,
                       m.wrong, (size_t)(m.at - m.start), size);
    }
    *out = p;
    return GV_OK;
}

void gv_pickle_free(gv_pickle *p) {
    if (!p) return;
    for (uint32_t i = 0; i < p->text_count; i++) free(p->texts[i]);
    free(p->texts);
    free(p->values);
    free(p->cells);
    free(p);
}

// ---- looking at values

gv_value gv_pickle_root(const gv_pickle *p) {
    return p->root;
}

uint32_t gv_pickle_size(const gv_pickle *p) {
    return p->value_count - 1;
}

gv_pickle_kind gv_pickle_kind_of(const gv_pickle *p, gv_value v) {
    return p->values[v].kind;
}

bool gv_pickle_int(const gv_pickle *p, gv_value v, int64_t *out) {
    const value *x = &p->values[v];
    if (x->kind != GV_PICKLE_INT && x->kind != GV_PICKLE_BOOL) return false;
    *out = x->u.i;
    return true;
}

double gv_pickle_float(const gv_pickle *p, gv_value v) {
    return p->values[v].kind == GV_PICKLE_FLOAT ? p->values[v].u.f : 0;
}

const char *gv_pickle_string(const gv_pickle *p, gv_value v, size_t *length) {
    const value *x = &p->values[v];
    if (x->kind != GV_PICKLE_STRING && x->kind != GV_PICKLE_GLOBAL) return NULL;
    *length = x->count;
    return x->u.s;
}

bool gv_pickle_is(const gv_pickle *p, gv_value v, const char *text) {
    const value *x = &p->values[v];
    if (x->kind == GV_PICKLE_STRING) return x->count == strlen(text) && !memcmp(x->u.s, text, x->count);
    if (x->kind != GV_PICKLE_GLOBAL || x->count < strlen(text)) return false;
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) // "module name" against "module\nname"
        if (x->u.s[i] != (text[i] == ' ' ? '\n' : text[i])) return false;
    return x->count == n;
}

static bool has_cells(const value *x) {
    return x->kind != GV_PICKLE_STRING && x->kind != GV_PICKLE_GLOBAL;
}

uint32_t gv_pickle_count(const gv_pickle *p, gv_value v) {
    return has_cells(&p->values[v]) ? p->values[v].count : 0;
}

gv_cell gv_pickle_first(const gv_pickle *p, gv_value v) {
    return p->values[v].first;
}

gv_cell gv_pickle_next(const gv_pickle *p, gv_cell c) {
    return p->cells[c].next;
}

gv_value gv_pickle_key(const gv_pickle *p, gv_cell c) {
    return p->cells[c].key;
}

gv_value gv_pickle_item(const gv_pickle *p, gv_cell c) {
    return p->cells[c].item;
}

gv_value gv_pickle_get(const gv_pickle *p, gv_value v, const char *key) {
    gv_value found = 0;
    for (gv_cell c = gv_pickle_first(p, v); c; c = gv_pickle_next(p, c))
        if (p->cells[c].key && p->values[p->cells[c].key].kind == GV_PICKLE_STRING &&
            gv_pickle_is(p, p->cells[c].key, key))
            found = p->cells[c].item;
    return found;
}

gv_value gv_pickle_at(const gv_pickle *p, gv_value v, uint32_t i) {
    gv_cell c = gv_pickle_first(p, v);
    while (c && i--) c = gv_pickle_next(p, c);
    return c ? p->cells[c].item : 0;
}

gv_value gv_pickle_callable(const gv_pickle *p, gv_value v) {
    return p->values[v].kind == GV_PICKLE_OBJECT ? p->values[v].u.call.callable : 0;
}

gv_value gv_pickle_args(const gv_pickle *p, gv_value v) {
    gv_pickle_kind k = p->values[v].kind;
    return k == GV_PICKLE_OBJECT || k == GV_PICKLE_PERSISTENT ? p->values[v].u.call.args : 0;
}

gv_value gv_pickle_state(const gv_pickle *p, gv_value v) {
    return p->values[v].state;
}

bool gv_pickle_is_call(const gv_pickle *p, gv_value v, const char *callable) {
    return p->values[v].kind == GV_PICKLE_OBJECT && gv_pickle_is(p, p->values[v].u.call.callable, callable);
}
