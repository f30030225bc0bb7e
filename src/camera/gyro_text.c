// gyro_text.c - gyroscope logs written as text: Gyroflow's .gcsv, and tables of phone apps.
// Sources: docs.gyroflow.xyz, "gcsv format"; headers of Android and iOS logging apps.
#define _GNU_SOURCE // strcasestr
#include "base/memory.h"
#include "base/order.h"
#include "camera/gyro.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 256, NAME = 80, TOKEN = 64 };

typedef struct cursor { // lines of the text
    const char *at, *end;
} cursor;

typedef struct line {
    const char *at, *end;
} line;

static bool next_line(cursor *c, line *l) {
    if (c->at >= c->end) return false;
    const char *stop = memchr(c->at, '\n', (size_t)(c->end - c->at));
    *l = (line){c->at, stop ? stop : c->end};
    c->at = stop ? stop + 1 : c->end;
    if (l->end > l->at && l->end[-1] == '\r') l->end--;
    return true;
}

static bool separates(char c, bool spaces) {
    return c == ',' || c == ';' || c == '\t' || (spaces && c == ' ');
}

// Takes the next column out of the line; false at its end. Longer ones are cut. `spaces`: a space ends a column.
static bool next_token(line *l, bool spaces, char out[NAME]) {
    if (!l->at) return false;
    const char *p = l->at;
    while (p < l->end && *p == ' ') p++;
    size_t n = 0;
    const char *q = p;
    for (; q < l->end && !separates(*q, spaces); q++)
        if (n + 1 < NAME && *q != '"') out[n++] = *q;
    while (n && out[n - 1] == ' ') n--;
    out[n] = 0;
    while (q < l->end && *q == ' ') q++;
    bool more = q < l->end;
    if (more && separates(*q, false)) q++;
    l->at = more ? q : NULL;
    return true;
}

static bool number(const char *text, double *v) {
    char *end;
    *v = strtod(text, &end);
    return end != text && !*end;
}

static bool has_commas(line l) {
    for (const char *p = l.at; p < l.end; p++)
        if (separates(*p, false)) return true;
    return false;
}

// --- the header ----------------------------------------------------------------------------------------

typedef struct layout {
    int time, axis[3];      // columns
    double time_unit, unit; // to s and rad/s; 0: not said
} layout;

// Letters and digits in lower case, without what stands in brackets.
static void plain(char out[NAME], const char *name) {
    size_t n = 0;
    int depth = 0;
    for (; *name && n + 1 < NAME; name++) {
        depth += *name == '(' || *name == '[';
        if (!depth && isalnum((unsigned char)*name)) out[n++] = (char)tolower((unsigned char)*name);
        depth -= *name == ')' || *name == ']';
    }
    out[n] = 0;
}

// How much a column looks like axis `c` of a gyroscope: 0 not at all.
static int axis_score(const char *name, char c) {
    char p[NAME];
    plain(p, name);
    size_t n = strlen(p);
    if (n > 4 && !strcmp(p + n - 4, "axis")) p[n -= 4] = 0;
    static const char *const others[] = {"acc", "mag", "grav", "bias", "drift", "quat", "heading", "attitude"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strstr(p, others[i])) return 0;
    if (!n || p[n - 1] != c) return 0;
    if (strstr(p, "gyro")) return 5;
    if (strstr(p, "rotationrate") || strstr(p, "angular") || strstr(p, "gyr")) return 4;
    if (n == 2 && (p[0] == 'g' || p[0] == 'w' || p[0] == 'r')) return 3;
    if (p[0] == 'w' || strstr(p, "rot") || strstr(p, "omega")) return 2;
    return n == 1 ? 1 : 0;
}

static int time_score(const char *name) {
    char p[NAME];
    plain(p, name);
    if (!strcmp(p, "secondselapsed") || !strcmp(p, "elapsed")) return 5;
    if (strstr(p, "timestamp")) return 4;
    if (!strncmp(p, "time", 4)) return 3;
    if (strstr(p, "time")) return 2;
    return !strcmp(p, "t") ? 1 : 0;
}

static double time_unit(const char *name) {
    static const struct {
        const char *mark;
        double unit;
    } units[] = {{"(ns)", 1e-9},         {"[ns]", 1e-9},       {"nanos", 1e-9}, {"_ns", 1e-9},  {"(us)", 1e-6},
                 {"[us]", 1e-6},         {"micros", 1e-6},     {"_us", 1e-6},   {"(ms)", 1e-3}, {"[ms]", 1e-3},
                 {"millis", 1e-3},       {"_ms", 1e-3},        {"(s)", 1},      {"[s]", 1},     {"(sec", 1},
                 {"seconds_elapsed", 1}, {"sinceReboot(s)", 1}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strstr(name, units[i].mark)) return units[i].unit;
    return 0;
}

static double rate_unit(const char *name) {
    if (strstr(name, "deg") || strstr(name, "dps") || strstr(name, "\xc2\xb0")) return 0.017453292519943295;
    return strstr(name, "rad") ? 1 : 0;
}

// Columns by the names in a header line; `sample` is a line of data: what holds no number there is no candidate.
static bool read_header(layout *y, line header, line sample, bool spaces) {
    char name[NAME], value[NAME];
    int best_time = 0, best[3] = {0};
    double v;
    if (header.at < header.end && *header.at == '#') header.at++;
    *y = (layout){.time = -1, .axis = {-1, -1, -1}};
    for (int c = 0; c < COLUMNS && next_token(&header, spaces, name) && next_token(&sample, spaces, value); c++) {
        if (!number(value, &v)) continue;
        int s = time_score(name);
        if (s > best_time) best_time = s, y->time = c, y->time_unit = time_unit(name);
        for (int a = 0; a < 3; a++) {
            s = axis_score(name, (char)('x' + a));
            if (s > best[a]) best[a] = s, y->axis[a] = c, y->unit = rate_unit(name);
        }
    }
    return y->time >= 0 && y->axis[0] >= 0 && y->axis[1] >= 0 && y->axis[2] >= 0;
}

// --- rows ----------------------------------------------------------------------------------------------

// One row of data. Rows of other sensors, named in a column of text, are passed over, and so are comments.
static bool read_row(line l, const layout *y, bool spaces, double *t, double rate[3]) {
    char token[NAME];
    int got = 0;
    for (int c = 0; c < COLUMNS && next_token(&l, spaces, token); c++) {
        double v;
        if (c == 0 && token[0] == '#') return false;
        bool ok = number(token, &v);
        if (!ok && *token && isalpha((unsigned char)*token) &&
            (strcasestr(token, "acc") || strcasestr(token, "mag") || strcasestr(token, "grav") ||
             strcasestr(token, "light")))
            return false;
        if (c == y->time && ok) *t = v, got |= 1;
        for (int a = 0; a < 3; a++)
            if (c == y->axis[a] && ok) rate[a] = v, got |= 2 << a;
    }
    return got == 15;
}

static gv_status read_rows(gv_gyro *g, cursor c, const layout *y, bool spaces, gv_error *err) {
    line l;
    long capacity = 0;
    gv_status s = GV_OK;
    double t, rate[3];
    while (s == GV_OK && next_line(&c, &l))
        if (read_row(l, y, spaces, &t, rate)) s = gv_gyro_add(g, &capacity, t, rate, err);
    return s;
}

// --- Gyroflow ------------------------------------------------------------------------------------------

static gv_status parse_gcsv(gv_gyro *g, const char *name, cursor c, gv_error *err) {
    layout y = {.time = 0, .axis = {1, 2, 3}};
    double tscale = 0.001, gscale = 0, v;
    line l;
    bool found = false;
    while (!found && next_line(&c, &l)) {
        char key[NAME], value[NAME] = "";
        line row = l;
        next_token(&row, false, key);
        next_token(&row, false, value);
        if (!strcmp(key, "tscale") && number(value, &v)) tscale = v;
        if (!strcmp(key, "gscale") && number(value, &v)) gscale = v;
        found = !strcmp(key, "t") || !strcmp(key, "time");
        if (found && strcmp(value, "gx") && strcmp(value, "rx"))
            return gv_fail(err, GV_ERR_FORMAT, "%s: column \"%s\" after the time, expected \"gx\"", name, value);
    }
    if (!found || !(tscale > 0) || !(gscale > 0))
        return gv_fail(err, GV_ERR_FORMAT, "%s: a .gcsv without %s", name,
                       found ? "tscale or gscale" : "a line t,gx,gy,gz");
    gv_status s = read_rows(g, c, &y, false, err);
    for (long i = 0; i < g->count; i++) {
        g->time_sec[i] *= tscale;
        for (int k = 0; k < 3; k++) g->rate[i][k] *= gscale;
    }
    g->unit_known = true;
    return s;
}

// --- tables --------------------------------------------------------------------------------------------

// A quantile of the times' steps (rates = false) or of the rates' lengths.
static double quantile(const gv_gyro *g, bool rates, double q) {
    double *v = gv_calloc2((size_t)g->count, sizeof *v);
    long n = 0;
    for (long i = rates ? 0 : 1; v && i < g->count; i++) {
        const double *r = g->rate[i];
        double x = rates ? sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]) : g->time_sec[i] - g->time_sec[i - 1];
        if (isfinite(x)) v[n++] = x;
    }
    if (v && n) gv_sort_doubles(v, (size_t)n);
    double result = v && n ? v[(long)(q * (double)(n - 1))] : 0;
    free(v);
    return result;
}

// Units that the header does not state, by size: samples lie 0.1 to 200 ms apart; nobody turns at 2000 degrees a second
// for long, and a log in rad/s whose upper end is beyond 35 would be that.
static void scale_to_si(gv_gyro *g, const layout *y) {
    double step = quantile(g, false, 0.5), tu = y->time_unit, unit = y->unit;
    if (!(tu > 0)) tu = step < 0.2 ? 1 : step < 200 ? 1e-3 : step < 2e5 ? 1e-6 : 1e-9;
    g->unit_known = unit > 0;
    if (!(unit > 0)) unit = quantile(g, true, 0.95) > 35 ? 0.017453292519943295 : 1;
    double first = g->count ? g->time_sec[0] : 0; // epochs in ns lose digits otherwise
    for (long i = 0; i < g->count; i++) {
        g->time_sec[i] = fabs(first) * tu > 1e6 ? (g->time_sec[i] - first) * tu : g->time_sec[i] * tu;
        for (int k = 0; k < 3; k++) g->rate[i][k] *= unit;
    }
}

static gv_status parse_table(gv_gyro *g, const char *name, cursor c, gv_error *err) {
    line l, header = {0};
    char token[NAME];
    double v;
    cursor data = c;
    bool spaces = false, found = false;
    while (!found && next_line(&c, &l)) { // the first line of data
        line row = l;
        spaces = !has_commas(l);
        bool numeric = next_token(&row, spaces, token) && number(token, &v);
        for (int k = 0; !numeric && k < COLUMNS && *token != '#' && next_token(&row, spaces, token);) // a date first
            k++, numeric = number(token, &v) && header.at;
        if (numeric)
            found = true;
        else
            header = l, data = c;
    }
    if (!found) return gv_fail(err, GV_ERR_FORMAT, "%s: no line of numbers", name);
    layout y = {.time = 0, .axis = {1, 2, 3}};
    bool header_spaces = header.at && !has_commas(header);
    if (header.at && header_spaces == spaces && !read_header(&y, header, l, spaces)) {
        char p[NAME];
        line rest = header;
        next_token(&rest, spaces, p);
        if (*p != '#')
            return gv_fail(err, GV_ERR_FORMAT, "%s: no columns for time and a gyroscope's x, y and z in its header",
                           name);
        y = (layout){.time = 0, .axis = {1, 2, 3}};
    }
    gv_status s = read_rows(g, data, &y, spaces, err);
    if (s == GV_OK) scale_to_si(g, &y);
    return s;
}

gv_status gv_gyro_parse(gv_gyro *g, const char *name, const char *text, size_t size, gv_error *err) {
    *g = (gv_gyro){0};
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) text += 3, size -= 3;
    cursor c = {text, text + size};
    bool gcsv =
        (size > 16 && !memcmp(text, "GYROFLOW IMU LOG", 16)) || (size > 14 && !memcmp(text, "CAMERA IMU LOG", 14));
    gv_status s;
    if (size && memchr(text, 0, size < 4096 ? size : 4096))
        s = gv_fail(err, GV_ERR_FORMAT, "%s: neither text nor an MP4 file", name);
    else
        s = gcsv ? parse_gcsv(g, name, c, err) : parse_table(g, name, c, err);
    if (s == GV_OK) s = gv_gyro_clean(g, name, err);
    if (s != GV_OK) gv_gyro_free(g);
    return s;
}
