// Which file and which method does each job: whole weights folders, partial ones, wrong ones.
#include "pipeline/models.h"
#include "folder.h"

#include <string.h>
#include <sys/stat.h>

static void make(const char *name) { // an empty file, and the folders above it
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *p = path + 1; *p; p++)
        if (*p == '/') *p = 0, mkdir(path, 0755), *p = '/';
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void chosen(const gv_models *m, gv_role role, gv_method method, const char *ending) {
    const gv_model_choice *c = &m->role[role];
    if (c->method != method)
        fail_msg("%s: %s, expected %s", gv_role_name(role), gv_method_name(c->method), gv_method_name(method));
    if (!ending) {
        assert_null(c->path);
        return;
    }
    size_t n = strlen(c->path), k = strlen(ending);
    if (n < k || strcmp(c->path + n - k, ending)) fail_msg("%s: %s, expected %s", gv_role_name(role), c->path, ending);
}

static void refused(gv_model_request q, const char *must_name) {
    gv_models m;
    gv_error err = {0};
    assert_int_not_equal(gv_models_choose(&m, &q, &err), GV_OK);
    if (!strstr(err.text, must_name)) fail_msg("expected \"%s\" in: %s", must_name, err.text);
    for (int r = 0; r < GV_ROLES; r++) assert_null(m.role[r].path);
}

static gv_models choose(gv_model_request q) {
    gv_models m;
    gv_error err = {0};
    if (gv_models_choose(&m, &q, &err) != GV_OK) fail_msg("%s", err.text);
    return m;
}

static void own_models_without_a_folder(void **state) {
    (void)state;
    gv_models m = choose((gv_model_request){.landmarks = GV_BLAZE_HEAVY});
    chosen(&m, GV_ROLE_NETWORK, GV_METHOD_FILE, "gvhmr-compact.safetensors");
    chosen(&m, GV_ROLE_BODY, GV_METHOD_FILE, "mannequin.npz");
    chosen(&m, GV_ROLE_DETECTOR, GV_METHOD_BLAZEPOSE, "pose_solution_packed_assets.data");
    chosen(&m, GV_ROLE_KEYPOINTS, GV_METHOD_BLAZEPOSE, "pose_landmark_heavy.tflite");
    chosen(&m, GV_ROLE_FEATURES, GV_METHOD_NONE, NULL);
    char text[500];
    gv_models_describe(&m, text, sizeof text);
    assert_string_equal(text, "detector blazepose (pose_solution_packed_assets.data), keypoints blazepose "
                              "(pose_landmark_heavy.tflite), features none, network gvhmr-compact.safetensors, "
                              "body mannequin.npz");
    gv_models_describe(&m, text, 20); // cut, not overrun
    assert_int_equal(strlen(text), 19);
    gv_models_free(&m);
}

static void a_bare_name_is_one_of_ours(void **state) {
    (void)state;
    gv_models m = choose((gv_model_request){.network = "gvhmr-compact-free.safetensors"});
    chosen(&m, GV_ROLE_NETWORK, GV_METHOD_FILE, "gvhmr-compact-free.safetensors");
    assert_int_equal(access(m.role[GV_ROLE_NETWORK].path, R_OK), 0);
    assert_true(strchr(m.role[GV_ROLE_NETWORK].path, '/') != NULL);
    gv_models_free(&m);
    m = choose((gv_model_request){.network = "nobodys.safetensors"}); // opening it will say that it is not there
    assert_string_equal(m.role[GV_ROLE_NETWORK].path, "nobodys.safetensors");
    gv_models_free(&m);
}

static void a_whole_folder(void **state) {
    (void)state;
    make("all/gvhmr/gvhmr_siga24_release.ckpt");
    make("all/body_models/smplx/SMPLX_NEUTRAL.npz");
    make("all/yolo/yolov8x.pt");
    make("all/yolo/yolov8n.pt"); // the named one counts
    make("all/vitpose/vitpose-h-multi-coco.pth");
    make("all/hmr2/epoch=10-step=25000.ckpt");
    gv_models m = choose((gv_model_request){.weights = in_dir("all")});
    chosen(&m, GV_ROLE_NETWORK, GV_METHOD_FILE, "all/gvhmr/gvhmr_siga24_release.ckpt");
    chosen(&m, GV_ROLE_BODY, GV_METHOD_FILE, "all/body_models/smplx/SMPLX_NEUTRAL.npz");
    chosen(&m, GV_ROLE_DETECTOR, GV_METHOD_YOLOV8, "all/yolo/yolov8x.pt");
    chosen(&m, GV_ROLE_KEYPOINTS, GV_METHOD_VITPOSE, "all/vitpose/vitpose-h-multi-coco.pth");
    chosen(&m, GV_ROLE_FEATURES, GV_METHOD_HMR2, "all/hmr2/epoch=10-step=25000.ckpt");
    gv_models_drop_features(&m);
    chosen(&m, GV_ROLE_FEATURES, GV_METHOD_NONE, NULL);
    gv_models_free(&m);
    m = choose((gv_model_request){.weights = in_dir("all"),
                                  .detector = "blazepose",
                                  .keypoints = "auto",
                                  .features = "hmr2",
                                  .network = in_dir("all/yolo/yolov8n.pt")});
    chosen(&m, GV_ROLE_NETWORK, GV_METHOD_FILE, "yolov8n.pt");
    chosen(&m, GV_ROLE_DETECTOR, GV_METHOD_BLAZEPOSE, ".data");
    chosen(&m, GV_ROLE_KEYPOINTS, GV_METHOD_VITPOSE, ".pth");
    gv_models_drop_features(&m); // asked for by name: stays
    chosen(&m, GV_ROLE_FEATURES, GV_METHOD_HMR2, "25000.ckpt");
    gv_models_free(&m);
    m = choose((gv_model_request){.weights = in_dir("all"), .features = "none"});
    chosen(&m, GV_ROLE_FEATURES, GV_METHOD_NONE, NULL);
    gv_models_free(&m);
}

static void part_of_a_folder(void **state) {
    (void)state;
    make("part/yolo/yolov8n.pt");
    make("part/vitpose/one.pth");
    make("part/vitpose/two.pth"); // which one is meant?
    gv_models m = choose((gv_model_request){.weights = in_dir("part")});
    chosen(&m, GV_ROLE_DETECTOR, GV_METHOD_YOLOV8, "part/yolo/yolov8n.pt");
    chosen(&m, GV_ROLE_KEYPOINTS, GV_METHOD_BLAZEPOSE, "pose_landmark_lite.tflite");
    chosen(&m, GV_ROLE_FEATURES, GV_METHOD_NONE, NULL);
    chosen(&m, GV_ROLE_NETWORK, GV_METHOD_FILE, "gvhmr-compact.safetensors");
    gv_models_free(&m);
    refused((gv_model_request){.weights = in_dir("part"), .keypoints = "vitpose"}, "vitpose-h-multi-coco.pth");
    refused((gv_model_request){.weights = in_dir("part"), .features = "hmr2"}, "hmr2/epoch=10-step=25000.ckpt");
}

static void single_files(void **state) {
    (void)state;
    make("points.json");
    make("pose.pth");
    mkdir(in_dir("openpose"), 0755);
    gv_models m = choose((gv_model_request){.keypoints = in_dir("points.json")});
    chosen(&m, GV_ROLE_KEYPOINTS, GV_METHOD_FILE, "points.json");
    chosen(&m, GV_ROLE_DETECTOR, GV_METHOD_FILE, "points.json"); // the points say who is where
    gv_models_free(&m);
    refused((gv_model_request){.keypoints = in_dir("points.json"), .detector = "blazepose"}, "give one of them");
    m = choose((gv_model_request){.keypoints = in_dir("openpose")});
    chosen(&m, GV_ROLE_KEYPOINTS, GV_METHOD_FILE, "openpose");
    gv_models_free(&m);
    m = choose((gv_model_request){.keypoints = in_dir("pose.pth")});
    chosen(&m, GV_ROLE_KEYPOINTS, GV_METHOD_VITPOSE, "pose.pth");
    gv_models_free(&m);
    refused((gv_model_request){.keypoints = "openpose"}, "--keypoints openpose");
    refused((gv_model_request){.keypoints = "none"}, "expected auto, blazepose, vitpose or a file");
    refused((gv_model_request){.detector = "yolov8"}, "--detector FILE");
    refused((gv_model_request){.features = "vitpose"}, "expected auto, none, hmr2 or a file");
}

static void folders_that_are_none(void **state) {
    (void)state;
    make("empty/readme.txt");
    refused((gv_model_request){.weights = in_dir("empty")},
            "empty: has none of GVHMR's files; looked for gvhmr/gvhmr_siga24_release.ckpt");
    refused((gv_model_request){.weights = in_dir("empty")}, "yolo/yolov8x.pt");
    refused((gv_model_request){.weights = in_dir("absent")}, "not a folder");
    refused((gv_model_request){.weights = in_dir("pose.pth")}, "not a folder");
    static char name[9000];
    memset(name, 'a', sizeof name - 1);
    refused((gv_model_request){.weights = name}, "not a folder");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_models_without_a_folder),
        cmocka_unit_test(a_bare_name_is_one_of_ours),
        cmocka_unit_test(a_whole_folder),
        cmocka_unit_test(part_of_a_folder),
        cmocka_unit_test(single_files),
        cmocka_unit_test(folders_that_are_none),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
