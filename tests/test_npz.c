#include "formats/elements.h"
#include "formats/npz.h"
#include "folder.h"

#include <float.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

static void halves_round_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) { // every binary16 survives the way to float32 and back
        uint16_t in = (uint16_t)h, out;
        float f;
        gv_elements_to_f32(&f, &in, GV_F16, 1);
        gv_elements_f16_from_f32(&out, &f, 1);
        if ((in & 0x7c00) == 0x7c00 && (in & 0x3ff))
            assert_true(isnan(f) && (out & 0x7c00) == 0x7c00 && (out & 0x3ff));
        else
            assert_int_equal(in, out);
    }
    static const struct {
        float in;
        uint16_t f16, bf16;
    } cases[] = {
        {1.0f, 0x3c00, 0x3f80},       {-2.0f, 0xc000, 0xc000},        {65504, 0x7bff, 0x4780},
        {65519.996f, 0x7bff, 0x4780}, {65520, 0x7c00, 0x4780},        {1e30f, 0x7c00, 0x714a},
        {0x1p-24f, 0x0001, 0x3380},   {0x1p-25f, 0x0000, 0x3300},     {0x1.8p-24f, 0x0002, 0x33c0},
        {2049, 0x6800, 0x4500},       {2051, 0x6802, 0x4500},         {0x1.01p0f, 0x3c04, 0x3f80},
        {0x1.03p0f, 0x3c0c, 0x3f82},  {-0.0f, 0x8000, 0x8000},        {INFINITY, 0x7c00, 0x7f80},
        {FLT_MAX, 0x7c00, 0x7f80},    {0x1.ff8p-15f, 0x03ff, 0x3880}, {0x1.ffcp-15f, 0x0400, 0x3880},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t a, b;
        gv_elements_f16_from_f32(&a, &cases[i].in, 1);
        gv_elements_bf16_from_f32(&b, &cases[i].in, 1);
        assert_int_equal(a, cases[i].f16);
        assert_int_equal(b, cases[i].bf16);
    }
    uint16_t nan16, nanbf;
    float nan = NAN, back;
    gv_elements_f16_from_f32(&nan16, &nan, 1);
    gv_elements_bf16_from_f32(&nanbf, &nan, 1);
    gv_elements_to_f32(&back, &nan16, GV_F16, 1);
    assert_true(isnan(back));
    gv_elements_to_f32(&back, &nanbf, GV_BF16, 1);
    assert_true(isnan(back));
}

static void writes_what_it_reads(void **state) {
    (void)state;
    enum { N = 40000 };
    const char *path = in_dir("a.npz");
    gv_error err = {0};
    float *x = malloc(N * 3 * sizeof *x);
    for (int i = 0; i < N * 3; i++) x[i] = sinf((float)i);
    const char *const words[] = {"pelvis", "", "größe", "左手"};
    gv_npz_writer *w;
    assert_int_equal(gv_npz_create(&w, path, &err), GV_OK);
    gv_npz_add_f32(w, "net/x", x, 2, N, 3);
    gv_npz_add_i32(w, "i", (int32_t[]){1, -2, INT32_MAX}, 1, 3);
    gv_npz_add_f64_scalar(w, "pi", M_PI);
    gv_npz_add_i32_scalar(w, "seven", 7);
    gv_npz_add_strings(w, "words", words, 4);
    gv_npz_add(w, "big", GV_I64, (int64_t[]){INT64_MAX}, (int64_t[]){1}, 1);
    gv_npz_add(w, "empty", GV_F32, NULL, (int64_t[]){0, 5}, 2);
    gv_npz_add(w, "u8", GV_U8, "\x00\xff", (int64_t[]){2, 1, 1}, 3);
    assert_int_not_equal(access(path, F_OK), 0); // nothing to see before it is whole
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);

    gv_npz *z;
    assert_int_equal(gv_npz_open(&z, path, &err), GV_OK);
    assert_int_equal(gv_npz_count(z), 8);
    int64_t n = 0;
    float *y = gv_npz_read_f32(z, "net/x", (int64_t[]){-1, 3}, 2, &n, &err);
    assert_non_null(y);
    assert_int_equal(n, N);
    assert_memory_equal(x, y, N * 3 * sizeof *x);
    assert_int_equal((uintptr_t)y % 64, 0);
    free(y);
    int32_t *i = gv_npz_read_i32(z, "i", (int64_t[]){3}, 1, NULL, &err);
    assert_true(i && i[1] == -2 && i[2] == INT32_MAX);
    free(i);
    double *pi = gv_npz_read_f64(z, "pi", NULL, 0, &n, &err);
    assert_true(pi && *pi == M_PI && n == 1);
    free(pi);
    y = gv_npz_read_f32(z, "u8", (int64_t[]){2, -1, 1}, 3, &n, &err);
    assert_true(y && y[0] == 0 && y[1] == 255);
    free(y);
    y = gv_npz_read_f32(z, "empty", (int64_t[]){-1, 5}, 2, &n, &err);
    assert_true(y && n == 0);
    free(y);
    char **s = gv_npz_read_strings(z, "words", &n, &err);
    assert_int_equal(n, 4);
    for (int k = 0; k < 4; k++) assert_string_equal(s[k], words[k]);
    free(s);

    assert_null(gv_npz_read_i32(z, "big", NULL, -1, NULL, &err)); // does not fit
    assert_non_null(strstr(err.text, "int32"));
    assert_null(gv_npz_read_i32(z, "pi", NULL, -1, NULL, &err)); // floating values are no integers
    assert_null(gv_npz_read_f32(z, "words", NULL, -1, NULL, &err));
    assert_null(gv_npz_read_f32(z, "i", (int64_t[]){4}, 1, NULL, &err));
    assert_non_null(strstr(err.text, "a.npz: \"i\" is int32 (3,), expected (4,)"));
    assert_null(gv_npz_read_f32(z, "absent", NULL, -1, NULL, &err));
    assert_int_equal(err.status, GV_ERR_MISSING);
    double value = 5;
    assert_int_equal(gv_npz_read_number(z, "none", 0, 1, &value, &err), GV_OK);
    assert_true(value == 5);
    assert_int_equal(gv_npz_read_number(z, "seven", 0, 10, &value, &err), GV_OK);
    assert_true(value == 7);
    assert_int_equal(gv_npz_read_number(z, "seven", 0, 6, &value, &err), GV_ERR_FORMAT);
    gv_npz_close(z);
    gv_npz_close(NULL);
    free(x);
    unlink(path);
}

static void failures_leave_nothing(void **state) {
    (void)state;
    gv_error err = {0};
    gv_npz_writer *w;
    assert_int_equal(gv_npz_create(&w, "/nonexistent/a.npz", &err), GV_ERR_IO);
    assert_int_equal(gv_npz_create(&w, in_dir("b.npz"), &err), GV_OK);
    gv_npz_add_i32_scalar(w, "x", 1);
    gv_npz_abandon(w);
    gv_npz_abandon(NULL);
    assert_int_equal(gv_npz_create(&w, in_dir("b.npz"), &err), GV_OK);
    assert_int_equal(gv_npz_finish(w, &err), GV_ERR_ARGUMENT); // no members
    assert_int_not_equal(access(in_dir("b.npz"), F_OK), 0);
    gv_npz *z;
    assert_int_equal(gv_npz_open(&z, in_dir("b.npz"), &err), GV_ERR_IO);
    assert_int_equal(gv_npz_open(&z, dir, &err), GV_ERR_IO);
}

// A member made by hand: header text and data bytes, stored or deflated.
static void write_member(const char *path, const char *dict, const void *data, size_t size, bool deflate) {
    unsigned char *bytes = calloc(1, 10 + strlen(dict) + size);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (unsigned char)(strlen(dict) & 0xff);
    bytes[9] = (unsigned char)(strlen(dict) >> 8);
    memcpy(bytes + 10, dict, strlen(dict));
    if (data) memcpy(bytes + 10 + strlen(dict), data, size);
    int code;
    zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(z);
    zip_source_t *s = zip_source_buffer(z, bytes, 10 + strlen(dict) + size, 1);
    zip_int64_t i = zip_file_add(z, "m.npy", s, 0);
    assert_true(i >= 0);
    if (!deflate) zip_set_file_compression(z, (zip_uint64_t)i, ZIP_CM_STORE, 0);
    assert_int_equal(zip_close(z), 0);
}

static void headers_are_read_strictly(void **state) {
    (void)state;
    const char *path = in_dir("m.npz");
    static const float six[] = {1, 2, 3, 4, 5, 6};
    static const struct {
        const char *dict;
        int ok; // 1 readable, 2 listed as unreadable, 0 refused
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", 1},
        {"{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}", 1},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L)}", 1},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }", 2},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", 2},
        {"{'descr': [('a', '<f4'), ('b]', '<i4', (2,))], 'fortran_order': False, 'shape': (2, 3), }", 2},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1), }", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -3), }", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6), }", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,6,1), }", 0},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3), }", 0},
        {"{'descr': '<f4', 'shape': (2, 3), }", 0},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } x", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'extra': __import__('os')}", 0},
        {"{'descr': [[[[, 'fortran_order': False, 'shape': (2, 3), }", 0},
        {"{'descr': '<f4", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_member(path, cases[i].dict, six, sizeof six, i & 1);
        gv_error err = {0};
        gv_npz *z = NULL;
        gv_status s = gv_npz_open(&z, path, &err);
        if ((s == GV_OK) != (cases[i].ok != 0)) fail_msg("%s: %s", cases[i].dict, err.text);
        if (s != GV_OK) {
            assert_null(z);
            assert_true(s == GV_ERR_FORMAT && strstr(err.text, "m.npz") && strlen(err.text) > 20);
            continue;
        }
        float *x = gv_npz_read_f32(z, "m", (int64_t[]){2, 3}, 2, NULL, &err);
        assert_int_equal(x != NULL, cases[i].ok == 1);
        if (x) assert_memory_equal(x, six, sizeof six);
        free(x);
        gv_npz_close(z);
    }
    unlink(path);
}

static void columns_become_rows(void **state) {
    (void)state;
    const char *path = in_dir("f.npz");
    float data[24];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++) data[i + 2 * (j + 3 * k)] = (float)(100 * i + 10 * j + k);
    write_member(path, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4), }", data, sizeof data, true);
    gv_error err = {0};
    gv_npz *z;
    assert_int_equal(gv_npz_open(&z, path, &err), GV_OK);
    float *x = gv_npz_read_f32(z, "m", (int64_t[]){2, 3, 4}, 3, NULL, &err);
    assert_non_null(x);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++) assert_true(x[(i * 3 + j) * 4 + k] == (float)(100 * i + 10 * j + k));
    free(x);
    gv_npz_close(z);
    unlink(path);
}

// Every prefix and many single-byte changes of a small archive: refused or read, never a crash.
static void damaged_archives_end_well(void **state) {
    (void)state;
    const char *path = in_dir("d.npz");
    static const float six[] = {1, 2, 3, 4, 5, 6};
    write_member(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six, sizeof six, true);
    FILE *f = fopen(path, "rb");
    unsigned char bytes[1024];
    size_t n = fread(bytes, 1, sizeof bytes, f), refused = 0, wrong = 0;
    fclose(f);
    for (size_t k = 0; k < 2 * n; k++) {
        unsigned char copy[1024];
        memcpy(copy, bytes, n);
        if (k < n) copy[k] ^= 0x55;
        f = fopen(path, "wb");
        fwrite(copy, 1, k < n ? n : k - n, f);
        fclose(f);
        gv_error err = {0};
        gv_npz *z = NULL;
        float *x =
            gv_npz_open(&z, path, &err) == GV_OK ? gv_npz_read_f32(z, "m", (int64_t[]){2, 3}, 2, NULL, &err) : NULL;
        if (!x)
            refused += strlen(err.text) > 0;
        else
            wrong += memcmp(x, six, sizeof six) != 0;
        free(x);
        gv_npz_close(z);
    }
    assert_true(refused > n + n / 2);
    assert_int_equal(wrong, 0);
    unlink(path);
}

static void reads_the_reference_body_model(void **state) {
    (void)state;
    const char *path = need_shared("reference/motion/SMPLX_NEUTRAL.npz");
    gv_error err = {0};
    gv_npz *z;
    assert_int_equal(gv_npz_open(&z, path, &err), GV_OK);
    assert_int_equal(gv_npz_find(z, "joint2num")->dtype, GV_OBJECT);
    assert_true(gv_npz_find(z, "J_regressor")->fortran_order);
    float *J = gv_npz_read_f32(z, "J_regressor", (int64_t[]){55, 10475}, 2, NULL, &err);
    assert_non_null(J);
    for (int j = 0; j < 55; j++) { // rows of the regressor sum to one only when the order was respected
        double sum = 0;
        for (int v = 0; v < 10475; v++) sum += (double)J[j * 10475 + v];
        assert_true(fabs(sum - 1) < 1e-4);
    }
    free(J);
    double *k = gv_npz_read_f64(z, "kintree_table", (int64_t[]){2, 55}, 2, NULL, &err);
    assert_true(k && k[0] == 4294967295.0 && k[1] == 0);
    free(k);
    assert_null(gv_npz_read_f32(z, "joint2num", NULL, -1, NULL, &err));
    gv_npz_close(z);
}

static void check_values(gv_npz *z, const char *name, const double *expected, int rows, int columns) {
    gv_error err = {0};
    double *x = gv_npz_read_f64(z, name, (int64_t[]){rows, columns}, 2, NULL, &err);
    if (!x) fail_msg("%s", err.text);
    for (int i = 0; i < rows * columns; i++) assert_true(x[i] == expected[i]);
    free(x);
}

// tests/data/make_pickles.py: NumPy, scipy and chumpy in the three protocols that body models come in.
static void pickled_arrays_are_members(void **state) {
    (void)state;
    for (int protocol = 0; protocol <= 4; protocol += 2) {
        char path[1100];
        snprintf(path, sizeof path, "%s/arrays-p%d.pkl", GV_TEST_DATA, protocol);
        gv_error err = {0};
        gv_npz *z = NULL;
        if (gv_npz_open(&z, path, &err) != GV_OK) fail_msg("%s", err.text);
        assert_int_equal(gv_npz_count(z), 6);
        assert_null(gv_npz_find(z, "bs_style"));
        assert_null(gv_npz_find(z, "objects"));
        check_values(z, "v_template", (double[]){0, 0.25, 0.5, 0.75, 1, 1.25}, 2, 3);
        check_values(z, "fortran", (double[]){0, 1, 2, 3, 4, 5}, 2, 3);
        check_values(z, "J_regressor", (double[]){0, 2, 0, 1.5, 0, -3}, 2, 3);
        check_values(z, "rows", (double[]){0, 2, 0, 1.5, 0, -3}, 2, 3);
        check_values(z, "f", (double[]){0, 1, 200}, 1, 3);
        int32_t *f = gv_npz_read_i32(z, "f", (int64_t[]){1, 3}, 2, NULL, &err);
        assert_true(f && f[2] == 200);
        free(f);
        float *x = gv_npz_read_f32(z, "shapedirs", (int64_t[]){2, 3, 2}, 3, NULL, &err);
        assert_true(x && x[0] == 0 && x[11] == 11);
        free(x);
        gv_npz_close(z);
    }
}

// A string of Python 2 is raw bytes; sizes that lie and indices out of range list no such member.
static void python2_arrays_and_lies(void **state) {
    (void)state;
#define ARRAY(shape, bytes)                                                                                            \
    "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01"                                             \
    "btR(K\x01" shape "cnumpy\ndtype\n(U\x02"                                                                          \
    "f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" bytes "tb"
    static const char good[] = "\x80\x02}(U\x01"
                               "a" ARRAY("(K\x02t", "U\x08\x00\x00\x80\x3f\x00\x00\x00\xc0") "u.";
    static const char lie[] = "\x80\x02}(U\x01"
                              "a" ARRAY("(J\xff\xff\xff\x7ft", "U\x08\x00\x00\x80\x3f\x00\x00\x00\xc0") "u.";
    static const char negative[] = "\x80\x02}(U\x01"
                                   "a" ARRAY("(J\xfe\xff\xff\xfft", "U\x08\x00\x00\x80\x3f\x00\x00\x00\xc0") "u.";
    static const struct {
        const char *bytes;
        size_t n;
        bool ok;
    } cases[] = {{good, sizeof good - 1, true}, {lie, sizeof lie - 1, false}, {negative, sizeof negative - 1, false},
                 {"\x80\x02}.", 4, false},      {"\x80\x02N.", 4, false},     {"\x80\x02", 2, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gv_error err = {0};
        gv_npz *z = NULL;
        unlink(in_dir("p.pkl"));
        FILE *f = fopen(in_dir("p.pkl"), "wb");
        fwrite(cases[i].bytes, 1, cases[i].n, f);
        fclose(f);
        gv_status s = gv_npz_open(&z, in_dir("p.pkl"), &err);
        if ((s == GV_OK) != cases[i].ok) fail_msg("case %zu: %s", i, err.text);
        float *x = z ? gv_npz_read_f32(z, "a", (int64_t[]){2}, 1, NULL, &err) : NULL;
        assert_true(cases[i].ok ? x && x[0] == 1 && x[1] == -2 : strstr(err.text, "p.pkl") != NULL);
        free(x);
        gv_npz_close(z);
    }
    unlink(in_dir("p.pkl"));
}

static void numpy_reads_what_we_write(void **state) {
    (void)state;
    if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
        printf("skipped: no NumPy\n");
        skip();
    }
    gv_error err = {0};
    gv_npz_writer *w;
    assert_int_equal(gv_npz_create(&w, in_dir("n.npz"), &err), GV_OK);
    gv_npz_add_f32(w, "net/x", (float[]){1, 2, 3, 4, 5, 6}, 2, 2, 3);
    gv_npz_add_f64_scalar(w, "fps", 29.97);
    gv_npz_add_i32_scalar(w, "n", -7);
    gv_npz_add_strings(w, "names", (const char *const[]){"größe", "b"}, 2);
    gv_npz_add(w, "e", GV_BOOL, NULL, (int64_t[]){0}, 1);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
    char command[600];
    snprintf(
        command, sizeof command,
        "/usr/bin/python3 -c \"import numpy as np; z = np.load('%s'); x = z['net/x']; "
        "assert x.dtype == np.float32 and (x == [[1, 2, 3], [4, 5, 6]]).all(); assert z['fps'] == 29.97 and "
        "z['fps'].shape == (); "
        "assert z['n'] == -7; assert z['names'].tolist() == ['gr\\u00f6\\u00dfe', 'b']; assert z['e'].shape == (0,)\"",
        in_dir("n.npz"));
    assert_int_equal(system(command), 0);
    unlink(in_dir("n.npz"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(failures_leave_nothing),
        cmocka_unit_test(headers_are_read_strictly),
        cmocka_unit_test(columns_become_rows),
        cmocka_unit_test(damaged_archives_end_well),
        cmocka_unit_test(reads_the_reference_body_model),
        cmocka_unit_test(pickled_arrays_are_members),
        cmocka_unit_test(python2_arrays_and_lies),
        cmocka_unit_test(numpy_reads_what_we_write),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_empty_dir);
}
