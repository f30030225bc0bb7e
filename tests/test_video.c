#define _GNU_SOURCE // memmem
#include "base/file.h"
#include "base/jail.h"
#include "folder.h"
#include "picture.h"
#include "video/reader.h"
#include "video/video.h"
#include "video/shrink.h"
#include "video/yuv.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { W = 64, H = 48, N = 30 };

static gv_jail *jail; // where decoding is done; NULL: here

static gv_status open_video(gv_video **v, const char *path, const gv_video_options *opt, gv_error *err) {
    gv_video_options o = opt ? *opt : (gv_video_options){0};
    o.jail = jail;
    return gv_video_open(v, path, &o, err);
}

// Frame i of the test clip: a grey ramp moving with i, and four coloured quarters in its middle.
static const uint8_t quarter[4][3] = {{200, 40, 40}, {40, 180, 60}, {50, 60, 200}, {200, 190, 60}};

static void draw(uint8_t *rgb, int w, int h, int i) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t *p = rgb + 3 * (y * w + x);
            bool inside = x >= w / 4 && x < w - w / 4 && y >= h / 4 && y < h - h / 4;
            const uint8_t grey = (uint8_t)(40 + (x + y + 2 * i) % 150);
            for (int c = 0; c < 3; c++) p[c] = inside ? quarter[(y >= h / 2) * 2 + (x >= w / 2)][c] : grey;
        }
}

// Frame times that no fixed rate has.
static double frame_sec(int i) {
    return i / 30.0 + 0.012 * (i % 3 == 1);
}

static void make_clip(const char *path, int w, int h, int n) {
    gv_error err = {0};
    gv_video_writer *v = NULL;
    uint8_t *rgb = malloc(3 * (size_t)w * (size_t)h);
    assert_int_equal(gv_video_create(&v, path, w, h, 30, &err), GV_OK);
    for (int i = 0; i < n; i++) {
        draw(rgb, w, h, i);
        assert_int_equal(gv_video_write(v, rgb, 3 * w, frame_sec(i), &err), GV_OK);
    }
    assert_int_equal(gv_video_finish(v, &err), GV_OK);
    free(rgb);
}

static void near_colour(const gv_frame *f, int x, int y, const uint8_t want[3], int tolerance) {
    const uint8_t *p = f->rgb + (ptrdiff_t)y * f->stride + 3 * x;
    for (int c = 0; c < 3; c++)
        if (abs(p[c] - want[c]) > tolerance)
            fail_msg("frame %ld (%d, %d): %d %d %d, expected %d %d %d", f->index, x, y, p[0], p[1], p[2], want[0],
                     want[1], want[2]);
}

// Counts the frames of a file; -1 and the error where it cannot be opened or breaks off with an error.
static long count(const char *path, const gv_video_options *opt, double *last_sec, gv_error *err) {
    gv_video *v = NULL;
    if (open_video(&v, path, opt, err) != GV_OK) {
        assert_null(v);
        assert_true(strlen(err->text) > 0 && !strchr(err->text, '\n') && strstr(err->text, path));
        return -1;
    }
    gv_frame f;
    long n = 0;
    gv_status status;
    double last = -1;
    unsigned sum = 0;
    while ((status = gv_video_next(v, &f, err)) == GV_OK && f.rgb) {
        assert_int_equal(f.index, n);
        assert_true(f.time_sec > last);
        assert_int_equal(f.width, gv_video_get_info(v)->width);
        assert_int_equal(f.height, gv_video_get_info(v)->height);
        for (int y = 0; y < f.height; y++) sum += f.rgb[(ptrdiff_t)y * f.stride + 3 * (f.width - 1) + 2];
        last = f.time_sec;
        n++;
    }
    assert_true(sum <= 0xffffffffu); // the pictures were readable to their last byte
    gv_video_close(v);
    if (last_sec) *last_sec = last;
    return status == GV_OK ? n : -1;
}

static void what_is_written_comes_back(void **state) {
    (void)state;
    gv_error err = {0};
    const char *path = in_dir("clip.mp4");
    make_clip(path, W, H, N);
    gv_video *v = NULL;
    assert_int_equal(open_video(&v, path, NULL, &err), GV_OK);
    const gv_video_info *info = gv_video_get_info(v);
    assert_int_equal(info->width, W);
    assert_int_equal(info->height, H);
    assert_int_equal(info->frames, N);
    assert_int_equal(info->rotation, 0);
    assert_true(fabs(info->fps - 30) < 1);
    assert_string_equal(info->codec, "h264");
    uint8_t rgb[3 * W * H];
    gv_frame f;
    for (int pass = 0; pass < 2; pass++) { // the second after a rewind
        for (int i = 0; i < N; i++) {
            assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
            assert_non_null(f.rgb);
            assert_int_equal(f.index, i);
            assert_true(fabs(f.time_sec - frame_sec(i)) < 1e-4);
            for (int q = 0; q < 4; q++) near_colour(&f, q & 1 ? 38 : 26, q & 2 ? 30 : 18, quarter[q], 10);
            draw(rgb, W, H, i);
            for (int x = 4; x < W; x += 20) near_colour(&f, x, 4, rgb + 3 * (4 * W + x), 14);
        }
        assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
        assert_null(f.rgb);
        assert_int_equal(gv_video_next(v, &f, &err), GV_OK); // the end stays the end
        assert_null(f.rgb);
        assert_int_equal(gv_video_rewind(v, &err), GV_OK);
    }
    assert_int_equal(gv_video_damaged(v), 0);
    gv_video_close(v);
    double last;
    assert_int_equal(count(path, &(gv_video_options){.fps = 10}, &last, &err), N);
    assert_true(fabs(last - 2.9) < 1e-9);
}

static void odd_and_extreme_sizes(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 9}, {33, 17}, {7, 2}, {101, 64}};
    const char *path = in_dir("odd.mp4");
    gv_error err = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int w = sizes[i][0], h = sizes[i][1];
        make_clip(path, w, h, 3);
        gv_video *v = NULL;
        assert_int_equal(open_video(&v, path, NULL, &err), GV_OK);
        assert_int_equal(gv_video_get_info(v)->width, w + (w & 1));
        assert_int_equal(gv_video_get_info(v)->height, h + (h & 1));
        gv_video_close(v);
        assert_int_equal(count(path, NULL, NULL, &err), 3);
        assert_int_equal(count(path, &(gv_video_options){.max_side = 1}, NULL, &err), 3);
    }
    gv_video_writer *w = NULL;
    assert_int_equal(gv_video_create(&w, path, 0, 5, 30, &err), GV_ERR_ARGUMENT);
    assert_int_equal(gv_video_create(&w, path, 20000, 5, 30, &err), GV_ERR_ARGUMENT);
    assert_null(w);
}

static void max_side_reduces_and_keeps_the_shape(void **state) {
    (void)state;
    gv_error err = {0};
    gv_video *v = NULL;
    make_clip(in_dir("big.mp4"), 160, 120, 2);
    assert_int_equal(open_video(&v, in_dir("big.mp4"), &(gv_video_options){.max_side = 40}, &err), GV_OK);
    gv_frame f;
    assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
    assert_int_equal(f.width, 40);
    assert_int_equal(f.height, 30);
    for (int q = 0; q < 4; q++) near_colour(&f, q & 1 ? 25 : 15, q & 2 ? 19 : 11, quarter[q], 10);
    gv_video_close(v);
}

// Half size: every pixel is near the mean of the four it comes from. (Against `ffmpeg -vf
// scale=iw*0.5:ih*0.5,format=yuv420p -pix_fmt rgb24` the bytes are the same; FFmpeg's program is no test's need.)
static void half_size_is_the_mean_of_four(void **state) {
    (void)state;
    gv_error err = {0};
    gv_video *full = NULL, *half = NULL;
    make_clip(in_dir("halved.mp4"), 322, 180, 3); // 161 x 90: an odd width, too
    assert_int_equal(open_video(&full, in_dir("halved.mp4"), NULL, &err), GV_OK);
    assert_int_equal(open_video(&half, in_dir("halved.mp4"), &(gv_video_options){.half = true}, &err), GV_OK);
    for (int i = 0; i < 3; i++) {
        gv_frame a, b;
        assert_int_equal(gv_video_next(full, &a, &err), GV_OK);
        assert_int_equal(gv_video_next(half, &b, &err), GV_OK);
        assert_true(a.rgb && b.rgb && b.width == 161 && b.height == 90 && a.time_sec == b.time_sec);
        double sum = 0;
        for (int y = 0; y < b.height; y++)
            for (int x = 0; x < 3 * b.width; x++) {
                const uint8_t *p = a.rgb + 2 * y * a.stride + 6 * (x / 3) + x % 3;
                sum += fabs((p[0] + p[3] + p[a.stride] + p[a.stride + 3]) / 4.0 - b.rgb[y * b.stride + x]);
            }
        assert_true(sum / (3.0 * b.width * b.height) < 2);
    }
    gv_video_close(full);
    gv_video_close(half);
}

// Writes a rotation into the track header of an MP4: the matrix lies 40 bytes behind the box's version (ISO
// 14496-12, 8.3.2).
static void set_matrix(const char *path, const char *to, const int32_t abcd[4]) {
    unsigned char *data;
    size_t size;
    assert_int_equal(gv_file_read(path, 0, &data, &size, NULL), GV_OK);
    unsigned char *p = memmem(data, size, "tkhd", 4);
    assert_non_null(p);
    p += 4 + 40;
    const int at[4] = {0, 4, 12, 16};
    for (int i = 0; i < 4; i++)
        for (int b = 0; b < 4; b++) p[at[i] + b] = (unsigned char)((uint32_t)abcd[i] >> (24 - 8 * b));
    assert_int_equal(gv_file_write(to, data, size, NULL), GV_OK);
    free(data);
}

static void rotation_metadata_is_applied(void **state) {
    (void)state;
    const int32_t one = 1 << 16;
    static const struct {
        int degrees, quarters[4]; // which stored quarter shows top left, top right, bottom left, bottom right
    } want[5] = {{0, {0, 1, 2, 3}}, {90, {2, 0, 3, 1}}, {180, {3, 2, 1, 0}}, {270, {1, 3, 0, 2}}, {0, {1, 0, 3, 2}}};
    const int32_t abcd[5][4] = {
        {one, 0, 0, one}, {0, one, -one, 0}, {-one, 0, 0, -one}, {0, -one, one, 0}, {-one, 0, 0, one}};
    make_clip(in_dir("upright.mp4"), W, H, 2);
    gv_error err = {0};
    for (int i = 0; i < 5; i++) {
        set_matrix(in_dir("upright.mp4"), in_dir("turned.mp4"), abcd[i]);
        gv_video *v = NULL;
        assert_int_equal(open_video(&v, in_dir("turned.mp4"), NULL, &err), GV_OK);
        const gv_video_info *info = gv_video_get_info(v);
        bool swapped = i == 1 || i == 3;
        assert_int_equal(info->width, swapped ? H : W);
        assert_int_equal(info->height, swapped ? W : H);
        if (i < 4) assert_int_equal(info->rotation, want[i].degrees);
        gv_frame f;
        assert_int_equal(gv_video_next(v, &f, &err), GV_OK);
        for (int q = 0; q < 4; q++) {
            int x = f.width / 2 + (q & 1 ? 6 : -6), y = f.height / 2 + (q & 2 ? 6 : -6);
            near_colour(&f, x, y, quarter[want[i].quarters[q]], 10);
        }
        gv_video_close(v);
    }
}

static void bad_files_are_one_clear_line(void **state) {
    (void)state;
    gv_error err = {0};
    static const char text[] = "This is no video at all, only a few words.\nAnd a second line of them.\n";
    assert_int_equal(count(in_dir("absent.mp4"), NULL, NULL, &err), -1);
    assert_int_equal(err.status, GV_ERR_IO);
    assert_int_equal(count(dir, NULL, NULL, &err), -1);
    assert_int_equal(err.status, GV_ERR_IO);
    static const char *const names[] = {"text.mp4", "text.txt", "text.srt", "text.avi"};
    for (int i = 0; i < 4; i++) {
        gv_file_write(in_dir(names[i]), text, sizeof text - 1, NULL);
        assert_int_equal(count(in_dir(names[i]), NULL, NULL, &err), -1);
        assert_int_equal(err.status, GV_ERR_FORMAT);
    }
    gv_file_write(in_dir("empty.mp4"), "", 0, NULL);
    assert_int_equal(count(in_dir("empty.mp4"), NULL, NULL, &err), -1);
    // a playlist must not open what it lists
    make_clip(in_dir("inner.mp4"), W, H, 2);
    static const char list[] = "ffconcat version 1.0\nfile inner.mp4\n";
    gv_file_write(in_dir("list.mp4"), list, sizeof list - 1, NULL);
    assert_int_equal(count(in_dir("list.mp4"), NULL, NULL, &err), -1);
    // one second of silence: sound without pictures
    unsigned char wav[44 + 16000] = "RIFF\244>\0\0WAVEfmt \20\0\0\0\1\0\1\0\100\37\0\0\200>\0\0\2\0\20\0data\200>\0\0";
    gv_file_write(in_dir("sound.wav"), wav, sizeof wav, NULL);
    assert_int_equal(count(in_dir("sound.wav"), NULL, NULL, &err), -1);
    assert_non_null(strstr(err.text, "sound but no video"));
}

static void a_picture_is_a_video_of_one_frame(void **state) {
    (void)state;
    unsigned char ppm[13 + 12] = "P6\n2 2\n255\n";
    memset(ppm + 11, 200, 12);
    gv_file_write(in_dir("still %d.ppm"), ppm, 11 + 12, NULL);
    gv_error err = {0};
    assert_int_equal(count(in_dir("still %d.ppm"), NULL, NULL, &err), 1);
}

// Cut and bit-flipped copies: an error or fewer frames, never a crash, a hang or a frame of another size.
static void damaged_files_give_what_they_can(void **state) {
    (void)state;
    make_clip(in_dir("whole.mp4"), W, H, N);
    unsigned char *data;
    size_t size;
    assert_int_equal(gv_file_read(in_dir("whole.mp4"), 0, &data, &size, NULL), GV_OK);
    gv_error err = {0};
    const char *path = in_dir("damaged.mp4");
    long some = 0;
    for (int i = 1; i < 16; i++) {
        gv_file_write(path, data, size * (size_t)i / 16, NULL);
        long n = count(path, NULL, NULL, &err);
        assert_true(n < N);
        some += n > 0;
    }
    assert_true(some > 3); // the index comes first: a cut file plays up to the cut
    uint32_t seed = 1;
    for (int i = 0; i < 40; i++) {
        unsigned char *bad = malloc(size);
        memcpy(bad, data, size);
        for (int k = 0; k < 1 + i / 4; k++) {
            seed = seed * 1664525u + 1013904223u;
            bad[(seed >> 8) % size] ^= (unsigned char)(1u << (seed >> 29));
        }
        gv_file_write(path, bad, size, NULL);
        free(bad);
        long n = count(path, NULL, NULL, &err);
        assert_true(n <= 4 * N);
        some += n > 0;
    }
    assert_true(some > 20);
    free(data);
}

static void nothing_is_left_behind(void **state) {
    (void)state;
    gv_error err = {0};
    gv_video_writer *w = NULL;
    assert_int_equal(gv_video_create(&w, in_dir("no/such/folder.mp4"), W, H, 30, &err), GV_ERR_IO);
    assert_null(w);
    assert_int_equal(gv_video_create(&w, dir, W, H, 30, &err), GV_ERR_IO);

    const char *path = in_dir("sub/gone.mp4");
    mkdir(in_dir("sub"), 0755);
    uint8_t rgb[3 * W * H];
    draw(rgb, W, H, 0);
    assert_int_equal(gv_video_create(&w, path, W, H, 30, &err), GV_OK);
    assert_int_equal(gv_video_write(w, rgb, 3 * W, 0.5, &err), GV_OK);
    assert_int_equal(gv_video_write(w, rgb, 3 * W, 0.5, &err), GV_ERR_ARGUMENT); // time stands still
    gv_video_abandon(w);
    assert_int_equal(gv_video_create(&w, path, W, H, 30, &err), GV_OK);
    assert_int_equal(gv_video_finish(w, &err), GV_ERR_EMPTY);

    // a full disk, played by the limit on file size
    struct rlimit was, small = {2000, 2000};
    getrlimit(RLIMIT_FSIZE, &was);
    small.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    gv_status status = gv_video_create(&w, path, W, H, 30, &err);
    uint32_t seed = 7;
    for (int i = 0; i < 60 && status == GV_OK; i++) {
        for (size_t k = 0; k < sizeof rgb; k++) rgb[k] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
        status = gv_video_write(w, rgb, 3 * W, i / 30.0, &err);
    }
    if (status == GV_OK)
        status = gv_video_finish(w, &err);
    else
        gv_video_abandon(w);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_int_equal(status, GV_ERR_IO);
    assert_non_null(strstr(err.text, "gone.mp4"));
    assert_int_equal(rmdir(in_dir("sub")), 0); // the folder is empty
}

// Of every pixel, against BT.709's formulas in double; odd sizes repeat the last column and row.
static void colours_become_luma_and_chroma(void **state) {
    (void)state;
    enum { CW = 83, CH = 37, EW = 84, EH = 38 };
    uint8_t rgb[CH * 3 * CW], y[EH * EW], cb[EH * EW / 4], cr[EH * EW / 4];
    uint32_t seed = 3;
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    memset(rgb, 255, 300);
    memset(rgb + 300, 0, 300);
    uint8_t *const planes[3] = {y, cb, cr};
    const int pitch[3] = {EW, EW / 2, EW / 2};
    assert_true(gv_yuv420_from_rgb(planes, pitch, rgb, 3 * CW, CW, CH));
    double worst = 0;
    for (int j = 0; j < EH; j += 2)
        for (int i = 0; i < EW; i += 2) {
            double sum[3] = {0};
            for (int k = 0; k < 4; k++) {
                const int row = j + k / 2, column = i + k % 2;
                const uint8_t *p = rgb + 3 * ((row < CH ? row : CH - 1) * CW + (column < CW ? column : CW - 1));
                const double luma = 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2];
                worst = fmax(worst, fabs(16 + luma * 219 / 255 - y[row * EW + column]));
                for (int c = 0; c < 3; c++) sum[c] += p[c] / 4.0;
            }
            const double luma = 0.2126 * sum[0] + 0.7152 * sum[1] + 0.0722 * sum[2];
            const int at = j / 2 * (EW / 2) + i / 2;
            worst = fmax(worst, fabs(128 + (sum[2] - luma) / 1.8556 * 224 / 255 - cb[at]));
            worst = fmax(worst, fabs(128 + (sum[0] - luma) / 1.5748 * 224 / 255 - cr[at]));
        }
    assert_true(worst < 0.51);
    assert_true(y[0] == 235);
}

// Of every new pixel, against the area's mean in double; rows lie apart, and what is beyond the picture stays.
static void smaller_pictures_are_means_of_areas(void **state) {
    (void)state;
    static const int sizes[][4] = {{128, 72, 85, 48}, {97, 41, 31, 41}, {90, 3, 89, 3}, {64, 300, 4, 19}, {3, 2, 1, 1}};
    uint8_t rgb[300 * 400], out[128 * 300 * 3];
    uint32_t seed = 5;
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        const int w = sizes[n][0], h = sizes[n][1], to_w = sizes[n][2], to_h = sizes[n][3], stride = 3 * w + 5;
        double worst = 0;
        memset(out, 77, sizeof out);
        gv_shrinker *s = gv_shrinker_create(w, h, to_w, to_h);
        assert_non_null(s);
        gv_shrink_rgb(s, out, rgb, stride);
        gv_shrinker_destroy(s);
        for (int i = 0; i < 3 * to_w * to_h; i++) {
            const double x0 = i / 3 % to_w * (double)w / to_w, x1 = x0 + (double)w / to_w;
            const double y0 = i / 3 / to_w * (double)h / to_h, y1 = y0 + (double)h / to_h;
            double sum = 0;
            for (int y = (int)y0; y < h && y < y1; y++)
                for (int x = (int)x0; x < w && x < x1; x++)
                    sum += (fmin(x + 1, x1) - fmax(x, x0)) * (fmin(y + 1, y1) - fmax(y, y0)) *
                           rgb[y * stride + 3 * x + i % 3];
            worst = fmax(worst, fabs(sum / (x1 - x0) / (y1 - y0) - out[i]));
        }
        assert_true(worst < 2.5); // weights are multiples of 1/256
        assert_int_equal(out[3 * to_w * to_h], 77);
    }
}

static void known_clip(const char *path, long frames, double fps, double last_sec) {
    gv_error err = {0};
    double last = 0;
    long n = count(path, &(gv_video_options){.max_side = 160}, &last, &err);
    assert_int_equal(n, frames);
    assert_true(fabs(last - last_sec) < 0.002);
    gv_video *v = NULL;
    assert_int_equal(open_video(&v, path, NULL, &err), GV_OK);
    assert_true(fabs(gv_video_get_info(v)->fps - fps) < 0.01);
    gv_video_close(v);
}

static void shared_clips_have_every_frame(void **state) {
    (void)state;
    known_clip(need_shared("data/videos/tennis.mp4"), 312, 29.83, 10.4113);
    known_clip(need_shared("data/videos/taiji.mp4"), 412, 23.976, 411 / 23.976);
    known_clip(need_shared("data/videos/juggle.mp4"), 247, 24, 246 / 24.0);
    known_clip(need_shared("data/videos/two-people.mp4"), 40, 12, 39 / 12.0);
}

static void vtest_has_every_frame(void **state) {
    (void)state;
    const char *path = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
    if (access(path, R_OK) != 0) {
        printf("skipped: no vtest.avi (Debian package opencv-doc)\n");
        skip();
    }
    known_clip(path, 795, 10, 79.4);
}

// FFmpeg takes a failed read for the file's end; a disk's error is not the video's, and must not shorten it.
static void a_failed_read_is_no_end(void **state) {
    (void)state;
    make_clip(in_dir("read.mp4"), 320, 240, 300);
    int fd = open(in_dir("read.mp4"), O_WRONLY);
    assert_true(fd >= 0);
    gv_reader *r = NULL;
    gv_error err = {0};
    const gv_video_options opt = {0};
    assert_int_equal(gv_reader_open(&r, "read.mp4", &opt, &(gv_reader_source){.fd = fd}, &err), GV_ERR_IO);
    assert_string_equal(err.text, "read.mp4: cannot read: Bad file descriptor");
    close(fd);
    fd = open(in_dir("read.mp4"), O_RDONLY);
    if (gv_reader_open(&r, "read.mp4", &opt, &(gv_reader_source){.fd = fd}, &err)) fail_msg("%s", err.text);
    gv_frame f;
    int frames = 0, other = open("/dev/null", O_WRONLY);
    while (gv_reader_next(r, &f, &err) == GV_OK && f.rgb)
        if (++frames == 2) assert_int_equal(dup2(other, fd), fd); // from here on every read fails
    assert_int_equal(gv_reader_next(r, &f, &err), GV_ERR_IO);
    assert_true(frames < 300);
    gv_reader_close(r);
    close(other);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(odd_and_extreme_sizes),
        cmocka_unit_test(max_side_reduces_and_keeps_the_shape),
        cmocka_unit_test(rotation_metadata_is_applied),
        cmocka_unit_test(bad_files_are_one_clear_line),
        cmocka_unit_test(a_picture_is_a_video_of_one_frame),
        cmocka_unit_test(damaged_files_give_what_they_can),
        cmocka_unit_test(colours_become_luma_and_chroma),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(smaller_pictures_are_means_of_areas),
        cmocka_unit_test(shared_clips_have_every_frame),
        cmocka_unit_test(vtest_has_every_frame),
        cmocka_unit_test(half_size_is_the_mean_of_four),
        cmocka_unit_test(a_failed_read_is_no_end),
    };
    gv_error err = {0};
    gv_jail *other = NULL;
    ok(gv_jail_create(&other, &err), &err);
    int failed = cmocka_run_group_tests_name("decoded here", tests, make_dir, remove_dir);
    jail = other;
    memset(dir + strlen(dir) - 6, 'X', 6);
    failed += cmocka_run_group_tests_name("decoded without rights", tests, make_dir, remove_dir);
    gv_jail_destroy(other);
    return failed;
}
