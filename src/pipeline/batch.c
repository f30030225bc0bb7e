#define _GNU_SOURCE // pipe2
#include "pipeline/batch.h"
#include "base/file.h"
#include "base/jail.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "pipeline/batch_list.h"
#include "pipeline/batch_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PATH = 4096 };

typedef struct reply { // of the worker, for one video; also, once, for the models
    int status;
    char reason[sizeof((gv_error *)0)->text];
    double seconds;
    int people;
    long frames;
} reply;

typedef struct worker {
    pid_t pid; // 0: none
    int ask, answer;
} worker;

typedef struct batch {
    const gv_batch_options *opt;
    const char *folder;
    gv_batch_list list;
    gv_batch_record *record; // [list.count]
    char options[65];
    char report[MAX_PATH];
    gv_batch_lock lock;
    worker worker;
} batch;

// ---- the worker: a process of its own, which lives until it falls over

// All of it, or false: the other side is gone, or *stop (may be NULL) was set.
static bool transfer(int fd, void *data, size_t size, bool out, const volatile bool *stop) {
    for (char *p = data; size;) {
        ssize_t n = out ? write(fd, p, size) : read(fd, p, size);
        if (n < 0 && errno == EINTR && !(stop && *stop)) continue;
        if (n <= 0) return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static void work(const batch *b, int ask, int answer) {
    gv_run_options run = b->opt->run;
    run.observe.quiet = true;
    gv_runner *runner = NULL;
    gv_error err = {0};
    reply r = {0};
    if (!run.observe.unconfined) r.status = gv_jail_create(&run.observe.jail, &err);
    if (r.status == GV_OK) r.status = gv_runner_open(&runner, &run, &err);
    memcpy(r.reason, err.text, sizeof r.reason);
    bool fine = transfer(answer, &r, sizeof r, true, NULL) && r.status == GV_OK;
    for (int i; fine && transfer(ask, &i, sizeof i, false, NULL);) {
        const gv_batch_item *item = &b->list.item[i];
        gv_run_result result = {0};
        double start = gv_now();
        r = (reply){0};
        err = (gv_error){0};
        r.status = gv_runner_run(runner, item->video, item->folder, &result, &err);
        memcpy(r.reason, err.text, sizeof r.reason);
        r.seconds = gv_now() - start;
        r.people = result.people;
        r.frames = result.frames;
        gv_run_result_free(&result);
        fine = transfer(answer, &r, sizeof r, true, NULL);
    }
    gv_runner_close(runner);
    gv_jail_destroy(run.observe.jail);
}

static void end_worker(worker *w, bool now) {
    if (!w->pid) return;
    if (now) kill(w->pid, SIGKILL);
    close(w->ask);
    close(w->answer);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *w = (worker){0};
}

static gv_status start_worker(batch *b, gv_error *err) {
    int ask[2], answer[2];
    if (pipe2(ask, O_CLOEXEC) != 0) return gv_fail(err, GV_ERR_IO, "no pipe to a second process: %s", strerror(errno));
    if (pipe2(answer, O_CLOEXEC) != 0) {
        gv_fail(err, GV_ERR_IO, "no pipe to a second process: %s", strerror(errno));
        close(ask[0]);
        close(ask[1]);
        return GV_ERR_IO;
    }
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // two at work on one folder would be worse than none
        if (getppid() != parent) _exit(1);
        gv_batch_unlock(&b->lock); // the folder is free as soon as the first process is gone
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        close(ask[1]);
        close(answer[0]);
        work(b, ask[0], answer[1]);
        _exit(0);
    }
    close(ask[0]);
    close(answer[1]);
    if (pid < 0) {
        close(ask[1]);
        close(answer[0]);
        return gv_fail(err, GV_ERR_IO, "no second process: %s", strerror(errno));
    }
    b->worker = (worker){pid, ask[1], answer[0]};
    reply r;
    bool answered = transfer(answer[0], &r, sizeof r, false, b->opt->stop);
    if (answered && r.status == GV_OK) return GV_OK;
    end_worker(&b->worker, true);
    return answered ? gv_fail(err, r.status, "%s", r.reason)
                    : gv_fail(err, GV_ERR_INTERNAL, "the process that loads the models ended");
}

// Why a worker ended that should not have.
static void epitaph(worker *w, char *reason, size_t size) {
    int status = 0;
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status))
        snprintf(reason, size, "the process that worked on it was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(reason, size, "the process that worked on it ended with status %d", WEXITSTATUS(status));
    close(w->ask);
    close(w->answer);
    *w = (worker){0};
}

// ---- the batch

static bool stopped(const batch *b) {
    return b->opt->stop && *b->opt->stop;
}

static bool mine(const batch *b, int i) {
    return b->opt->shards < 2 || i % b->opt->shards == b->opt->shard - 1;
}

// A lost video's fingerprint is empty: it fails anew each time, and quickly.
static void look_up(batch *b, int i) {
    char fingerprint[65] = "";
    gv_error ignored = {0};
    if (gv_file_fingerprint(fingerprint, b->list.item[i].video, &ignored) != GV_OK) fingerprint[0] = 0;
    b->record[i] = gv_batch_record_read(&b->list.item[i], fingerprint, b->options);
}

static gv_status process(batch *b, int i, gv_error *err) {
    const gv_batch_item *item = &b->list.item[i];
    gv_batch_record *r = &b->record[i];
    gv_status status = b->worker.pid ? GV_OK : start_worker(b, err);
    if (status == GV_OK) status = gv_folder_prepare(item->folder, err);
    if (status != GV_OK) return status;
    gv_batch_clean(item->folder);
    reply answer = {0};
    bool answered = transfer(b->worker.ask, &i, sizeof i, true, NULL) &&
                    transfer(b->worker.answer, &answer, sizeof answer, false, b->opt->stop);
    if (stopped(b)) { // as if it had not been begun
        end_worker(&b->worker, true);
        gv_batch_clean(item->folder);
        return GV_OK;
    }
    r->state = answered && answer.status == GV_OK ? GV_BATCH_DONE : GV_BATCH_FAILED;
    r->seconds = answer.seconds;
    r->people = answer.people;
    r->frames = answer.frames;
    snprintf(r->reason, sizeof r->reason, "%.500s", answer.reason);
    if (!answered) epitaph(&b->worker, r->reason, sizeof r->reason);
    gv_batch_clean(item->folder);
    if (r->state == GV_BATCH_FAILED && b->opt->failed) b->opt->failed(item->video, r->reason, b->opt->user);
    return gv_batch_record_write(item, r, err);
}

static gv_status process_all(batch *b, gv_error *err) {
    gv_progress progress;
    gv_status status = GV_OK;
    gv_progress_begin(&progress, "batch", b->list.count, b->opt->quiet, NULL);
    for (int i = 0; i < b->list.count && status == GV_OK && !stopped(b); i++) {
        gv_progress_set(&progress, i);
        bool open = b->record[i].state == GV_BATCH_OPEN || (b->opt->retry && b->record[i].state == GV_BATCH_FAILED);
        if (mine(b, i) && open) status = process(b, i, err);
    }
    gv_progress_end(&progress);
    end_worker(&b->worker, false);
    return status;
}

// What an earlier batch left half-written there; of a shard, only what this one writes.
static gv_status lock(batch *b, bool *busy, gv_error *err) {
    const gv_batch_options *o = b->opt;
    bool part = o->shards > 1;
    char name[64] = "report.json";
    if (part) snprintf(name, sizeof name, "report-%d-of-%d.json", o->shard, o->shards);
    snprintf(b->report, sizeof b->report, "%s/%s", b->folder, name);
    if (o->report_only) return GV_OK;
    gv_status status = gv_batch_lock_take(&b->lock, b->folder, o->shard, o->shards, busy, err);
    if (status == GV_OK) gv_folder_clean(b->folder, part ? name : NULL);
    return status;
}

static gv_status check(const gv_batch_options *o, const char *folder, gv_error *err) {
    if (strlen(folder) > MAX_PATH - 512) return gv_fail(err, GV_ERR_ARGUMENT, "%.60s...: too long a name", folder);
    if (o->shards != 0 && (o->shard < 1 || o->shard > o->shards))
        return gv_fail(err, GV_ERR_ARGUMENT, "shard %d of %d: expected 1 to %d", o->shard, o->shards, o->shards);
    return GV_OK;
}

gv_status gv_batch_run(gv_batch_summary *out, const char *list, const char *folder, const gv_batch_options *opt,
                       gv_error *err) {
    *out = (gv_batch_summary){0};
    batch b = {.opt = opt, .folder = folder, .lock = GV_BATCH_UNLOCKED};
    gv_sha256 sum;
    gv_sha256_begin(&sum);
    gv_sha256_add(&sum, opt->options_text, strlen(opt->options_text));
    gv_sha256_hex(&sum, b.options);
    gv_status status = check(opt, folder, err);
    if (status == GV_OK) status = gv_batch_list_read(&b.list, list, folder, err);
    if (status == GV_OK) status = gv_folder_prepare(folder, err);
    if (status == GV_OK) status = lock(&b, &out->busy, err);
    if (status == GV_OK && !(b.record = gv_calloc2((size_t)b.list.count, sizeof *b.record)))
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d videos", list, b.list.count);
    for (int i = 0; status == GV_OK && i < b.list.count; i++) look_up(&b, i);
    if (status == GV_OK && !opt->report_only) status = process_all(&b, err);
    if (status == GV_OK) status = gv_batch_report(b.report, &b.list, b.record, err);
    for (int i = 0; b.record && i < b.list.count; i++) {
        out->videos++;
        out->done += b.record[i].state == GV_BATCH_DONE;
        out->failed += b.record[i].state == GV_BATCH_FAILED;
        out->open += b.record[i].state == GV_BATCH_OPEN;
    }
    gv_batch_unlock(&b.lock);
    free(b.record);
    gv_batch_list_free(&b.list);
    return status;
}
