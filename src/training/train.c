// train.c - the loop and its files.
#include "training/train.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "formats/tensors.h"
#include "training/losses.h"
#include "training/optimiser.h"
#include "training/ranks.h"
#include "training/validate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const gv_train_options gv_train_defaults = {.width = 256,
                                            .layers = 6,
                                            .heads = 8,
                                            .batch = 32,
                                            .frames = 120,
                                            .surface = 96,
                                            .dropout = 0.1,
                                            .gate = 0,
                                            .steps = 20000,
                                            .lr = 4e-4,
                                            .warmup = 300,
                                            .decay = 0.25,
                                            .weight_decay = 0.01,
                                            .clip = 0.5,
                                            .average = 0.998,
                                            .save_every = 250,
                                            .validate_every = 500,
                                            .log_every = 25,
                                            .validation_batches = 6,
                                            .seed = 42,
                                            .sample = GV_SAMPLE_DEFAULTS,
                                            .rope = 1,
                                            .window = 1,
                                            .gravity_view = 1,
                                            .bf16 = 1,
                                            .weight = {1, 500, 1, 500, 1000, 1000, 1, 1}};

typedef struct header { // of checkpoint.gvt, followed by four arrays of `parameters` floats
    char magic[16];
    uint32_t version, width, layers, heads;
    uint64_t parameters, seed;
    int64_t step;
    double seconds;
    uint64_t ablation; // bits: no rotary embedding, no Gravity-View orientation
    uint64_t reserved[3];
} header;

static const char MAGIC[16] = "gvhmr training\n";

typedef struct trainer {
    const gv_train_options *o;
    gv_ranks *ranks; // NULL: alone
    bool joined;     // the ranks' devices are: gradients are averaged there
    int rows;        // of the batch that this rank computes
    gv_net *net;
    gv_batch *batch, *check;
    gv_sampler sampler, held_out;
    gv_engine *engine;          // the network's
    float *m, *v, *mean, *live; // [parameters], the engine's memory
    float *host;                // [parameters] the program's, where the engine's is not
    double *squares;            // of the optimiser
    gv_losses *losses;
    long step;
    double seconds; // of training so far, all runs
    char checkpoint[1024], model[1024], log[1024];
    FILE *log_file;
} trainer;

static uint64_t ablation_of(const gv_train_options *o) {
    return (uint64_t)!o->rope + 2 * (uint64_t)!o->gravity_view;
}

// What the engine has, in the program's memory until the next such call.
static float *on_host(const trainer *t, float *block) {
    if (!t->engine->device) return block;
    gv_engine_get(t->engine, t->host, block, t->net->parameters);
    return t->host;
}

static bool write_block(const trainer *t, FILE *f, float *block) {
    size_t n = (size_t)t->net->parameters;
    return fwrite(on_host(t, block), sizeof(float), n, f) == n;
}

static bool read_block(trainer *t, FILE *f, float *block) {
    size_t n = (size_t)t->net->parameters;
    float *to = t->engine->device ? t->host : block;
    if (fread(to, sizeof(float), n, f) != n) return false;
    gv_engine_put(t->engine, block, to, (int64_t)n);
    return true;
}

static gv_status save_checkpoint(const trainer *t, gv_error *err) {
    size_t n = (size_t)t->net->parameters;
    header h = {.version = 1,
                .width = (uint32_t)t->o->width,
                .layers = (uint32_t)t->o->layers,
                .heads = (uint32_t)t->o->heads,
                .parameters = n,
                .seed = t->o->seed,
                .step = t->step,
                .ablation = ablation_of(t->o),
                .seconds = t->seconds};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    gv_outfile out = {0};
    gv_status s = gv_outfile_begin(&out, t->checkpoint, err);
    if (s) return s;
    FILE *f = fopen(out.temporary, "wb");
    int ok = f && fwrite(&h, sizeof h, 1, f) == 1 && write_block(t, f, t->net->params) && write_block(t, f, t->m) &&
             write_block(t, f, t->v) && write_block(t, f, t->mean);
    if (f && fclose(f)) ok = 0;
    s = gv_engine_finish(t->engine, err);
    if (ok && !s) return gv_outfile_commit(&out, err);
    gv_outfile_abandon(&out);
    return s ? s : gv_fail(err, GV_ERR_IO, "%s: cannot be written", t->checkpoint);
}

static gv_status load_checkpoint(trainer *t, gv_error *err) {
    FILE *f = fopen(t->checkpoint, "rb");
    if (!f) return errno == ENOENT ? GV_OK : gv_fail(err, GV_ERR_IO, "%s: cannot be read", t->checkpoint);
    header h;
    size_t n = (size_t)t->net->parameters;
    gv_status s = GV_OK;
    if (fread(&h, sizeof h, 1, f) != 1 || memcmp(h.magic, MAGIC, sizeof MAGIC) || h.version != 1)
        s = gv_fail(err, GV_ERR_FORMAT, "%s: not a training checkpoint", t->checkpoint);
    else if (h.width != (uint32_t)t->o->width || h.layers != (uint32_t)t->o->layers ||
             h.heads != (uint32_t)t->o->heads || h.parameters != n)
        s = gv_fail(err, GV_ERR_ARGUMENT, "%s: width %u, %u layers, %u heads; asked for %d, %d, %d", t->checkpoint,
                    h.width, h.layers, h.heads, t->o->width, t->o->layers, t->o->heads);
    else if (h.seed != t->o->seed)
        s = gv_fail(err, GV_ERR_ARGUMENT, "%s: seed %llu, asked for %llu", t->checkpoint, (unsigned long long)h.seed,
                    (unsigned long long)t->o->seed);
    else if (h.ablation != ablation_of(t->o))
        s = gv_fail(err, GV_ERR_ARGUMENT, "%s: was trained with another --rope or --gravity-view", t->checkpoint);
    else if (!read_block(t, f, t->net->params) || !read_block(t, f, t->m) || !read_block(t, f, t->v) ||
             !read_block(t, f, t->mean) || h.step < 0)
        s = gv_fail(err, GV_ERR_FORMAT, "%s: ends too early", t->checkpoint);
    else {
        t->step = h.step;
        t->seconds = h.seconds;
    }
    fclose(f);
    return s;
}

static gv_status save_model(const trainer *t, gv_error *err) {
    gv_net *n = t->net;
    gv_tensor_view *views = gv_calloc2((size_t)n->tensors, sizeof *views);
    if (!views) return gv_fail(err, GV_ERR_MEMORY, "no memory for the table of weights");
    const float *mean = on_host(t, t->mean);
    for (int i = 0; i < n->tensors; i++) {
        views[i] = (gv_tensor_view){.name = n->table[i].name, .data = mean + n->offset[i], .ndim = n->table[i].ndim};
        for (int k = 0; k < n->table[i].ndim; k++) views[i].shape[k] = n->table[i].shape[k];
    }
    char heads[16], steps[24], sequences[24];
    snprintf(heads, sizeof heads, "%d", t->o->heads);
    snprintf(steps, sizeof steps, "%ld", t->step);
    snprintf(sequences, sizeof sequences, "%ld", t->step * t->o->batch);
    const char *meta[17] = {"num_heads",          heads,     "training_steps", steps,
                            "training_sequences", sequences, "note",           t->o->note ? t->o->note : ""};
    int m = 8;
    if (t->o->points) meta[m++] = "features", meta[m++] = "kp3d";
    if (!t->o->rope) meta[m++] = "position", meta[m++] = "absolute";
    if (!t->o->window) meta[m++] = "window", meta[m++] = "none";
    if (!t->o->gravity_view) meta[m++] = "orientation", meta[m++] = "chained";
    gv_status s = gv_engine_finish(t->engine, err);
    if (!s) s = gv_safetensors_write(t->model, views, n->tensors, GV_F32, meta, err);
    free(views);
    return s;
}

static double rate(const gv_train_options *o, long step) {
    double up = fmin(1, (double)(step + 1) / fmax(1, o->warmup)), from = (double)o->steps * (1 - o->decay);
    double u = (double)step > from ? ((double)step - from) / fmax(1, (double)o->steps - from) : 0;
    return o->lr * up * (0.02 + 0.98 * (0.5 + 0.5 * cos(3.14159265358979 * fmin(1, u))));
}

static void write_log(const trainer *t, const gv_train_progress *p) {
    fprintf(t->log_file,
            "{\"step\":%ld,\"seconds\":%.1f,\"lr\":%.4g,\"grad_norm\":%.5g,\"sequences_per_second\":%.2f,\"loss\":%.6g",
            p->step, p->seconds, p->lr, p->norm, p->sequences_per_second, p->loss.total);
    for (int i = 0; i < GV_LOSS_TERMS; i++) fprintf(t->log_file, ",\"%s\":%.6g", gv_loss_names[i], p->loss.term[i]);
    const gv_validation *v = p->validation;
    if (v)
        fprintf(t->log_file,
                ",\"validation\":{\"loss\":%.6g,\"mpjpe_mm\":%.2f,\"pa_mpjpe_mm\":%.2f,\"wa_mpjpe_mm\":%.2f,\"gravity_"
                "deg\":%.3f,"
                "\"velocity_mm_per_frame\":%.3f,\"static_accuracy\":%.4f}",
                v->loss, v->mpjpe_mm, v->pa_mpjpe_mm, v->wa_mpjpe_mm, v->gravity_deg, v->velocity_mm,
                v->still_accuracy);
    fprintf(t->log_file, "}\n");
    fflush(t->log_file);
}

static bool all_well(trainer *t, gv_status s) {
    double failed = s != GV_OK;
    gv_ranks_sum_now(t->ranks, &failed, 1);
    return failed == 0;
}

// Where one rank's device cannot, none does, and gradients go through the program's memory.
static void join_devices(trainer *t, const gv_train_hooks *hooks) {
    char name[GV_DEVICE_GROUP] = {0}, text[sizeof(gv_error) + 64];
    gv_error why = {0};
    gv_status s = gv_device_group(t->engine->device, name, &why);
    if (all_well(t, s)) {
        gv_ranks_share(t->ranks, name, sizeof name);
        s = gv_device_join(t->engine->device, name, gv_ranks_count(t->ranks), gv_ranks_index(t->ranks), &why);
        t->joined = all_well(t, s);
        if (!t->joined) gv_device_leave(t->engine->device);
    }
    if (t->joined || gv_ranks_index(t->ranks) > 0 || !hooks || !hooks->note) return;
    snprintf(text, sizeof text, "gradients are averaged in the program's memory: %s",
             s ? why.text : "another rank's device cannot be joined");
    hooks->note(hooks->user, text);
}

static void send_gradients(void *user, int64_t first, int64_t count) {
    trainer *t = user;
    float *grads = t->net->grads + first;
    if (t->joined) {
        gv_device_mean(t->engine->device, grads, count);
        return;
    }
    if (t->engine->device) {
        gv_engine_get(t->engine, t->host + first, grads, count);
        grads = t->host + first;
    }
    gv_ranks_sum(t->ranks, grads, count);
}

static void receive_gradients(trainer *t) {
    if (t->joined) {
        gv_device_mean_wait(t->engine->device);
        return;
    }
    float share = 1.0f / (float)gv_ranks_count(t->ranks), *grads = t->engine->device ? t->host : t->net->grads;
    gv_ranks_wait(t->ranks);
    for (int64_t i = 0; i < t->net->parameters; i++) grads[i] *= share;
    if (t->engine->device) gv_engine_put(t->engine, t->net->grads, grads, t->net->parameters);
}

// Losses averaged over the ranks; returns whether any of them wants to stop.
static int agree(trainer *t, gv_loss *loss, int stop) {
    double x[GV_LOSS_TERMS + 2], share = 1.0 / gv_ranks_count(t->ranks);
    memcpy(x, loss->term, sizeof loss->term);
    x[GV_LOSS_TERMS] = loss->total;
    x[GV_LOSS_TERMS + 1] = stop;
    gv_ranks_sum_now(t->ranks, x, GV_LOSS_TERMS + 2);
    for (int i = 0; i < GV_LOSS_TERMS; i++) loss->term[i] = x[i] * share;
    loss->total = x[GV_LOSS_TERMS] * share;
    return x[GV_LOSS_TERMS + 1] > 0;
}

static gv_status train_step(trainer *t, gv_loss *loss, double *norm, gv_error *err) {
    const gv_train_options *o = t->o;
    gv_net *n = t->net;
    gv_batch *b = t->batch;
    gv_real weight[GV_LOSS_TERMS];
    for (int i = 0; i < GV_LOSS_TERMS; i++) weight[i] = (gv_real)o->weight[i];
    if (!gv_batch_fill(b, &t->sampler, o->seed, (uint64_t)t->step))
        return gv_fail(err, GV_ERR_MEMORY, "step %ld: no memory for its sequences; the last checkpoint is kept",
                       t->step);
    gv_net_input in = gv_batch_input(b);
    gv_net_forward(n, &in, 1, gv_mix64(o->seed * 0x9e3779b97f4a7c15ull + (uint64_t)t->step) + (uint64_t)b->first);
    gv_losses_run(t->losses, n, &b->y, weight);
    gv_engine_clear(t->engine, n->grads, n->parameters);
    gv_net_backward(n, t->losses->dx, t->losses->dcam, t->losses->dlogits);
    if (t->ranks) receive_gradients(t);
    gv_adamw a = {rate(o, t->step), 0.9, 0.999, 1e-8, o->weight_decay, o->clip, o->average};
    gv_adamw_step(t->engine, &a, t->step + 1, n->params, n->grads, t->m, t->v, t->mean, n->parameters, t->squares);
    t->step++;
    gv_losses_get(t->losses, loss);
    *norm = gv_adamw_norm(t->engine, t->squares);
    return gv_engine_finish(t->engine, err);
}

// With the averaged weights, on the same held-out sequences every time.
static gv_status validate(trainer *t, gv_validation *v, gv_error *err) {
    int64_t n = t->net->parameters;
    gv_engine_copy(t->engine, t->live, t->net->params, n);
    gv_engine_copy(t->engine, t->net->params, t->mean, n);
    gv_status s = gv_validate(v, t->net, t->check, &t->held_out, t->o->validation_batches, t->losses, err);
    gv_engine_copy(t->engine, t->net->params, t->live, n);
    gv_status device = gv_engine_finish(t->engine, s ? NULL : err);
    return s ? s : device;
}

static void average(gv_loss *sum, const gv_loss *l, double share) {
    sum->total += l->total * share;
    for (int i = 0; i < GV_LOSS_TERMS; i++) sum->term[i] += l->term[i] * share;
}

static gv_status loop(trainer *t, const gv_train_hooks *hooks, gv_error *err) {
    const gv_train_options *o = t->o;
    double begun = gv_now(), window = begun, before = t->seconds;
    gv_loss sum = {0};
    long counted = 0;
    gv_status s = GV_OK;
    while (t->step < o->steps && !s) {
        double norm = 0;
        gv_loss loss = {0};
        if ((s = train_step(t, &loss, &norm, err))) break;
        if (!isfinite(loss.total) || !isfinite(norm))
            return gv_fail(err, GV_ERR_INTERNAL,
                           "step %ld: the loss is %g and the gradient %g; the last checkpoint is kept", t->step,
                           loss.total, norm);
        int stop = hooks && hooks->stop && *hooks->stop;
        if (t->ranks) stop = agree(t, &loss, stop);
        average(&sum, &loss, 1);
        counted++;
        int last = stop || t->step == o->steps;
        gv_validation v, *checked = NULL;
        double now = gv_now();
        t->seconds = before + now - begun;
        double speed = (double)counted * o->batch / (now - window);
        if (gv_ranks_index(t->ranks) > 0) { // the first one writes
            if (stop) break;
            continue;
        }
        if (t->held_out.count && (t->step % o->validate_every == 0 || (last && !stop)))
            s = validate(t, &v, err), checked = s ? NULL : &v;
        if (s) break;
        if (t->step % o->save_every == 0 || last)
            // the model first: what is checkpointed is not written again
            if (!(s = save_model(t, err))) s = save_checkpoint(t, err);
        if (t->step % o->log_every == 0 || last || checked) {
            gv_loss mean = {0};
            average(&mean, &sum, 1.0 / (double)counted);
            gv_train_progress p = {t->step, o->steps, mean, rate(o, t->step - 1), norm, speed, t->seconds, checked};
            write_log(t, &p);
            if (hooks && hooks->progress) hooks->progress(hooks->user, &p);
            sum = (gv_loss){0};
            counted = 0;
            window = gv_now();
        }
        if (stop) break;
    }
    return s;
}

// Parameters from a model file; what it lacks (an embedder that is new) stays as initialised.
static gv_status start_from(gv_net *n, const char *path, gv_error *err) {
    gv_tensors *file = NULL;
    gv_status s = gv_tensors_open(&file, path, err);
    for (int i = 0; i < n->tensors && !s; i++) {
        const gv_weight_spec *w = &n->table[i];
        if (!gv_tensors_find(file, w->name) && strstr(w->name, "imgseq_embedder")) continue;
        float *x = gv_tensors_read_f32(file, w->name, w->shape, w->ndim, err);
        if (!x) {
            s = err->status;
            break;
        }
        int64_t end = i + 1 < n->tensors ? n->offset[i + 1] : n->parameters;
        gv_engine_put(&n->engine, n->params + n->offset[i], x, end - n->offset[i]);
        free(x);
    }
    gv_tensors_close(file);
    return s;
}

static gv_status prepare(trainer *t, const gv_store *store, const gv_rig *rig, gv_error *err) {
    const gv_train_options *o = t->o;
    gv_net_config c = {o->width, o->layers, o->heads, o->points, (gv_real)o->dropout, !o->rope, o->bf16, o->device};
    gv_sample_options train = o->sample, held = o->sample;
    train.chained = held.chained = !o->gravity_view;
    train.leave_out = o->leave_out;
    held.leave_out = NULL;
    held.only = o->leave_out;
    held.plain = true;
    held.recombine = held.perturb = held.bend = held.lay = 0;
    gv_status s = gv_sampler_init(&t->sampler, store, rig, &train, err);
    if (!s && o->leave_out) s = gv_sampler_init(&t->held_out, store, rig, &held, err);
    if (s) return s;
    int ranks = gv_ranks_count(t->ranks);
    if (o->batch % ranks)
        return gv_fail(err, GV_ERR_ARGUMENT, "a batch of %d cannot be shared among %d ranks", o->batch, ranks);
    t->rows = o->batch / ranks;
    t->net = gv_net_create(&c, t->rows, o->frames);
    t->check = gv_batch_create(t->rows, o->frames, rig->surface.count);
    if (t->net && t->ranks) {
        t->net->ready = send_gradients;
        t->net->user = t;
    }
    size_t n = t->net ? (size_t)t->net->parameters : 0;
    t->engine = t->net ? &t->net->engine : NULL;
    if (t->net) t->batch = gv_batch_create_on(t->engine, t->rows, o->frames, rig->surface.count);
    float **blocks[] = {&t->m, &t->v, &t->mean, &t->live};
    int ok = t->net && t->batch && t->check;
    if (ok) t->batch->first = t->rows * gv_ranks_index(t->ranks);
    if (ok && o->device) ok = gv_sampler_put(&t->sampler, o->device);
    for (int i = 0; i < 4 && ok; i++) ok = (*blocks[i] = gv_engine_alloc(t->engine, (int64_t)n, sizeof(float))) != NULL;
    if (ok) ok = (t->squares = gv_engine_alloc(t->engine, GV_ADAMW_SQUARES, sizeof(double))) != NULL;
    if (ok && o->device) ok = (t->host = gv_calloc2(n, sizeof(float))) != NULL;
    if (ok) ok = (t->losses = gv_losses_create(t->engine, rig, t->rows, o->frames)) != NULL;
    if (!ok && o->device && (s = gv_device_finish(o->device, err)) && s != GV_ERR_MEMORY) return s;
    if (!ok) return gv_fail(err, GV_ERR_MEMORY, "no memory to train batches of %d", o->batch);
    gv_net_initialise(t->net, o->seed, (gv_real)o->gate);
    if (o->init && (s = start_from(t->net, o->init, err))) return s;
    gv_engine_copy(t->engine, t->mean, t->net->params, (int64_t)n);
    if (mkdir(o->out, 0777) && errno != EEXIST) return gv_fail(err, GV_ERR_IO, "%s: the folder cannot be made", o->out);
    snprintf(t->checkpoint, sizeof t->checkpoint, "%s/checkpoint.gvt", o->out);
    snprintf(t->model, sizeof t->model, "%s/model.safetensors", o->out);
    snprintf(t->log, sizeof t->log, "%s/log.jsonl", o->out);
    if (gv_ranks_index(t->ranks) == 0 && !(t->log_file = fopen(t->log, "a")))
        return gv_fail(err, GV_ERR_IO, "%s: cannot be written", t->log);
    s = load_checkpoint(t, err);
    gv_status device = gv_engine_finish(t->engine, s ? NULL : err);
    return s ? s : device;
}

static gv_status check_options(const gv_train_options *o, const gv_rig *rig, gv_error *err) {
    if (o->width < 8 || o->width > 4096 || o->heads < 1 || o->width % o->heads || (o->width / o->heads) % 2)
        return gv_fail(err, GV_ERR_ARGUMENT, "width %d does not split into %d heads of even size", o->width, o->heads);
    if (o->layers < 1 || o->layers > 64 || o->batch < 1 || o->batch > 4096 || o->frames < 2 || o->frames > 120)
        return gv_fail(err, GV_ERR_ARGUMENT, "layers 1 to 64, batch 1 to 4096 and frames 2 to 120 are possible");
    if (rig->coco.count != GV_COCO || rig->surface.count > 512)
        return gv_fail(err, GV_ERR_ARGUMENT, "the body must have 17 keypoints and at most 512 surface points");
    if (o->dropout < 0 || o->dropout >= 1)
        return gv_fail(err, GV_ERR_ARGUMENT, "dropout %g, expected 0 to below 1", o->dropout);
    return GV_OK;
}

gv_status gv_train_run(const gv_train_options *o, const gv_store *store, const gv_rig *rig, const gv_train_hooks *hooks,
                       gv_error *err) {
    gv_status s = check_options(o, rig, err);
    if (s) return s;
    trainer t = {.o = o};
    if ((s = gv_ranks_begin(&t.ranks, err))) return s;
    s = prepare(&t, store, rig, err);
    if (!s && t.ranks && o->device) join_devices(&t, hooks);
    if (!s) s = loop(&t, hooks, err);
    if (t.log_file) fclose(t.log_file);
    void *placed[] = {t.m, t.v, t.mean, t.live, t.squares};
    for (size_t i = 0; i < sizeof placed / sizeof *placed; i++)
        if (placed[i]) gv_engine_free(t.engine, placed[i]);
    gv_losses_destroy(t.losses);
    gv_batch_destroy(t.batch);
    gv_sampler_free(&t.sampler);
    gv_net_destroy(t.net);
    if (o->device) gv_device_finish(o->device, NULL); // a failure that was not asked for is not the next caller's
    if (t.joined) gv_device_leave(o->device);
    gv_batch_destroy(t.check);
    gv_sampler_free(&t.held_out);
    free(t.host);
    gv_ranks_end(t.ranks, s == GV_OK);
    return s;
}
