#include "formats/motion_export.h"
#include "formats/npz.h"
#include "formats/tensors.h"
#include "formats/torch_write.h"
#include "geometry/rotation.h"
#include "geometry/so3.h"
#include "folder.h"

#include <string.h>
#include <sys/wait.h>

enum { J = GV_MOTION_JOINTS };

static void take(float *to, gv_npz *z, const char *name) {
    const gv_array *a = gv_npz_find(z, name);
    assert_non_null(a);
    float *x = gv_npz_read_f32(z, name, NULL, -1, NULL, NULL);
    assert_non_null(x);
    memcpy(to, x, (size_t)a->count * sizeof *x);
    free(x);
}

// The reference's final motion of a recorded case.
static gv_motion reference_motion(void) {
    gv_error err = {0};
    gv_npz *z;
    gv_motion m;
    assert_int_equal(gv_npz_open(&z, need_shared("reference/motion/exp64_tiny_L300_moving.npz"), &err), GV_OK);
    assert_int_equal(gv_motion_alloc(&m, 300, &err), GV_OK);
    float betas[3000];
    take(betas, z, "mv_global_betas");
    memcpy(m.betas, betas, sizeof m.betas);
    take(m.body_pose, z, "mv_global_body_pose");
    take(m.global_orient, z, "mv_global_global_orient");
    take(m.transl, z, "mv_global_transl");
    take(m.global_orient_incam, z, "mv_incam_global_orient");
    take(m.transl_incam, z, "mv_incam_transl");
    take(m.joints_world, z, "mv_global_joints");
    gv_npz_close(z);
    m.fps = 30;
    for (int t = 0; t < 300; t++) {
        m.frame_index[t] = t;
        m.time_sec[t] = t / 30.0;
        m.K[9 * t] = m.K[9 * t + 4] = 1000 + (float)t;
        m.K[9 * t + 8] = 1;
    }
    return m;
}

static char *slurp(const char *path) {
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = calloc(1, 8 << 20);
    size_t n = fread(text, 1, (8 << 20) - 1, f);
    fclose(f);
    assert_true(n > 0 && n < (8 << 20) - 1);
    return text;
}

// ---- bvh, read back by a small reader of its own

typedef struct bvh {
    int joints, parent[64], channels[64];
    char name[64][32];
    double offset[64][3];
    const char *motion;
} bvh;

static void read_hierarchy(bvh *b, char *text) {
    int stack[64], depth = 0, pending = -1;
    bool end_site = false;
    char *save = NULL;
    for (char *w = strtok_r(text, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
        if (!strcmp(w, "ROOT") || !strcmp(w, "JOINT")) {
            pending = b->joints++;
            snprintf(b->name[pending], 32, "%s", strtok_r(NULL, " \t\n", &save));
            b->parent[pending] = depth ? stack[depth - 1] : -1;
            end_site = false;
        } else if (!strcmp(w, "End")) {
            strtok_r(NULL, " \t\n", &save);
            pending = -1;
            end_site = true;
        } else if (!strcmp(w, "{")) {
            stack[depth++] = pending;
        } else if (!strcmp(w, "}")) {
            depth--;
            end_site = false;
        } else if (!strcmp(w, "OFFSET")) {
            double o[3];
            for (int k = 0; k < 3; k++) o[k] = atof(strtok_r(NULL, " \t\n", &save));
            if (!end_site) memcpy(b->offset[pending], o, sizeof o);
        } else if (!strcmp(w, "CHANNELS")) {
            int n = b->channels[pending] = atoi(strtok_r(NULL, " \t\n", &save));
            static const char *const expected[] = {"Xposition", "Yposition", "Zposition",
                                                   "Zrotation", "Xrotation", "Yrotation"};
            for (int k = 0; k < n; k++) assert_string_equal(strtok_r(NULL, " \t\n", &save), expected[6 - n + k]);
        } else {
            assert_string_equal(w, "HIERARCHY");
        }
    }
    assert_int_equal(depth, 0);
}

static void axis_rotation(double R[9], int axis, double degrees) {
    double aa[3] = {0};
    aa[axis] = degrees * M_PI / 180;
    gv_rotd_from_aa(R, aa);
}

// Joint positions of one frame, cm, from its channels in file order.
static const char *evaluate(const bvh *b, const char *p, double at[64][3], double *largest_step, double last[64][3]) {
    double G[64][9], v[6], Z[9], X[9], Y[9], ZX[9], local[9], turned[3];
    for (int j = 0; j < b->joints; j++) {
        char *end;
        for (int k = 6 - b->channels[j]; k < 6; k++, p = end) v[k] = strtod(p, &end);
        for (int k = 0; k < 3; k++) {
            if (largest_step && fabs(v[3 + k] - last[j][k]) > *largest_step)
                *largest_step = fabs(v[3 + k] - last[j][k]);
            last[j][k] = v[3 + k];
        }
        axis_rotation(Z, 2, v[3]);
        axis_rotation(X, 0, v[4]);
        axis_rotation(Y, 1, v[5]);
        gv_so3_mul(ZX, Z, X);
        gv_so3_mul(local, ZX, Y);
        if (j == 0) {
            memcpy(at[0], v, 3 * sizeof *v);
            memcpy(G[0], local, sizeof local);
        } else {
            gv_so3_mul(G[j], G[b->parent[j]], local);
            gv_so3_apply(turned, G[b->parent[j]], b->offset[j]);
            for (int k = 0; k < 3; k++) at[j][k] = at[b->parent[j]][k] + turned[k];
        }
    }
    return p;
}

static void bvh_gives_the_joints_back(void **state) {
    (void)state;
    gv_motion m = reference_motion();
    gv_error err = {0};
    if (gv_motion_export(&m, GV_MOTION_BVH, NULL, in_dir("m.bvh"), &err) != GV_OK) fail_msg("%s", err.text);
    char *text = slurp(in_dir("m.bvh")), *motion = strstr(text, "MOTION");
    assert_non_null(motion);
    motion[-1] = 0;
    bvh b = {0};
    read_hierarchy(&b, text);
    assert_int_equal(b.joints, J);
    int frames = 0;
    double frame_time = 0, at[64][3], last[64][3] = {{0}}, worst = 0, step = 0;
    assert_int_equal(sscanf(motion, "MOTION\nFrames: %d\nFrame Time: %lf", &frames, &frame_time), 2);
    assert_true(frames == 300 && fabs(frame_time - 1 / 30.0) < 1e-7);
    const char *p = strchr(strstr(motion, "Frame Time"), '\n');
    for (int t = 0; t < frames; t++) {
        p = evaluate(&b, p, at, t ? &step : NULL, last);
        for (int j = 0; j < J; j++) {
            int k = 0;
            while (k < J && strcmp(gv_joint_names[k], b.name[j])) k++;
            assert_true(k < J);
            assert_true(gv_motion_parents[k] < 0 ? b.parent[j] < 0
                                                 : !strcmp(gv_joint_names[gv_motion_parents[k]], b.name[b.parent[j]]));
            for (int c = 0; c < 3; c++) {
                double d = fabs(at[j][c] / 100 - (double)m.joints_world[(t * J + k) * 3 + c]);
                if (d > worst) worst = d;
            }
        }
    }
    if (worst > 1e-3) fail_msg("joints off by %g m", worst);
    assert_true(step < 200); // angles do not jump by a whole turn
    printf("bvh: joints within %.4f mm\n", 1000 * worst);
    free(text);
    m.joints_world[5000] += 0.1f; // joints that the pose does not explain
    assert_int_equal(gv_motion_export(&m, GV_MOTION_BVH, NULL, in_dir("n.bvh"), &err), GV_ERR_FORMAT);
    assert_int_not_equal(access(in_dir("n.bvh"), F_OK), 0);
    gv_motion_free(&m);
    unlink(in_dir("m.bvh"));
}

static void tables_hold_every_frame(void **state) {
    (void)state;
    gv_motion m = reference_motion();
    gv_error err = {0};
    assert_int_equal(gv_motion_export(&m, GV_MOTION_CSV, NULL, in_dir("m.csv"), &err), GV_OK);
    assert_int_equal(gv_motion_export(&m, GV_MOTION_TRC, NULL, in_dir("m.trc"), &err), GV_OK);
    char *csv = slurp(in_dir("m.csv")), *trc = slurp(in_dir("m.trc"));
    assert_int_equal(strncmp(csv, "frame,time_sec,pelvis_x,pelvis_y,pelvis_z,left_hip_x,", 53), 0);
    char *p = csv, *end;
    for (int t = 0; t < 300; t++) {
        p = strchr(p, '\n') + 1;
        assert_int_equal(strtol(p, &end, 10), t);
        assert_true(fabs(strtod(end + 1, &end) - t / 30.0) < 1e-6);
        for (int i = 0; i < 66; i++)
            assert_true(fabs(strtod(end + 1, &end) - (double)m.joints_world[66 * t + i]) < 1e-6);
        assert_int_equal(*end, '\n');
    }
    assert_string_equal(end, "\n");
    assert_int_equal(strncmp(trc, "PathFileType\t4\t(X/Y/Z)\tm.trc\n", 29), 0);
    assert_non_null(strstr(trc, "\n30\t30\t300\t22\tmm\t30\t1\t300\nFrame#\tTime\tpelvis\t\t\tleft_hip\t\t\t"));
    p = strstr(trc, "\n\n") + 2;
    for (int t = 0; t < 300; t++) {
        assert_int_equal(strtol(p, &end, 10), t + 1);
        assert_true(fabs(strtod(end, &end) - t / 30.0) < 1e-6);
        for (int i = 0; i < 66; i++)
            assert_true(fabs(strtod(end, &end) - 1000 * (double)m.joints_world[66 * t + i]) < 1e-3);
        assert_int_equal(*end, '\n');
        p = end + 1;
    }
    assert_int_equal(*p, 0);
    free(csv);
    free(trc);
    gv_motion_free(&m);
    unlink(in_dir("m.csv"));
    unlink(in_dir("m.trc"));
}

static void result_file_is_pytorch(void **state) {
    (void)state;
    gv_motion m = reference_motion();
    gv_error err = {0};
    float *x = gv_motion_extra(&m, "net/pred_cam", 2, (int[]){300, 3});
    for (int i = 0; i < 900; i++) x[i] = (float)i;
    assert_int_equal(gv_motion_export(&m, GV_MOTION_PT, NULL, in_dir("m.pt"), &err), GV_OK);
    gv_tensors *w;
    if (gv_tensors_open(&w, in_dir("m.pt"), &err) != GV_OK) fail_msg("%s", err.text);
    assert_int_equal(gv_tensors_count(w), 10);
    static const struct {
        const char *name;
        size_t offset;
        int columns;
    } arrays[] = {{"smpl_params_global.body_pose", offsetof(gv_motion, body_pose), 63},
                  {"smpl_params_global.global_orient", offsetof(gv_motion, global_orient), 3},
                  {"smpl_params_global.transl", offsetof(gv_motion, transl), 3},
                  {"smpl_params_incam.body_pose", offsetof(gv_motion, body_pose), 63},
                  {"smpl_params_incam.global_orient", offsetof(gv_motion, global_orient_incam), 3},
                  {"smpl_params_incam.transl", offsetof(gv_motion, transl_incam), 3}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        float *y = gv_tensors_read_f32(w, arrays[i].name, (int64_t[]){300, arrays[i].columns}, 2, &err);
        if (!y) fail_msg("%s", err.text);
        assert_memory_equal(y, *(float **)((char *)&m + arrays[i].offset), 300 * (size_t)arrays[i].columns * sizeof *y);
        free(y);
    }
    float *betas = gv_tensors_read_f32(w, "smpl_params_incam.betas", (int64_t[]){300, 10}, 2, &err);
    assert_non_null(betas);
    for (int i = 0; i < 3000; i++) assert_true(betas[i] == m.betas[i % 10]);
    free(betas);
    float *K = gv_tensors_read_f32(w, "K_fullimg", (int64_t[]){300, 3, 3}, 3, &err);
    assert_non_null(K);
    assert_memory_equal(K, m.K, 2700 * sizeof *K);
    free(K);
    assert_non_null(gv_tensors_find(w, "net_outputs.pred_cam"));
    gv_tensors_close(w);
    gv_motion_free(&m);
    unlink(in_dir("m.pt"));
}

static void pytorch_loads_the_result(void **state) {
    (void)state;
    gv_motion m = reference_motion();
    gv_error err = {0};
    assert_int_equal(gv_motion_export(&m, GV_MOTION_PT, NULL, in_dir("a.pt"), &err), GV_OK);
    assert_int_equal(gv_motion_save(&m, in_dir("a.npz"), &err), GV_OK);
    gv_motion_extra(&m, "net/pred_cam", 2, (int[]){300, 3});
    assert_int_equal(gv_motion_export(&m, GV_MOTION_PT, NULL, in_dir("b.pt"), &err), GV_OK);
    gv_motion_free(&m);
    static const char script[] =
        "import sys\n"
        "try: import torch, numpy as np\n"
        "except ImportError: sys.exit(77)\n"
        "d = sys.argv[1]; a = torch.load(d + '/a.pt'); b = torch.load(d + '/b.pt'); z = np.load(d + '/a.npz')\n"
        "assert list(a) == ['smpl_params_global', 'smpl_params_incam', 'K_fullimg', 'net_outputs'], list(a)\n"
        "assert a['net_outputs'] == {} and list(b['net_outputs']) == ['pred_cam'] and "
        "b['net_outputs']['pred_cam'].shape == (300, 3)\n"
        "for g, s in (('smpl_params_global', ''), ('smpl_params_incam', '_incam')):\n"
        "  p = a[g]; assert list(p) == ['body_pose', 'betas', 'global_orient', 'transl']\n"
        "  assert p['body_pose'].dtype == torch.float32 and p['body_pose'].shape == (300, 63)\n"
        "  assert (p['body_pose'].numpy() == z['body_pose']).all() and (p['betas'].numpy() == z['betas'][None]).all()\n"
        "  assert (p['global_orient'].numpy() == z['global_orient' + s]).all() and (p['transl'].numpy() == z['transl' "
        "+ s]).all()\n"
        "assert (a['K_fullimg'].numpy() == z['K_fullimg']).all()\n";
    write_text("t.py", script);
    char command[600];
    snprintf(command, sizeof command, "/usr/bin/python3 %s %s", in_dir("t.py"), dir);
    int result = system(command);
    unlink(in_dir("t.py"));
    unlink(in_dir("a.pt"));
    unlink(in_dir("b.pt"));
    unlink(in_dir("a.npz"));
    if (!WIFEXITED(result) || WEXITSTATUS(result) == 77 || WEXITSTATUS(result) == 127) {
        printf("skipped: no PyTorch\n");
        skip();
    }
    assert_int_equal(result, 0);
}

static void folders_that_are_not_there(void **state) {
    (void)state;
    gv_motion m;
    gv_error err = {0};
    assert_int_equal(gv_motion_alloc(&m, 1, &err), GV_OK);
    m.fps = 30;
    assert_int_equal(gv_motion_export(&m, GV_MOTION_BVH, NULL, "/nonexistent/a.bvh", &err), GV_ERR_IO);
    assert_int_equal(gv_motion_export(&m, GV_MOTION_PT, NULL, "/nonexistent/a.pt", &err), GV_ERR_IO);
    bool even;
    assert_true(gv_motion_mean_rate(&m, &even) == 30 && even); // one frame
    gv_motion_free(&m);
}

static void uneven_times_are_noticed(void **state) {
    (void)state;
    gv_motion m;
    bool even;
    assert_int_equal(gv_motion_alloc(&m, 3, NULL), GV_OK);
    memcpy(m.time_sec, (double[]){0, 0.04, 0.08}, 3 * sizeof(double));
    assert_true(fabs(gv_motion_mean_rate(&m, &even) - 25) < 1e-9 && even);
    m.time_sec[1] = 0.02;
    assert_true(fabs(gv_motion_mean_rate(&m, &even) - 25) < 1e-9 && !even);
    gv_motion_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bvh_gives_the_joints_back),  cmocka_unit_test(tables_hold_every_frame),
        cmocka_unit_test(result_file_is_pytorch),     cmocka_unit_test(pytorch_loads_the_result),
        cmocka_unit_test(folders_that_are_not_there), cmocka_unit_test(uneven_times_are_noticed),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_empty_dir);
}
