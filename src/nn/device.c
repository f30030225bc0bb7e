#include "nn/device.h"

#include "base/file.h"
#include "base/memory.h"
#include "gvhmr_config.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULE "libgvhmr-cuda.so"

struct gv_device {
    const gv_device_ops *ops;
    void *self;   // the back end's
    void *module; // of dlopen, or NULL
    void **scratch;
    int used, room;
    bool recording;
    void (*meanwhile)(void *user);
    void *user;       // of meanwhile
    gv_error failure; // the first; status GV_OK: none
};

// ---- opening

gv_status gv_device_wrap(gv_device **out, const gv_device_ops *ops, gv_error *err) {
    *out = NULL;
    if (ops->version != GV_DEVICE_OPS_VERSION)
        return gv_fail(err, GV_ERR_MISSING, "the device's module has version %d, expected %d: it is of another build",
                       ops->version, GV_DEVICE_OPS_VERSION);
    gv_device *d = calloc(1, sizeof *d);
    if (!d) return gv_fail(err, GV_ERR_MEMORY, "no memory for the device");
    d->ops = ops;
    gv_status s = ops->open(&d->self, err);
    if (s)
        free(d);
    else
        *out = d;
    return s;
}

// Beside the program or its library, where the installation has it, or where the system looks for libraries. It is
// never unloaded: CUDA's libraries keep threads and what is done at exit.
static void *load_module(gv_error *err) {
    const int how = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
    gv_error unused;
    char *beside = gv_resource_find(MODULE, &unused);
    const char *installed = GVHMR_LIBDIR "/" MODULE, *path = beside ? beside : MODULE;
    if (!beside && access(installed, R_OK) == 0) path = installed;
    void *module = dlopen(path, how);
    const char *why = module ? NULL : dlerror();
    if (!module) gv_fail(err, GV_ERR_MISSING, "CUDA cannot be used: %s", why ? why : "its module does not load");
    free(beside);
    return module;
}

static gv_status open_cuda(gv_device **out, gv_error *err) {
    void *module = load_module(err);
    if (!module) return GV_ERR_MISSING;
    gv_device_ops_function *get;
    void *symbol = dlsym(module, GV_DEVICE_OPS_SYMBOL);
    memcpy(&get, &symbol, sizeof get);
    gv_status s = symbol ? gv_device_wrap(out, get(), err)
                         : gv_fail(err, GV_ERR_MISSING, "CUDA cannot be used: " MODULE " has no " GV_DEVICE_OPS_SYMBOL);
    if (s)
        dlclose(module);
    else
        (*out)->module = module;
    return s;
}

gv_status gv_device_open(gv_device **out, gv_device_choice choice, gv_error *err) {
    *out = NULL;
    if (choice == GV_DEVICE_CPU) return GV_OK;
    gv_error own = {0}, *why = err ? err : &own;
    gv_status s = open_cuda(out, why);
    if (s && choice == GV_DEVICE_AUTO) {
        gv_wrap(why, "on the processor");
        why->status = s = GV_OK;
    }
    return s;
}

void gv_device_close(gv_device *d) {
    if (!d) return;
    for (int i = 0; i < d->used; i++) d->ops->release(d->self, d->scratch[i]);
    free(d->scratch);
    d->ops->close(d->self);
    if (d->module) dlclose(d->module);
    free(d);
}

const char *gv_device_name(const gv_device *d) {
    return d ? d->ops->name(d->self) : "processor";
}

// ---- failures

static bool is_well(const gv_device *d) {
    return d->failure.status == GV_OK;
}

void gv_device_fail(gv_device *d, gv_status status, const char *format, ...) {
    char text[sizeof d->failure.text];
    va_list args;
    if (!is_well(d)) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gv_fail(&d->failure, status, "%s", text);
}

// A back end that fails without a word is failed all the same.
static void check(gv_device *d, bool well) {
    if (!well && is_well(d)) gv_device_fail(d, GV_ERR_INTERNAL, "the device failed");
}

// Well, and nothing is being recorded.
static bool is_idle(gv_device *d) {
    if (d->recording) gv_device_fail(d, GV_ERR_INTERNAL, "memory or a copy was asked for while work was recorded");
    return is_well(d);
}

void gv_device_meanwhile(gv_device *d, void (*work)(void *user), void *user) {
    d->meanwhile = work;
    d->user = user;
}

static void do_meanwhile(gv_device *d) {
    void (*work)(void *user) = d->meanwhile;
    if (!work || !is_well(d)) return;
    d->meanwhile = NULL;
    work(d->user);
}

gv_status gv_device_finish(gv_device *d, gv_error *err) {
    if (d->recording) gv_device_forget(d, gv_device_recorded(d));
    do_meanwhile(d);
    gv_error late = {0};
    bool well = d->ops->wait(d->self, &late);
    if (!well && is_well(d)) d->failure = late;
    check(d, well);
    for (int i = 0; i < d->used; i++) d->ops->release(d->self, d->scratch[i]);
    d->used = 0;
    gv_status s = d->failure.status;
    if (s && err) *err = d->failure;
    d->failure = (gv_error){0};
    return s;
}

gv_status gv_device_settle(gv_device *d, gv_status status, gv_error *err) {
    gv_status s = gv_device_finish(d, status ? NULL : err);
    return status ? status : s;
}

// ---- memory

static void *alloc(gv_device *d, size_t count, size_t size) {
    if (!is_idle(d)) return NULL;
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > (size_t)1 << 40) {
        gv_device_fail(d, GV_ERR_MEMORY, "no device has memory for %zu times %zu bytes", count, size);
        return NULL;
    }
    void *p = d->ops->alloc(d->self, bytes ? bytes : 1, &d->failure);
    check(d, p != NULL);
    return p;
}

void *gv_device_alloc(gv_device *d, size_t count, size_t size) {
    if (d->used == d->room) {
        int room = d->room ? 2 * d->room : 32;
        void **more = realloc(d->scratch, (size_t)room * sizeof *more);
        if (!more) {
            gv_device_fail(d, GV_ERR_MEMORY, "no memory to keep account of the device's");
            return NULL;
        }
        d->scratch = more;
        d->room = room;
    }
    void *p = alloc(d, count, size);
    if (p) d->scratch[d->used++] = p;
    return p;
}

void *gv_device_keep(gv_device *d, const void *host, size_t count, size_t size) {
    void *p = alloc(d, count, size);
    if (p && host) gv_device_upload(d, p, host, count * size);
    return p;
}

void *gv_device_hold(gv_device *d, size_t count, size_t size) {
    return gv_device_keep(d, NULL, count, size);
}

void gv_device_drop(gv_device *d, void *memory) {
    if (memory) d->ops->release(d->self, memory);
}

// ---- the queue

void gv_device_upload(gv_device *d, void *to, const void *from, size_t bytes) {
    if (is_idle(d)) check(d, d->ops->upload(d->self, to, from, bytes, &d->failure));
}

void gv_device_upload_ahead(gv_device *d, void *to, const void *from, size_t bytes) {
    if (is_idle(d)) check(d, d->ops->upload_ahead(d->self, to, from, bytes, &d->failure));
}

void gv_device_ahead_wait(gv_device *d) {
    if (is_idle(d)) check(d, d->ops->ahead_wait(d->self, &d->failure));
}

void gv_device_download(gv_device *d, void *to, const void *from, size_t bytes) {
    if (!is_idle(d)) return;
    do_meanwhile(d);
    if (is_well(d)) check(d, d->ops->download(d->self, to, from, bytes, &d->failure));
}

void gv_device_matmul_queue(gv_device *d, const gv_device_matmul *m) {
    if (is_well(d)) check(d, d->ops->matmul(d->self, m, &d->failure));
}

bool gv_device_convolves(gv_device *d, const gv_device_convolution *c) {
    return is_well(d) && d->ops->convolves(d->self, c);
}

void gv_device_convolve(gv_device *d, const gv_device_convolution *c) {
    if (is_well(d)) check(d, d->ops->convolve(d->self, c, &d->failure));
}

void gv_device_launch(gv_device *d, int kernel, const void *arguments) {
    if (is_well(d)) check(d, d->ops->launch(d->self, kernel, arguments, &d->failure));
}

void gv_device_record(gv_device *d) {
    if (!is_idle(d)) return;
    d->recording = d->ops->record(d->self, &d->failure);
    check(d, d->recording);
}

void *gv_device_recorded(gv_device *d) {
    if (!d->recording) return NULL;
    gv_error late = {0};
    void *graph = d->ops->recorded(d->self, is_well(d) ? &d->failure : &late);
    d->recording = false;
    check(d, graph != NULL);
    if (is_well(d)) return graph;
    gv_device_forget(d, graph);
    return NULL;
}

void gv_device_replay(gv_device *d, void *graph) {
    if (is_idle(d)) check(d, graph && d->ops->replay(d->self, graph, &d->failure));
}

void gv_device_forget(gv_device *d, void *graph) {
    if (graph) d->ops->forget(d->self, graph);
}

void gv_device_run_again(gv_device *d, gv_device_again *a, int plain, gv_device_piece *queue, const void *user) {
    if (a->runs < plain) {
        a->runs++;
        queue(user);
        return;
    }
    if (!a->graph) {
        gv_device_record(d);
        queue(user);
        a->graph = gv_device_recorded(d);
    }
    gv_device_replay(d, a->graph);
}

void gv_device_forget_again(gv_device *d, gv_device_again *a) {
    gv_device_forget(d, a->graph);
    *a = (gv_device_again){0};
}

// ---- several devices

gv_status gv_device_group(gv_device *d, char *name, gv_error *err) {
    return d->ops->group(d->self, name, err) ? GV_OK : err->status;
}

gv_status gv_device_join(gv_device *d, const char *name, int count, int index, gv_error *err) {
    return d->ops->join(d->self, name, count, index, err) ? GV_OK : err->status;
}

void gv_device_leave(gv_device *d) {
    d->ops->leave(d->self);
}

void gv_device_mean(gv_device *d, float *x, int64_t n) {
    if (is_idle(d)) check(d, d->ops->mean(d->self, x, n, &d->failure));
}

void gv_device_mean_wait(gv_device *d) {
    if (is_idle(d)) check(d, d->ops->mean_wait(d->self, &d->failure));
}

// ---- batches

gv_status gv_device_batches(int n, int *batch, gv_device_work *work, void *user, gv_error *err) {
    for (int first = 0; first < n;) {
        int count = n - first < *batch ? n - first : *batch;
        gv_status s = work(user, first, count, err);
        if (s == GV_OK)
            first += count;
        else if (s == GV_ERR_MEMORY && count > 1)
            *batch = count / 2;
        else
            return s;
    }
    return GV_OK;
}
