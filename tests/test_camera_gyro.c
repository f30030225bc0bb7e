// Gyroscopes: logs of every format, found in time and orientation by the picture's rotation.
#include "folder.h"
#include "camera/gyro.h"
#include "camera/gyro_align.h"
#include "camera/outside.h"
#include "camera/rotation_list.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"

#include <string.h>

static const double DEG = 57.29577951308232;

// --- a world that is known -----------------------------------------------------------------------------

static uint32_t state_of_noise = 1;
static double uniform(void) {
    state_of_noise = state_of_noise * 1664525u + 1013904223u;
    return (state_of_noise >> 8) / 16777216.0;
}
static double normal(void) {
    double s = -6;
    for (int i = 0; i < 12; i++) s += uniform();
    return s;
}

// The camera's rate at time t, rad/s, its own axes: a person's hand.
static double liveliness = 1, pace = 1;
static void true_rate(double w[3], double t) {
    t *= pace;
    w[0] = (8 * sin(2.1 * t + 1) + 4 * sin(9.3 * t) + 1.5 * sin(23 * t + 2)) / DEG;
    w[1] = (14 * sin(1.3 * t) + 5 * sin(7.7 * t + 0.5) + 1.5 * sin(31 * t)) / DEG;
    w[2] = (3 * sin(3.3 * t + 2) + 2 * sin(11 * t + 1)) / DEG;
    for (int k = 0; k < 3; k++) w[k] *= liveliness;
}

typedef struct world {
    int frames;
    double fps, *time, (*R)[9]; // exact
    gv_camera_path path;        // what the picture says: noisy
} world;

static world make_world(int frames, double fps, double visual_noise_deg) {
    world w = {.frames = frames, .fps = fps};
    w.time = calloc((size_t)frames, sizeof *w.time), w.R = calloc((size_t)frames, sizeof *w.R);
    w.path = (gv_camera_path){.frames = frames,
                              .R_w2c = calloc((size_t)frames * 9, sizeof(float)),
                              .confidence = calloc((size_t)frames, sizeof(float))};
    double R[9];
    gv_so3_identity(R);
    for (int f = 0; f < frames; f++) {
        w.time[f] = f / fps;
        enum { SUB = 64 };
        for (int k = 0; f > 0 && k < SUB; k++) {
            double r[3];
            true_rate(r, (f - 1 + (k + 0.5) / SUB) / fps);
            for (int i = 0; i < 3; i++) r[i] *= -1 / (fps * SUB);
            gv_so3_update(R, r);
        }
        memcpy(w.R[f], R, sizeof R);
        double e[3], N[9];
        for (int i = 0; i < 3; i++) e[i] = visual_noise_deg / DEG * normal();
        memcpy(N, R, sizeof N);
        gv_so3_update(N, e);
        for (int i = 0; i < 9; i++) w.path.R_w2c[9 * f + i] = (float)N[i];
        w.path.confidence[f] = 0.9f;
    }
    return w;
}
static void free_world(world *w) {
    free(w->time), free(w->R);
    gv_camera_path_free(&w->path);
}

typedef struct sensor {
    double hz, offset, noise, bias[3], M[9]; // sensor = M^T camera + bias; rad/s
    double from, to;                         // log time
} sensor;

static gv_gyro make_log(const sensor *s) {
    gv_gyro g = {0};
    long capacity = 0;
    for (double t = s->from; t <= s->to; t += 1 / s->hz) {
        double w[3], r[3];
        true_rate(w, t - s->offset);
        gv_so3_apply_t(r, s->M, w);
        for (int i = 0; i < 3; i++) r[i] += s->bias[i] + s->noise * normal();
        assert_int_equal(gv_gyro_add(&g, &capacity, t, r, NULL), GV_OK);
    }
    return g;
}

static double step_rmse(const world *w) {
    double sum = 0;
    for (int f = 1; f < w->frames; f++) {
        double P[9], Q[9], A[9], B[9];
        for (int i = 0; i < 9; i++) P[i] = w->path.R_w2c[9 * f + i], Q[i] = w->path.R_w2c[9 * f - 9 + i];
        gv_so3_mul_nt(A, P, Q), gv_so3_mul_nt(B, w->R[f], w->R[f - 1]);
        sum += pow(gv_so3_angle(A, B) * DEG, 2);
    }
    return sqrt(sum / (w->frames - 1));
}

static void found_in_time_and_orientation(void **state) {
    (void)state;
    static const double tilted[3] = {0.4, -1.1, 2.0};
    for (int c = 0; c < 9; c++) {
        state_of_noise = (uint32_t)c + 1;
        world w = make_world(200, 30, 0.03);
        sensor s = {.hz = (double[]){100, 200, 400}[c % 3],
                    .offset = (double[]){0, 0.137, -0.613, 12.3456, 2}[c % 5],
                    .noise = 0.2 / DEG,
                    .bias = {0.5 / DEG, -1.2 / DEG, 0.9 / DEG}};
        gv_so3_identity(s.M);
        if (c == 1 || c == 4) memcpy(s.M, (double[]){0, -1, 0, 0, 0, 1, -1, 0, 0}, sizeof s.M); // another order
        if (c == 2 || c == 7) memcpy(s.M, (double[]){0, 1, 0, 1, 0, 0, 0, 0, 1}, sizeof s.M);   // left-handed
        if (c == 3 || c == 8) gv_so3_exp(s.M, tilted);
        s.from = s.offset - (c % 2 ? 0.2 : 20), s.to = s.offset + 200 / 30. + (c % 2 ? 0.2 : 15);
        gv_gyro g = make_log(&s);
        gv_error err = {0};
        gv_gyro_alignment a;
        assert_int_equal(gv_gyro_clean(&g, "log", &err), GV_OK);
        assert_int_equal(gv_gyro_align(&a, &g, w.time, &w.path, &err), GV_OK);
        if (!a.found) fail_msg("case %d: %s", c, a.why);
        double before = step_rmse(&w);
        int used = gv_gyro_apply(&w.path, &g, &a, w.time);
        printf(
            "%.0f Hz: offset off by %.2f ms, agreement %.4f, scale %.4f, steps %d: %.4f deg per frame (picture %.4f)\n",
            s.hz, 1e3 * (a.offset_sec - s.offset), a.agreement, a.scale, used, step_rmse(&w), before);
        assert_true(fabs(a.offset_sec - s.offset) < 0.002);
        assert_true(step_rmse(&w) < 0.02);
        assert_int_equal(used, 199);
        for (int i = 0; i < 9; i++) assert_true(fabs(a.M[i] - s.M[i]) < 0.03);
        gv_gyro_free(&g);
        free_world(&w);
    }
}

// --- formats -------------------------------------------------------------------------------------------

// A header and n rows; the format may take the row's number twice.
static char *rows(char *out, const char *head, const char *format, int n) {
    char *p = out + sprintf(out, "%s", head);
    for (int i = 0; i < n; i++) p += sprintf(p, format, i, i);
    return out;
}

// The first samples of a log against what is expected: time, step, rates.
static void reads(const char *text, double start, double step, double x, double y, double z) {
    gv_gyro g;
    gv_error err = {0};
    if (gv_gyro_parse(&g, "log", text, strlen(text), &err) != GV_OK) fail_msg("%s\nin:\n%.200s", err.text, text);
    if (fabs(g.time_sec[0] - start) > 1e-7 || fabs(g.time_sec[1] - g.time_sec[0] - step) > 1e-7)
        fail_msg("starts at %.9g, %.9g s, in:\n%.200s", g.time_sec[0], g.time_sec[1], text);
    if (fabs(g.rate[0][0] - x) + fabs(g.rate[0][1] - y) + fabs(g.rate[0][2] - z) > 1e-6)
        fail_msg("reads %g %g %g in:\n%.200s", g.rate[0][0], g.rate[0][1], g.rate[0][2], text);
    gv_gyro_free(&g);
}

static void logs_of_every_kind(void **state) {
    (void)state;
    char t[8192];
    reads(rows(t,
               "GYROFLOW IMU LOG\nversion,1.3\norientation,YxZ\ntscale,0.001\ngscale,0.002\nascale,1\n"
               "t,gx,gy,gz,ax,ay,az\n",
               "%d,39,86,183,-1137,-15689,-2986\n", 20),
          0, 0.001, 0.078, 0.172, 0.366);
    reads(rows(t, "timestamp,x,y,z\r\n", "1%02d0000000,0.1,-0.2,0.3\r\n", 20), 1, 0.01, 0.1, -0.2, 0.3); // Android, ns
    reads(
        rows(t, "sensor,timestamp_ns,x,y,z\n", "gyroscope,1%02d0000000,1,2,3\naccelerometer,1%02d0000000,9,9,9\n", 20),
        1, 0.01, 1, 2, 3); // several sensors in one file
    reads(rows(t, "Time (s),Gyroscope x (deg/s),Gyroscope y (deg/s),Gyroscope z (deg/s)\n", "0.%02d,90,0,-45\n", 20), 0,
          0.01, 90 / DEG, 0, -45 / DEG);
    reads(rows(t, "time,seconds_elapsed,z,y,x\n", "16000000%02d,0.%02d,3,2,1\n", 20), 0, 0.01, 1, 2,
          3); // columns turned
    reads(rows(t,
               "loggingTime(txt),accelerometerAccelerationX(G),accelerometerAccelerationY(G),"
               "accelerometerAccelerationZ(G),gyroTimestamp_sinceReboot(s),gyroRotationX(rad/s),gyroRotationY(rad/s),"
               "gyroRotationZ(rad/s)\n",
               "2020-01-01 10:00:00.%02d,9,9,9,5.%02d,1,2,3\n", 20),
          5, 0.01, 1, 2, 3); // iOS
    reads(rows(t, "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],a_RS_S_x [m s^-2]\n",
               "1%02d0000000,1,2,3,4\n", 20),
          1, 0.01, 1, 2, 3);                                    // EuRoC
    reads(rows(t, "", "0.%02d 1 2 3\n", 20), 0, 0.01, 1, 2, 3); // nothing but numbers
    reads(rows(t, "t;gx;gy;gz\n", "%d;100;-200;300\n", 20), 0, 0.001, 100 / DEG, -200 / DEG,
          300 / DEG); // ms, deg/s by size
}

static void broken_logs_are_refused(void **state) {
    (void)state;
    char t[8192];
    const char *bad[] = {
        "",
        "\n\n\n",
        "hello\nworld\n",
        "t,x,y,z\n",
        "t,x,y,z\n1,2,3\n",
        "GYROFLOW IMU LOG\n",
        "GYROFLOW IMU LOG\ntscale,0.001\nt,gx,gy,gz\n0,1,2,3\n", // no gscale
        "GYROFLOW IMU LOG\ntscale,0.001\ngscale,1\nt,ax,ay,az\n0,1,2,3\n",
        "time,accX,accY,accZ\n0,1,2,3\n0.01,1,2,3\n0.02,1,2,3\n",
        "\"",
        ",,,,,,,,,,,\n,,,,,\n",
        "t,x,y,z\nnan,nan,nan,nan\n",
    };
    gv_gyro g;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gv_error err = {0};
        assert_int_not_equal(gv_gyro_parse(&g, "log", bad[i], strlen(bad[i]), &err), GV_OK);
        assert_true(strlen(err.text) > 10 && !g.time_sec);
    }
    gv_error err = {0};
    rows(t, "t,x,y,z\n", "5,%d,0,0\n", 30); // the clock stands
    assert_int_not_equal(gv_gyro_parse(&g, "log", t, strlen(t), &err), GV_OK);
    rows(t, "time (s),x,y,z\n", "%d,1,0,0\n", 30); // one sample a second
    assert_int_not_equal(gv_gyro_parse(&g, "log", t, strlen(t), &err), GV_OK);
    char *p = t + sprintf(t, "time (s),x,y,z\n"); // every second sample goes back
    for (int i = 0; i < 40; i++) p += sprintf(p, "%g,1,2,3\n", 0.01 * (i % 2 ? 40 - i : i));
    assert_int_not_equal(gv_gyro_parse(&g, "log", t, strlen(t), &err), GV_OK);
    assert_int_equal(gv_gyro_load(&g, "nowhere.csv", NULL, &err), GV_ERR_IO);
}

// --- logs that do not fit ------------------------------------------------------------------------------

static gv_gyro plain_log(double from, double to) {
    sensor s = {.hz = 200, .from = from, .to = to, .noise = 0.1 / DEG};
    gv_so3_identity(s.M);
    return make_log(&s);
}

static void a_wrong_unit_is_noticed(void **state) {
    (void)state;
    world w = make_world(150, 30, 0.02);
    gv_gyro g = plain_log(-1, 6);
    for (long i = 0; i < g.count; i++)
        for (int k = 0; k < 3; k++) g.rate[i][k] *= DEG; // deg/s, but nobody said so
    gv_error err = {0};
    gv_gyro_alignment a;
    gv_gyro_clean(&g, "log", &err);
    assert_int_equal(gv_gyro_align(&a, &g, w.time, &w.path, &err), GV_OK);
    assert_true(a.found);
    gv_gyro_apply(&w.path, &g, &a, w.time);
    assert_true(step_rmse(&w) < 0.02);
    gv_gyro_free(&g);
    free_world(&w);
}

// A gap of half a second, and a log that ends before the video: there the picture's steps stay.
static void gaps_keep_the_picture(void **state) {
    (void)state;
    world w = make_world(180, 30, 0.02);
    gv_gyro g = plain_log(-0.5, 4), holed = {0};
    long capacity = 0;
    gv_error err = {0};
    for (long i = 0; i < g.count; i++)
        if (g.time_sec[i] < 1.5 || g.time_sec[i] > 2) gv_gyro_add(&holed, &capacity, g.time_sec[i], g.rate[i], NULL);
    gv_gyro_clean(&holed, "log", &err);
    gv_gyro_alignment a;
    assert_int_equal(gv_gyro_align(&a, &holed, w.time, &w.path, &err), GV_OK);
    assert_true(a.found && fabs(a.offset_sec) < 0.002);
    int used = gv_gyro_apply(&w.path, &holed, &a, w.time);
    assert_true(used > 95 && used < 106); // of 179: 60 after the end, 15 in the gap
    assert_true(step_rmse(&w) < 0.06);
    gv_gyro_free(&g), gv_gyro_free(&holed);
    free_world(&w);
}

static void another_clips_log_is_not_used(void **state) {
    (void)state;
    world w = make_world(150, 30, 0.02);
    gv_gyro g = plain_log(50, 60);
    for (long i = 0; i < g.count; i++) g.time_sec[i] -= 52; // the same hand, minutes later
    gv_error err = {0};
    gv_gyro_alignment a;
    gv_gyro_clean(&g, "log", &err);
    assert_int_equal(gv_gyro_align(&a, &g, w.time, &w.path, &err), GV_OK);
    assert_false(a.found);
    assert_true(strlen(a.why) > 20);
    for (int f = 0; f < w.frames; f++) // a camera that stands: nothing to correlate
        for (int i = 0; i < 9; i++) w.path.R_w2c[9 * f + i] = i % 4 == 0;
    assert_int_equal(gv_gyro_align(&a, &g, w.time, &w.path, &err), GV_OK);
    assert_false(a.found);
    gv_gyro_free(&g);
    free_world(&w);
}

// Turns that are hardly larger than the picture's error: the right log is found all the same, others are not.
static void a_camera_that_hardly_turns(void **state) {
    (void)state;
    liveliness = 0.08;
    for (int c = 0; c < 12; c++) {
        state_of_noise = (uint32_t)c + 77;
        world w = make_world(300, 30, 0.011);
        bool other = c % 3 == 2;
        sensor s = {.hz = 200, .offset = other ? -300 - c : 0.05, .noise = 0.05 / DEG, .from = -1, .to = 12};
        if (other) s.from = -c, s.to = 20; // of another time
        gv_so3_identity(s.M);
        pace = other ? 1.1 : 1; // another hand: sums of the same few sines come back by themselves
        gv_gyro g = make_log(&s);
        pace = 1;
        gv_error err = {0};
        gv_gyro_alignment a;
        assert_int_equal(gv_gyro_clean(&g, "log", &err), GV_OK);
        assert_int_equal(gv_gyro_align(&a, &g, w.time, &w.path, &err), GV_OK);
        double before = step_rmse(&w);
        printf("%s log: agreement %.3f, offset %.4f %s\n", other ? "another's" : "the", a.agreement, a.offset_sec,
               a.why);
        assert_true(a.found == !other);
        if (a.found) {
            assert_true(a.agreement < 0.9 && fabs(a.offset_sec - s.offset) < 0.02);
            gv_gyro_apply(&w.path, &g, &a, w.time);
            assert_true(before > 0.02 && step_rmse(&w) < 0.01);
        }
        gv_gyro_free(&g);
        free_world(&w);
    }
    liveliness = 1;
}

// A pan about one axis does not show how the others lie: the plain order of axes is taken.
static void a_pan_alone_is_enough(void **state) {
    (void)state;
    world w = make_world(150, 30, 0);
    gv_gyro g = {0};
    gv_error err = {0};
    long capacity = 0;
    double M[9] = {0, 1, 0, 0, 0, 1, 1, 0, 0};
    for (double t = -1; t < 6; t += 0.005) {
        double c[3] = {0, (20 + 15 * sin(2 * t)) / DEG, 0}, r[3];
        gv_so3_apply_t(r, M, c);
        for (int k = 0; k < 3; k++) r[k] += 0.3 / DEG * normal();
        gv_gyro_add(&g, &capacity, t, r, NULL);
    }
    gv_gyro_clean(&g, "log", &err);
    for (int f = 0; f < w.frames; f++) {
        double t = f / 30., angle = -(20 * t - 7.5 * (cos(2 * t) - 1)) / DEG, v[3] = {0, angle, 0};
        gv_so3_exp(w.R[f], v);
        double e[3] = {2e-4 * normal(), 2e-4 * normal(), 2e-4 * normal()}, N[9];
        memcpy(N, w.R[f], sizeof N);
        gv_so3_update(N, e);
        for (int i = 0; i < 9; i++) w.path.R_w2c[9 * f + i] = (float)N[i];
    }
    gv_gyro_alignment a;
    assert_int_equal(gv_gyro_align(&a, &g, w.time, &w.path, &err), GV_OK);
    if (!a.found) fail_msg("%s (offset %g, agreement %g)", a.why, a.offset_sec, a.agreement);
    gv_gyro_apply(&w.path, &g, &a, w.time);
    assert_true(step_rmse(&w) < 0.02);
    gv_gyro_free(&g);
    free_world(&w);
}

// With a focal length 1.4 times too long the picture turns too slowly about x and y: the sensor tells.
static void a_wrong_focal_length_is_noticed(void **state) {
    (void)state;
    world w = make_world(150, 30, 0);
    double R[9];
    gv_so3_identity(R);
    for (int f = 1; f < w.frames; f++) {
        double D[9], v[3];
        gv_so3_mul_nt(D, w.R[f], w.R[f - 1]);
        gv_so3_log(v, D);
        v[0] /= 1.4, v[1] /= 1.4;
        gv_so3_update(R, v);
        for (int i = 0; i < 9; i++) w.path.R_w2c[9 * f + i] = (float)R[i];
    }
    gv_gyro g = plain_log(-1, 6);
    gv_error err = {0};
    gv_gyro_clean(&g, "log", &err);
    gv_gyro_alignment a;
    assert_int_equal(gv_gyro_align(&a, &g, w.time, &w.path, &err), GV_OK);
    assert_true(a.found && fabs(a.tilt_scale * 1.4 - 1) < 0.03);
    gv_gyro_apply(&w.path, &g, &a, w.time);
    assert_true(step_rmse(&w) < 0.05);
    gv_gyro_free(&g);
    free_world(&w);
}

// --- other trackers' rotations -------------------------------------------------------------------------

static void rotations_of_other_trackers(void **state) {
    (void)state;
    enum { N = 12 };
    static char t[5][N * 200];
    char *p[5] = {t[0], t[1], t[2], t[3], t[4]};
    world w = make_world(N, 30, 0);
    p[1] += sprintf(p[1], "# Image list with two lines of data per image:\n");
    for (int f = 0; f < N; f++) {
        const double *R = w.R[f];
        float q[4], F[9];
        for (int i = 0; i < 9; i++) F[i] = (float)R[i];
        gv_rot_to_quat(q, F);
        p[0] += sprintf(p[0], "%.6f 0 0 0 %.9f %.9f %.9f %.9f\n", w.time[f], -q[1], -q[2], -q[3], q[0]); // TUM
        int g = (f * 5) % N; // COLMAP lists them in any order
        for (int i = 0; i < 9; i++) F[i] = (float)w.R[g][i];
        gv_rot_to_quat(q, F);
        p[1] += sprintf(p[1], "%d %.9f %.9f %.9f %.9f 1 2 3 1 frame_%05d.jpg\n10.5 20.5 -1 30 40 7\n", f + 1, q[0],
                        q[1], q[2], q[3], g + 1);
        for (int i = 0; i < 9; i++) p[2] += sprintf(p[2], "%.9f%c", R[i], i < 8 ? ' ' : '\n');
        for (int i = 0; i < 9; i++) p[3] += sprintf(p[3], "%.9f%c", R[i], i % 3 < 2 ? ',' : '\n');
        for (int i = 0; i < 12; i++)
            p[4] += sprintf(p[4], "%.9f%c", i % 4 == 3 ? 5.0 : R[3 * (i % 4) + i / 4], i < 11 ? ' ' : '\n');
    }
    for (int k = 0; k < 5; k++) {
        gv_error err = {0};
        gv_outside_report r;
        write_text("rotations.txt", t[k]);
        memset(w.path.R_w2c, 0, N * 9 * sizeof(float));
        if (gv_outside_rotation(&w.path, &r, in_dir("rotations.txt"), w.time, NULL, &err) != GV_OK)
            fail_msg("%s", err.text);
        assert_string_equal(r.source, "rotation file");
        if (step_rmse(&w) > 1e-4) fail_msg("format %d: %g deg per frame", k, step_rmse(&w));
    }
    // every second pose of a TUM list: the others lie between
    char half[N * 100] = "", *h = half, *line = t[0];
    for (int f = 0; f < N; f++) {
        char *stop = strchr(line, '\n') + 1;
        if (f % 2 == 0 || f == N - 1) h += sprintf(h, "%.*s", (int)(stop - line), line);
        line = stop;
    }
    gv_error err = {0};
    gv_outside_report r;
    write_text("rotations.txt", half);
    assert_int_equal(gv_outside_rotation(&w.path, &r, in_dir("rotations.txt"), w.time, NULL, &err), GV_OK);
    assert_true(step_rmse(&w) < 0.1);
    static const char *const bad[] = {
        "1 0 0 0 1 0 0 0 1\n1 0 0 0 1 0 0 0 1\n",                   // 2 for 12 frames
        "1 0 0 0 1 0 0 0 1\n1 0 0 0 1 0 0 0 2\n",                   // no rotation
        "1000 0 0 0 0 0 0 1\n1001 0 0 0 0 0 0 1\n",                 // times of another world
        "0 0 0 0 0 0 0 1\n0 0 0 0 0 0 0 1\n",                       // the clock stands
        "1 1 0 0 0 0 0 0 1 a1.jpg\n\n2 1 0 0 0 0 0 0 1 b1.jpg\n\n", // the same number twice
        "1 0 0\n0 1 0\n",                                           // two rows of three
        "0 0 0 0 0 0 0 1\nx\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text("rotations.txt", bad[i]);
        err.text[0] = 0;
        assert_int_not_equal(gv_outside_rotation(&w.path, &r, in_dir("rotations.txt"), w.time, NULL, &err), GV_OK);
        assert_non_null(strstr(err.text, "rotations.txt"));
    }
    // a name that ends in digits where the text ends, without a NUL behind it: digits were once read on
    static const char exact[] = "1 1 0 0 0 0 0 0 1 a99999999999";
    char *text = malloc(sizeof exact - 1);
    memcpy(text, exact, sizeof exact - 1);
    gv_rotation_list l;
    assert_int_equal(gv_rotation_list_parse(&l, "list", text, sizeof exact - 1, &err), GV_OK);
    assert_int_equal(l.count, 1);
    gv_rotation_list_free(&l);
    free(text);
    free_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_in_time_and_orientation),   cmocka_unit_test(logs_of_every_kind),
        cmocka_unit_test(broken_logs_are_refused),         cmocka_unit_test(a_wrong_unit_is_noticed),
        cmocka_unit_test(gaps_keep_the_picture),           cmocka_unit_test(another_clips_log_is_not_used),
        cmocka_unit_test(a_camera_that_hardly_turns),      cmocka_unit_test(a_pan_alone_is_enough),
        cmocka_unit_test(a_wrong_focal_length_is_noticed), cmocka_unit_test(rotations_of_other_trackers),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
