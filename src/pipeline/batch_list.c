#include "pipeline/batch_list.h"
#include "base/file.h"
#include "base/json_build.h"
#include "base/memory.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ITEMS = 1 << 20, MAX_NAME = 200, MAX_PATH = 4096 };

// ---- the list

// The name given, or the file's without its ending; another one where it is taken. False: no memory.
static bool choose_name(char *name, json_t *taken, const char *video, const char *given) {
    const char *slash = strrchr(video, '/'), *file = slash ? slash + 1 : video, *dot = strrchr(file, '.');
    int length = dot && dot > file ? (int)(dot - file) : (int)strlen(file);
    if (given)
        snprintf(name, MAX_NAME, "%.150s", given);
    else
        snprintf(name, MAX_NAME, "%.*s", length < 150 ? length : 150, file);
    if (!*name) snprintf(name, MAX_NAME, "video");
    bool above = name[0] == '.' && (!name[1] || name[1] == '.'); // "...mp4" does not go into the folder above
    for (char *p = name; above && *p == '.'; p++) *p = '_';
    size_t n = strlen(name);
    for (int k = 2; json_object_get(taken, name); k++) snprintf(name + n, MAX_NAME - n, "-%d", k);
    return json_object_set_new_nocheck(taken, name, json_true()) == 0; // memory
}

static gv_status add(gv_batch_list *l, json_t *taken, const char *list, int line, const char *text, char *given,
                     const char *folder, gv_error *err) {
    char name[MAX_NAME], path[MAX_PATH];
    const char *slash = strrchr(list, '/');
    if (given && (!*given || strchr(given, '/') || *given == '.'))
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: line %d: \"%.100s\" cannot be a folder's name", list, line, given);
    if (!choose_name(name, taken, text, given)) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", list);
    if (*text == '/' || !slash)
        snprintf(path, sizeof path, "%s", text);
    else
        snprintf(path, sizeof path, "%.*s/%s", (int)(slash - list), list, text);
    gv_batch_item *i = &l->item[l->count];
    *i = (gv_batch_item){.video = strdup(path), .name = strdup(name)};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    i->folder = strdup(path);
    l->count++;
    return i->video && i->name && i->folder ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory", list);
}

static gv_status read_lines(gv_batch_list *l, const char *path, char *text, const char *folder, gv_error *err) {
    int line = 0;
    json_t *taken = json_object(); // names so far
    gv_status status = GV_OK;
    for (char *at = text, *end; at && status == GV_OK; at = end) {
        if ((end = strchr(at, '\n'))) *end++ = 0;
        line++;
        size_t n = strlen(at);
        while (n && isspace((unsigned char)at[n - 1])) at[--n] = 0;
        if (!n || *at == '#') continue;
        char *tab = strchr(at, '\t');
        if (tab) *tab++ = 0;
        status = add(l, taken, path, line, at, tab, folder, err);
    }
    json_decref(taken);
    return status;
}

gv_status gv_batch_list_read(gv_batch_list *out, const char *path, const char *folder, gv_error *err) {
    *out = (gv_batch_list){0};
    unsigned char *data;
    size_t size, lines = 1;
    gv_status status = gv_file_read(path, (size_t)256 << 20, &data, &size, err);
    if (status != GV_OK) return status;
    for (size_t i = 0; i < size; i++) lines += data[i] == '\n';
    if (memchr(data, 0, size) || lines > MAX_ITEMS)
        status = gv_fail(err, GV_ERR_FORMAT, "%s: not a list of at most %d videos, one a line", path, MAX_ITEMS);
    else if (!(out->item = gv_calloc2(lines, sizeof *out->item)))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %zu videos", path, lines);
    if (status == GV_OK) status = read_lines(out, path, (char *)data, folder, err);
    if (status == GV_OK && out->count == 0) status = gv_fail(err, GV_ERR_EMPTY, "%s: names no video", path);
    free(data);
    if (status != GV_OK) gv_batch_list_free(out);
    return status;
}

void gv_batch_list_free(gv_batch_list *l) {
    for (int i = 0; i < l->count; i++) {
        free(l->item[i].video);
        free(l->item[i].name);
        free(l->item[i].folder);
    }
    free(l->item);
    *l = (gv_batch_list){0};
}

// ---- what is known of each

static const char *const state_names[] = {"open", "done", "failed"};

static void record_path(char *path, const gv_batch_item *item) {
    snprintf(path, MAX_PATH, "%s/BATCH.json", item->folder);
}

static json_t *to_json(const gv_batch_item *item, const gv_batch_record *r) {
    json_t *o = json_pack("{s:o, s:o, s:s}", "video", gv_json_text(item->video), "folder", gv_json_text(item->name),
                          "state", state_names[r->state]);
    if (o && r->state == GV_BATCH_FAILED) gv_json_set(&o, "reason", gv_json_text(r->reason));
    if (o && r->state == GV_BATCH_DONE) {
        gv_json_set(&o, "people", json_integer(r->people));
        gv_json_set(&o, "frames", json_integer(r->frames));
    }
    if (o && r->state != GV_BATCH_OPEN) gv_json_set(&o, "seconds", json_real(r->seconds));
    return o;
}

static gv_status save(const char *path, json_t *o, gv_error *err) {
    char *text = gv_json_dump(o, JSON_INDENT(1));
    gv_status status =
        text ? gv_file_write(path, text, strlen(text), err) : gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    free(text);
    json_decref(o);
    return status;
}

gv_status gv_batch_record_write(const gv_batch_item *item, const gv_batch_record *r, gv_error *err) {
    char path[MAX_PATH];
    record_path(path, item);
    json_t *o = to_json(item, r);
    if (o) {
        gv_json_set(&o, "fingerprint", json_string(r->fingerprint));
        gv_json_set(&o, "options", json_string(r->options));
    }
    return save(path, o, err);
}

static bool same(const json_t *o, const char *key, const char *value) {
    const char *found = json_string_value(json_object_get(o, key));
    return found && !strcmp(found, value);
}

gv_batch_record gv_batch_record_read(const gv_batch_item *item, const char *fingerprint, const char *options) {
    gv_batch_record r = {.state = GV_BATCH_OPEN};
    snprintf(r.fingerprint, sizeof r.fingerprint, "%s", fingerprint);
    snprintf(r.options, sizeof r.options, "%s", options);
    char path[MAX_PATH];
    record_path(path, item);
    json_t *o = json_load_file(path, 0, NULL);
    if (o && same(o, "fingerprint", fingerprint) && same(o, "options", options)) {
        r.state = same(o, "state", "done")     ? GV_BATCH_DONE
                  : same(o, "state", "failed") ? GV_BATCH_FAILED
                                               : GV_BATCH_OPEN;
        const char *reason = json_string_value(json_object_get(o, "reason"));
        snprintf(r.reason, sizeof r.reason, "%s", reason ? reason : "");
        r.seconds = json_number_value(json_object_get(o, "seconds"));
        r.people = (int)json_integer_value(json_object_get(o, "people"));
        r.frames = (long)json_integer_value(json_object_get(o, "frames"));
    }
    json_decref(o);
    return r;
}

gv_status gv_batch_report(const char *path, const gv_batch_list *l, const gv_batch_record *records, gv_error *err) {
    int count[3] = {0};
    json_t *videos = json_array();
    for (int i = 0; i < l->count; i++) {
        count[records[i].state]++;
        gv_json_append(&videos, to_json(&l->item[i], &records[i]));
    }
    return save(path,
                json_pack("{s:i, s:i, s:i, s:i, s:o}", "count", l->count, "done", count[GV_BATCH_DONE], "failed",
                          count[GV_BATCH_FAILED], "open", count[GV_BATCH_OPEN], "videos", videos),
                err);
}

// ---- tidying up

void gv_batch_clean(const char *folder) {
    char cache[MAX_PATH];
    gv_folder_clean(folder, NULL);
    snprintf(cache, sizeof cache, "%s/cache", folder);
    gv_folder_clean(cache, NULL);
}
