// What is kept comes back; what is damaged, of another key or half-written is made again, and never believed.
#include "base/file.h"
#include "pipeline/cache.h"
#include "pipeline/keep.h"
#include "folder.h"

#include <string.h>
#include <sys/stat.h>

static char notes[2000];

static void take_note(void *user, const char *text) {
    (void)user;
    size_t n = strlen(notes);
    snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static gv_cache *fresh_cache(void) {
    char folder[100];
    snprintf(folder, sizeof folder, "%s/cache", dir);
    notes[0] = 0;
    gv_cache *c = gv_cache_create(folder, take_note, NULL);
    assert_non_null(c);
    return c;
}

static gv_key key_of(const char *model) {
    return gv_key_make((gv_key_part[]){{"video", "v"}, {"model", model}, {0}});
}

static const char *path_of(const char *stage, const gv_key *key) {
    static char path[200];
    snprintf(path, sizeof path, "%s/cache/%s-%.16s.journal", dir, stage, key->hex);
    return path;
}

// Appends records "0", "1", ... up to `to`, behind what is there; returns how many were there.
static int fill(gv_cache *c, const gv_key *key, int to) {
    gv_journal *j = gv_journal_open(c, "stage", key);
    const void *data;
    size_t size;
    int there = 0;
    while (gv_journal_next(j, &data, &size)) {
        assert_int_equal(size, 1000 * sizeof(int));
        for (int i = 0; i < 1000; i++) assert_int_equal(((const int *)data)[i], there);
        there++;
    }
    for (int k = there; k < to; k++) {
        int record[1000];
        for (int i = 0; i < 1000; i++) record[i] = k;
        gv_journal_append(j, record, sizeof record);
    }
    gv_journal_close(j);
    return there;
}

static void records_come_back(void **state) {
    (void)state;
    gv_cache *c = fresh_cache();
    gv_key a = key_of("a"), b = key_of("b");
    assert_string_not_equal(a.hex, b.hex);
    assert_int_equal(fill(c, &a, 3), 0);
    assert_int_equal(fill(c, &b, 1), 0); // another model: nothing of it
    assert_int_equal(fill(c, &a, 5), 3);
    assert_int_equal(fill(c, &a, 5), 5);
    assert_int_equal(fill(c, &b, 1), 1);
    assert_string_equal(notes, "");
    gv_cache_destroy(c);
}

static void without_a_folder_nothing_is_kept(void **state) {
    (void)state;
    gv_cache *c = gv_cache_create(NULL, take_note, NULL);
    gv_key a = key_of("a");
    assert_false(gv_cache_is_on(c));
    assert_int_equal(fill(c, &a, 3), 0);
    assert_int_equal(fill(c, &a, 3), 0);
    gv_cache_remove(c);
    gv_cache_destroy(c);
    c = gv_cache_create("/proc/nobody/cache", take_note, NULL); // and where none can be made
    assert_int_equal(fill(c, &a, 3), 0);
    assert_int_equal(fill(c, &a, 3), 0);
    gv_cache_destroy(c);
}

// Cuts and flips the file at every place that matters: records before the damage stay, the others are made again.
static void damage_costs_what_follows_it(void **state) {
    (void)state;
    gv_cache *c = fresh_cache();
    gv_key key = key_of("damaged");
    const size_t header = 72, record = 16 + 4000;
    fill(c, &key, 4);
    unsigned char *whole, *data;
    size_t size, now;
    gv_error err = {0};
    assert_int_equal(gv_file_read(path_of("stage", &key), 0, &whole, &size, &err), GV_OK);
    assert_int_equal(size, header + 4 * record);
    const size_t places[] = {0, 5, 8, 71, header, header + 8, header + record + 3, header + 2 * record + 100, size - 1};
    const int left[] = {0, 0, 0, 0, 0, 0, 1, 2, 3};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (int cut = 0; cut < 2; cut++) {
            unsigned char *copy = malloc(size);
            memcpy(copy, whole, size);
            copy[places[i]] ^= 0x40;
            assert_int_equal(gv_file_write(path_of("stage", &key), copy, cut ? places[i] : size, &err), GV_OK);
            free(copy);
            notes[0] = 0;
            assert_int_equal(fill(c, &key, 4), left[i]);
            bool silent = cut && (places[i] == 0 || places[i] == header); // nothing there, nothing to tell
            if (silent != (notes[0] == 0)) fail_msg("place %zu, cut %d: \"%s\"", places[i], cut, notes);
            assert_int_equal(gv_file_read(path_of("stage", &key), 0, &data, &now, &err), GV_OK);
            assert_true(now == size && !memcmp(data, whole, size)); // made again as it was
            free(data);
        }
    free(whole);
    gv_cache_destroy(c);
}

static void a_length_that_lies_is_not_believed(void **state) {
    (void)state;
    gv_cache *c = fresh_cache();
    gv_key key = key_of("lying");
    gv_error err = {0};
    static const uint64_t lies[] = {UINT64_MAX, UINT64_MAX - 15, (uint64_t)1 << 62, 4001, 3999, 0};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        unsigned char *data;
        size_t size;
        fill(c, &key, 2);
        assert_int_equal(gv_file_read(path_of("stage", &key), 0, &data, &size, &err), GV_OK);
        memcpy(data + 72, &lies[i], 8);
        assert_int_equal(gv_file_write(path_of("stage", &key), data, size, &err), GV_OK);
        free(data);
        notes[0] = 0;
        assert_int_equal(fill(c, &key, 2), 0);
        assert_non_null(strstr(notes, "damaged"));
    }
    gv_cache_destroy(c);
}

static void rejected_records_are_overwritten(void **state) {
    (void)state;
    gv_cache *c = fresh_cache();
    gv_key key = key_of("rejected");
    fill(c, &key, 4);
    gv_journal *j = gv_journal_open(c, "stage", &key);
    const void *data;
    size_t size;
    assert_true(gv_journal_next(j, &data, &size));
    assert_true(gv_journal_next(j, &data, &size));
    gv_journal_reject(j, "of other tracks");
    assert_false(gv_journal_next(j, &data, &size));
    assert_non_null(strstr(notes, "of other tracks"));
    gv_journal_close(j);
    assert_int_equal(fill(c, &key, 4), 1);
    gv_cache_destroy(c);
}

static void one_process_at_a_time(void **state) {
    (void)state;
    gv_cache *c = fresh_cache();
    gv_key key = key_of("locked");
    fill(c, &key, 2);
    gv_journal *j = gv_journal_open(c, "stage", &key);
    assert_int_equal(fill(c, &key, 2), 0); // held by j: neither read nor written
    assert_non_null(strstr(notes, "another process"));
    gv_journal_close(j);
    assert_int_equal(fill(c, &key, 2), 2);
    gv_cache_destroy(c);
}

static void removal_leaves_other_files(void **state) {
    (void)state;
    gv_cache *c = fresh_cache();
    gv_key key = key_of("removed");
    fill(c, &key, 1);
    char other[200];
    snprintf(other, sizeof other, "%s/cache/notes.txt", dir);
    assert_int_equal(gv_file_write(other, "x", 1, NULL), GV_OK);
    gv_cache_remove(c);
    assert_int_not_equal(access(path_of("stage", &key), F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    unlink(other);
    gv_cache_remove(c);
    *strrchr(other, '/') = 0;
    assert_int_not_equal(access(other, F_OK), 0);
    gv_cache_destroy(c);
}

// ---- the first pass's results as records

static gv_sightings example(void) {
    gv_sightings s = {.frames = 5, .damaged = 2};
    s.time_sec = malloc(5 * sizeof(double));
    s.masks = calloc(5, sizeof(int));
    s.repeated = calloc(5, 1);
    s.repeated[3] = 1;
    s.mask = calloc(3, sizeof *s.mask);
    for (int t = 0; t < 5; t++) s.time_sec[t] = t / 7.0;
    s.masks[1] = 2, s.masks[4] = 1;
    for (int i = 0; i < 12; i++) s.mask[i / 4][i % 4] = (float)i;
    s.tracks = (gv_tracks){.count = 2, .frames = 5, .person = calloc(2, sizeof(gv_person))};
    for (int p = 0; p < 2; p++) {
        gv_person *q = &s.tracks.person[p];
        *q = (gv_person){.first = p, .frames = 4 - p, .prominence = 0.25 + p};
        q->kp2d = calloc(4, 51 * sizeof(float));
        q->kp3d = calloc(4, 51 * sizeof(float));
        q->kp3d[7] = -0.25f;
        q->feet2d = calloc(4, 12 * sizeof(float));
        q->feet2d[11] = 0.75f;
        q->bbx_xyxy = calloc(4, 4 * sizeof(float));
        q->bbx_xys = calloc(4, 3 * sizeof(float));
        q->observed = calloc(4, 1);
        q->kp2d[50] = 0.5f;
        q->bbx_xys[2] = 100;
        q->observed[1] = 1;
    }
    return s;
}

static void sightings_survive(void **state) {
    (void)state;
    gv_sightings s = example(), r;
    void *data;
    size_t size;
    gv_error err = {0};
    assert_int_equal(gv_sightings_pack(&data, &size, &s, &err), GV_OK);
    assert_true(gv_sightings_unpack(&r, data, size));
    assert_true(r.frames == 5 && r.damaged == 2 && r.tracks.count == 2 && r.tracks.frames == 5);
    assert_memory_equal(r.time_sec, s.time_sec, 5 * sizeof(double));
    assert_memory_equal(r.repeated, s.repeated, 5);
    assert_memory_equal(r.masks, s.masks, 5 * sizeof(int));
    assert_memory_equal(r.mask, s.mask, 3 * sizeof *s.mask);
    for (int p = 0; p < 2; p++) {
        gv_person *a = &r.tracks.person[p], *b = &s.tracks.person[p];
        size_t n = (size_t)b->frames;
        assert_true(a->first == b->first && a->frames == b->frames && a->prominence == b->prominence);
        assert_memory_equal(a->kp2d, b->kp2d, n * 51 * sizeof(float));
        assert_memory_equal(a->kp3d, b->kp3d, n * 51 * sizeof(float));
        assert_memory_equal(a->feet2d, b->feet2d, n * 12 * sizeof(float));
        assert_memory_equal(a->bbx_xys, b->bbx_xys, n * 3 * sizeof(float));
        assert_memory_equal(a->bbx_xyxy, b->bbx_xyxy, n * 4 * sizeof(float));
        assert_memory_equal(a->observed, b->observed, n);
    }
    gv_sightings_free(&r);
    for (size_t n = 0; n < size; n++) { // every shorter record is refused, and every wild number in it
        assert_false(gv_sightings_unpack(&r, data, n));
        assert_null(r.time_sec);
    }
    for (size_t at = 0; at + 8 <= size; at += 8) {
        unsigned char *copy = malloc(size);
        memcpy(copy, data, size);
        memset(copy + at, 0xff, 8); // -1, and not a number
        if (gv_sightings_unpack(&r, copy, size)) gv_sightings_free(&r);
        memset(copy + at, 0x7f, 8); // far too large
        if (gv_sightings_unpack(&r, copy, size)) gv_sightings_free(&r);
        free(copy);
    }
    free(data);
    gv_sightings_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(without_a_folder_nothing_is_kept),
        cmocka_unit_test(damage_costs_what_follows_it),
        cmocka_unit_test(a_length_that_lies_is_not_believed),
        cmocka_unit_test(rejected_records_are_overwritten),
        cmocka_unit_test(one_process_at_a_time),
        cmocka_unit_test(removal_leaves_other_files),
        cmocka_unit_test(sightings_survive),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
