#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/queue.h"
#include "base/sha256.h"
#include "base/spool.h"
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void errors_are_one_line(void **state) {
    (void)state;
    gv_error err = {0};
    assert_int_equal(gv_fail(&err, GV_ERR_IO, "a\nb%d", 7), GV_ERR_IO);
    assert_string_equal(err.text, "a?b7");
    assert_int_equal(gv_wrap(&err, "%s", "file"), GV_ERR_IO);
    assert_string_equal(err.text, "file: a?b7");
    char big[4000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = 0;
    gv_fail(&err, GV_ERR_IO, "%s", big);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_int_equal(gv_fail(NULL, GV_ERR_IO, "x"), GV_ERR_IO);
}

static void sizes_cannot_wrap(void **state) {
    (void)state;
    assert_null(gv_calloc2(SIZE_MAX / 2, 4));
    assert_null(gv_calloc2(GV_ALLOC_LIMIT, 2));
    void *p = gv_calloc2(0, 8);
    assert_non_null(p);
    free(p);
}

static void arena_reuses_memory(void **state) {
    (void)state;
    gv_arena *a = gv_arena_create(1024);
    for (int round = 0; round < 3; round++) {
        for (int i = 1; i < 200; i++) {
            unsigned char *p = gv_arena_alloc(a, (size_t)i, 3);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 64, 0);
            for (int k = 0; k < i * 3; k++) assert_int_equal(p[k], 0);
            memset(p, 0xff, (size_t)i * 3);
        }
        gv_arena_reset(a);
    }
    assert_true(gv_arena_high_water(a) >= 199 * 200 / 2 * 3);
    gv_arena_destroy(a);
    gv_arena_destroy(NULL);
}

// Two lists in turns, each many blocks long, one with gaps of zeros; the items do not divide a block.
static void fill_lists(gv_long_list *a, gv_long_list *b, int n) {
    for (int i = 0; i < n; i++) {
        int x[5] = {i, i + 1, -i, 7, 3 * i}, y[2] = {-i, i};
        assert_true(gv_long_list_add(a, x, 1));
        if (i % 7 == 0) assert_true(gv_long_list_add(a, NULL, 3));
        assert_true(gv_long_list_add(b, y, 1));
    }
}

static void check_lists(gv_long_list *a, gv_long_list *b, int n) {
    int(*x)[5] = NULL, (*y)[2] = NULL;
    long at = 0;
    assert_int_equal(gv_long_list_gather(a, (void **)&x, NULL), GV_OK);
    assert_int_equal(gv_long_list_gather(b, (void **)&y, NULL), GV_OK);
    for (int i = 0; i < n; i++, at++) {
        assert_memory_equal(x[at], ((int[]){i, i + 1, -i, 7, 3 * i}), sizeof *x);
        for (int k = 0; i % 7 == 0 && k < 3; k++) assert_memory_equal(x[++at], ((int[5]){0}), sizeof *x);
        assert_memory_equal(y[i], ((int[]){-i, i}), sizeof *y);
    }
    assert_int_equal(a->count, 0);
    free(x);
    free(y);
}

static void long_lists_come_back_from_the_file_in_order(void **state) {
    (void)state;
    enum { N = 50000 };
    for (int with = 0; with < 2; with++) {
        gv_spool *s = with ? gv_spool_create() : NULL;
        gv_long_list a = {.spool = s, .item = 20}, b = {.spool = s, .item = 8};
        for (int round = 0; round < 2; round++) {
            fill_lists(&a, &b, N);
            assert_int_equal(a.count, N + 3 * ((N + 6) / 7));
            if (with) assert_true(a.count - a.stored <= GV_SPOOL_BLOCK / 20 && b.stored > 0);
            check_lists(&a, &b, N);
        }
        fill_lists(&a, &b, 20);
        gv_long_list_clear(&a);
        gv_long_list_clear(&b);
        fill_lists(&a, &b, 9);
        check_lists(&a, &b, 9);
        gv_spool_destroy(s);
    }
}

// A disk that is full from the start, and one that becomes full: files may not grow beyond that here.
static void lists_stay_in_memory_where_the_disk_is_full(void **state) {
    (void)state;
    struct rlimit before, less;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (int blocks = 0; blocks < 8; blocks += 3) {
        gv_spool *s = gv_spool_create();
        gv_long_list a = {.spool = s, .item = 20}, b = {.spool = s, .item = 8};
        less = (struct rlimit){(rlim_t)blocks * GV_SPOOL_BLOCK + 1000, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
        fill_lists(&a, &b, 50000);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(a.stored / (GV_SPOOL_BLOCK / 20) + b.stored / (GV_SPOOL_BLOCK / 8), blocks);
        check_lists(&a, &b, 50000);
        gv_spool_destroy(s);
    }
    signal(SIGXFSZ, handler);
}

static void files_appear_whole_or_not_at_all(void **state) {
    (void)state;
    char dir[] = "/tmp/gvhmr-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[256];
    snprintf(path, sizeof path, "%s/a.txt", dir);
    gv_error err = {0};
    gv_outfile out;
    assert_int_equal(gv_outfile_begin(&out, path, &err), GV_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    gv_outfile_abandon(&out);
    assert_int_equal(gv_file_write(path, "hello", 5, &err), GV_OK);
    unsigned char *data;
    size_t size;
    assert_int_equal(gv_file_read(path, 0, &data, &size, &err), GV_OK);
    assert_int_equal(size, 5);
    assert_string_equal((char *)data, "hello");
    free(data);
    assert_int_equal(gv_file_read(path, 4, &data, &size, &err), GV_ERR_FORMAT);
    assert_int_equal(gv_file_read(dir, 0, &data, &size, &err), GV_ERR_IO);
    assert_int_equal(gv_file_write("/nonexistent/a", "x", 1, &err), GV_ERR_IO);
    assert_int_equal(gv_file_write(dir, "x", 1, &err), GV_ERR_IO);
    unlink(path);
    assert_int_equal(rmdir(dir), 0); // nothing left behind
}

static void *count_up(void *arg) {
    gv_queue *q = arg;
    for (int i = 0; i < 1000; i++)
        if (!gv_queue_push(q, &i)) break;
    gv_queue_close(q);
    return NULL;
}

static void queue_keeps_order_and_ends(void **state) {
    (void)state;
    gv_queue *q = gv_queue_create(3, sizeof(int));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, count_up, q), 0);
    int item, n = 0;
    while (gv_queue_pop(q, &item)) assert_int_equal(item, n++);
    assert_int_equal(n, 1000);
    pthread_join(thread, NULL);
    assert_false(gv_queue_push(q, &n));
    gv_queue_destroy(q);
    gv_queue_destroy(NULL);
}

static void sums_are_those_of_the_standard(void **state) { // FIPS 180-4's examples, fed in unequal pieces
    (void)state;
    static const struct {
        const char *text, *sum;
        int times;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 1},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", 1},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", 10000},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        gv_sha256 h;
        char hex[65];
        gv_sha256_begin(&h);
        for (int k = 0; k < known[i].times; k++) gv_sha256_add(&h, known[i].text, strlen(known[i].text));
        gv_sha256_hex(&h, hex);
        assert_string_equal(hex, known[i].sum);
    }
}

static void fingerprints_tell_files_apart(void **state) {
    (void)state;
    char path[] = "/tmp/gvhmr-base-XXXXXX", a[65], b[65];
    gv_error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    const size_t size = (size_t)20 << 20; // beyond what is read whole
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(gv_file_fingerprint(a, path, &err), GV_OK);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)size - 1000), 1);
    assert_int_equal(gv_file_fingerprint(b, path, &err), GV_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(ftruncate(fd, (off_t)size + 1), 0);
    assert_int_equal(gv_file_fingerprint(a, path, &err), GV_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(ftruncate(fd, 100), 0); // small: the sum of all bytes
    assert_int_equal(gv_file_fingerprint(a, path, &err), GV_OK);
    assert_int_equal(gv_sha256_file(b, path, &err), GV_OK);
    assert_string_equal(a, b);
    close(fd);
    unlink(path);
    assert_int_equal(gv_file_fingerprint(a, path, &err), GV_ERR_IO);
    assert_int_equal(gv_file_fingerprint(a, "/tmp", &err), GV_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_one_line),
        cmocka_unit_test(sizes_cannot_wrap),
        cmocka_unit_test(arena_reuses_memory),
        cmocka_unit_test(long_lists_come_back_from_the_file_in_order),
        cmocka_unit_test(lists_stay_in_memory_where_the_disk_is_full),
        cmocka_unit_test(files_appear_whole_or_not_at_all),
        cmocka_unit_test(queue_keeps_order_and_ends),
        cmocka_unit_test(sums_are_those_of_the_standard),
        cmocka_unit_test(fingerprints_tell_files_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
