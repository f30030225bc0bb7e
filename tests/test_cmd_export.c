// The export command as a user calls it, and what other programs make of its files where they are installed.
#include "folder.h"
#include "formats/motion_export.h"
#include "formats/npz.h"
#include "made_motion.h"

#include <sys/stat.h>
#include <sys/wait.h>

static gv_body *body;

static void works(const char *arguments, const char *file) {
    char text[2048];
    unlink(in_dir(file));
    if (program("export", arguments, text) != 0) fail_msg("export %s: %s", arguments, text);
    struct stat st;
    if (stat(in_dir(file), &st) != 0 || st.st_size < 100) fail_msg("export %s wrote no %s", arguments, file);
}

// Fails with one line that contains `word`, and leaves no file behind.
static void refused(const char *arguments, const char *word) {
    char text[2048];
    int status = program("export", arguments, text);
    char *newline = strchr(text, '\n');
    if ((status != 1 && status != 2) || !strstr(text, word) || !newline || newline[1] || strncmp(text, "gvhmr", 5))
        fail_msg("export %s: status %d, \"%s\", expected one line with \"%s\"", arguments, status, text, word);
    assert_int_not_equal(access(in_dir("no.bvh"), F_OK), 0);
}

static void every_format_is_written(void **state) {
    (void)state;
    works("a.npz -o a.bvh", "a.bvh");
    works("a.npz -o A.BVH --up z --units m --fps 50", "A.BVH");
    works("a.npz -o a.trc", "a.trc");
    works("a.npz -o a.csv --units cm", "a.csv");
    works("a.npz -o a.pt", "a.pt");
    works("a.npz -o amass.npz", "amass.npz");
    works("a.npz -o again.npz --format motion", "again.npz");
    works("a.npz -o gmr.npz --format gmr --fps 30", "gmr.npz");
    works("a.npz b.npz -o scene.glb", "scene.glb");
    works("run -o scene.glb", "scene.glb");
    works("run -o scene.glb --fps 60", "scene.glb");
    works("run --person 2 -o b.bvh", "b.bvh");
    works("run -o each.bvh", "each-2.bvh");
    works("a.npz -o strange.data --format bvh", "strange.data");
    gv_motion a, again;
    gv_error err = {0};
    assert_int_equal(gv_motion_load(&a, in_dir("a.npz"), &err), GV_OK);
    assert_int_equal(gv_motion_load(&again, in_dir("again.npz"), &err), GV_OK);
    assert_int_equal(a.frames, again.frames);
    assert_memory_equal(a.joints_world, again.joints_world, 66 * (size_t)a.frames * sizeof(float));
    gv_motion_free(&a);
    gv_motion_free(&again);
}

static void wrong_command_lines_are_refused(void **state) {
    (void)state;
    refused("", "expected motion files");
    refused("a.npz", "-o");
    refused("a.npz -o no.xyz", ".xyz");
    refused("a.npz -o no", "ending");
    refused("a.npz -o no.bvh --format fbx", "fbx");
    refused("a.npz -o no.bvh --up x", "--up");
    refused("a.npz -o no.bvh --units inch", "inch");
    refused("a.npz -o no.bvh --fps 0", "--fps");
    refused("a.npz -o no.bvh --fps nan", "--fps");
    refused("a.npz -o no.bvh --person 0", "--person");
    refused("a.npz -o no.bvh --person 2", "no person 2");
    refused("run -o no.bvh --person 3", "no person 3");
    refused("a.npz -o no.glb --up z", "always y up");
    refused("a.npz -o no.npz --up y", "always z up");
    refused("a.npz -o no.glb --units cm", "metres");
    refused("a.npz -o no.pkl", "--robot");
    refused("a.npz -o no.bvh --robot bad.xml", ".bvh");
    refused("a.npz -o no.bvh --wrong", "--wrong");
    refused("a.npz -o /nonexistent/no.bvh", "/nonexistent");
    refused("a.npz -o /nonexistent/no.glb", "/nonexistent");
}

static void wrong_files_are_refused(void **state) {
    (void)state;
    write_text("bad.xml", "<mujoco><worldbody/></mujoco>");
    write_text("half.xml", "<robot><link name='pelvis'/></robot>");
    write_text("text.npz", "not a motion\n");
    assert_true(mkdir(in_dir("empty"), 0700) == 0 && mkdir(in_dir("nobody"), 0700) == 0 &&
                mkdir(in_dir("odd"), 0700) == 0);
    write_text("nobody/scene.json", "{\"people\": []}");
    write_text("odd/scene.json", "{\"people\": [{\"file\": \"../a.npz\"}]}");
    refused("absent.npz -o no.bvh", "absent.npz");
    refused("text.npz -o no.bvh", "text.npz");
    refused("empty -o no.bvh", "scene.json");
    refused("nobody -o no.bvh", "0 people");
    refused("odd -o no.bvh", "file");
    refused("a.npz --robot bad.xml -o no.csv", "no body");
    refused("a.npz --robot half.xml -o no.csv", "left hip");
    refused("a.npz --robot absent.xml -o no.csv", "absent.xml");
    refused("a.npz --robot text.npz -o no.csv", "not XML");
    refused("a.npz -o no.glb --body-model text.npz", "text.npz");
    // missing keys, other lengths, NaN
    gv_npz_writer *w;
    assert_int_equal(gv_npz_create(&w, in_dir("keys.npz"), NULL), GV_OK);
    float zero[126] = {0};
    gv_npz_add_f32(w, "body_pose", zero, 2, 2, 63);
    assert_int_equal(gv_npz_finish(w, NULL), GV_OK);
    refused("keys.npz -o no.bvh", "global_orient");
    assert_int_equal(gv_npz_create(&w, in_dir("lengths.npz"), NULL), GV_OK);
    gv_npz_add_f32(w, "body_pose", zero, 2, 2, 63);
    gv_npz_add_f32(w, "global_orient", zero, 2, 3, 3);
    assert_int_equal(gv_npz_finish(w, NULL), GV_OK);
    refused("lengths.npz -o no.bvh", "global_orient");
    gv_motion m = made_motion(body, 0, 5, 30, 0);
    m.body_pose[70] = NAN;
    assert_int_equal(gv_motion_save(&m, in_dir("nan.npz"), NULL), GV_OK);
    refused("nan.npz -o no.bvh", "frame 1");
    gv_motion_free(&m);
}

// The AMASS file read as SMPL reads it: the root's pose and place give the joints, z up.
static void amass_stands_upright(void **state) {
    (void)state;
    works("a.npz -o amass.npz", "amass.npz");
    gv_npz *z;
    gv_error err = {0};
    if (gv_npz_open(&z, in_dir("amass.npz"), &err) != GV_OK) fail_msg("%s", err.text);
    float *root = gv_npz_read_f32(z, "root_orient", (int64_t[]){50, 3}, 2, NULL, &err);
    float *pose = gv_npz_read_f32(z, "pose_body", (int64_t[]){50, 63}, 2, NULL, &err);
    float *poses = gv_npz_read_f32(z, "poses", (int64_t[]){50, 156}, 2, NULL, &err);
    float *trans = gv_npz_read_f32(z, "trans", (int64_t[]){50, 3}, 2, NULL, &err);
    float *betas = gv_npz_read_f32(z, "betas", (int64_t[]){16}, 1, NULL, &err);
    assert_true(root && pose && poses && trans && betas);
    gv_motion m;
    assert_int_equal(gv_motion_load(&m, in_dir("a.npz"), &err), GV_OK);
    double worst = 0;
    for (int t = 0; t < 50; t++) {
        float joints[55 * 3];
        gv_body_evaluate(body, betas, pose + 63 * t, root + 3 * t, trans + 3 * t, NULL, joints);
        for (int j = 0; j < 22; j++) {
            const float *ours = m.joints_world + 66 * t + 3 * j;
            const double d[3] = {(double)(joints[3 * j] - ours[0]), (double)(joints[3 * j + 1] + ours[2]),
                                 (double)(joints[3 * j + 2] - ours[1])};
            for (int i = 0; i < 3; i++) worst = fmax(worst, fabs(d[i]));
        }
        assert_memory_equal(poses + 156 * t, root + 3 * t, 12);
        assert_memory_equal(poses + 156 * t + 3, pose + 63 * t, 63 * 4);
        for (int i = 66; i < 156; i++) assert_true(poses[156 * t + i] == 0);
    }
    printf("amass: joints within %.4f mm\n", 1000 * worst);
    assert_true(worst < 1e-5);
    free(root);
    free(pose);
    free(poses);
    free(trans);
    free(betas);
    gv_npz_close(z);
    gv_motion_free(&m);
}

static void numpy_reads_amass_as_gmr_does(void **state) {
    (void)state;
    works("a.npz -o gmr.npz --format gmr --fps 40", "gmr.npz");
    write_text("t.py",
               "import sys\n"
               "try: import numpy as np\n"
               "except ImportError: sys.exit(77)\n"
               "d = np.load(sys.argv[1], allow_pickle=True)\n"
               "assert str(d['gender']) == 'neutral' and abs(d['mocap_frame_rate'].item() - 40) < 1e-9\n"
               "assert abs(float(d['mocap_framerate']) - 40) < 1e-9 and 'left_hand_pose' not in d.keys()\n"
               "n = d['pose_body'].shape[0]; assert d['pose_body'].shape == (n, 63) and d['betas'].shape == (16,)\n"
               "assert d['root_orient'].shape == (n, 3) and d['trans'].shape == (n, 3)\n"
               "assert abs(n - 50 * 40 / 25) <= 2\n");
    char command[1200];
    snprintf(command, sizeof command, "/usr/bin/python3 %s %s", in_dir("t.py"), in_dir("gmr.npz"));
    int result = system(command);
    if (!WIFEXITED(result) || WEXITSTATUS(result) == 77 || WEXITSTATUS(result) == 127) {
        printf("skipped: no NumPy\n");
        skip();
    }
    assert_int_equal(result, 0);
}

// Blender's importers put the joints where we have them, upright, in metres, at the right time.
static void blender_agrees(void **state) {
    (void)state;
    if (system("command -v blender >/dev/null 2>&1") != 0) {
        printf("skipped: no Blender\n");
        skip();
    }
    works("run -o scene.glb", "scene.glb");
    works("run --person 2 -o b.bvh", "b.bvh");
    works("run --person 2 -o b.csv", "b.csv");
    static const char *const files[] = {"scene.glb", "b.bvh"};
    for (int i = 0; i < 2; i++) {
        char command[2048];
        snprintf(command, sizeof command,
                 "blender --background --factory-startup --python-exit-code 1 --python '%s/../blender_check.py' -- %s "
                 "%s 25 2 0 "
                 ">%s 2>&1",
                 GV_TEST_DATA, in_dir(files[i]), in_dir("b.csv"), in_dir("log"));
        int result = system(command);
        FILE *f = fopen(in_dir("log"), "r");
        char line[512];
        while (f && fgets(line, sizeof line, f))
            if (strstr(line, "ten frames") || strstr(line, "Error")) printf("%s: %s", files[i], line);
        if (f) fclose(f);
        assert_int_equal(result, 0);
    }
}

static int set_up(void **state) {
    gv_error err = {0};
    if (make_dir(state) != 0 || gv_body_open(&body, NULL, &err) != GV_OK || mkdir(in_dir("run"), 0700) != 0) return -1;
    gv_motion a = made_motion(body, 0, 50, 25, 0.3f), b = made_motion(body, 10, 30, 25, -0.4f);
    bool ok = gv_motion_save(&a, in_dir("a.npz"), &err) == GV_OK &&
              gv_motion_save(&b, in_dir("b.npz"), &err) == GV_OK &&
              gv_motion_save(&a, in_dir("run/person-1.npz"), &err) == GV_OK &&
              gv_motion_save(&b, in_dir("run/person-2.npz"), &err) == GV_OK;
    write_text("run/scene.json", "{\"video\": {\"width\": 640, \"height\": 480, \"fps\": 25}, \"people\": [{\"file\": "
                                 "\"person-1.npz\"}, {\"file\": "
                                 "\"person-2.npz\"}], \"camera\": {\"focal_px\": 500, \"R_w2c\": [[1,0,0, 0,-1,0, "
                                 "0,0,-1]], \"t_w2c\": [[0, 1.2, 6]]}}");
    gv_motion_free(&a);
    gv_motion_free(&b);
    return ok ? 0 : -1;
}

static int tear_down(void **state) {
    gv_body_close(body);
    return remove_dir(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_written),       cmocka_unit_test(wrong_command_lines_are_refused),
        cmocka_unit_test(wrong_files_are_refused),       cmocka_unit_test(amass_stands_upright),
        cmocka_unit_test(numpy_reads_amass_as_gmr_does), cmocka_unit_test(blender_agrees),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
