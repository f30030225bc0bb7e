// The binary glTF read back by a reader of its own: nodes, skins and samplers evaluated as the specification says.
#include "exports/export.h"
#include "exports/resample.h"
#include "geometry/rotation.h"
#include "made_motion.h"

#include <jansson.h>
#include <sys/wait.h>

enum { J = GV_MOTION_JOINTS };
static char file[] = "/tmp/gvhmr-glb-XXXXXX.glb";
static gv_body *body;

typedef struct glb {
    unsigned char *bytes;
    const unsigned char *bin;
    json_t *root;
} glb;

static glb load(void) {
    glb g = {0};
    FILE *f = fopen(file, "rb");
    assert_non_null(f);
    uint32_t head[5], chunk[2];
    assert_int_equal(fread(head, 4, 5, f), 5);
    assert_true(head[0] == 0x46546C67 && head[1] == 2 && head[4] == 0x4E4F534A && head[3] % 4 == 0);
    char *text = calloc(1, head[3] + 1);
    assert_int_equal(fread(text, 1, head[3], f), head[3]);
    g.root = json_loads(text, 0, NULL);
    assert_non_null(g.root);
    free(text);
    assert_int_equal(fread(chunk, 4, 2, f), 2);
    assert_true(chunk[1] == 0x004E4942 && chunk[0] % 4 == 0 && head[2] == 28 + head[3] + chunk[0]);
    g.bytes = malloc(chunk[0]);
    assert_int_equal(fread(g.bytes, 1, chunk[0], f), chunk[0]);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    g.bin = g.bytes;
    return g;
}

static void unload(glb *g) {
    json_decref(g->root);
    free(g->bytes);
}

static json_t *item(const glb *g, const char *array, size_t i) {
    json_t *v = json_array_get(json_object_get(g->root, array), i);
    assert_non_null(v);
    return v;
}

static size_t integer(const json_t *o, const char *key) {
    json_t *v = json_object_get(o, key);
    assert_true(json_is_integer(v));
    return (size_t)json_integer_value(v);
}

static const void *accessor(const glb *g, size_t i, size_t *count) {
    json_t *a = item(g, "accessors", i), *view = item(g, "bufferViews", integer(a, "bufferView"));
    *count = integer(a, "count");
    return g->bin + integer(view, "byteOffset");
}

static size_t node_named(const glb *g, const char *name) {
    size_t i;
    json_t *n;
    json_array_foreach(json_object_get(g->root, "nodes"), i, n) {
        if (!strcmp(json_string_value(json_object_get(n, "name")), name)) return i;
    }
    fail_msg("no node %s", name);
    return 0;
}

// The animated value of a node at time `at`, linearly between keys (the tests ask at keys); false: not animated.
static bool sample(const glb *g, size_t node, const char *path, double at, float *out, int width) {
    size_t i, times, values;
    json_t *animation = item(g, "animations", 0), *c;
    json_array_foreach(json_object_get(animation, "channels"), i, c) {
        json_t *target = json_object_get(c, "target");
        if (integer(target, "node") != node || strcmp(json_string_value(json_object_get(target, "path")), path))
            continue;
        json_t *s = json_array_get(json_object_get(animation, "samplers"), integer(c, "sampler"));
        const float *time = accessor(g, integer(s, "input"), &times),
                    *value = accessor(g, integer(s, "output"), &values);
        assert_int_equal(times, values);
        size_t k = 0;
        while (k + 1 < times && (double)time[k + 1] <= at + 1e-6) k++;
        memcpy(out, value + k * (size_t)width, (size_t)width * sizeof *out);
        return true;
    }
    return false;
}

static void own(const glb *g, size_t node, const char *key, float *out, int width) {
    json_t *a = json_object_get(item(g, "nodes", node), key);
    for (int i = 0; a && i < width; i++) out[i] = (float)json_number_value(json_array_get(a, (size_t)i));
}

static void local(const glb *g, size_t node, double at, float R[9], float T[3]) {
    float q[4] = {0, 0, 0, 1};
    memset(T, 0, 12);
    own(g, node, "rotation", q, 4);
    own(g, node, "translation", T, 3);
    sample(g, node, "rotation", at, q, 4);
    sample(g, node, "translation", at, T, 3);
    gv_rot_from_quat(R, (float[]){q[3], q[0], q[1], q[2]});
}

// Largest distance of the person's 22 joints, as the file's nodes stand, from those of a frame.
static double joints_off(const glb *g, size_t skin, const gv_motion *m, int t, double at) {
    json_t *joints = json_object_get(item(g, "skins", skin), "joints");
    float R[55][9], T[55][3], G[55][9], P[55][3], turned[3];
    double worst = 0;
    assert_int_equal(json_array_size(joints), 55);
    for (size_t j = 0; j < 55; j++) {
        size_t node = (size_t)json_integer_value(json_array_get(joints, j));
        assert_string_equal(json_string_value(json_object_get(item(g, "nodes", node), "name")), gv_joint_names55[j]);
        local(g, node, at, R[j], T[j]);
        int p = gv_parents55[j];
        if (p < 0) {
            memcpy(G[j], R[j], sizeof R[j]), memcpy(P[j], T[j], sizeof T[j]);
        } else {
            gv_mat3_mul(G[j], G[p], R[j]);
            gv_mat3_apply(turned, G[p], T[j]);
            for (int i = 0; i < 3; i++) P[j][i] = P[p][i] + turned[i];
        }
        for (int i = 0; i < 3 && j < J; i++)
            worst = fmax(worst, fabs((double)P[j][i] - (double)m->joints_world[3 * (J * (size_t)t + j) + (size_t)i]));
    }
    return worst;
}

static gv_export_people two_people(void) {
    gv_export_people p = {.people = 2, .motion = calloc(2, sizeof(gv_motion)), .number = calloc(2, sizeof(int))};
    p.motion[0] = made_motion(body, 0, 40, 25, 0.5f);
    p.motion[1] = made_motion(body, 10, 20, 25, -0.7f);
    p.number[0] = 1, p.number[1] = 2;
    assert_int_equal(gv_export_camera_of(&p.camera, &p.motion[0], NULL), GV_OK);
    return p;
}

static void write_two(gv_export_people *p) {
    gv_error err = {0};
    if (gv_export(p, body, file, &(gv_export_options){0}, &err) != GV_OK) fail_msg("%s", err.text);
}

static void joints_are_ours(void **state) {
    (void)state;
    gv_export_people p = two_people();
    write_two(&p);
    glb g = load();
    double worst = 0;
    for (int t = 0; t < 40; t += 3) worst = fmax(worst, joints_off(&g, 0, &p.motion[0], t, t / 25.0));
    for (int t = 0; t < 20; t += 3) worst = fmax(worst, joints_off(&g, 1, &p.motion[1], t, (10 + t) / 25.0));
    printf("glb: joints within %.5f mm\n", 1000 * worst);
    assert_true(worst < 1e-5);
    float scale[3];
    assert_false(sample(&g, node_named(&g, "person-1"), "scale", 0, scale, 3)); // there all the time
    static const double seconds[4] = {0, 0.41, 1.1, 1.3};
    static const float there[4] = {0, 1, 1, 0};
    for (int i = 0; i < 4; i++) {
        assert_true(sample(&g, node_named(&g, "person-2"), "scale", seconds[i], scale, 3));
        assert_true(scale[0] == there[i] && scale[2] == there[i]);
    }
    unload(&g);
    gv_export_free(&p);
}

// The camera's node, as glTF defines cameras, sees the pelvis where the motion file says.
static void camera_sees_what_it_saw(void **state) {
    (void)state;
    gv_export_people p = two_people();
    write_two(&p);
    glb g = load();
    size_t camera = node_named(&g, "camera");
    json_t *lens = json_object_get(item(&g, "cameras", 0), "perspective");
    double yfov = json_number_value(json_object_get(lens, "yfov")),
           aspect = json_number_value(json_object_get(lens, "aspectRatio"));
    for (int t = 0; t < 40; t += 5) {
        float R[9], T[3], seen[3], at[3];
        const float *pelvis = p.motion[0].joints_world + 3 * J * t, *c = p.motion[0].joints_incam + 3 * J * t;
        local(&g, camera, t / 25.0, R, T);
        for (int i = 0; i < 3; i++) at[i] = pelvis[i] - T[i];
        gv_mat3_apply_t(seen, R, at); // x right, y up, looking along -z
        double x = (1 + (double)seen[0] / -(double)seen[2] / tan(yfov / 2) / aspect) * 320;
        double y = (1 - (double)seen[1] / -(double)seen[2] / tan(yfov / 2)) * 240;
        assert_true(fabs(x - (320 + 500 * (double)c[0] / (double)c[2])) < 0.01);
        assert_true(fabs(y - (240 + 500 * (double)c[1] / (double)c[2])) < 0.01);
    }
    unload(&g);
    gv_export_free(&p);
}

// Skinning by the file's weights, matrices and nodes gives the surface of our own evaluation.
static void surface_is_ours(void **state) {
    (void)state;
    gv_export_people p = two_people();
    write_two(&p);
    glb g = load();
    json_t *a = json_object_get(json_array_get(json_object_get(item(&g, "meshes", 0), "primitives"), 0), "attributes");
    size_t V, n;
    const float *x = accessor(&g, integer(a, "POSITION"), &V), *w = accessor(&g, integer(a, "WEIGHTS_0"), &n);
    const unsigned char *index = accessor(&g, integer(a, "JOINTS_0"), &n);
    const float *inverse = accessor(&g, integer(item(&g, "skins", 0), "inverseBindMatrices"), &n);
    assert_int_equal(n, 55);
    assert_int_equal(V, body->vertices);
    float R[55][9], T[55][3], G[55][9], P[55][3], turned[3];
    double at = 30 / 25.0, worst = 0;
    for (int j = 0; j < 55; j++) {
        json_t *joints = json_object_get(item(&g, "skins", 0), "joints");
        local(&g, (size_t)json_integer_value(json_array_get(joints, (size_t)j)), at, R[j], T[j]);
        int q = gv_parents55[j];
        gv_mat3_mul(G[j], q < 0 ? (float[]){1, 0, 0, 0, 1, 0, 0, 0, 1} : G[q], R[j]);
        if (q >= 0) gv_mat3_apply(turned, G[q], T[j]);
        for (int i = 0; i < 3; i++) P[j][i] = q < 0 ? T[j][i] : P[q][i] + turned[i];
    }
    float *ours = calloc(V, 12);
    const gv_motion *m = &p.motion[0];
    gv_body_evaluate(body, m->betas, m->body_pose + 63 * 30, m->global_orient + 90, m->transl + 90, ours, NULL);
    for (size_t v = 0; v < V; v++)
        for (int i = 0; i < 3; i++) {
            double sum = 0, weights = 0;
            for (int k = 0; k < 4; k++) {
                int j = index[4 * v + k];
                double posed = (double)P[j][i];
                for (int c = 0; c < 3; c++)
                    posed += (double)G[j][3 * i + c] * (double)(x[3 * v + c] + inverse[16 * j + 12 + c]);
                sum += (double)w[4 * v + k] * posed;
                weights += (double)w[4 * v + k];
            }
            assert_true(fabs(weights - 1) < 1e-6);
            worst = fmax(worst, fabs(sum - (double)ours[3 * v + i]));
        }
    printf("glb: surface within %.3f mm\n", 1000 * worst);
    assert_true(worst < 2e-3); // four bones of each vertex against all of them
    free(ours);
    unload(&g);
    gv_export_free(&p);
}

static void another_body_is_refused(void **state) {
    (void)state;
    gv_export_people p = two_people();
    gv_error err = {0};
    p.motion[1].betas[0] += 3;
    unlink(file);
    assert_int_equal(gv_export(&p, body, file, &(gv_export_options){0}, &err), GV_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "body model"));
    assert_int_not_equal(access(file, F_OK), 0);
    gv_export_free(&p);
}

static void validator_finds_nothing(void **state) {
    (void)state;
    gv_export_people p = two_people();
    write_two(&p);
    gv_export_free(&p);
    char command[1200];
    snprintf(command, sizeof command,
             "cd '%s/..' && test -d node_modules/gltf-validator && node -e \"require('gltf-validator')"
             ".validateBytes(new Uint8Array(require('fs').readFileSync('%s'))).then(r => {"
             "console.log(JSON.stringify(r.issues)); process.exit(r.issues.numErrors + r.issues.numWarnings ? 3 : "
             "0)})\" 2>&1",
             GV_TEST_DATA, file);
    int result = system(command);
    if (!WIFEXITED(result) || WEXITSTATUS(result) == 1 || WEXITSTATUS(result) == 127) {
        printf("skipped: no gltf-validator (cd tests && npm ci)\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(result), 0);
}

// Resampled: the same motion at other times, bones keep their length, times are uniform.
static void other_rates_keep_the_motion(void **state) {
    (void)state;
    gv_motion m = made_motion(body, 3, 50, 25, 0.2f), truth = made_motion(body, 0, 1, 25, 0.2f), out;
    for (int t = 0; t < 50; t++) {
        m.time_sec[t] += 0.012 * (t % 3 == 1); // a shaky clock
        made_frame(&m, body, t, 0.2f);
    }
    gv_error err = {0};
    if (gv_motion_resample(&out, &m, 0, 60, "m", &err) != GV_OK) fail_msg("%s", err.text);
    assert_int_equal(out.frame_index[0], 8); // 0.12 s is frame 7.2
    assert_int_equal(out.frames, 126 - 8);   // the last is at 2.092 s, frame 125.5
    double worst = 0, camera = 0;
    for (int t = 0; t < out.frames; t++) {
        assert_true(fabs(out.time_sec[t] - out.frame_index[t] / 60.0) < 1e-9);
        truth.time_sec[0] = out.time_sec[t];
        made_frame(&truth, body, 0, 0.2f);
        worst = fmax(worst, max_abs_diff(out.joints_world + 66 * (size_t)t, truth.joints_world, 66));
        camera = fmax(camera, max_abs_diff(out.joints_incam + 66 * (size_t)t, truth.joints_incam, 66));
        const float *a = out.joints_world + 66 * (size_t)t + 3 * 4, *b = out.joints_world + 66 * (size_t)t + 3 * 7;
        const float *c = truth.joints_world + 3 * 4, *d = truth.joints_world + 3 * 7;
        double now = hypot(hypot((double)(a[0] - b[0]), (double)(a[1] - b[1])), (double)(a[2] - b[2]));
        double was = hypot(hypot((double)(c[0] - d[0]), (double)(c[1] - d[1])), (double)(c[2] - d[2]));
        assert_true(fabs(now - was) < 1e-5);
    }
    printf("resampled: within %.2f mm in the world, %.2f in the camera\n", 1000 * worst, 1000 * camera);
    assert_true(worst < 0.01 && camera < 0.02);
    gv_motion_free(&m);
    gv_motion_free(&out);
    gv_motion_free(&truth);
}

static int set_up(void **state) {
    (void)state;
    gv_error err = {0};
    int f = mkstemps(file, 4);
    if (f >= 0) close(f);
    return f < 0 || gv_body_open(&body, NULL, &err) != GV_OK ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    gv_body_close(body);
    unlink(file);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joints_are_ours),         cmocka_unit_test(camera_sees_what_it_saw),
        cmocka_unit_test(surface_is_ours),         cmocka_unit_test(another_body_is_refused),
        cmocka_unit_test(validator_finds_nothing), cmocka_unit_test(other_rates_keep_the_motion),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
