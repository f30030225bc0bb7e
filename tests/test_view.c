// The viewer's page as the C side writes it: what is in it can be read back and means what view.h says.
#include "base/file.h"
#include "body/body.h"
#include "formats/npz.h"
#include "geometry/rotation.h"
#include "pipeline/copy.h"
#include "pipeline/view.h"
#include "folder.h"
#include "video/video.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

enum { L = 6, J = GV_MOTION_JOINTS };
static gv_body *body;

static void make_motion(gv_motion *m, int first, float beta) {
    gv_error err = {0};
    assert_int_equal(gv_motion_alloc(m, L, &err), GV_OK);
    m->betas[0] = beta;
    m->betas[1] = -beta;
    m->fps = 25;
    m->width = 64;
    m->height = 48;
    for (int t = 0; t < L; t++) {
        m->frame_index[t] = first + t;
        m->time_sec[t] = (first + t) / 25.0;
        for (int i = 0; i < 63; i++) m->body_pose[63 * t + i] = 0.35f * sinf((float)(3 * i + t));
        m->global_orient[3 * t + 1] = 0.3f;
        m->transl[3 * t + 1] = 1;
        m->transl_incam[3 * t + 2] = 4;
        m->K[9 * t] = m->K[9 * t + 4] = 80;
        m->K[9 * t + 8] = 1;
        for (int i = 0; i < 3; i++) m->R_w2c[9 * t + 4 * i] = 1;
    }
}

static unsigned char *decode(const char *text, size_t *size) {
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    unsigned char *out = malloc(n + 4);
    unsigned v = 0;
    *size = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        v = v << 6 | (unsigned)(c == '+'   ? 62
                                : c == '/' ? 63
                                : c <= '9' ? c - '0' + 52
                                : c <= 'Z' ? c - 'A'
                                           : c - 'a' + 26);
        if (i % 4 == 3)
            for (int k = 2; k >= 0; k--) out[(*size)++] = (unsigned char)(v >> 8 * k);
    }
    if (n % 4 == 2) out[(*size)++] = (unsigned char)(v >> 4);
    if (n % 4 == 3) out[(*size)++] = (unsigned char)(v >> 10), out[(*size)++] = (unsigned char)(v >> 2);
    return out;
}

// Element `id` of a page, decoded into a file.
static void extract(const char *html, const char *id, const char *name) {
    char mark[80];
    gv_error err = {0};
    size_t size;
    snprintf(mark, sizeof mark, "<script id=\"%s\" type=\"text/plain\">", id);
    const char *at = strstr(html, mark);
    assert_non_null(at);
    unsigned char *data = decode(at + strlen(mark), &size);
    assert_int_equal(gv_file_write(in_dir(name), data, size, &err), GV_OK);
    free(data);
}

static char *read_page(const char *name) {
    unsigned char *html;
    size_t size;
    gv_error err = {0};
    assert_int_equal(gv_file_read(in_dir(name), 0, &html, &size, &err), GV_OK);
    return (char *)html;
}

static int entries_with(const char *part) {
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}

static void make_video(const char *name, int frames) {
    gv_error err = {0};
    gv_video_writer *w = NULL;
    uint8_t rgb[64 * 48 * 3];
    assert_int_equal(gv_video_create(&w, in_dir(name), 64, 48, 25, &err), GV_OK);
    for (int t = 0; t < frames; t++) {
        memset(rgb, 20 * t, sizeof rgb);
        assert_int_equal(gv_video_write(w, rgb, 64 * 3, t / 25.0, &err), GV_OK);
    }
    assert_int_equal(gv_video_finish(w, &err), GV_OK);
}

// The surface as the page would draw it against the program's own, at every frame.
static void compare_surface(gv_npz *z, int person, const gv_motion *m) {
    gv_error err = {0};
    char name[32];
    double unit = 0;
    int64_t V = body->vertices;
    snprintf(name, sizeof name, "%d/surface", person);
    int32_t *surface = gv_npz_read_i32(z, name, (int64_t[]){V, 3}, 2, NULL, &err);
    snprintf(name, sizeof name, "%d/rest", person);
    float *rest = gv_npz_read_f32(z, name, (int64_t[]){J, 3}, 2, NULL, &err);
    snprintf(name, sizeof name, "%d/unit", person);
    assert_int_equal(gv_npz_read_number(z, name, 0, 1, &unit, &err), GV_OK);
    int32_t *bones = gv_npz_read_i32(z, "bones", (int64_t[]){V, 4}, 2, NULL, &err);
    int32_t *weights = gv_npz_read_i32(z, "weights", (int64_t[]){V, 4}, 2, NULL, &err);
    assert_true(surface && rest && bones && weights && unit > 0);
    gv_skin *skin = gv_skin_create(body, m->betas);
    float *expected = malloc((size_t)V * 12);
    double worst = 0;
    for (int t = 0; t < L; t++) {
        float G[J * 12];
        const float *transl = m->transl + 3 * t;
        gv_skin_pose(skin, m->body_pose + 63 * t, m->global_orient + 3 * t, transl, expected, NULL);
        gv_body_fk22(G, rest, m->body_pose + 63 * t, m->global_orient + 3 * t);
        for (int v = 0; v < V; v++) {
            double x[3] = {0};
            assert_int_equal(weights[4 * v] + weights[4 * v + 1] + weights[4 * v + 2] + weights[4 * v + 3], 255);
            for (int k = 0; k < 4; k++) {
                int j = bones[4 * v + k];
                assert_in_range(j, 0, J - 1);
                for (int r = 0; r < 3; r++) {
                    double y = (double)G[12 * j + 4 * r + 3] + transl[r];
                    for (int c = 0; c < 3; c++)
                        y += (double)G[12 * j + 4 * r + c] * (surface[3 * v + c] * unit - (double)rest[3 * j + c]);
                    x[r] += weights[4 * v + k] / 255.0 * y;
                }
            }
            for (int r = 0; r < 3; r++) worst = fmax(worst, fabs(x[r] - (double)expected[3 * v + r]));
        }
    }
    printf("person %d: the page's surface is within %.2f mm\n", person, 1000 * worst);
    assert_true(worst < 2e-3);
    gv_skin_destroy(skin);
    free(expected);
    free(surface);
    free(rest);
    free(bones);
    free(weights);
}

static void what_the_page_holds(void **state) {
    (void)state;
    gv_motion m[2];
    gv_error err = {0};
    make_motion(&m[0], 1, 1.5f);
    make_motion(&m[1], 3, -2);
    m[1].kp2d[7] = 12.5f;
    make_video("clip.mp4", 10);
    gv_page page = {.scene = "{\"name\": \"a</script><b>&\"}",
                    .people = 2,
                    .motion = m,
                    .body = body,
                    .video = in_dir("clip.mp4"),
                    .quiet = true};
    if (gv_page_write(in_dir("page.html"), &page, &err) != GV_OK) fail_msg("%s", err.text);
    char *html = read_page("page.html");
    assert_int_equal(strncmp(html, "<p>before</p>", 13), 0);
    assert_non_null(strstr(html, "<p>after</p>"));
    assert_null(strstr(html, "gvhmr-data"));
    assert_non_null(strstr(html, "\"a\\u003c/script>\\u003cb>&\""));
    extract(html, "pack-data", "pack.npz");
    extract(html, "video-data", "copy.mp4");
    free(html);

    gv_video *v = NULL;
    gv_frame f;
    int frames = 0;
    assert_int_equal(gv_video_open(&v, in_dir("copy.mp4"), NULL, &err), GV_OK);
    while (gv_video_next(v, &f, &err) == GV_OK && f.rgb) {
        assert_float_equal(f.time_sec, frames / 25.0, 1e-4);
        assert_int_equal(f.width, 64);
        frames++;
    }
    gv_video_close(v);
    assert_int_equal(frames, 10);

    gv_npz *z = NULL;
    int64_t n = 0;
    assert_int_equal(gv_npz_open(&z, in_dir("pack.npz"), &err), GV_OK);
    double *times = gv_npz_read_f64(z, "times", (int64_t[]){-1}, 1, &n, &err);
    assert_int_equal(n, 10);
    assert_float_equal(times[9], 9 / 25.0, 1e-9);
    float *kp = gv_npz_read_f32(z, "2/kp2d", (int64_t[]){L, 17, 3}, 3, NULL, &err);
    float *pose = gv_npz_read_f32(z, "1/body_pose", (int64_t[]){L, 63}, 2, NULL, &err);
    int32_t *index = gv_npz_read_i32(z, "2/frame_index", (int64_t[]){L}, 1, NULL, &err);
    assert_true(times && kp && pose && index);
    assert_float_equal(kp[7], 12.5, 0);
    assert_memory_equal(pose, m[0].body_pose, sizeof(float) * 63 * L); // bit for bit
    assert_int_equal(index[0], 3);
    for (int k = 0; k < 2; k++) compare_surface(z, k + 1, &m[k]);
    gv_npz_close(z);
    free(times);
    free(kp);
    free(pose);
    free(index);
    for (int k = 0; k < 2; k++) gv_motion_free(&m[k]);
    assert_int_equal(entries_with("tmp"), 0);
}

static void a_large_video_lies_beside(void **state) {
    (void)state;
    gv_motion m;
    gv_error err = {0};
    make_motion(&m, 0, 0);
    make_video("clip.mp4", 5);
    gv_page page = {.scene = "{}",
                    .people = 1,
                    .motion = &m,
                    .body = body,
                    .video = in_dir("clip.mp4"),
                    .quiet = true,
                    .embed_bytes = 10};
    if (gv_page_write(in_dir("a \"large\" one.html"), &page, &err) != GV_OK) fail_msg("%s", err.text);
    char *html = read_page("a \"large\" one.html");
    assert_non_null(strstr(html, "data-file=\"a &#34;large&#34; one.mp4\""));
    assert_int_equal(access(in_dir("a \"large\" one.mp4"), R_OK), 0);
    free(html);
    gv_motion_free(&m);
    assert_int_equal(entries_with("tmp"), 0);
}

// A copy that somebody else made goes into the page as it is, with its times, and stays its maker's.
static void a_copy_made_elsewhere(void **state) {
    (void)state;
    enum { N = 6, W = 1000, H = 30 };
    gv_motion m;
    gv_error err = {0};
    gv_copy *copy = NULL;
    double *times;
    long frames;
    static uint8_t rgb[H][W][3];
    make_motion(&m, 0, 0);
    assert_int_equal(gv_copy_create(&copy, in_dir("made.mp4"), W, H, 20, &err), GV_OK);
    for (int t = 0; t < N; t++) {
        memset(rgb, 40 * t, sizeof rgb);
        assert_int_equal(gv_copy_add(copy, rgb[0][0], 3 * W, 0.05 * t + 0.01 * (t > 3), &err), GV_OK);
    }
    assert_int_equal(gv_copy_finish(copy, &times, &frames, &err), GV_OK);
    assert_int_equal(frames, N);
    gv_page page = {.scene = "{}",
                    .people = 1,
                    .motion = &m,
                    .body = body,
                    .copy = in_dir("made.mp4"),
                    .times = times,
                    .frames = frames,
                    .quiet = true};
    char made[4096];
    snprintf(made, sizeof made, "%s", page.copy);
    page.copy = made;
    if (gv_page_write(in_dir("made.html"), &page, &err) != GV_OK) fail_msg("%s", err.text);
    char *html = read_page("made.html");
    extract(html, "pack-data", "made.npz");
    extract(html, "video-data", "again.mp4");
    free(html);
    assert_int_equal(access(made, R_OK), 0);

    gv_video *v = NULL;
    gv_frame f;
    int shown = 0;
    assert_int_equal(gv_video_open(&v, in_dir("again.mp4"), NULL, &err), GV_OK);
    for (; gv_video_next(v, &f, &err) == GV_OK && f.rgb; shown++) {
        assert_true(f.width == 854 && f.height == 26 && abs(f.rgb[300] - 40 * shown) <= 3);
        assert_float_equal(f.time_sec, times[shown], 1e-4);
    }
    gv_video_close(v);
    assert_int_equal(shown, N);
    gv_npz *z = NULL;
    int64_t n = 0;
    assert_int_equal(gv_npz_open(&z, in_dir("made.npz"), &err), GV_OK);
    double *packed = gv_npz_read_f64(z, "times", (int64_t[]){-1}, 1, &n, &err);
    assert_int_equal(n, N);
    assert_memory_equal(packed, times, sizeof(double) * N);
    gv_npz_close(z);
    free(packed);
    free(times);
    gv_motion_free(&m);
    assert_int_equal(entries_with("tmp"), 0);
}

static gv_status view(const char *scene, gv_error *err) {
    write_text("scene.json", scene);
    *err = (gv_error){0};
    bool without;
    return gv_view_folder(dir, in_dir("out.html"), &(gv_view_options){.quiet = true}, &without, err);
}

static void folders(void **state) {
    (void)state;
    gv_motion m;
    gv_error err = {0};
    make_motion(&m, 2, 1);
    assert_int_equal(gv_motion_save(&m, in_dir("person-1.npz"), &err), GV_OK);
    gv_motion_free(&m);
    static const struct {
        const char *scene, *says;
    } broken[] = {
        {"", "scene.json"},
        {"[]", "people"},
        {"{\"people\": []}", "people"},
        {"{\"people\": [{\"file\": 3}]}", "person 1"},
        {"{\"people\": [{\"file\": \"/etc/passwd\"}]}", "/etc/passwd"},
        {"{\"people\": [{\"file\": \"../person-1.npz\"}]}", "../person-1.npz"},
        {"{\"people\": [{\"file\": \"person-1.npz\"}, {\"file\": \"person-2.npz\"}]}", "person-2.npz"},
        {"{\"people\": [{\"file\": \"scene.json\"}]}", "scene.json"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_int_not_equal(view(broken[i].scene, &err), GV_OK);
        if (!strstr(err.text, broken[i].says)) fail_msg("\"%s\" does not name %s", err.text, broken[i].says);
        assert_int_not_equal(access(in_dir("out.html"), F_OK), 0);
    }
    if (view("{\"people\": [{\"file\": \"person-1.npz\"}], \"video\": {\"file\": \"../x\"}}", &err) != GV_OK)
        fail_msg("%s", err.text);
    char *html =
        read_page("out.html"); // without a video, times come from the motion, the frames before it at even steps
    assert_null(strstr(html, "video-data"));
    extract(html, "pack-data", "pack.npz");
    free(html);
    gv_npz *z = NULL;
    int64_t n = 0;
    assert_int_equal(gv_npz_open(&z, in_dir("pack.npz"), &err), GV_OK);
    double *times = gv_npz_read_f64(z, "times", (int64_t[]){-1}, 1, &n, &err);
    assert_int_equal(n, L + 2);
    for (int f = 0; f < n; f++) assert_float_equal(times[f], f / 25.0, 1e-9);
    free(times);
    gv_npz_close(z);
    assert_int_equal(entries_with("tmp"), 0);
}

static void without_the_built_viewer(void **state) {
    (void)state;
    gv_motion m;
    gv_error err = {0};
    make_motion(&m, 0, 0);
    gv_page page = {.scene = "{}", .people = 1, .motion = &m, .body = body};
    write_text("viewer-template.html", "<p>no mark</p>");
    assert_int_equal(gv_page_write(in_dir("none.html"), &page, &err), GV_ERR_FORMAT);
    assert_int_not_equal(access(in_dir("none.html"), F_OK), 0);
    assert_int_equal(entries_with("tmp"), 0);
    gv_motion_free(&m);
}

static int set_up(void **state) {
    gv_error err = {0};
    if (make_dir(state) != 0 || gv_body_open(&body, NULL, &err) != GV_OK) return -1;
    setenv("GVHMR_DATA", dir, 1); // where the viewer is looked for first
    write_text("viewer-template.html", "<p>before</p><!--gvhmr-data--><p>after</p>");
    return 0;
}

static int tear_down(void **state) {
    gv_body_close(body);
    return remove_dir(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_page_holds), cmocka_unit_test(a_large_video_lies_beside),
        cmocka_unit_test(a_copy_made_elsewhere), cmocka_unit_test(folders), cmocka_unit_test(without_the_built_viewer)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
