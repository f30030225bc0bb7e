// draw_people.c - follows the people of a video, prints them, and draws what was seen.
//
//   draw_people VIDEO [--out DRAWN.mp4] [--truth MARKS.csv] [--model lite|full|heavy] [--frames N]
//
// For looking at: boxes and skeletons in one colour per identity with its number, thin and dark where the person
// was not seen. With marks made by hand it prints how well identities hold.
#include "base/memory.h"
#include "base/progress.h"
#include "people_truth.h"
#include "video/video.h"

typedef struct canvas {
    uint8_t *rgb;
    int width, height;
} canvas;

static void dot(const canvas *c, int x, int y, int size, const uint8_t *colour) {
    for (int j = y; j < y + size; j++)
        for (int i = x; i < x + size; i++)
            if (i >= 0 && j >= 0 && i < c->width && j < c->height)
                memcpy(c->rgb + 3 * ((size_t)j * (size_t)c->width + (size_t)i), colour, 3);
}

static void line(const canvas *c, const float *a, const float *b, int size, const uint8_t *colour) {
    float length = fmaxf(fabsf(b[0] - a[0]), fabsf(b[1] - a[1]));
    if (!(length < 1e5f)) return;
    int n = (int)length + 1;
    for (int i = 0; i <= n; i++) {
        float f = (float)i / (float)n;
        dot(c, (int)(a[0] + f * (b[0] - a[0])), (int)(a[1] + f * (b[1] - a[1])), size, colour);
    }
}

static void number(const canvas *c, int x, int y, int value, int size, const uint8_t *colour) {
    static const uint16_t bits[10] = {075557, 026227, 071747, 071717, 055711, 074717, 074757, 071111, 075757, 075717};
    char text[12];
    snprintf(text, sizeof text, "%d", value);
    for (int k = 0; text[k]; k++)
        for (int row = 0; row < 5; row++)
            for (int col = 0; col < 3; col++)
                if (bits[text[k] - '0'] >> (3 * (4 - row) + 2 - col) & 1)
                    dot(c, x + (4 * k + col) * size, y + row * size, size, colour);
}

static void person(const canvas *c, const gv_person *p, int id, int frame) {
    static const uint8_t palette[8][3] = {{255, 64, 64},  {64, 220, 64}, {80, 120, 255}, {255, 220, 0},
                                          {255, 80, 255}, {0, 230, 230}, {255, 150, 40}, {200, 200, 200}};
    static const int bones[14][2] = {{5, 7},   {7, 9},   {6, 8},   {8, 10},  {5, 6},   {5, 11}, {6, 12},
                                     {11, 12}, {11, 13}, {13, 15}, {12, 14}, {14, 16}, {0, 5},  {0, 6}};
    int i = frame - p->first;
    if (i < 0 || i >= p->frames) return;
    const uint8_t *colour = palette[id % 8];
    const float *b = p->bbx_xyxy + 4 * i, (*k)[3] = (const float(*)[3])(p->kp2d + 51 * (size_t)i);
    int size = p->observed[i] ? 2 : 1;
    line(c, (float[2]){b[0], b[1]}, (float[2]){b[2], b[1]}, size, colour);
    line(c, (float[2]){b[2], b[1]}, (float[2]){b[2], b[3]}, size, colour);
    line(c, (float[2]){b[2], b[3]}, (float[2]){b[0], b[3]}, size, colour);
    line(c, (float[2]){b[0], b[3]}, (float[2]){b[0], b[1]}, size, colour);
    number(c, (int)b[0], (int)b[1] - 16, id + 1, 3, colour);
    for (int e = 0; e < 14; e++)
        if (k[bones[e][0]][2] > 0.5f && k[bones[e][1]][2] > 0.5f) line(c, k[bones[e][0]], k[bones[e][1]], 1, colour);
}

static gv_status track_all(gv_video *v, gv_blaze_model model, long limit, gv_tracks *tracks, gv_error *err) {
    const gv_video_info *info = gv_video_get_info(v);
    gv_people *p = NULL;
    gv_status status =
        gv_people_create(&p, &(gv_people_options){.model = model, .mirror = true}, info->width, info->height, err);
    gv_frame f = {0};
    double start = gv_now(), slowest = 0;
    long n = 0;
    while (status == GV_OK && (limit == 0 || n < limit)) {
        if ((status = gv_video_next(v, &f, err)) != GV_OK || !f.rgb) break;
        double t = gv_now();
        status = gv_people_frame(p, &(gv_image){f.rgb, f.width, f.height, f.stride}, f.time_sec, err);
        if (n++ > 0) slowest = fmax(slowest, gv_now() - t);
    }
    printf("%ld frames, %.1f per second, slowest after the first %.0f ms\n", n, (double)n / (gv_now() - start),
           slowest * 1e3);
    if (status == GV_OK) status = gv_people_finish(p, tracks, err);
    gv_people_destroy(p);
    return status;
}

static gv_status draw_all(gv_video *v, const char *path, const gv_tracks *tracks, gv_error *err) {
    const gv_video_info *info = gv_video_get_info(v);
    gv_video_writer *w = NULL;
    gv_status status = gv_video_rewind(v, err);
    if (status == GV_OK)
        status = gv_video_create(&w, path, info->width, info->height, info->fps > 0 ? info->fps : 30, err);
    gv_frame f = {0};
    canvas c = {gv_calloc2((size_t)info->width * (size_t)info->height, 3), info->width, info->height};
    if (!c.rgb) status = gv_fail(err, GV_ERR_MEMORY, "no memory for a frame");
    while (status == GV_OK) {
        if ((status = gv_video_next(v, &f, err)) != GV_OK || !f.rgb || f.index >= tracks->frames) break;
        for (int y = 0; y < c.height; y++)
            memcpy(c.rgb + (size_t)y * 3 * (size_t)c.width, f.rgb + (size_t)y * (size_t)f.stride, 3 * (size_t)c.width);
        for (int i = 0; i < tracks->count; i++) person(&c, &tracks->person[i], i, (int)f.index);
        number(&c, 4, 4, (int)f.index, 3, (const uint8_t[3]){255, 255, 255});
        status = gv_video_write(w, c.rgb, 3 * c.width, f.time_sec, err);
    }
    free(c.rgb);
    if (status == GV_OK) return gv_video_finish(w, err);
    gv_video_abandon(w);
    return status;
}

static void print_truth(truth *t, const gv_tracks *tracks) {
    truth_match(t, tracks);
    int marks = 0, found = 0, covered = 0, stay = 0, held = 0;
    for (int i = 0; i < t->people; i++) {
        truth_score s = truth_judge(t, i);
        if (s.marks == 0) continue;
        printf("%-3s %2d marks, %2d found, %2d by identity %d of %d\n", t->name[i], s.marks, s.found, s.covered,
               s.identity + 1, s.identities);
        marks += s.marks;
        found += s.found;
        covered += s.covered;
        if (s.marks < 3) continue;
        stay++;
        held += 2 * s.covered > s.marks;
    }
    printf("of %d clear marks %d found, %d by the person's main identity; of %d people who stay, %d keep one identity "
           "for most of it\n",
           marks, found, covered, stay, held);
}

int main(int argc, char **argv) {
    const char *out = NULL, *marks = NULL;
    gv_blaze_model model = GV_BLAZE_FULL;
    long limit = 0;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--out"))
            out = argv[i + 1];
        else if (!strcmp(argv[i], "--truth"))
            marks = argv[i + 1];
        else if (!strcmp(argv[i], "--frames"))
            limit = atol(argv[i + 1]);
        else if (!strcmp(argv[i], "--model"))
            model = argv[i + 1][0] == 'l' ? GV_BLAZE_LITE : argv[i + 1][0] == 'h' ? GV_BLAZE_HEAVY : GV_BLAZE_FULL;
    }
    if (argc < 2 || argc % 2) {
        fprintf(
            stderr,
            "usage: draw_people VIDEO [--out DRAWN.mp4] [--truth MARKS.csv] [--model lite|full|heavy] [--frames N]\n");
        return 2;
    }
    gv_error err = {0};
    gv_video *v = NULL;
    gv_tracks tracks = {0};
    static truth t;
    gv_status status = gv_video_open(&v, argv[1], NULL, &err);
    if (status == GV_OK) status = track_all(v, model, limit, &tracks, &err);
    for (int i = 0; status == GV_OK && i < tracks.count; i++) {
        const gv_person *p = &tracks.person[i];
        int seen = 0;
        for (int k = 0; k < p->frames; k++) seen += p->observed[k];
        printf("person %d: frames %d to %d, seen in %d (%.1f %% of the video), prominence %.3f\n", i + 1, p->first,
               p->first + p->frames - 1, seen, 100.0 * seen / (double)tracks.frames, p->prominence);
    }
    if (status == GV_OK && marks && truth_read(&t, marks)) print_truth(&t, &tracks);
    if (status == GV_OK && out) status = draw_all(v, out, &tracks, &err);
    if (status != GV_OK) fprintf(stderr, "draw_people: %s\n", err.text);
    gv_tracks_free(&tracks);
    gv_video_close(v);
    return status != GV_OK;
}
