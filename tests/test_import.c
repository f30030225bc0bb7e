// test_import.c - AMASS files, the reference's packs and bad clips of every kind, into motion stores.
#include "body/body.h"
#include "folder.h"
#include "formats/npz.h"
#include "formats/tensors.h"
#include "geometry/rotation.h"
#include "pack.h"
#include "training/import.h"
#include "training/rig.h"
#include "training/sample.h"

#include <sys/stat.h>

static gv_error err;
enum { LONGEST = 400, COLUMNS = 165 };

// Somebody upright in a world whose `up` (1: y, 2: z, 3: camera, y down) axis is up walks 1 m/s along x and bends the
// left elbow by 0.5 rad/s. pose [frames, columns], transl [frames, 3].
static void walk(float *pose, float *transl, int frames, double fps, int columns, int up) {
    memset(pose, 0, sizeof(float) * (size_t)(frames * columns));
    for (int t = 0; t < frames; t++) {
        double s = t / fps;
        pose[t * columns] = up == 2 ? (float)M_PI / 2 : up == 3 ? (float)M_PI : 0;
        pose[t * columns + 3 * 18 + 1] = (float)(-0.5 * s);
        transl[3 * t] = (float)s;
        transl[3 * t + 1] = up == 1 ? 0.7f : up == 3 ? -0.5f : 2;
        transl[3 * t + 2] = up == 2 ? 0.7f : 3;
    }
}

static void write_amass(const char *name, int frames, double fps, int columns, const char *gender, const char *rate) {
    static float pose[LONGEST * COLUMNS], transl[LONGEST * 3], betas[16] = {0.5f, -1};
    walk(pose, transl, frames, fps, columns, 2);
    gv_npz_writer *w = NULL;
    assert_int_equal(gv_npz_create(&w, in_dir(name), &err), GV_OK);
    if (columns == 66) { // root and body apart
        static float orient[LONGEST * 3], body[LONGEST * 63];
        for (int t = 0; t < frames; t++) {
            memcpy(orient + 3 * t, pose + 66 * t, sizeof(float[3]));
            memcpy(body + 63 * t, pose + 66 * t + 3, sizeof(float[63]));
        }
        gv_npz_add_f32(w, "root_orient", orient, 2, frames, 3);
        gv_npz_add_f32(w, "pose_body", body, 2, frames, 63);
        gv_npz_add_string(w, "surface_model_type", "smplx");
    } else
        gv_npz_add_f32(w, "poses", pose, 2, frames, columns);
    gv_npz_add_f32(w, "trans", transl, 2, frames, 3);
    gv_npz_add_f32(w, "betas", betas, 1, 16);
    gv_npz_add_string(w, "gender", gender);
    if (rate) gv_npz_add_f64_scalar(w, rate, fps);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
}

typedef struct said {
    char text[16384];
} said;

static void hear(void *user, const char *message) {
    said *s = user;
    strncat(s->text, message, sizeof s->text - strlen(s->text) - 2);
    strcat(s->text, "\n");
}

static gv_import_report import(const char *const *paths, int count, const char *store, said *s) {
    gv_import_report report;
    gv_import_options o = {.paths = paths, .path_count = count, .dropped = hear, .user = s};
    if (gv_import_clips(in_dir(store), &o, &report, &err)) fail_msg("%s", err.text);
    return report;
}

static void contains(const said *s, const char *what) {
    if (!strstr(s->text, what)) fail_msg("\"%s\" is not in:\n%s", what, s->text);
}

// What walk() becomes at 30 fps: upright, 1 m/s, the elbow's angle, on the ground.
static void check_walk(const gv_store *s, int clip, int frames, double along) {
    const gv_clip *c = &s->clips[clip];
    assert_int_equal(c->frames, frames);
    assert_true(c->leg > 0.7f && c->leg < 1);
    for (int t = 0; t < frames; t++) {
        const int16_t *q = s->rotation + (c->first + (uint64_t)t) * 88;
        assert_true(abs(q[0]) > 32760); // the root: no turn
        double elbow = 2 * atan2(-(double)q[18 * 4 + 2], q[18 * 4]);
        assert_true(fabs(elbow - 0.5 * t / 30.0) < 1e-3);
        const float *h = s->hips + 3 * (c->first + (uint64_t)t), *first = s->hips + 3 * c->first;
        assert_true(fabs(h[0] - first[0] - along * t / 30.0) < 1e-4);
        assert_true(fabsf(h[1] - first[1]) < 1e-5f && fabsf(h[2] - first[2]) < 1e-4f);
        if (!c->incam_only) assert_true(h[1] > c->leg && h[1] < c->leg + 0.2f); // soles at 0
    }
}

static void test_amass(void **state) {
    (void)state;
    write_amass("smplh.npz", 241, 120, 156, "male", "mocap_framerate");
    write_amass("smplx.npz", 181, 59.94, 165, "neutral", "mocap_frame_rate");
    write_amass("apart.npz", 100, 25, 66, "neutral", "mocap_frame_rate");
    said s = {0};
    gv_store store;
    const char *paths[] = {in_dir("smplh.npz"), in_dir("smplx.npz"), in_dir("apart.npz")};
    gv_import_report report = import(paths, 3, "a.gvs", &s);
    assert_int_equal(report.clips, 3);
    assert_int_equal(report.dropped, 0);
    assert_true(fabs(report.hours - (61 + 91 + 119) / 108000.0) < 1e-9);
    assert_int_equal(gv_store_open(&store, in_dir("a.gvs"), &err), GV_OK);
    check_walk(&store, 0, 61, 1);
    check_walk(&store, 1, 91, 1);
    check_walk(&store, 2, 119, 1);
    for (int i = 0; i < 3; i++) assert_int_equal(store.clips[i].flat, 1);
    assert_int_equal(store.clips[0].shaped, 0); // SMPL-H's shape is not SMPL-X's
    assert_int_equal(store.clips[1].shaped, 1);
    assert_true(store.clips[1].betas[0] == 0.5f && store.clips[1].betas[1] == -1);
    assert_string_equal(store.clips[0].name, "smplh.npz");
    assert_string_equal(store.clips[0].category, "mixed");

    // training keeps the shape where it is asked to
    gv_body *body = NULL;
    gv_rig rig;
    gv_sampler sampler;
    gv_sample_options how = gv_sample_defaults;
    how.only = "unknown", how.shapes = 1;
    assert_int_equal(gv_body_open(&body, NULL, &err), GV_OK);
    assert_int_equal(gv_rig_from_body(&rig, body, 8, &err), GV_OK);
    assert_int_equal(gv_sampler_init(&sampler, &store, &rig, &how, &err), GV_OK);
    gv_sequence *m = malloc(sizeof *m);
    int kept = 0;
    for (uint64_t i = 0; i < 40; i++) {
        gv_rng r = gv_rng_make(1, 2, i);
        gv_sequence_draw(m, &sampler, &r, 30);
        kept += fabsf(m->betas[0] - 0.5f) < 0.5f && fabsf(m->betas[1] + 1) < 0.5f;
    }
    assert_true(kept > 15); // two of three clips have one
    free(m);
    gv_sampler_free(&sampler);
    gv_rig_free(&rig);
    gv_body_close(body);
    gv_store_close(&store);
}

static void write_one(const char *name, const char *key, const float *data, int ndim, int a, int b) {
    gv_npz_writer *w = NULL;
    assert_int_equal(gv_npz_create(&w, in_dir(name), &err), GV_OK);
    gv_npz_add_f32(w, key, data, ndim, a, b);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
}

static void write_bad(const char *name, int frame, int what) {
    static float pose[120 * 156], transl[120 * 3];
    walk(pose, transl, 120, 30, 156, 2);
    if (what == 0) pose[frame * 156 + 5] = NAN;
    if (what == 1) transl[3 * frame] = INFINITY;
    if (what == 2) transl[3 * frame] += 39.37f; // inches, if anything
    gv_npz_writer *w = NULL;
    assert_int_equal(gv_npz_create(&w, in_dir(name), &err), GV_OK);
    gv_npz_add_f32(w, "poses", pose, 2, 120, 156);
    gv_npz_add_f32(w, "trans", transl, 2, what == 3 ? 119 : 120, 3);
    gv_npz_add_f64_scalar(w, "mocap_framerate", what == 4 ? -30 : 30);
    assert_int_equal(gv_npz_finish(w, &err), GV_OK);
}

// Everything bad is named with its reason, what is good is taken, by folders.
static void test_folder(void **state) {
    (void)state;
    float betas[10] = {0};
    mkdir(in_dir("tree"), 0777);
    mkdir(in_dir("tree/CMU"), 0777);
    mkdir(in_dir("tree/CMU/01"), 0777);
    mkdir(in_dir("tree/dance"), 0777);
    write_amass("tree/CMU/01/good_poses.npz", 100, 100, 156, "female", "mocap_framerate");
    write_amass("tree/CMU/01/few.npz", 4, 30, 156, "male", "mocap_framerate");
    write_amass("tree/CMU/01/timeless.npz", 100, 30, 156, "male", NULL);
    write_amass("tree/dance/narrow.npz", 100, 30, 63, "male", "mocap_framerate");
    write_amass("tree/dance/spin.npz", 300, 30, 165, "neutral", "mocap_frame_rate");
    write_one("tree/CMU/shape.npz", "betas", betas, 1, 10, 0);
    write_bad("tree/dance/nan.npz", 77, 0);
    write_bad("tree/dance/far.npz", 7, 1);
    write_bad("tree/dance/jump.npz", 50, 2);
    write_bad("tree/dance/uneven.npz", 0, 3);
    write_bad("tree/dance/backwards.npz", 0, 4);
    write_text("tree/dance/notes.txt", "not a motion");
    write_text("tree/dance/broken.npz", "PK\3\4 and nothing");
    said s = {0};
    const char *paths[] = {in_dir("tree")};
    gv_import_report report = import(paths, 1, "tree.gvs", &s);
    assert_int_equal(report.clips, 2);
    assert_int_equal(report.dropped, 10);
    static const char *const why[] = {
        "few.npz: 4 frames at 30 fps, expected 25 or more",
        "timeless.npz: has no mocap_framerate",
        "narrow.npz: \"poses\" has 63 columns, expected (T, 66) or more",
        "shape.npz: has neither \"poses\" nor \"root_orient\" and \"pose_body\": no motion",
        "nan.npz: frame 77: left_hip is turned by nan rad",
        "far.npz: frame 7: the body is inf m away",
        "jump.npz: the body jumps 39.4 m at 1.67 s; is the unit metres?",
        "uneven.npz: \"trans\" has 119 frames, the poses 120",
        "mocap_framerate",
        "broken.npz"};
    for (size_t i = 0; i < sizeof why / sizeof *why; i++) contains(&s, why[i]);
    gv_store store;
    assert_int_equal(gv_store_open(&store, in_dir("tree.gvs"), &err), GV_OK);
    assert_string_equal(store.clips[0].source, "CMU");
    assert_string_equal(store.clips[0].category, "CMU");
    assert_string_equal(store.clips[0].subject, "CMU_01");
    assert_string_equal(store.clips[1].category, "dance");
    gv_store_close(&store);

    char text[2048];
    assert_int_equal(program("dataset", "import tree -o cli.gvs --category daily", text), 0);
    assert_non_null(strstr(text, "left out: tree/CMU/01/few.npz: 4 frames"));
    assert_non_null(strstr(text, "2 clips, 0.00 hours; 10 left out"));
    assert_int_equal(program("dataset", "info cli.gvs", text), 0);
    assert_non_null(strstr(text, "daily"));
    assert_int_equal(program("dataset", "import nowhere -o cli2.gvs", text), 1);
    assert_non_null(strstr(text, "nowhere"));
    assert_int_equal(program("dataset", "import tree/CMU/shape.npz -o none.gvs", text), 1);
    assert_non_null(strstr(text, "no clip was accepted"));
    assert_int_equal(program("dataset", "import -o cli2.gvs", text), 2);
    assert_int_equal(program("dataset", "import tree -o cli.gvs --bodies tree", text), 1);
    assert_non_null(strstr(text, "SMPLX_NEUTRAL.npz"));
}

// ---- packs

enum { F = 90 };
static float pose_z[F * 66], pose_y[F * 66], orient[2][F * 3], body[2][F * 63], at_z[F * 3], at_y[F * 3],
    in_camera[F * 3], betas10[F * 10];

static void make_parts(void) {
    static float pose_c[F * 66];
    walk(pose_z, at_z, F, 30, 66, 2);
    walk(pose_y, at_y, F, 30, 66, 1);
    walk(pose_c, in_camera, F, 30, 66, 3);
    for (int t = 0; t < F; t++)
        for (int k = 0; k < 2; k++) { // z up and camera
            const float *p = (k ? pose_c : pose_z) + 66 * t;
            memcpy(orient[k] + 3 * t, p, sizeof(float[3]));
            memcpy(body[k] + 63 * t, p + 3, sizeof(float[63]));
        }
    for (int i = 0; i < F * 10; i++) betas10[i] = 0.1f * (float)(i % 10);
}

static void add_params(pack *p, const char *key, int camera) {
    pack_open(p, key);
    pack_tensor(p, "body_pose", body[camera], 2, (int[]){F, 63});
    pack_tensor(p, "global_orient", orient[camera], 2, (int[]){F, 3});
    pack_tensor(p, "transl", camera ? in_camera : at_z, 2, (int[]){F, 3});
    pack_tensor(p, "betas", betas10, 2, (int[]){F, 10});
    pack_close(p);
}

static void write_packs(void) {
    make_parts();
    pack p = pack_begin();
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"CMU/01/01_01_poses", "CMU/01/again", "moyo_smplxn/x"};
        pack_open(&p, names[i]);
        pack_tensor(&p, "pose", pose_z, 2, (int[]){F, 66});
        pack_tensor(&p, "trans", at_z, 2, (int[]){F, 3});
        pack_tensor(&p, "beta", betas10, 1, (int[]){10});
        pack_close(&p);
    }
    pack_open(&p, "CMU/02/odd");
    pack_tensor(&p, "pose", pose_z, 2, (int[]){F, 66});
    pack_close(&p);
    pack_write(&p, in_dir("packs/smplxpose_v2.pth"));
    p = pack_begin();
    pack_open(&p, "gym/seq_000-rp_aaron");
    pack_tensor(&p, "pose", pose_y, 2, (int[]){F, 66});
    pack_tensor(&p, "trans", at_y, 2, (int[]){F, 3});
    pack_tensor(&p, "beta", betas10, 1, (int[]){10});
    pack_tensor(&p, "global_orient_incam", orient[1], 2, (int[]){F, 3});
    pack_tensor(&p, "trans_incam", in_camera, 2, (int[]){F, 3});
    pack_close(&p);
    pack_write(&p, in_dir("packs/smplpose_v2.pth"));
    p = pack_begin();
    pack_open(&p, "S1@Walking@5413");
    add_params(&p, "smpl_params_glob", 0);
    pack_close(&p);
    pack_open(&p, "S1@Walking@6044"); // another camera
    add_params(&p, "smpl_params_glob", 0);
    pack_close(&p);
    pack_write(&p, in_dir("packs/smplxpose_v1.pt"));
    p = pack_begin();
    pack_open(&p, "courtyard_arguing_00_0");
    add_params(&p, "smplx_params_incam", 1);
    pack_pairs(&p, "valid_range_list", (const int32_t[]){0, 40, 50, F, 80, F + 1}, 3);
    pack_close(&p);
    pack_write(&p, in_dir("packs/train_refit_smplx.pt"));
}

static void test_packs(void **state) {
    (void)state;
    mkdir(in_dir("packs"), 0777);
    write_packs();
    said s = {0};
    const char *paths[] = {in_dir("packs")};
    gv_import_report report = import(paths, 1, "packs.gvs", &s);
    if (report.clips != 5) print_message("%s", s.text);
    assert_int_equal(report.clips, 5);
    contains(&s, "CMU/01/again: the poses of a sequence before it");
    contains(&s, "moyo_smplxn/x: MOYO's");
    contains(&s, "CMU/02/odd: no layout that is known");
    contains(&s, "S1@Walking@6044: the poses of a sequence before it");
    contains(&s, "courtyard_arguing_00_0: frames 80 to 91 of 90");
    assert_int_equal(report.dropped, 5);
    gv_store store;
    assert_int_equal(gv_store_open(&store, in_dir("packs.gvs"), &err), GV_OK);
    int amass = -1, bedlam = -1, h36m = -1, threedpw = -1;
    for (int i = 0; i < store.clip_count; i++) {
        const gv_clip *c = &store.clips[i];
        assert_int_equal(c->shaped, 1);
        assert_true(fabsf(c->betas[3] - 0.3f) < 1e-6f);
        if (!strcmp(c->source, "AMASS")) amass = i;
        if (!strcmp(c->source, "BEDLAM")) bedlam = i;
        if (!strcmp(c->source, "H36M")) h36m = i;
        if (!strcmp(c->source, "3DPW") && threedpw < 0) threedpw = i;
    }
    assert_true(amass >= 0 && bedlam >= 0 && h36m >= 0 && threedpw >= 0);
    check_walk(&store, amass, F, 1);
    check_walk(&store, bedlam, F, 1);
    check_walk(&store, threedpw, 40, 1);
    assert_string_equal(store.clips[bedlam].subject, "rp_aaron");
    assert_string_equal(store.clips[h36m].subject, "S1");
    assert_int_equal(store.clips[h36m].frames, 107); // 25 fps
    assert_int_equal(store.clips[threedpw].incam_only, 1);
    assert_int_equal(store.clips[amass].incam_only, 0);
    assert_int_equal(store.clips[threedpw + 1].frames, 40);

    // what has no world is trained on without one
    gv_body *body_model = NULL;
    gv_rig rig;
    gv_sampler sampler;
    gv_sample_options how = gv_sample_defaults;
    how.only = store.clips[threedpw].subject;
    assert_int_equal(gv_body_open(&body_model, NULL, &err), GV_OK);
    assert_int_equal(gv_rig_from_body(&rig, body_model, 8, &err), GV_OK);
    assert_int_equal(gv_sampler_init(&sampler, &store, &rig, &how, &err), GV_OK);
    gv_batch *b = gv_batch_create(2, 30, 8);
    gv_batch_fill(b, &sampler, 1, 1);
    assert_int_equal(b->incam_only[0], 1);
    gv_sampler_free(&sampler);
    how.plain = true; // nor is anything held against it
    assert_int_equal(gv_sampler_init(&sampler, &store, &rig, &how, &err), GV_ERR_EMPTY);
    gv_batch_destroy(b);
    gv_rig_free(&rig);
    gv_body_close(body_model);
    gv_store_close(&store);
}

// A tree's names, texts and numbers; a file that contains itself ends.
static void test_tree(void **state) {
    (void)state;
    const float x[6] = {1, 2, 3, 4, 5, 6};
    pack p = pack_begin();
    pack_open(&p, "a/b");
    pack_text(&p, "gender", "male");
    pack_pairs(&p, "spans", (const int32_t[]){0, 5, 7, 9}, 2);
    pack_open(&p, "deep");
    pack_tensor(&p, "x", x, 2, (int[]){2, 3});
    pack_close(&p);
    pack_close(&p);
    pack_write(&p, in_dir("tree.pt"));
    gv_tensors *w = NULL;
    assert_int_equal(gv_tensors_open_tree(&w, in_dir("tree.pt"), &err), GV_OK);
    assert_int_equal(gv_tensors_key_count(w), 1);
    assert_string_equal(gv_tensors_key(w, 0), "a/b");
    assert_string_equal(gv_tensors_metadata(w, "a/b|gender"), "male");
    assert_string_equal(gv_tensors_metadata(w, "a/b|spans"), "0,5,7,9");
    float *y = gv_tensors_read_f32(w, "a/b|deep|x", (int64_t[]){2, 3}, 2, &err);
    assert_memory_equal(x, y, sizeof x);
    free(y);
    gv_tensors_close(w);
    p = pack_begin();
    pack_string(&p, "loop");
    pack_bytes(&p, "}q\1(", 4);
    pack_string(&p, "again");
    pack_bytes(&p, "h\1u", 3);
    pack_write(&p, in_dir("loop.pt"));
    assert_int_not_equal(gv_tensors_open_tree(&w, in_dir("loop.pt"), &err), GV_OK);
    assert_non_null(strstr(err.text, "loop.pt"));
}

// ---- BVH

// A skeleton of 22 joints whose legs have two parts of `leg`, standing along an axis ('y', 'z'); T frames.
static void write_bvh(const char *name, double leg, char up, int frames, const char *value) {
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    const char *root = "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation";
    fprintf(f, "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\n%s\n", root);
    for (int side = 0; side < 2; side++) {
        const char *s = side ? "R" : "L";
        double y = up == 'y' ? -leg : 0, z = up == 'y' ? 0 : -leg;
        fprintf(f, "JOINT %sUp\n{\nOFFSET %d 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n", s, side ? -9 : 9);
        fprintf(f, "JOINT %sKnee\n{\nOFFSET 0 %g %g\nCHANNELS 3 Zrotation Xrotation Yrotation\n", s, y, z);
        fprintf(f, "JOINT %sFoot\n{\nOFFSET 0 %g %g\nCHANNELS 3 Zrotation Xrotation Yrotation\n", s, y, z);
        fprintf(f, "JOINT %sToe\n{\nOFFSET 0 -5 10\nCHANNELS 3 Zrotation Xrotation Yrotation\n", s);
        fprintf(f, "End Site\n{\nOFFSET 0 0 5\n}\n}\n}\n}\n}\n");
    }
    fprintf(f, "}\nMOTION\nFrames: %d\nFrame Time: 0.0333333\n", frames);
    for (int t = 0; t < frames; t++) {
        fprintf(f, "0 %g 0", 2 * leg + 5);
        for (int i = 0; i < 27; i++) fprintf(f, " %s", t == frames / 2 && i == 5 ? value : "0");
        fprintf(f, "\n");
    }
    fclose(f);
}

static void test_bad_bvh(void **state) {
    (void)state;
    write_bvh("good.bvh", 41, 'y', 60, "0");
    write_bvh("inches.bvh", 16.1, 'y', 60, "0");
    write_bvh("metres.bvh", 0.41, 'y', 60, "0");
    write_bvh("lying.bvh", 41, 'z', 60, "0");
    write_bvh("nan.bvh", 41, 'y', 60, "nan");
    write_bvh("four.bvh", 41, 'y', 4, "0");
    write_text(
        "map.json",
        "{\"skeletons\":{\"s\":{\"pelvis\":[\"Hips\"],\"left_hip\":[\"LUp\"],\"right_hip\":[\"RUp\"],\"spine1\":[],"
        "\"left_knee\":[\"LKnee\"],\"right_knee\":[\"RKnee\"],\"spine2\":[],\"left_ankle\":[\"LFoot\"],"
        "\"right_ankle\":[\"RFoot\"],\"spine3\":[],\"left_foot\":[\"LToe\"],\"right_foot\":[\"RToe\"],\"neck\":[],"
        "\"left_collar\":[],\"right_collar\":[],\"head\":[],\"left_shoulder\":[],\"right_shoulder\":[],"
        "\"left_elbow\":[],\"right_elbow\":[],\"left_wrist\":[],\"right_wrist\":[]},"
        "\"legless\":{\"pelvis\":[\"Hips\"],\"left_hip\":[\"LUp\"],\"right_hip\":[\"RUp\"],\"spine1\":[],"
        "\"left_knee\":[],\"right_knee\":[],\"spine2\":[],\"left_ankle\":[],\"right_ankle\":[],\"spine3\":[],"
        "\"left_foot\":[],\"right_foot\":[],\"neck\":[],\"left_collar\":[],\"right_collar\":[],\"head\":[],"
        "\"left_shoulder\":[],\"right_shoulder\":[],\"left_elbow\":[],\"right_elbow\":[],\"left_wrist\":[],"
        "\"right_wrist\":[]}}}");
    write_text("list.csv", "file,skeleton,subject,category\ngood.bvh,s,a,daily\ninches.bvh,s,a,daily\n"
                           "metres.bvh,s,a,daily\nlying.bvh,s,a,daily\nnan.bvh,s,a,daily\nfour.bvh,s,a,daily\n"
                           "good.bvh,legless,a,daily\n");
    char text[2048];
    assert_int_equal(program("dataset", "import --list list.csv --map map.json --root . -o bvh.gvs", text), 0);
    static const char *const why[] = {"inches.bvh: legs of 0.32 m, expected 0.45 to 1.5; is the unit inches?",
                                      "metres.bvh: legs of 0.01 m",
                                      "lying.bvh: in the rest pose the feet are at -z",
                                      "nan.bvh",
                                      "four.bvh: 4 frames at 30 fps",
                                      "good.bvh: a skeleton without feet",
                                      "1 clips, 0.00 hours; 6 left out"};
    for (size_t i = 0; i < sizeof why / sizeof *why; i++)
        if (!strstr(text, why[i])) fail_msg("\"%s\" is not in:\n%s", why[i], text);
}

// Stores of the first version, without shapes, are still read.
static void test_old_store(void **state) {
    (void)state;
    said s = {0};
    write_amass("old.npz", 100, 30, 156, "male", "mocap_framerate");
    const char *paths[] = {in_dir("old.npz")};
    import(paths, 1, "new.gvs", &s);
    FILE *f = fopen(in_dir("new.gvs"), "rb"), *g = fopen(in_dir("old.gvs"), "wb");
    static unsigned char bytes[1 << 20];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    bytes[16] = 1;
    fwrite(bytes, 1, 64 + 256, g);
    fwrite(bytes + 64 + 320, 1, n - 64 - 320, g);
    fclose(f);
    fclose(g);
    gv_store a, b;
    assert_int_equal(gv_store_open(&a, in_dir("new.gvs"), &err), GV_OK);
    assert_int_equal(gv_store_open(&b, in_dir("old.gvs"), &err), GV_OK);
    assert_memory_equal(a.clips, b.clips, 256);
    assert_memory_equal(a.hips, b.hips, sizeof(float[300]));
    assert_memory_equal(a.rotation, b.rotation, sizeof(int16_t[8800]));
    gv_store_close(&a);
    gv_store_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_amass),   cmocka_unit_test(test_folder),
                                       cmocka_unit_test(test_packs),   cmocka_unit_test(test_tree),
                                       cmocka_unit_test(test_bad_bvh), cmocka_unit_test(test_old_store)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
