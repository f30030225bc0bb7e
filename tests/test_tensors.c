#include "base/file.h"
#include "formats/npz.h"
#include "formats/pickle.h"
#include "formats/tensors.h"
#include "folder.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>

// ---- reference files

// Every dtype and layout, bit for bit against the arrays that PyTorch saved.
static void compare_strange(const char *path) {
    gv_error err = {0};
    gv_npz *z;
    gv_tensors *w;
    assert_int_equal(gv_npz_open(&z, need_shared("reference/perception/ckpt/strange.npz"), &err), GV_OK);
    if (gv_tensors_open(&w, path, &err) != GV_OK) fail_msg("%s", err.text);
    int64_t n = 0;
    char **names = gv_npz_read_strings(z, "names", &n, &err);
    assert_int_equal(n, 25);
    assert_int_equal(gv_tensors_count(w), 25);
    for (int i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%02d", i);
        const gv_array *a = gv_npz_find(z, key);
        assert_string_equal(gv_tensors_at(w, i)->name, names[i]); // file order
        float *x = gv_tensors_read_f32(w, names[i], a->shape, a->ndim, &err);
        if (!x) fail_msg("%s", err.text);
        float *y = gv_npz_read_f32(z, key, NULL, -1, NULL, &err);
        assert_memory_equal(x, y, (size_t)a->count * sizeof *x);
        free(x);
        free(y);
    }
    free(names);
    assert_int_equal(gv_tensors_find(w, "i64")->dtype, GV_I64);
    assert_int_equal(gv_tensors_find(w, "bf16")->dtype, GV_BF16);
    gv_tensors_close(w);
    gv_npz_close(z);
}

static void strange_layouts_bit_for_bit(void **state) {
    (void)state;
    compare_strange(need_shared("reference/perception/ckpt/strange.pth"));
    compare_strange(need_shared("reference/perception/ckpt/strange.legacy.pth"));
}

static gv_tensors *open_or_fail(const char *path) {
    gv_error err = {0};
    gv_tensors *w = NULL;
    if (gv_tensors_open(&w, path, &err) != GV_OK) fail_msg("%s", err.text);
    return w;
}

// Same names, shapes and values in two files, in the same order.
static void compare_files(const char *a, const char *b) {
    gv_tensors *v = open_or_fail(a), *w = open_or_fail(b);
    assert_int_equal(gv_tensors_count(v), gv_tensors_count(w));
    for (int i = 0; i < gv_tensors_count(v); i++) {
        const gv_tensor *t = gv_tensors_at(v, i), *u = gv_tensors_at(w, i);
        assert_string_equal(t->name, u->name);
        float *x = gv_tensors_read_f32(v, t->name, t->shape, t->ndim, NULL);
        float *y = gv_tensors_read_f32(w, t->name, t->shape, t->ndim, NULL);
        assert_true(x && y);
        assert_memory_equal(x, y, (size_t)t->count * sizeof *x);
        free(x);
        free(y);
    }
    gv_tensors_close(v);
    gv_tensors_close(w);
}

static void containers_hold_the_same(void **state) {
    (void)state;
    compare_files(need_shared("reference/motion/tiny.ckpt"), need_shared("reference/motion/tiny_lightning.ckpt"));
    compare_files(need_shared("reference/perception/ckpt/vitpose-tiny.pth"),
                  need_shared("reference/perception/ckpt/vitpose-tiny.legacy.pth"));
}

static void the_network_is_complete(void **state) {
    (void)state;
    gv_error err = {0};
    gv_tensors *w = open_or_fail(need_shared("reference/motion/tiny.ckpt"));
    assert_int_equal(gv_tensors_count(w), 67); // 247 tensors of the 12-layer network, less ten layers of 18
    assert_string_equal(gv_tensors_container(w), "PyTorch zip");
    float *x = gv_tensors_read_f32(w, "pipeline.denoiser3d.embed_noisyobs.fc1.weight", (int64_t[]){128, 544}, 2, &err);
    assert_non_null(x);
    free(x);
    assert_null(gv_tensors_read_f32(w, "pipeline.denoiser3d.embed_noisyobs.fc1.weight", (int64_t[]){-1, 545}, 2, &err));
    assert_non_null(strstr(
        err.text,
        "tiny.ckpt: tensor \"pipeline.denoiser3d.embed_noisyobs.fc1.weight\" is [128, 544], expected [any, 545]"));
    assert_null(gv_tensors_read_f32(w, "absent", NULL, -1, &err));
    assert_int_equal(err.status, GV_ERR_MISSING);
    assert_null(gv_tensors_find(w, "absent"));
    gv_tensors_close(w);
    gv_tensors_close(NULL);
}

static void object_graphs_are_walked(void **state) {
    (void)state;
    gv_tensors *w = open_or_fail(need_shared("reference/perception/ckpt/yolov8n.pt"));
    const gv_tensor *t = gv_tensors_find(w, "model.0.conv.weight");
    assert_true(t && t->dtype == GV_F16 && t->ndim == 4 && t->shape[0] == 16 && t->shape[1] == 3);
    t = gv_tensors_find(w, "model.22.cv3.2.2.bias");
    assert_true(t && t->count == 80);
    t = gv_tensors_find(w, "model.0.bn.num_batches_tracked");
    assert_true(t && t->dtype == GV_I64 && t->ndim == 0 && t->count == 1);
    gv_tensors_close(w);
    w = open_or_fail(need_shared("reference/perception/ckpt/hmr2-tiny.ckpt"));
    assert_non_null(gv_tensors_find(w, "backbone.pos_embed"));
    gv_tensors_close(w);
}

// Which of the hostile files load is in their README; every other one gives one line and no tensors.
static void hostile_files_are_refused(void **state) {
    (void)state;
    char path[1200];
    const char *where = need_shared("reference/perception/ckpt/hostile");
    DIR *d = opendir(where);
    assert_non_null(d);
    int seen = 0, loaded = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strstr(e->d_name, ".pth")) continue;
        snprintf(path, sizeof path, "%s/%s", where, e->d_name);
        gv_error err = {0};
        gv_tensors *w = NULL;
        bool ok = gv_tensors_open(&w, path, &err) == GV_OK;
        bool may = strstr(e->d_name, "ok.pth") || !strcmp(e->d_name, "calls-eval-inside.pth");
        if (ok != may) fail_msg("%s: %s", e->d_name, ok ? "was loaded" : err.text);
        if (ok) {
            float *x = gv_tensors_read_f32(w, "w", (int64_t[]){-1}, -1, &err);
            assert_true(x && x[0] == 0 && x[1] == 1 && x[2] == 2 && x[3] == 3);
            free(x);
            loaded++;
        } else if (!strstr(err.text, e->d_name) || strlen(err.text) < strlen(path) + 10) {
            fail_msg("%s: message \"%s\"", e->d_name, err.text);
        }
        gv_tensors_close(w);
        seen++;
    }
    closedir(d);
    assert_true(seen >= 20 && loaded >= 2);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
#ifndef __SANITIZE_ADDRESS__
    assert_true(use.ru_maxrss < 200 * 1024); // KiB, of the whole test
#endif
}

static void directories_and_absent_files(void **state) {
    (void)state;
    gv_error err = {0};
    gv_tensors *w;
    assert_int_equal(gv_tensors_open(&w, dir, &err), GV_ERR_IO);
    assert_int_equal(gv_tensors_open(&w, in_dir("none"), &err), GV_ERR_IO);
    assert_null(w);
}

// ---- damaged copies: refused or read, never a crash (run under the sanitizers)

static void mutate(const char *source, size_t step) {
    unsigned char *bytes;
    size_t n, refused = 0, tried = 0;
    gv_error err = {0};
    assert_int_equal(gv_file_read(source, 0, &bytes, &n, &err), GV_OK);
    for (size_t k = 0; k < 2 * n; k += step) {
        unsigned char old = bytes[k % n];
        if (k < n) bytes[k] ^= (unsigned char)(1 + k % 255);
        unlink(in_dir("m")); // a new file each time: truncating one waits for the disk
        FILE *f = fopen(in_dir("m"), "wb");
        fwrite(bytes, 1, k < n ? n : k - n, f);
        fclose(f);
        bytes[k % n] = old;
        gv_tensors *w = NULL;
        if (gv_tensors_open(&w, in_dir("m"), &err) != GV_OK) {
            refused++;
        } else {
            for (int i = 0; i < gv_tensors_count(w); i++)
                free(gv_tensors_read_f32(w, gv_tensors_at(w, i)->name, NULL, -1, &err));
        }
        gv_tensors_close(w);
        tried++;
    }
    assert_true(refused > tried / 4);
    free(bytes);
    unlink(in_dir("m"));
}

static void damaged_checkpoints_end_well(void **state) {
    (void)state;
    mutate(need_shared("reference/perception/ckpt/hostile/ok.pth"), 1);
    mutate(need_shared("reference/perception/ckpt/hostile/legacy-ok.pth"), 1);
    mutate(need_shared("reference/perception/ckpt/strange.pth"), 7);
    mutate(need_shared("reference/perception/ckpt/strange.legacy.pth"), 5);
}

// ---- the pickle machine alone

static gv_pickle *parse(const char *bytes, size_t n, gv_error *err) {
    gv_pickle *p = NULL;
    gv_pickle_parse(&p, bytes, n, NULL, "test", err);
    return p;
}
#define PARSE(text) parse(text, sizeof(text) - 1, &err)

static void text_protocol_is_read(void **state) {
    (void)state;
    gv_error err = {0};
    gv_pickle *v = PARSE("V\xe9\\u005cn\\u5de6\n.");
    size_t bytes = 0;
    const char *unicode = v ? gv_pickle_string(v, gv_pickle_root(v), &bytes) : NULL;
    assert_true(unicode && bytes == 7 && !memcmp(unicode, "é\\n左", 7));
    gv_pickle_free(v);
    // {'a': [1, 2.5, True, None], 'b': 'x\ny\xff', 'n': -7L} as Python 2 writes it with protocol 0
    gv_pickle *p = PARSE("(dp0\nS'a'\np1\n(lp2\nI1\naF2.5\naI01\naNasS'b'\np3\nS'x\\ny\\xff'\np4\nsS'n'\nL-7L\ns.");
    if (!p) fail_msg("%s", err.text);
    gv_value top = gv_pickle_root(p), list = gv_pickle_get(p, top, "a");
    int64_t i = 0;
    size_t n = 0;
    assert_int_equal(gv_pickle_count(p, top), 3);
    assert_int_equal(gv_pickle_count(p, list), 4);
    assert_true(gv_pickle_int(p, gv_pickle_at(p, list, 0), &i) && i == 1);
    assert_true(gv_pickle_float(p, gv_pickle_at(p, list, 1)) == 2.5);
    assert_int_equal(gv_pickle_kind_of(p, gv_pickle_at(p, list, 2)), GV_PICKLE_BOOL);
    assert_int_equal(gv_pickle_kind_of(p, gv_pickle_at(p, list, 3)), GV_PICKLE_NONE);
    const char *s = gv_pickle_string(p, gv_pickle_get(p, top, "b"), &n);
    assert_int_equal(n, 4);
    assert_memory_equal(s, "x\ny\xff", 4);
    assert_true(gv_pickle_int(p, gv_pickle_get(p, top, "n"), &i) && i == -7);
    gv_pickle_free(p);
}

static void numbers_have_their_signs(void **state) {
    (void)state;
    gv_error err = {0};
    gv_pickle *p = PARSE("\x80\x02("
                         "J\xff\xff\xff\xffM\xff\xff\x8a\x01\x80\x8a\x00\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00G"
                         "\xbf\xf8\0\0\0\0\0\0t.");
    if (!p) fail_msg("%s", err.text);
    static const int64_t expected[] = {-1, 65535, -128, 0};
    int64_t i;
    for (uint32_t k = 0; k < 4; k++)
        assert_true(gv_pickle_int(p, gv_pickle_at(p, gv_pickle_root(p), k), &i) && i == expected[k]);
    assert_int_equal(gv_pickle_kind_of(p, gv_pickle_at(p, gv_pickle_root(p), 5)), GV_PICKLE_FLOAT);
    assert_true(gv_pickle_float(p, gv_pickle_at(p, gv_pickle_root(p), 5)) == -1.5);
    gv_pickle_free(p);
    p = PARSE("\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09.");
    assert_true(p && gv_pickle_kind_of(p, gv_pickle_root(p)) == GV_PICKLE_BIG &&
                !gv_pickle_int(p, gv_pickle_root(p), &i));
    gv_pickle_free(p);
}

static void nothing_is_called(void **state) {
    (void)state;
    gv_error err = {0};
    gv_pickle *p = PARSE("cos\nsystem\n(S'exit 1'\ntR.");
    assert_non_null(p);
    assert_true(gv_pickle_is_call(p, gv_pickle_root(p), "os system"));
    gv_pickle_free(p);
    p = PARSE("\x80\x04\x8c\x02os\x8c\x06system\x93)R}b."); // protocol 4, with a state
    if (!p) fail_msg("%s", err.text);
    assert_true(gv_pickle_is_call(p, gv_pickle_root(p), "os system"));
    assert_int_equal(gv_pickle_kind_of(p, gv_pickle_state(p, gv_pickle_root(p))), GV_PICKLE_DICT);
    gv_pickle_free(p);
}

static void bad_pickles_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
#define BAD(s) {s, sizeof(s) - 1}
        BAD(""),
        BAD("."),
        BAD("R."),
        BAD("N"),
        BAD("]a."),
        BAD("(."),
        BAD("t."),
        BAD("}Ns."),
        BAD("}(Nu."),
        BAD("NNs."),
        BAD("q\x00."),
        BAD("h\x00."),
        BAD("Nr\xf0\xff\xff\xff."),
        BAD("X\xff\xff\xff\xff"
            "abc."),
        BAD("\x8a\xff"
            "a."),
        BAD("(N0(e."),
        BAD("\x80\x09N."),
        BAD("S'abc\n."),
        BAD("S'a\\'\n."),
        BAD("S'\\q'\n."),
        BAD("I12x\n."),
        BAD("V\\u12\n."),
        BAD("V\\U00110000\n."),
        BAD("Vabc"),
        BAD("I\n."),
        BAD("I99999999999999999999\n."),
        BAD("cos\nsystem."),
        BAD("NNR."),
        BAD("N(lR."),
        BAD("\xff."),
        BAD("(N(d1."),
        BAD("\x95\xff\xff\xff\xff\xff\xff\xff\x7fN."),
        BAD("K\x01K\x02\x93."),
        BAD("ccollections\nOrderedDict\n(]Naa\x85R."),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gv_error err = {0};
        gv_pickle *p = parse(cases[i].bytes, cases[i].n, &err);
        if (p) fail_msg("case %zu was accepted", i);
        assert_true(err.status == GV_ERR_FORMAT && strlen(err.text) > 20);
    }
}

// ---- safetensors

static void safetensors_survive_a_file(void **state) {
    (void)state;
    static const float a[6] = {0, -1.5f, 3.14159274f, 1e-7f, 65504, -2}, b[1] = {7};
    const gv_tensor_view views[] = {{"layer.weight", a, 2, {2, 3}}, {"größe", b, 0, {0}}, {"none", a, 2, {0, 5}}};
    static const char *const meta[] = {"num_heads", "8", "format", "gvhmr", NULL};
    static const gv_dtype types[] = {GV_F32, GV_F16, GV_BF16};
    static const double tolerance[] = {0, 0x1p-11, 0x1p-8};
    for (int k = 0; k < 3; k++) {
        gv_error err = {0};
        assert_int_equal(gv_safetensors_write(in_dir("s.safetensors"), views, 3, types[k], meta, &err), GV_OK);
        gv_tensors *w = open_or_fail(in_dir("s.safetensors"));
        assert_string_equal(gv_tensors_container(w), "safetensors");
        assert_string_equal(gv_tensors_metadata(w, "num_heads"), "8");
        assert_null(gv_tensors_metadata(w, "heads"));
        assert_int_equal(gv_tensors_count(w), 3);
        assert_int_equal(gv_tensors_at(w, 0)->dtype, types[k]);
        float *x = gv_tensors_read_f32(w, "layer.weight", (int64_t[]){2, 3}, 2, &err);
        for (int i = 0; i < 6; i++)
            assert_true(fabs((double)x[i] - (double)a[i]) <= tolerance[k] * fabs((double)a[i]) + (k == 1) * 0x1p-25);
        free(x);
        x = gv_tensors_read_f32(w, "größe", NULL, 0, &err);
        assert_true(x && *x == 7);
        free(x);
        gv_tensors_close(w);
        if (k == 0) mutate(in_dir("s.safetensors"), 1);
        unlink(in_dir("s.safetensors"));
    }
}

static void bad_safetensors_are_refused(void **state) {
    (void)state;
    static const char *const headers[] = {
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F8\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_"
        "offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}",
        "{\"a\":7}",
        "{\"__metadata__\":{\"x\":1}}",
        "{\"a\":",
        "{}x",
        "{\"a\":{},\"a\":{}}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        FILE *f = fopen(in_dir("b"), "wb");
        unsigned char size[8] = {(unsigned char)strlen(headers[i])};
        fwrite(size, 1, 8, f);
        fputs(headers[i], f);
        fwrite("01234567", 1, 8, f);
        fclose(f);
        gv_error err = {0};
        gv_tensors *w;
        if (gv_tensors_open(&w, in_dir("b"), &err) != GV_ERR_FORMAT) fail_msg("%s", headers[i]);
        assert_true(strlen(err.text) > 30);
    }
    unlink(in_dir("b"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_files_are_refused),    cmocka_unit_test(strange_layouts_bit_for_bit),
        cmocka_unit_test(containers_hold_the_same),     cmocka_unit_test(the_network_is_complete),
        cmocka_unit_test(object_graphs_are_walked),     cmocka_unit_test(directories_and_absent_files),
        cmocka_unit_test(damaged_checkpoints_end_well), cmocka_unit_test(text_protocol_is_read),
        cmocka_unit_test(numbers_have_their_signs),     cmocka_unit_test(nothing_is_called),
        cmocka_unit_test(bad_pickles_are_refused),      cmocka_unit_test(safetensors_survive_a_file),
        cmocka_unit_test(bad_safetensors_are_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_empty_dir);
}
