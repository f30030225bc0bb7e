// torch_file.c - PyTorch checkpoints: where the pickle and the storages lie in both containers, and which
// values of the pickle are the weights. SPEC-perception.md 2.1, 2.2, 2.4 and 2.5.
#include "base/memory.h"
#include "formats/pickle.h"
#include "formats/tensor_table.h"
#include "formats/zip_directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_PATH_NAME = 1024, MAX_KEYS = 64 };

typedef struct storage { // of the legacy container
    const char *key;
    size_t length;
    gv_dtype dtype;
    int64_t elements;
    const unsigned char *data;
} storage;

typedef struct checkpoint {
    gv_tensors *w;
    gv_pickle *p;
    gv_zip_directory zip;
    const char *root; // folder in the zip, with its slash
    size_t root_length;
    storage *storages; // [storage_count] sorted by key; NULL for the zip container
    size_t storage_count;
    unsigned char *visited; // [values] of the walk over modules
    int64_t visits;         // of the walk over a tree
} checkpoint;

// ---- storages

static bool storage_type(const gv_pickle *p, gv_value v, gv_dtype *out) {
    static const struct {
        const char *name;
        gv_dtype dtype;
    } types[] = {{"torch FloatStorage", GV_F32},     {"torch DoubleStorage", GV_F64}, {"torch HalfStorage", GV_F16},
                 {"torch BFloat16Storage", GV_BF16}, {"torch LongStorage", GV_I64},   {"torch IntStorage", GV_I32},
                 {"torch ShortStorage", GV_I16},     {"torch CharStorage", GV_I8},    {"torch ByteStorage", GV_U8},
                 {"torch BoolStorage", GV_BOOL}};
    if (gv_pickle_kind_of(p, v) != GV_PICKLE_GLOBAL) return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (gv_pickle_is(p, v, types[i].name)) return *out = types[i].dtype, true;
    return false;
}

typedef struct storage_id { // ('storage', type, key, location, elements[, view])
    gv_dtype dtype;
    const char *key;
    size_t key_length;
    int64_t elements;
    gv_value view; // (view_key, offset, elements), or 0
} storage_id;

static const char *parse_storage_id(const gv_pickle *p, gv_value v, storage_id *id) {
    gv_value t = gv_pickle_kind_of(p, v) == GV_PICKLE_PERSISTENT ? gv_pickle_args(p, v) : 0;
    if (gv_pickle_kind_of(p, t) != GV_PICKLE_TUPLE || gv_pickle_count(p, t) < 5 ||
        !gv_pickle_is(p, gv_pickle_at(p, t, 0), "storage"))
        return "has a malformed storage";
    if (!storage_type(p, gv_pickle_at(p, t, 1), &id->dtype)) return "has a storage of unknown type";
    gv_value key = gv_pickle_at(p, t, 2);
    if (gv_pickle_kind_of(p, key) != GV_PICKLE_STRING || !gv_pickle_int(p, gv_pickle_at(p, t, 4), &id->elements))
        return "has a malformed storage";
    id->key = gv_pickle_string(p, key, &id->key_length);
    if (id->elements < 0) return "has a storage of negative size";
    id->view = gv_pickle_at(p, t, 5);
    if (gv_pickle_kind_of(p, id->view) != GV_PICKLE_TUPLE) id->view = 0;
    return NULL;
}

static int by_key(const void *x, const void *y) {
    const storage *a = x, *b = y;
    size_t n = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->key, b->key, n);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static storage *find_storage(checkpoint *c, const char *key, size_t length) {
    storage wanted = {.key = key, .length = length};
    return c->storage_count ? bsearch(&wanted, c->storages, c->storage_count, sizeof wanted, by_key) : NULL;
}

static const char *place_in_zip(checkpoint *c, const storage_id *id, gv_tensor_place *out) {
    char name[MAX_PATH_NAME];
    int n = snprintf(name, sizeof name, "%.*sdata/%.*s", (int)c->root_length, c->root,
                     id->key_length < 64 ? (int)id->key_length : 64, id->key);
    const gv_zip_entry *e = gv_zip_directory_find(&c->zip, name, (size_t)n);
    if (!e) return "has a storage that is not in the file";
    if ((uint64_t)id->elements > e->size / gv_dtype_size(id->dtype))
        return "has a storage that claims more than is stored";
    out->data = e->data;
    out->elements = id->elements;
    return NULL;
}

static const char *place_in_legacy(checkpoint *c, const storage_id *id, gv_tensor_place *out) {
    const storage *s = find_storage(c, id->key, id->key_length);
    if (!s || !s->data) return "has a storage that is not in the file";
    if (s->dtype != id->dtype || id->elements > s->elements) return "has a storage that claims more than is stored";
    out->data = s->data;
    out->elements = id->elements;
    if (!id->view) return NULL;
    int64_t offset, elements;
    if (!gv_pickle_int(c->p, gv_pickle_at(c->p, id->view, 1), &offset) ||
        !gv_pickle_int(c->p, gv_pickle_at(c->p, id->view, 2), &elements) || offset < 0 || elements < 0 ||
        offset > s->elements || elements > s->elements - offset)
        return "has a view outside its storage";
    out->data += (size_t)offset * gv_dtype_size(id->dtype);
    out->elements = elements;
    return NULL;
}

// ---- tensors

// The call that builds the tensor, behind any _rebuild_parameter; 0 when v is no tensor.
static gv_value tensor_call(const gv_pickle *p, gv_value v) {
    for (int i = 0; i < 4 && gv_pickle_is_call(p, v, "torch._utils _rebuild_parameter"); i++)
        v = gv_pickle_at(p, gv_pickle_args(p, v), 0);
    return gv_pickle_is_call(p, v, "torch._utils _rebuild_tensor_v2") ||
                   gv_pickle_is_call(p, v, "torch._utils _rebuild_tensor")
               ? v
               : 0;
}

// A tuple of at most 16 numbers, also within torch.Size; -1 when it is something else.
static int numbers(const gv_pickle *p, gv_value v, int64_t *out) {
    if (gv_pickle_is_call(p, v, "torch Size")) v = gv_pickle_at(p, gv_pickle_args(p, v), 0);
    gv_pickle_kind kind = gv_pickle_kind_of(p, v);
    if ((kind != GV_PICKLE_TUPLE && kind != GV_PICKLE_LIST) || gv_pickle_count(p, v) > 16) return -1;
    int n = 0;
    for (gv_cell c = gv_pickle_first(p, v); c; c = gv_pickle_next(p, c))
        if (!gv_pickle_int(p, gv_pickle_item(p, c), &out[n++])) return -1;
    return n;
}

// Adds the tensor made by `call` under this name.
static gv_status add_tensor(checkpoint *c, const char *name, size_t length, gv_value call, gv_error *err) {
    const gv_pickle *p = c->p;
    gv_value args = gv_pickle_args(p, call);
    gv_tensor t = {0};
    gv_tensor_place place = {0};
    storage_id id = {0};
    const char *wrong = parse_storage_id(p, gv_pickle_at(p, args, 0), &id);
    if (!wrong) wrong = c->storages ? place_in_legacy(c, &id, &place) : place_in_zip(c, &id, &place);
    if (!wrong && !gv_pickle_int(p, gv_pickle_at(p, args, 1), &place.offset)) wrong = "has a malformed offset";
    if (!wrong) {
        t.dtype = id.dtype;
        t.ndim = numbers(p, gv_pickle_at(p, args, 2), t.shape);
        int strides = numbers(p, gv_pickle_at(p, args, 3), place.stride);
        if (t.ndim < 0 || strides < 0)
            wrong = "has malformed sizes or strides";
        else if (t.ndim != strides)
            wrong = "has another number of strides than of sizes";
    }
    if (wrong)
        return gv_fail(err, GV_ERR_FORMAT, "%s: tensor \"%.*s\" %s", c->w->path, length < 200 ? (int)length : 200, name,
                       wrong);
    return gv_tensor_table_add(c->w, name, length, &t, &place, err);
}

// The tensors of a dictionary under "prefix" + key; other members are ignored.
static gv_status add_dictionary(checkpoint *c, gv_value dict, const char *prefix, gv_error *err) {
    const gv_pickle *p = c->p;
    gv_status status = GV_OK;
    char name[MAX_PATH_NAME];
    size_t n = strlen(prefix), length;
    for (gv_cell cell = gv_pickle_first(p, dict); cell && status == GV_OK; cell = gv_pickle_next(p, cell)) {
        gv_value call = tensor_call(p, gv_pickle_item(p, cell)), key = gv_pickle_key(p, cell);
        if (!call || !key || gv_pickle_kind_of(p, key) != GV_PICKLE_STRING) continue;
        const char *text = gv_pickle_string(p, key, &length);
        if (n + length > sizeof name)
            return gv_fail(err, GV_ERR_FORMAT, "%s: tensor \"%.200s...\" has a name of %zu bytes", c->w->path, prefix,
                           n + length);
        memcpy(name, prefix, n);
        memcpy(name + n, text, length);
        status = add_tensor(c, name, n + length, call, err);
    }
    return status;
}

// ---- torch.nn modules pickled as objects

typedef struct frame {
    gv_cell next;  // child module to visit
    size_t length; // of the name so far
} frame;

static gv_value module_member(const gv_pickle *p, gv_value module, const char *member) {
    return gv_pickle_get(p, gv_pickle_state(p, module), member);
}

static gv_status add_own_tensors(checkpoint *c, gv_value module, char *name, size_t length, gv_error *err) {
    name[length] = 0;
    gv_status status = add_dictionary(c, module_member(c->p, module, "_parameters"), name, err);
    return status == GV_OK ? add_dictionary(c, module_member(c->p, module, "_buffers"), name, err) : status;
}

// Parameters and buffers of a module, then of its children, in order; each object once.
static gv_status add_modules(checkpoint *c, gv_value root, gv_error *err) {
    const gv_pickle *p = c->p;
    char name[MAX_PATH_NAME + 1];
    frame stack[MAX_DEPTH];
    int depth = 1;
    c->visited[root] = 1;
    gv_status status = add_own_tensors(c, root, name, 0, err);
    stack[0] = (frame){gv_pickle_first(p, module_member(p, root, "_modules")), 0};
    while (depth > 0 && status == GV_OK) {
        frame *f = &stack[depth - 1];
        gv_cell cell = f->next;
        if (!cell) {
            depth--;
            continue;
        }
        f->next = gv_pickle_next(p, cell);
        gv_value child = gv_pickle_item(p, cell), key = gv_pickle_key(p, cell);
        size_t n = 0;
        const char *text = gv_pickle_kind_of(p, key) == GV_PICKLE_STRING ? gv_pickle_string(p, key, &n) : NULL;
        if (!text || gv_pickle_kind_of(p, child) != GV_PICKLE_OBJECT || c->visited[child]) continue;
        if (depth == MAX_DEPTH || f->length + n + 1 > MAX_PATH_NAME)
            return gv_fail(err, GV_ERR_FORMAT, "%s: modules nested deeper than %d or with names too long", c->w->path,
                           MAX_DEPTH);
        c->visited[child] = 1;
        memcpy(name + f->length, text, n);
        name[f->length + n] = '.';
        size_t length = f->length + n + 1;
        status = add_own_tensors(c, child, name, length, err);
        stack[depth++] = (frame){gv_pickle_first(p, module_member(p, child, "_modules")), length};
    }
    return status;
}

// ---- the top level

static gv_status list_keys(checkpoint *c, gv_value top, gv_error *err) {
    const gv_pickle *p = c->p;
    gv_tensors *w = c->w;
    int most = w->tree ? (int)gv_pickle_count(p, top) : MAX_KEYS;
    if (!(w->keys = gv_calloc2((size_t)most, sizeof *w->keys)))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->path);
    for (gv_cell cell = gv_pickle_first(p, top); cell && w->key_count < most; cell = gv_pickle_next(p, cell)) {
        size_t n;
        gv_value key = gv_pickle_key(p, cell);
        if (gv_pickle_kind_of(p, key) != GV_PICKLE_STRING) continue;
        const char *text = gv_pickle_string(p, key, &n);
        size_t longest = w->tree ? MAX_PATH_NAME : 100;
        if (!(w->keys[w->key_count] = strndup(text, n < longest ? n : longest)))
            return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->path);
        w->key_count++;
    }
    return GV_OK;
}

static gv_status refuse(const checkpoint *c, gv_error *err) {
    char list[300] = "";
    size_t n = 0;
    for (int i = 0; i < c->w->key_count && n < sizeof list - 1; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s\"%s\"", i ? ", " : "", c->w->keys[i]);
    return gv_fail(err, GV_ERR_FORMAT,
                   "%s: expected a dictionary with \"state_dict\" or \"model\" that holds tensors, found %s%s",
                   c->w->path, *list ? "the keys " : "none", list);
}

// The result file of the reference: dictionaries of tensors, one level deep.
static gv_status add_result(checkpoint *c, gv_value top, gv_error *err) {
    static const char *const groups[] = {"smpl_params_global", "smpl_params_incam", "net_outputs"};
    gv_status status = add_dictionary(c, top, "", err);
    for (int i = 0; i < 3 && status == GV_OK; i++) {
        char prefix[40];
        snprintf(prefix, sizeof prefix, "%s.", groups[i]);
        status = add_dictionary(c, gv_pickle_get(c->p, top, groups[i]), prefix, err);
    }
    return status;
}

// A file that is one tensor: "tensor", or where it is sparse (COO) its "indices" and "values".
static gv_status add_single(checkpoint *c, gv_value top, gv_error *err) {
    const gv_pickle *p = c->p;
    if (tensor_call(p, top)) return add_tensor(c, "tensor", 6, tensor_call(p, top), err);
    gv_value parts = gv_pickle_at(p, gv_pickle_args(p, top), 1);
    gv_value indices = tensor_call(p, gv_pickle_at(p, parts, 0)), values = tensor_call(p, gv_pickle_at(p, parts, 1));
    if (!indices || !values) return refuse(c, err);
    gv_status status = add_tensor(c, "indices", 7, indices, err);
    return status == GV_OK ? add_tensor(c, "values", 6, values, err) : status;
}

// ---- trees

static gv_status keep_text(checkpoint *c, const char *path, const char *text, size_t length, gv_error *err) {
    gv_tensors *w = c->w;
    size_t room = w->metadata_count ? (size_t)w->metadata_count : 1;
    if (!w->metadata_count || (room >= 64 && !(room & (room - 1)))) { // 64, 128, 256, ... pairs
        void *more = realloc(w->metadata, 2 * (room < 64 ? 64 : 2 * room) * sizeof *w->metadata);
        if (!more) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->path);
        w->metadata = more;
    }
    char *k = strdup(path), *v = strndup(text, length);
    w->metadata[2 * w->metadata_count] = k;
    w->metadata[2 * w->metadata_count++ + 1] = v;
    return k && v ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory", w->path);
}

// Numbers of a value or of the list or tuple (of lists or tuples) that it is, with commas between them; false where
// something else is among them or there is no room.
static bool number_text(const gv_pickle *p, gv_value v, int depth, char *out, size_t room, size_t *used) {
    gv_pickle_kind kind = gv_pickle_kind_of(p, v);
    int64_t n;
    if (kind == GV_PICKLE_LIST || kind == GV_PICKLE_TUPLE) {
        if (depth == 2 || !gv_pickle_count(p, v)) return false;
        for (gv_cell c = gv_pickle_first(p, v); c; c = gv_pickle_next(p, c))
            if (!number_text(p, gv_pickle_item(p, c), depth + 1, out, room, used)) return false;
        return true;
    }
    const char *comma = *used ? "," : "";
    int wrote = gv_pickle_int(p, v, &n)   ? snprintf(out + *used, room - *used, "%s%lld", comma, (long long)n)
                : kind == GV_PICKLE_FLOAT ? snprintf(out + *used, room - *used, "%s%.17g", comma, gv_pickle_float(p, v))
                                          : -1;
    if (wrote < 0 || (size_t)wrote >= room - *used) return false;
    *used += (size_t)wrote;
    return true;
}

static gv_status add_branch(checkpoint *c, gv_value v, char *path, size_t length, int depth, gv_error *err);

// The value under `key` [n] of what lies at path [length].
static gv_status add_leaf(checkpoint *c, gv_value v, char *path, size_t length, const char *key, size_t n, int depth,
                          gv_error *err) {
    const gv_pickle *p = c->p;
    if (length + n + 2 > MAX_PATH_NAME)
        return gv_fail(err, GV_ERR_FORMAT, "%s: a name of more than %d bytes", c->w->path, MAX_PATH_NAME);
    if (length) path[length++] = '|';
    memcpy(path + length, key, n);
    path[length += n] = 0;
    if (memchr(path, 0, length)) return GV_OK; // nobody's name
    gv_value call = tensor_call(p, v);
    if (call) return add_tensor(c, path, length, call, err);
    char text[2000];
    size_t used = 0;
    if (number_text(p, v, 0, text, sizeof text, &used)) return keep_text(c, path, text, used, err);
    if (gv_pickle_kind_of(p, v) == GV_PICKLE_STRING) {
        const char *s = gv_pickle_string(p, v, &used);
        return keep_text(c, path, s, used, err);
    }
    return add_branch(c, v, path, length, depth + 1, err);
}

static gv_status add_branch(checkpoint *c, gv_value v, char *path, size_t length, int depth, gv_error *err) {
    const gv_pickle *p = c->p;
    gv_pickle_kind kind = gv_pickle_kind_of(p, v);
    gv_status status = GV_OK;
    int64_t position = 0;
    if ((kind != GV_PICKLE_DICT && kind != GV_PICKLE_LIST && kind != GV_PICKLE_TUPLE) || depth >= GV_TREE_DEPTH)
        return GV_OK;
    for (gv_cell cell = gv_pickle_first(p, v); cell && status == GV_OK; cell = gv_pickle_next(p, cell)) {
        char number[24];
        const char *key = number;
        size_t n = 0;
        gv_value name = gv_pickle_key(p, cell);
        if (++c->visits > (int64_t)gv_pickle_size(p) + 1) // a file that contains itself
            return gv_fail(err, GV_ERR_FORMAT, "%s: contains itself", c->w->path);
        if (kind != GV_PICKLE_DICT)
            n = (size_t)snprintf(number, sizeof number, "%lld", (long long)position++);
        else if (gv_pickle_kind_of(p, name) == GV_PICKLE_STRING)
            key = gv_pickle_string(p, name, &n);
        else
            continue;
        status = add_leaf(c, gv_pickle_item(p, cell), path, length, key, n, depth, err);
    }
    return status;
}

static gv_status find_weights(checkpoint *c, gv_error *err) {
    const gv_pickle *p = c->p;
    gv_value top = gv_pickle_root(p);
    if (c->w->tree) {
        char path[MAX_PATH_NAME];
        if (gv_pickle_kind_of(p, top) != GV_PICKLE_DICT) return refuse(c, err);
        gv_status status = list_keys(c, top, err);
        if (status == GV_OK) status = add_branch(c, top, path, 0, 0, err);
        return status == GV_OK && c->w->count == 0 ? refuse(c, err) : status;
    }
    if (tensor_call(p, top) || gv_pickle_is_call(p, top, "torch._utils _rebuild_sparse_tensor"))
        return add_single(c, top, err);
    if (gv_pickle_kind_of(p, top) != GV_PICKLE_DICT) return refuse(c, err);
    gv_status status = list_keys(c, top, err);
    if (status != GV_OK) return status;
    gv_value dict = gv_pickle_get(p, top, "state_dict"), model = gv_pickle_get(p, top, "ema");
    if (gv_pickle_kind_of(p, model) != GV_PICKLE_OBJECT) model = gv_pickle_get(p, top, "model");
    if (gv_pickle_kind_of(p, dict) == GV_PICKLE_DICT) {
        status = add_dictionary(c, dict, "", err);
    } else if (gv_pickle_kind_of(p, model) == GV_PICKLE_OBJECT) {
        if (!(c->visited = calloc((size_t)gv_pickle_size(p) + 1, 1)))
            return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", c->w->path);
        status = add_modules(c, model, err);
    } else if (gv_pickle_get(p, top, "smpl_params_global")) {
        status = add_result(c, top, err);
    }
    return status == GV_OK && c->w->count == 0 ? refuse(c, err) : status;
}

static void free_checkpoint(checkpoint *c) {
    gv_pickle_free(c->p);
    gv_zip_directory_free(&c->zip);
    free(c->storages);
    free(c->visited);
}

// ---- the zip container

static const gv_zip_entry *find_pickle(checkpoint *c) {
    static const char name[] = "/data.pkl";
    for (size_t i = 0; i < c->zip.count; i++) {
        const gv_zip_entry *e = &c->zip.entries[i];
        size_t n = e->name_length, m = sizeof name - 1;
        if (n <= m || memcmp(e->name + n - m, name, m) || memchr(e->name, '/', n - m)) continue;
        c->root = e->name;
        c->root_length = n - m + 1;
        return e;
    }
    return NULL;
}

static bool is_big_endian(checkpoint *c) {
    char name[MAX_PATH_NAME];
    int n = snprintf(name, sizeof name, "%.*sbyteorder", (int)c->root_length, c->root);
    const gv_zip_entry *e = gv_zip_directory_find(&c->zip, name, (size_t)n);
    return e && e->size >= 3 && !memcmp(e->data, "big", 3);
}

gv_status gv_torch_zip_read(gv_tensors *w, gv_error *err) {
    checkpoint c = {.w = w};
    w->container = "PyTorch zip";
    gv_status status = gv_zip_directory_read(&c.zip, w->data, w->size, w->path, err);
    if (status != GV_OK) return status;
    const gv_zip_entry *e = find_pickle(&c);
    if (!e || c.root_length > 512)
        status =
            gv_fail(err, GV_ERR_FORMAT, "%s: a zip archive without data.pkl, expected a PyTorch checkpoint", w->path);
    else if (is_big_endian(&c))
        status = gv_fail(err, GV_ERR_FORMAT, "%s: written on a big-endian machine, which is not supported", w->path);
    if (status == GV_OK) status = gv_pickle_parse(&c.p, e->data, e->size, NULL, w->path, err);
    if (status == GV_OK) status = find_weights(&c, err);
    free_checkpoint(&c);
    return status;
}

// ---- the legacy container: magic, version, system, object, list of keys, then the storages

static gv_status next_pickle(gv_tensors *w, size_t *at, gv_pickle **out, gv_error *err) {
    size_t used = 0;
    gv_status status = gv_pickle_parse(out, w->data + *at, w->size - *at, &used, w->path, err);
    *at += used;
    return status;
}

static gv_status check_system(gv_tensors *w, size_t *at, gv_error *err) {
    int64_t version = 0, little = 1;
    gv_pickle *p = NULL;
    gv_status status = next_pickle(w, at, &p, err);
    if (status != GV_OK) return status;
    bool known = gv_pickle_int(p, gv_pickle_root(p), &version) && version == 1001;
    gv_pickle_free(p);
    if (!known)
        return gv_fail(err, GV_ERR_FORMAT, "%s: legacy PyTorch format version %lld, expected 1001", w->path,
                       (long long)version);
    if ((status = next_pickle(w, at, &p, err)) != GV_OK) return status;
    gv_pickle_int(p, gv_pickle_get(p, gv_pickle_root(p), "little_endian"), &little);
    gv_pickle_free(p);
    return little ? GV_OK
                  : gv_fail(err, GV_ERR_FORMAT, "%s: written on a big-endian machine, which is not supported", w->path);
}

// The types of the storages are only in the persistent ids of the object's pickle.
static gv_status collect_storages(checkpoint *c, gv_error *err) {
    const gv_pickle *p = c->p;
    size_t n = 0, kept = 0;
    for (gv_value v = 1; v <= gv_pickle_size(p); v++) n += gv_pickle_kind_of(p, v) == GV_PICKLE_PERSISTENT;
    if (!(c->storages = calloc(n + 1, sizeof *c->storages)))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", c->w->path);
    for (gv_value v = 1; v <= gv_pickle_size(p); v++) {
        storage_id id;
        if (gv_pickle_kind_of(p, v) != GV_PICKLE_PERSISTENT) continue;
        const char *wrong = parse_storage_id(p, v, &id);
        if (wrong) return gv_fail(err, GV_ERR_FORMAT, "%s: %s", c->w->path, wrong);
        c->storages[c->storage_count++] = (storage){.key = id.key, .length = id.key_length, .dtype = id.dtype};
    }
    qsort(c->storages, c->storage_count, sizeof *c->storages, by_key);
    for (size_t i = 0; i < c->storage_count; i++) {
        if (i && by_key(&c->storages[kept - 1], &c->storages[i]) == 0) {
            if (c->storages[kept - 1].dtype == c->storages[i].dtype) continue;
            return gv_fail(err, GV_ERR_FORMAT, "%s: a storage is used with two types", c->w->path);
        }
        c->storages[kept++] = c->storages[i];
    }
    c->storage_count = kept;
    return GV_OK;
}

static gv_status locate_storages(checkpoint *c, const gv_pickle *keys, size_t at, gv_error *err) {
    gv_tensors *w = c->w;
    if (gv_pickle_kind_of(keys, gv_pickle_root(keys)) != GV_PICKLE_LIST)
        return gv_fail(err, GV_ERR_FORMAT, "%s: expected a list of storages after the object", w->path);
    for (gv_cell cell = gv_pickle_first(keys, gv_pickle_root(keys)); cell; cell = gv_pickle_next(keys, cell)) {
        size_t length = 0;
        uint64_t elements = 0;
        gv_value key = gv_pickle_item(keys, cell);
        const char *text =
            gv_pickle_kind_of(keys, key) == GV_PICKLE_STRING ? gv_pickle_string(keys, key, &length) : NULL;
        storage *s = text ? find_storage(c, text, length) : NULL;
        if (!s || s->data)
            return gv_fail(err, GV_ERR_FORMAT, "%s: its list names a storage that no tensor uses, or twice", w->path);
        if (w->size - at < 8) return gv_fail(err, GV_ERR_FORMAT, "%s: is cut off within its storages", w->path);
        for (int i = 0; i < 8; i++) elements |= (uint64_t)w->data[at + (size_t)i] << 8 * i;
        at += 8;
        size_t width = gv_dtype_size(s->dtype);
        if (elements > (w->size - at) / width)
            return gv_fail(err, GV_ERR_FORMAT, "%s: a storage claims %llu elements, %zu bytes are left", w->path,
                           (unsigned long long)elements, w->size - at);
        s->data = w->data + at;
        s->elements = (int64_t)elements;
        at += (size_t)elements * width;
    }
    return GV_OK;
}

gv_status gv_torch_legacy_read(gv_tensors *w, gv_error *err) {
    checkpoint c = {.w = w};
    gv_pickle *keys = NULL;
    size_t at = 15; // the magic, compared by the caller
    w->container = "PyTorch legacy";
    gv_status status = check_system(w, &at, err);
    if (status == GV_OK) status = next_pickle(w, &at, &c.p, err);
    if (status == GV_OK) status = next_pickle(w, &at, &keys, err);
    if (status == GV_OK) status = collect_storages(&c, err);
    if (status == GV_OK) status = locate_storages(&c, keys, at, err);
    if (status == GV_OK) status = find_weights(&c, err);
    gv_pickle_free(keys);
    free_checkpoint(&c);
    return status;
}
