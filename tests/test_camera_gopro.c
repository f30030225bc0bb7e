// A GoPro's metadata track: several devices, mounted sensors, uneven payloads, orientations of the camera and the
// picture. The files are made here, byte by byte.
#include "folder.h"
#include "base/jail.h"
#include "camera/gopro.h"
#include "camera/gyro_align.h"
#include "camera/outside.h"

#include "geometry/so3.h"
#include "video/telemetry.h"

#include <math.h>

enum { MOST = 1 << 20, PAYLOADS = 8, FRAMES = 240, GYRO_HZ = 398 };
static gv_jail *jail;
static const double DEG = 57.29577951308232, FPS = 30000 / 1001.;

// --- bytes ---------------------------------------------------------------------------------------------

typedef struct bytes {
    unsigned char at[MOST];
    size_t size;
} bytes;

static void put(bytes *b, const void *p, size_t n) {
    assert_true(b->size + n <= MOST);
    memcpy(b->at + b->size, p, n);
    b->size += n;
}
static void put_number(bytes *b, uint32_t v, int width) {
    for (int i = width - 1; i >= 0; i--) put(b, &(unsigned char){(unsigned char)(v >> 8 * i)}, 1);
}
static void set_number(bytes *b, size_t at, uint32_t v, int width) {
    for (int i = 0; i < width; i++) b->at[at + (size_t)i] = (unsigned char)(v >> 8 * (width - 1 - i));
}

// A box of MP4: open returns where its size stands.
static size_t open_box(bytes *b, const char *type) {
    put_number(b, 0, 4), put(b, type, 4);
    return b->size - 8;
}
static void close_box(bytes *b, size_t at) {
    set_number(b, at, (uint32_t)(b->size - at), 4);
}
static void full_box(bytes *b, const char *type, const uint32_t *words, int n) {
    size_t at = open_box(b, type);
    for (int i = 0; i < n; i++) put_number(b, words[i], 4);
    close_box(b, at);
}

// One item of GPMF around numbers of `width` bytes each, `per` of them a sample.
static void item(bytes *b, const char *key, char type, int width, int per, int samples, const double *v) {
    put(b, key, 4), put(b, &type, 1), put_number(b, (uint32_t)(width * per), 1), put_number(b, (uint32_t)samples, 2);
    for (int i = 0; i < per * samples; i++) {
        if (type == 'f') {
            float f = (float)v[i];
            uint32_t u;
            memcpy(&u, &f, 4);
            put_number(b, u, 4);
        } else {
            put_number(b, (uint32_t)(int32_t)lround(v[i]), width);
        }
    }
    while (b->size & 3) put_number(b, 0, 1);
}
static void text(bytes *b, const char *key, const char *s) {
    put(b, key, 4), put(b, "c\1", 2), put_number(b, (uint32_t)strlen(s), 2), put(b, s, strlen(s));
    while (b->size & 3) put_number(b, 0, 1);
}
static size_t open_group(bytes *b, const char *key) {
    put(b, key, 4), put_number(b, 0, 4);
    return b->size - 8;
}
static void close_group(bytes *b, size_t at) { // one byte a sample, or four where that is too many
    size_t n = b->size - at - 8;
    b->at[at + 5] = n < 65536 ? 1 : 4;
    set_number(b, at + 6, (uint32_t)(n < 65536 ? n : n / 4), 2);
}

// An MP4 with one track, gpmd, of these payloads; each lasts 1.001 s.
static void write_movie(const char *name, const bytes *payload, const size_t *end, int n) {
    static bytes b;
    b.size = 0;
    size_t at = open_box(&b, "ftyp");
    put(&b, "isom\0\0\2\0isom", 12), close_box(&b, at);
    size_t data = open_box(&b, "mdat"), first = b.size;
    put(&b, payload->at, payload->size), close_box(&b, data);
    size_t moov = open_box(&b, "moov");
    full_box(&b, "mvhd", (uint32_t[25]){0, 0, 0, 1000, (uint32_t)n * 1001, 0x10000, 0x1000000}, 25);
    size_t trak = open_box(&b, "trak");
    full_box(&b, "tkhd", (uint32_t[21]){7, 0, 0, 1, 0, (uint32_t)n * 1001}, 21);
    size_t mdia = open_box(&b, "mdia");
    full_box(&b, "mdhd", (uint32_t[6]){0, 0, 0, 1000, (uint32_t)n * 1001, 0}, 6);
    full_box(&b, "hdlr", (uint32_t[6]){0, 0, 0x6d657461, 0, 0, 0}, 6); // "meta"
    size_t minf = open_box(&b, "minf"), stbl = open_box(&b, "stbl");
    full_box(&b, "stsd", (uint32_t[6]){0, 1, 16, 0x67706d64, 0, 1}, 6); // "gpmd"
    full_box(&b, "stts", (uint32_t[4]){0, 1, (uint32_t)n, 1001}, 4);
    full_box(&b, "stsc", (uint32_t[5]){0, 1, 1, 1, 1}, 5);
    uint32_t size[3 + 64] = {0, 0, (uint32_t)n}, offset[2 + 64] = {0, (uint32_t)n};
    for (int i = 0; i < n; i++) {
        size_t start = i ? end[i - 1] : 0;
        size[3 + i] = (uint32_t)(end[i] - start), offset[2 + i] = (uint32_t)(first + start);
    }
    full_box(&b, "stsz", size, 3 + n);
    full_box(&b, "stco", offset, 2 + n);
    close_box(&b, stbl), close_box(&b, minf), close_box(&b, mdia), close_box(&b, trak), close_box(&b, moov);
    write_bytes(name, b.at, b.size);
}

// --- a camera that is known ----------------------------------------------------------------------------

static void true_rate(double w[3], double t) { // rad/s, axes of the picture
    w[0] = (8 * sin(2.1 * t + 1) + 4 * sin(9.3 * t)) / DEG;
    w[1] = (14 * sin(1.3 * t) + 5 * sin(7.7 * t + 0.5)) / DEG;
    w[2] = (3 * sin(3.3 * t + 2) + 2 * sin(11 * t + 1)) / DEG;
}

static void true_rotations(double (*R)[9]) {
    enum { SUB = 64 };
    gv_so3_identity(R[0]);
    for (int f = 1; f < FRAMES; f++) {
        memcpy(R[f], R[f - 1], sizeof *R);
        for (int k = 0; k < SUB; k++) {
            double r[3];
            true_rate(r, (f - 1 + (k + 0.5) / SUB) / FPS);
            for (int i = 0; i < 3; i++) r[i] *= -1 / (FPS * SUB);
            gv_so3_update(R[f], r);
        }
    }
}

static void quaternion(double q[4], const double R[9]) { // w x y z times 32767
    double w[3];
    gv_so3_log(w, R);
    double a = sqrt(gv_dot3(w, w));
    q[0] = 32767 * cos(a / 2);
    for (int k = 0; k < 3; k++) q[1 + k] = a > 1e-9 ? 32767 * sin(a / 2) * w[k] / a : 0;
}

typedef struct kind {                          // what the file holds
    bool camera, image, gyro, foreign, stamps; // foreign: another device's GYRO too
    bool matrix;                               // MTRX as well as the letters
    int missing;                               // this payload has no GYRO (0: all have)
    int fewer;                                 // so many samples of IORI are missing in the last payload
    double turned;                             // rad/s added to the orientation about x: it does not fit
} kind;

static void put_gyro(bytes *b, const kind *k, int *total, int count, double factor) {
    static double v[3 * 512];
    for (int i = 0; i < count; i++) {
        double w[3];
        true_rate(w, (*total + i) / (double)GYRO_HZ);
        // mounted as "XzY": numbers along x, back along z, along y of a frame of which Z X Y are the picture's -y, -z,
        // x
        double Z = -w[1], X = -w[2], Y = w[0];
        v[3 * i] = factor * 3755 * X, v[3 * i + 1] = factor * 3755 * -Z, v[3 * i + 2] = factor * 3755 * Y;
    }
    *total += count;
    size_t at = open_group(b, "STRM");
    if (k->stamps) item(b, "STMP", 'L', 4, 1, 1, (double[]){500000 + (*total - count) * 1e6 / GYRO_HZ});
    item(b, "TSMP", 'L', 4, 1, 1, (double[]){*total});
    if (k->matrix) item(b, "MTRX", 'f', 4, 9, 1, (double[]){0, -1, 0, 1, 0, 0, 0, 0, 1});
    text(b, "ORIN", "XzY"), text(b, "ORIO", "ZXY");
    item(b, "SCAL", 's', 2, 1, 1, (double[]){3755});
    item(b, "GYRO", 's', 2, 3, count, v);
    close_group(b, at);
}

static void put_orientations(bytes *b, const kind *k, double (*R)[9], int payload) {
    static double c[4 * 30], m[4 * 30];
    for (int i = 0; i < 30; i++) {
        int f = 30 * payload + i;
        double I[9], C[9], D[9], t = f / FPS;
        gv_so3_identity(I), gv_so3_identity(D);
        gv_so3_update(I, (double[]){0.05 * sin(3 * t), 0.04 * sin(5 * t + 1), 0.06 * cos(4 * t)});
        if (!k->image) gv_so3_identity(I);
        gv_so3_update(D, (double[]){k->turned * sin(20 * t), 0, 0});
        gv_so3_mul_tn(C, I, R[f]); // R = I C
        gv_so3_mul(I, D, I);
        quaternion(c + 4 * i, C), quaternion(m + 4 * i, I);
        if (f % 7 == 3) // the same rotation
            for (int q = 0; q < 4; q++) c[4 * i + q] *= -1;
    }
    for (int s = 0; s < 1 + k->image; s++) {
        size_t at = open_group(b, "STRM");
        item(b, "SCAL", 's', 2, 1, 1, (double[]){32767});
        item(b, s ? "IORI" : "CORI", 's', 2, 4, s && payload == PAYLOADS - 1 ? 30 - k->fewer : 30, s ? m : c);
        close_group(b, at);
    }
}

static void make_file(const char *name, const kind *k, double (*R)[9]) {
    static bytes b;
    size_t end[PAYLOADS];
    int total = 0, other = 0, n = 0;
    b.size = 0;
    for (int p = 0; p < PAYLOADS; p++) {
        // batches of 7: payloads hold 392 or 399 although the rate is even
        int count = (int)ceil(((p + 1) * 1.001 * GYRO_HZ - total) / 7) * 7;
        size_t at = open_group(&b, "DEVC");
        item(&b, "DVID", 'L', 4, 1, 1, (double[]){1});
        text(&b, "DVNM", "Camera");
        if (p && p == k->missing)
            total += count;
        else if (k->gyro)
            put_gyro(&b, k, &total, count, 1);
        if (k->camera) put_orientations(&b, k, R, p);
        close_group(&b, at);
        if (k->foreign) {
            at = open_group(&b, "DEVC");
            item(&b, "DVID", 'L', 4, 1, 1, (double[]){16835857});
            put_gyro(&b, k, &other, 50, -3);
            close_group(&b, at);
        }
        end[n++] = b.size;
    }
    write_movie(name, &b, end, n);
}

typedef struct scene {
    double R[FRAMES][9], time[FRAMES];
    gv_camera_path path; // what the picture tells: 0.03 degrees of noise
} scene;

static void make_scene(scene *s) {
    true_rotations(s->R);
    s->path = (gv_camera_path){.frames = FRAMES,
                               .R_w2c = calloc(FRAMES * 9, sizeof(float)),
                               .confidence = calloc(FRAMES, sizeof(float)),
                               .focal_px = 500,
                               .focal_origin = GV_FOCAL_GIVEN};
    uint32_t noise = 7;
    for (int f = 0; f < FRAMES; f++) {
        double e[3] = {0}, N[9];
        for (int k = 0; k < 36; k++) {
            noise = noise * 1664525u + 1013904223u;
            e[k % 3] += (noise / 4294967296.0 - 0.5) * 0.03 / DEG;
        }
        memcpy(N, s->R[f], sizeof N);
        gv_so3_update(N, e);
        for (int i = 0; i < 9; i++) s->path.R_w2c[9 * f + i] = (float)N[i];
        s->path.confidence[f] = 0.9f, s->time[f] = f / FPS;
    }
}

static double step_error(const scene *s) { // degrees, RMS, of the path's steps
    double sum = 0;
    for (int f = 1; f < FRAMES; f++) {
        double A[9], B[9], D[9], E[9], X[9], w[3];
        for (int i = 0; i < 9; i++) A[i] = s->path.R_w2c[9 * f + i], B[i] = s->path.R_w2c[9 * f - 9 + i];
        gv_so3_mul_nt(D, A, B), gv_so3_mul_nt(E, s->R[f], s->R[f - 1]), gv_so3_mul_nt(X, D, E);
        gv_so3_log(w, X);
        sum += gv_dot3(w, w);
    }
    return sqrt(sum / (FRAMES - 1)) * DEG;
}

// --- tests ---------------------------------------------------------------------------------------------

static scene s;

static void gyroscope_in_its_own_axes_and_times(void **state) {
    (void)state;
    const kind all[] = {{.gyro = true},
                        {.gyro = true, .matrix = true, .foreign = true},
                        {.gyro = true, .foreign = true, .stamps = true},
                        {.gyro = true, .missing = 3}};
    for (size_t n = 0; n < sizeof all / sizeof *all; n++) {
        gv_gyro g;
        gv_error err = {0};
        make_file("gyro.mp4", &all[n], s.R);
        if (gv_gyro_load(&g, in_dir("gyro.mp4"), NULL, &err) != GV_OK) fail_msg("%s", err.text);
        assert_true(g.count > (all[n].missing ? 6 : 7) * 390 && g.count < 8 * 400 && g.unit_known && !g.of_picture);
        // 8 payloads with batches of 7: the line through their beginnings is good to a part of a batch
        assert_true(fabs(g.interval_sec * GYRO_HZ - 1) < (all[n].stamps ? 1e-5 : 3e-3));
        double late = g.time_sec[g.count - 1] - g.time_sec[0];
        int last = (int)lround(late / g.interval_sec);
        assert_int_equal(last + 1 - g.count, all[n].missing ? 399 : 0); // what is missing leaves a gap
        for (long i = 0; i < g.count; i += 101) {
            double w[3];
            double k = round((g.time_sec[i] - g.time_sec[0]) / g.interval_sec);
            true_rate(w, k / GYRO_HZ);
            assert_true(fabs(g.rate[i][0] + w[1]) < 3e-4 && fabs(g.rate[i][1] + w[2]) < 3e-4 &&
                        fabs(g.rate[i][2] - w[0]) < 3e-4); // Z X Y
        }
        gv_gyro_free(&g);
    }
}

static void gyroscope_replaces_the_pictures_rotation(void **state) {
    (void)state;
    gv_outside_report r;
    gv_error err = {0};
    make_file("g.mp4", &(kind){.gyro = true, .foreign = true}, s.R);
    gv_camera_path_free(&s.path), make_scene(&s);
    double before = step_error(&s);
    if (gv_outside_rotation(&s.path, &r, in_dir("g.mp4"), s.time, NULL, &err) != GV_OK) fail_msg("%s", err.text);
    if (!r.source) fail_msg("%s", r.note);
    assert_string_equal(r.source, "gyroscope");
    assert_true(before > 0.03 && step_error(&s) < 0.01 && fabs(r.offset_sec) < 0.02);
}

static void the_cameras_own_orientation_is_used(void **state) {
    (void)state;
    const kind all[] = {{.camera = true},
                        {.camera = true, .image = true},
                        {.camera = true, .image = true, .gyro = true, .foreign = true}};
    for (size_t n = 0; n < sizeof all / sizeof *all; n++) {
        gv_outside_report r;
        gv_error err = {0};
        make_file("own.mp4", &all[n], s.R);
        gv_camera_path_free(&s.path), make_scene(&s);
        if (gv_outside_rotation(&s.path, &r, in_dir("own.mp4"), s.time, NULL, &err) != GV_OK) fail_msg("%s", err.text);
        if (!r.source) fail_msg("%s", r.note);
        assert_string_equal(r.source, "the camera's own orientation");
        assert_int_equal(r.frames, FRAMES - 1);
        assert_true(r.offset_sec == 0 && r.agreement > 0.98);
        if (step_error(&s) > 0.006) fail_msg("file %zu: %.4f degrees a step", n, step_error(&s)); // 16 bits: 0.0035
    }
}

// An orientation that does not agree with the picture gives way to the gyroscope, which does.
static void an_orientation_that_does_not_fit_is_not_used(void **state) {
    (void)state;
    gv_outside_report r;
    gv_error err = {0};
    for (int gyro = 0; gyro < 2; gyro++) {
        make_file("odd.mp4", &(kind){.camera = true, .image = true, .gyro = gyro, .turned = 0.4}, s.R);
        gv_camera_path_free(&s.path), make_scene(&s);
        double before = step_error(&s);
        gv_status status = gv_outside_rotation(&s.path, &r, in_dir("odd.mp4"), s.time, NULL, &err);
        if (gyro) {
            assert_int_equal(status, GV_OK);
            assert_true(r.source && !strcmp(r.source, "gyroscope") && step_error(&s) < 0.01);
        } else {
            assert_true(status == GV_OK && !r.source && strstr(r.note, "not used"));
            assert_true(step_error(&s) == before);
        }
    }
}

// A process without rights reads the same, packets in several pieces among it; what is no film is the same line.
static void a_jail_reads_the_same(void **state) {
    (void)state;
    static bytes payload;
    gv_telemetry a, b;
    gv_error err = {0}, other = {0};
    payload.size = 0;
    for (int i = 0; i < 100010; i++) put_number(&payload, (uint32_t)(i * i >> 3), 1);
    write_movie("g.mp4", &payload, (size_t[]){100000, 100010}, 2);
    if (gv_telemetry_read(&a, in_dir("g.mp4"), NULL, &err) != GV_OK) fail_msg("%s", err.text);
    if (gv_telemetry_read(&b, in_dir("g.mp4"), jail, &err) != GV_OK) fail_msg("%s", err.text);
    assert_true(a.packets == 2 && b.packets == 2 && a.packet[0].size == 100000 && a.packet[1].size == 10);
    assert_memory_equal(a.packet, b.packet, 2 * sizeof *a.packet);
    assert_memory_equal(a.bytes, payload.at, payload.size);
    assert_memory_equal(b.bytes, payload.at, payload.size);
    gv_telemetry_free(&a), gv_telemetry_free(&b);
    write_text("g.mp4", "nothing of the kind");
    assert_int_equal(gv_telemetry_read(&a, in_dir("g.mp4"), NULL, &err), GV_ERR_FORMAT);
    assert_int_equal(gv_telemetry_read(&a, in_dir("g.mp4"), jail, &other), GV_ERR_FORMAT);
    assert_string_equal(err.text, other.text);
}

// The maker's name, which FFmpeg reads.
static void a_jail_reads_the_same_words(void **state) {
    (void)state;
    static bytes b;
    gv_error err = {0};
    b.size = 0;
    size_t at = open_box(&b, "ftyp");
    put(&b, "qt  \0\0\2\0qt  ", 12), close_box(&b, at);
    size_t moov = open_box(&b, "moov"), udta = open_box(&b, "udta"), words = open_box(&b, "\251mak");
    put(&b, "\0\5\0\0Apple", 9), close_box(&b, words), close_box(&b, udta), close_box(&b, moov);
    write_bytes("words.mov", b.at, b.size);
    for (int k = 0; k < 2; k++) {
        gv_video_tags t;
        assert_int_equal(gv_video_tags_read(&t, in_dir("words.mov"), k ? jail : NULL, &err), GV_OK);
        assert_string_equal(t.make, "Apple");
        gv_video_tags_free(&t);
    }
}

static void broken_files_are_refused(void **state) {
    (void)state;
    gv_gyro g;
    gv_error err = {0};
    make_file("odd.mp4", &(kind){.camera = true, .image = true, .fewer = 2}, s.R);
    assert_int_equal(gv_gyro_load_own(&g, in_dir("odd.mp4"), NULL, &err), GV_ERR_FORMAT);
    assert_non_null(strstr(err.text, "240 orientations of the camera, 238 of the picture"));
    assert_int_equal(gv_gyro_load(&g, in_dir("odd.mp4"), NULL, &err), GV_ERR_MISSING);
    make_file("all.mp4", &(kind){.camera = true, .image = true, .gyro = true}, s.R);
    static unsigned char all[MOST];
    FILE *f = fopen(in_dir("all.mp4"), "rb");
    size_t n = fread(all, 1, sizeof all, f);
    fclose(f);
    uint32_t noise = 3;
    for (int k = 0; k < 60; k++) { // cut short, or with wrong bytes: an error or fewer samples
        static unsigned char odd[MOST];
        memcpy(odd, all, n);
        for (int i = 0; i < 40 && k >= 20; i++) {
            noise = noise * 1664525u + 1013904223u;
            odd[32 + noise % (n - 32)] = (unsigned char)(noise >> 24);
        }
        write_bytes("broken.mp4", odd, k < 20 ? n * (size_t)k / 20 : n);
        if (gv_gyro_load(&g, in_dir("broken.mp4"), NULL, &err) == GV_OK) gv_gyro_free(&g);
        if (gv_gyro_load_own(&g, in_dir("broken.mp4"), NULL, &err) == GV_OK) gv_gyro_free(&g);
    }
}

static int begin(void **state) {
    make_scene(&s);
    return make_dir(state);
}
static int end(void **state) {
    gv_camera_path_free(&s.path);
    return remove_dir(state);
}

int main(void) {
    gv_error err = {0};
    if (gv_jail_create(&jail, &err) != GV_OK) return 1; // before there are threads
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gyroscope_in_its_own_axes_and_times),
        cmocka_unit_test(gyroscope_replaces_the_pictures_rotation),
        cmocka_unit_test(the_cameras_own_orientation_is_used),
        cmocka_unit_test(an_orientation_that_does_not_fit_is_not_used),
        cmocka_unit_test(a_jail_reads_the_same),
        cmocka_unit_test(a_jail_reads_the_same_words),
        cmocka_unit_test(broken_files_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, begin, end);
    gv_jail_destroy(jail);
    return failed;
}
