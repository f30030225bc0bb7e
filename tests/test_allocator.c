// The library's memory from somebody else's functions: all of it comes back, and where it ends that is an error.
//
//     test_allocator [STEP]     every STEP-th (default: 200th) call of a run fails, it alone
#include "gvhmr.h"
#include "clip.h"
#include "folder.h"

#include <execinfo.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Every piece begins with a mark and the bytes that were asked for, so that a pointer of somebody else's is noticed.
typedef struct piece {
    uint64_t mark, bytes;
} piece;
static const uint64_t ours = 0x9e3779b97f4a7c15u, gone = 0xbadbadbadbadbad1u;

typedef struct heap {
    atomic_long calls, pieces, bytes, most, foreign;
    long fail_at; // from this call on there is none; 0: there always is
    bool once;    // but after it there is
    void *who[8]; // called the one that failed
} heap;

static bool has_none(heap *h) {
    long n = atomic_fetch_add(&h->calls, 1) + 1;
    if (h->once && n == h->fail_at) backtrace(h->who, 8);
    return h->fail_at && (h->once ? n == h->fail_at : n >= h->fail_at);
}

static piece *own(heap *h, void *p) {
    piece *q = (piece *)p - 1;
    if (q->mark != ours) atomic_fetch_add(&h->foreign, 1);
    return q;
}

static void *given(heap *h, piece *q, size_t bytes) {
    if (!q) return NULL;
    *q = (piece){ours, bytes};
    long now = atomic_fetch_add(&h->bytes, (long)bytes) + (long)bytes, most = atomic_load(&h->most);
    while (now > most && !atomic_compare_exchange_weak(&h->most, &most, now)) continue;
    atomic_fetch_add(&h->pieces, 1);
    return q + 1;
}

static void *heap_malloc(void *user, size_t bytes) {
    return has_none(user) ? NULL : given(user, malloc(bytes + sizeof(piece)), bytes);
}

static void *heap_realloc(void *user, void *p, size_t bytes) {
    heap *h = user;
    piece *q = own(h, p);
    long before = (long)q->bytes;
    if (has_none(h) || q->mark != ours || !(q = realloc(q, bytes + sizeof(piece)))) return NULL;
    atomic_fetch_sub(&h->pieces, 1);
    atomic_fetch_sub(&h->bytes, before);
    return given(h, q, bytes);
}

static void heap_free(void *user, void *p) {
    heap *h = user;
    piece *q = own(h, p);
    if (q->mark != ours) return;
    atomic_fetch_sub(&h->pieces, 1);
    atomic_fetch_sub(&h->bytes, (long)q->bytes);
    q->mark = gone;
    free(q);
}

static void take_from(heap *h) {
    const gvhmr_allocator a = {heap_malloc, heap_realloc, heap_free, h};
    assert_int_equal(gvhmr_set_allocator(h ? &a : NULL), GVHMR_OK);
}

static void nothing_is_left(heap *h) {
    if (h->pieces || h->bytes || h->foreign)
        fail_msg("%ld pieces of %ld bytes left, %ld pointers of somebody else's", h->pieces, h->bytes, h->foreign);
}

static gvhmr *quick(void) {
    gvhmr *g = gvhmr_create();
    if (!g) return NULL;
    bool good = gvhmr_set(g, "landmarks", "lite") == GVHMR_OK && gvhmr_set(g, "people", "1") == GVHMR_OK &&
                gvhmr_set(g, "no-video", "yes") == GVHMR_OK;
    if (good) return g;
    gvhmr_destroy(g);
    return NULL;
}

static void make_video(void) {
    make_part_of_clip(in_dir("clip.mp4"), 12, 192, 144, 384, 288); // the middle of the picture, where somebody walks
}

// What the results hold, to be compared.
static double sum_of(const gvhmr_result *r) {
    gvhmr_array a;
    assert_int_equal(gvhmr_result_array(r, 0, "joints_world", &a), GVHMR_OK);
    double sum = 0;
    for (int64_t i = 0; i < a.shape[0] * 66; i++) sum += (double)(i % 97) * (double)((const float *)a.data)[i];
    return sum;
}

static double whole_run(const char *folder) {
    gvhmr_result *r = NULL, *again = NULL;
    gvhmr *g = quick();
    assert_non_null(g);
    if (gvhmr_run(g, in_dir("clip.mp4"), in_dir(folder), &r) != GVHMR_OK) fail_msg("%s", gvhmr_error(g));
    if (gvhmr_open(g, in_dir(folder), &again) != GVHMR_OK) fail_msg("%s", gvhmr_error(g));
    double sum = sum_of(r);
    assert_true(sum_of(again) == sum);
    gvhmr_destroy(g);
    assert_int_equal(gvhmr_set_allocator(NULL), GVHMR_ERR_ARGUMENT); // there are results yet
    gvhmr_result_free(again);
    gvhmr_result_free(r);
    return sum;
}

static void all_of_it_comes_back(void **state) {
    (void)state;
    heap h = {0};
    make_video();
    double plain = whole_run("plain");
    take_from(&h); // nothing of the library's was left without a hook either
    double hooked = whole_run("hooked");
    assert_true(plain == hooked);
    printf("%ld calls, %ld bytes at most\n", h.calls, h.most);
    assert_true(h.calls > 1000 && h.most > 1 << 20);
    nothing_is_left(&h);
    take_from(NULL);
    long calls = h.calls;
    gvhmr_destroy(quick());
    assert_int_equal(h.calls, calls); // no longer asked
}

static void half_an_allocator_is_none(void **state) {
    (void)state;
    heap h = {0};
    const gvhmr_allocator a[] = {
        {NULL, heap_realloc, heap_free, &h}, {heap_malloc, NULL, heap_free, &h}, {heap_malloc, heap_realloc, NULL, &h}};
    for (int i = 0; i < 3; i++) assert_int_equal(gvhmr_set_allocator(&a[i]), GVHMR_ERR_ARGUMENT);
    gvhmr *g = gvhmr_create();
    const gvhmr_allocator good = {heap_malloc, heap_realloc, heap_free, &h};
    assert_int_equal(gvhmr_set_allocator(&good), GVHMR_ERR_ARGUMENT); // a handle
    gvhmr_destroy(g);
    assert_int_equal(h.calls, 0);
}

// From the n-th call on there is no memory: a message and GVHMR_ERR_MEMORY, or what had to be done needed no more of
// it.
// *sum: of what came out all the same.
static gvhmr_status fail_from(heap *h, long n, bool once, bool run, double *sum) {
    *h = (heap){.fail_at = n, .once = once};
    take_from(h);
    gvhmr_result *r = NULL;
    gvhmr *g = quick();
    gvhmr_status status = GVHMR_ERR_MEMORY;
    if (g) {
        status = run ? gvhmr_run(g, in_dir("clip.mp4"), NULL, &r) : gvhmr_open(g, in_dir("plain"), &r);
        if (status != GVHMR_OK && (status != GVHMR_ERR_MEMORY || r || !*gvhmr_error(g)))
            fail_msg("call %ld: status %d, %s", n, status, gvhmr_error(g));
    }
    if (status == GVHMR_OK) *sum = sum_of(r);
    gvhmr_result_free(r);
    gvhmr_destroy(g);
    nothing_is_left(h);
    take_from(NULL);
    return status;
}

static void the_end_of_memory_is_an_error(void **state) {
    (void)state;
    heap h;
    int failed = 0;
    double sum;
    make_video();
    if (access(in_dir("plain"), R_OK) != 0) whole_run("plain");
    for (long n = 1; fail_from(&h, n, false, false, &sum) != GVHMR_OK; n += 1 + n / 20) failed++;
    assert_true(failed > 20);
    assert_int_equal(fail_from(&h, 0, false, true, &sum), GVHMR_OK);
    long all = h.calls;
    for (int k = 1; k <= 12; k++)
        assert_int_equal(fail_from(&h, 1 + all * (2 * k - 1) / 30, false, true, &sum), GVHMR_ERR_MEMORY);
    printf("of %ld calls: no memory from the 1st to the %ldth\n", all, h.fail_at);
}

static long step = 200;

// One call that fails is an error, or the result is the one that would have been: nothing is left out in silence.
static void no_other_result(void **state) {
    (void)state;
    heap h;
    int survived = 0, other = 0;
    double right, sum;
    make_video();
    assert_int_equal(fail_from(&h, 0, false, true, &right), GVHMR_OK);
    long all = h.calls;
    for (long n = 1 + step / 2; n <= all; n += step) {
        if (fail_from(&h, n, true, true, &sum) != GVHMR_OK) continue;
        survived++;
        if (sum == right && step > 1) continue;
        other += sum != right;
        printf("call %ld of %ld failed, and the result is %s\n", n, all, sum == right ? "the same" : "another");
        fflush(stdout);
        backtrace_symbols_fd(h.who, 8, STDOUT_FILENO);
    }
    printf("%ld calls, every %ldth failed: %d results all the same, %d of them others\n", all, step, survived, other);
    assert_int_equal(other, 0);
}

int main(int argc, char **argv) {
    if (argc > 1 && atol(argv[1]) > 0) step = atol(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_comes_back),
        cmocka_unit_test(half_an_allocator_is_none),
        cmocka_unit_test(the_end_of_memory_is_an_error),
        cmocka_unit_test(no_other_result),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
