// Robot descriptions and the retargeting, on a small humanoid of the test's own, written as MJCF and as URDF.
#include "folder.h"
#include "exports/retarget.h"
#include "formats/npz.h"
#include "geometry/so3.h"
#include "made_motion.h"

#include <sys/wait.h>

static gv_body *body;

// name, parent, place, axis (0: fixed), range in degrees; %s is the side, y changes its sign with it
static const struct {
    const char *name, *parent;
    double x, y, z;
    char axis;
    int lo, hi;
} limbs[] = {
    {"%s_hip_pitch", "pelvis", 0, 0.07, -0.1, 'y', -150, 90},
    {"%s_hip_roll", "%s_hip_pitch", 0, 0.04, -0.03, 'x', -90, 90},
    {"%s_hip_yaw", "%s_hip_roll", 0.02, 0, -0.1, 'z', -90, 90},
    {"%s_knee", "%s_hip_yaw", -0.02, 0, -0.2, 'y', -5, 165},
    {"%s_ankle_pitch", "%s_knee", 0, 0, -0.3, 'y', -50, 30},
    {"%s_ankle_roll", "%s_ankle_pitch", 0, 0, -0.02, 'x', -15, 15},
    {"%s_shoulder_pitch", "torso", 0, 0.1, 0.25, 'y', -180, 66},
    {"%s_shoulder_roll", "%s_shoulder_pitch", 0, 0.04, 0, 'x', -130, 130},
    {"%s_shoulder_yaw", "%s_shoulder_roll", 0, 0, -0.1, 'z', -150, 150},
    {"%s_elbow", "%s_shoulder_yaw", 0.015, 0, -0.08, 'y', -95, 95},
    {"%s_wrist_roll", "%s_elbow", 0.1, 0, 0, 'x', -110, 110},
    {"%s_wrist_yaw", "%s_wrist_roll", 0.09, 0, 0, 'z', -90, 90},
};
enum { LIMBS = sizeof limbs / sizeof *limbs };

static void mjcf_children(FILE *f, const char *parent, const char *side) {
    for (int i = 0; i < LIMBS; i++) {
        char name[64], over[64];
        snprintf(name, sizeof name, limbs[i].name, side);
        snprintf(over, sizeof over, limbs[i].parent, side);
        if (strcmp(over, parent)) continue;
        double sign = !strcmp(side, "left") ? 1 : -1;
        bool mirrored = limbs[i].axis == 'x' && limbs[i].hi != -limbs[i].lo;
        fprintf(f, "<body name='%s' pos='%g %g %g'><joint name='%s_joint' class='%c' range='%d %d'/>", name, limbs[i].x,
                sign * limbs[i].y, limbs[i].z, name, limbs[i].axis, mirrored && sign < 0 ? -limbs[i].hi : limbs[i].lo,
                mirrored && sign < 0 ? -limbs[i].lo : limbs[i].hi);
        if (strstr(name, "ankle_roll"))
            fputs("<geom size='0.005' pos='0.1 0 -0.03'/><geom type='mesh' mesh='foot'/>", f);
        mjcf_children(f, name, side);
        fputs("</body>\n", f);
    }
}

static char *write_mjcf(size_t *size) {
    char *text;
    FILE *f = open_memstream(&text, size);
    fputs("<?xml version='1.0'?>\n<mujoco model='walker'><default><joint damping='1'/><default class='x'><joint "
          "axis='1 0 0'/></default>"
          "<default class='y'><joint axis='0 2 0'/></default></default><asset><mesh name='foot' "
          "file='/etc/passwd'/></asset>\n"
          "<worldbody><geom type='plane' size='1 1 1'/><body name='pelvis' pos='0 0 0.79'><freejoint/>",
          f);
    mjcf_children(f, "pelvis", "left");
    mjcf_children(f, "pelvis", "right");
    fputs("<body name='torso' euler='0 0 0'><joint name='waist_joint' axis='0 0 1' range='-120 120'/>\n", f);
    mjcf_children(f, "torso", "left");
    mjcf_children(f, "torso", "right");
    fputs("</body></body><body name='ball' pos='1 1 1'><joint type='ball'/></body></worldbody></mujoco>\n", f);
    fclose(f);
    return text;
}

static void urdf_children(FILE *f, const char *parent, const char *side) {
    for (int i = 0; i < LIMBS; i++) {
        char name[64], over[64];
        snprintf(name, sizeof name, limbs[i].name, side);
        snprintf(over, sizeof over, limbs[i].parent, side);
        if (strcmp(over, parent)) continue;
        double sign = !strcmp(side, "left") ? 1 : -1, degree = M_PI / 180;
        fprintf(f,
                "<joint name='%s_joint' type='revolute'><origin xyz='%g %g %g' rpy='0 0 0'/><parent link='%s'/><child "
                "link='%s'/>"
                "<axis xyz='%d %d %d'/><limit lower='%.9g' upper='%.9g' effort='1'/></joint>\n",
                name, limbs[i].x, sign * limbs[i].y, limbs[i].z, over, name, limbs[i].axis == 'x', limbs[i].axis == 'y',
                limbs[i].axis == 'z', limbs[i].lo * degree, limbs[i].hi * degree);
        fprintf(f, "<link name='%s'>", name);
        if (strstr(name, "ankle_roll"))
            fputs("<collision><origin xyz='0 0 -0.03' rpy='0 0 0'/><geometry><box size='0.2 0.06 "
                  "0.01'/></geometry></collision>",
                  f);
        fputs("</link>\n", f);
        urdf_children(f, name, side);
    }
}

static char *write_urdf(size_t *size) {
    char *text;
    FILE *f = open_memstream(&text, size);
    fputs("<robot name='walker'><link name='world'/><joint name='floating' type='floating'><parent "
          "link='world'/><child link='pelvis'/>"
          "</joint><link name='pelvis'/>\n",
          f);
    urdf_children(f, "pelvis", "left");
    urdf_children(f, "pelvis", "right");
    fputs("<joint name='waist_joint' type='revolute'><parent link='pelvis'/><child link='torso'/><axis xyz='0 0 1'/>"
          "<limit lower='-2.0943951' upper='2.0943951'/></joint><link name='torso'/>\n",
          f);
    urdf_children(f, "torso", "left");
    urdf_children(f, "torso", "right");
    fputs("</robot>\n", f);
    fclose(f);
    return text;
}

static gv_robot *parse(char *text, size_t size) {
    gv_robot *r = NULL;
    gv_error err = {0};
    if (gv_robot_parse(&r, text, size, "walker", &err) != GV_OK) fail_msg("%s", err.text);
    free(text);
    return r;
}

static int named(const gv_robot *r, const char *name) {
    for (int l = 0; l < r->links; l++)
        if (!strcmp(r->link[l].name, name)) return l;
    fail_msg("no %s", name);
    return 0;
}

static void both_formats_say_the_same(void **state) {
    (void)state;
    size_t n;
    char *text = write_mjcf(&n);
    gv_robot *a = parse(text, n);
    text = write_urdf(&n);
    gv_robot *b = parse(text, n);
    assert_int_equal(a->joints, 25);
    assert_int_equal(b->joints, 25);
    assert_true(fabs(a->root_height - 0.79) < 1e-12 && b->root_height == 0);
    double q[25], pa[32][3], pb[32][3], Ra[32][9], Rb[32][9], turn[9];
    gv_so3_exp(turn, (double[]){0.3, -0.2, 1});
    for (int j = 0; j < 25; j++) {
        q[j] = 0.3 * sin(j + 1);
        assert_string_equal(a->joint[j].name, b->joint[j].name);
        assert_true(fabs(a->joint[j].lo - b->joint[j].lo) < 1e-7 && fabs(a->joint[j].hi - b->joint[j].hi) < 1e-7);
    }
    gv_robot_pose(a, (double[]){1, 2, 3}, turn, q, pa, Ra);
    gv_robot_pose(b, (double[]){1, 2, 3}, turn, q, pb, Rb);
    for (int l = 0; l < a->links; l++) {
        int k = named(b, a->link[l].name);
        for (int i = 0; i < 3; i++) assert_true(fabs(pa[l][i] - pb[k][i]) < 1e-12);
        for (int i = 0; i < 9; i++) assert_true(fabs(Ra[l][i] - Rb[k][i]) < 1e-12);
    }
    // the left foot by hand, with the hip alone bent by 90 degrees forward: thigh and shin point along x
    memset(q, 0, sizeof q);
    q[0] = -M_PI / 2;
    gv_robot_pose(a, (double[]){0, 0, 0}, (double[]){1, 0, 0, 0, 1, 0, 0, 0, 1}, q, pa, Ra);
    const double *foot = pa[named(a, "left_ankle_roll")];
    assert_true(fabs(foot[0] - 0.65) < 1e-12 && fabs(foot[1] - 0.11) < 1e-12 && fabs(foot[2] - (-0.1 + 0.0)) < 1e-12);
    gv_robot_close(a);
    gv_robot_close(b);
}

static void the_robot_follows(void **state) {
    (void)state;
    size_t n;
    char *text = write_mjcf(&n);
    gv_robot *r = parse(text, n);
    gv_motion m = made_motion(body, 0, 90, 30, 0.1f);
    gv_robot_motion out;
    gv_error err = {0};
    if (gv_robot_retarget(&out, r, &m, "walker", &err) != GV_OK) fail_msg("%s", err.text);
    assert_true(out.frames == 90 && out.joints == 25 && fabs(out.fps - 30) < 1e-9);
    double fastest = 0, p[32][3], R[32][9];
    for (int t = 0; t < 90; t++) {
        double length = 0;
        for (int i = 0; i < 4; i++) length += out.turn[4 * t + i] * out.turn[4 * t + i];
        assert_true(fabs(length - 1) < 1e-9);
        for (int j = 0; j < 25; j++) {
            double q = out.q[25 * t + j];
            assert_true(q >= r->joint[j].lo - 1e-9 && q <= r->joint[j].hi + 1e-9);
            if (t) fastest = fmax(fastest, fabs(q - out.q[25 * (t - 1) + j]));
        }
        double quat[4] = {out.turn[4 * t + 3], out.turn[4 * t], out.turn[4 * t + 1], out.turn[4 * t + 2]};
        gv_rotd_from_quat(R[0], quat);
        double root[9];
        memcpy(root, R[0], sizeof root);
        gv_robot_pose(r, out.place + 3 * t, root, out.q + 25 * t, p, R);
        const float *j = m.joints_world + 66 * (size_t)t;
        // forearms point as the person's do, z up
        const double *elbow = p[named(r, "left_elbow")], *wrist = p[named(r, "left_wrist_yaw")];
        double arm[3] = {wrist[0] - elbow[0], wrist[1] - elbow[1], wrist[2] - elbow[2]};
        double like[3] = {(double)(j[60] - j[54]), -(double)(j[62] - j[56]), (double)(j[61] - j[55])};
        gv_normalise3(arm);
        gv_normalise3(like);
        assert_true(gv_dot3(arm, like) > cos(0.2));
    }
    printf("robot: ankles within %.1f mm, limbs within %.2f degrees on average, fastest joint %.2f rad a frame\n",
           1000 * out.ankle_error_m, 180 / M_PI * out.limb_error_rad, fastest);
    assert_true(out.ankle_error_m < 0.01 && out.limb_error_rad < 0.05 && fastest < 0.7);
    assert_int_equal(gv_robot_motion_csv(&out, r, in_dir("a.csv"), &err), GV_OK);
    assert_int_equal(gv_robot_motion_pickle(&out, in_dir("a.pkl"), &err), GV_OK);
    gv_npz *z; // the project's own reader of pickled arrays
    if (gv_npz_open(&z, in_dir("a.pkl"), &err) != GV_OK) fail_msg("%s", err.text);
    double *q = gv_npz_read_f64(z, "dof_pos", (int64_t[]){90, 25}, 2, NULL, &err);
    assert_non_null(q);
    assert_memory_equal(q, out.q, 90 * 25 * sizeof *q);
    double *turn = gv_npz_read_f64(z, "root_rot", (int64_t[]){90, 4}, 2, NULL, &err);
    assert_non_null(turn);
    assert_memory_equal(turn, out.turn, 90 * 4 * sizeof *turn);
    free(q);
    free(turn);
    gv_npz_close(z);
    gv_robot_motion_free(&out);
    gv_robot_close(r);
    gv_motion_free(&m);
}

static void python_reads_them(void **state) {
    (void)state;
    static const char script[] =
        "import sys, pickle\n"
        "try: import numpy as np\n"
        "except ImportError: sys.exit(77)\n"
        "d = pickle.load(open(sys.argv[1] + '/a.pkl', 'rb')); c = np.loadtxt(sys.argv[1] + '/a.csv', delimiter=',')\n"
        "assert list(d) == ['fps', 'root_pos', 'root_rot', 'dof_pos', 'local_body_pos', 'link_body_list'], list(d)\n"
        "assert d['fps'] == 30 and d['local_body_pos'] is None and d['root_pos'].dtype == np.float64\n"
        "assert c.shape == (90, 32) and np.abs(c - np.hstack([d['root_pos'], d['root_rot'], d['dof_pos']])).max() < "
        "1e-6\n"
        "assert d['dof_pos'].flags.writeable and d['dof_pos'].flags.c_contiguous\n";
    write_text("t.py", script);
    char command[600];
    snprintf(command, sizeof command, "/usr/bin/python3 %s/t.py %s", dir, dir);
    int result = system(command);
    unlink(in_dir("t.py"));
    unlink(in_dir("a.csv"));
    unlink(in_dir("a.pkl"));
    if (!WIFEXITED(result) || WEXITSTATUS(result) == 77 || WEXITSTATUS(result) == 127) {
        printf("skipped: no NumPy\n");
        skip();
    }
    assert_int_equal(result, 0);
}

static void broken_descriptions_are_refused(void **state) {
    (void)state;
    static const char *const broken[][2] = {
        {"", "not XML"},
        {"<mujoco>", "not XML"},
        {"<html/>", "expected <mujoco>"},
        {"<mujoco/>", "no body"},
        {"<!DOCTYPE x [<!ENTITY a 'b'>]><mujoco/>", "document type"},
        {"<mujoco><worldbody><body pos='1 2'/></worldbody></mujoco>", "pos"},
        {"<mujoco><worldbody><body pos='1 2 nan'/></worldbody></mujoco>", "pos"},
        {"<mujoco><worldbody><body><joint axis='0 0 0'/></body></worldbody></mujoco>", "axis"},
        {"<mujoco><worldbody><body><joint type='ball'/></body></worldbody></mujoco>", "ball"},
        {"<mujoco><worldbody><body xyaxes='1 0 0 0 1 0'/></worldbody></mujoco>", "xyaxes"},
        {"<mujoco><worldbody><include file='a.xml'/></worldbody></mujoco>", "not followed"},
        {"<robot/>", "no links"},
        {"<robot><link name='a'/><joint name='j' type='planar'><parent link='a'/><child link='a'/></joint></robot>",
         "planar"},
        {"<robot><link name='a'/><joint name='j' type='fixed'><parent link='a'/><child link='b'/></joint></robot>",
         "no link"},
        {"<robot><link name='a'/><link name='b'/><joint name='j' type='fixed'><parent link='a'/><child "
         "link='b'/></joint>"
         "<joint name='k' type='fixed'><parent link='b'/><child link='a'/></joint></robot>",
         "ring"},
        {"<robot><link name='a'/><link name='b'/><joint name='j' type='fixed'><parent link='a'/><child "
         "link='b'/></joint>"
         "<joint name='k' type='fixed'><parent link='a'/><child link='b'/></joint></robot>",
         "two parents"},
        {"<robot><link/></robot>", "no name"},
        {"<robot><link name='a'/><joint name='j' type='revolute'><axis xyz='1 1e99 0'/></joint></robot>", "axis"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        gv_robot *r;
        gv_error err = {0};
        gv_status status = gv_robot_parse(&r, broken[i][0], strlen(broken[i][0]), "b.xml", &err);
        if (status == GV_OK || r || !strstr(err.text, broken[i][1]) || strncmp(err.text, "b.xml: ", 7))
            fail_msg("%zu: %d \"%s\", expected \"%s\"", i, status, err.text, broken[i][1]);
    }
    size_t n = 0;
    char *deep = calloc(1, 400 * 8);
    for (int i = 0; i < 400; i++) n += (size_t)sprintf(deep + n, "<robot>");
    gv_robot *r;
    assert_int_equal(gv_robot_parse(&r, deep, n, "deep", NULL), GV_ERR_FORMAT);
    free(deep);
}

// Every prefix of a good file, and a robot without a limb.
static void parts_of_a_robot_are_refused(void **state) {
    (void)state;
    size_t n;
    char *text = write_urdf(&n), *knee;
    gv_robot *r;
    gv_error err = {0};
    for (size_t k = 0; k + 8 < n; k += 97) assert_int_not_equal(gv_robot_parse(&r, text, k, "part", NULL), GV_OK);
    while ((knee = strstr(text, "right_knee"))) memcpy(knee, "right_node", 10);
    r = parse(text, n);
    gv_motion m = made_motion(body, 0, 3, 30, 0);
    gv_robot_motion out;
    assert_int_equal(gv_robot_retarget(&out, r, &m, "walker", &err), GV_ERR_FORMAT);
    assert_string_equal(err.text, "walker: has no right knee: no link or joint is named so");
    gv_motion_free(&m);
    gv_robot_close(r);
}

static int set_up(void **state) {
    gv_error err = {0};
    return make_dir(state) != 0 || gv_body_open(&body, NULL, &err) != GV_OK ? -1 : 0;
}

static int tear_down(void **state) {
    gv_body_close(body);
    return remove_empty_dir(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_formats_say_the_same),
        cmocka_unit_test(the_robot_follows),
        cmocka_unit_test(python_reads_them),
        cmocka_unit_test(broken_descriptions_are_refused),
        cmocka_unit_test(parts_of_a_robot_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
