// bench_camera_kinds.c - error of the camera's rotation on rendered clips of many kinds, with exact truth.
//
//     build/bench/bench_camera_kinds DIR [KIND]
//
// Clips (640 x 360, 120 frames, H.264) are rendered into DIR where they are not there yet: NAME.mp4 and NAME.npz
// (R_w2c, t_w2c, K), minutes. Then the odometry follows each, with the focal length known and not. No people are
// marked.
#include "camera/odometry.h"
#include "camera_kinds.h"
#include "camera_way.h"
#include "formats/npz.h"
#include "geometry/so3.h"
#include "video/video.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { W = 640, H = 360, FRAMES = 120 };
static const double FOCAL = 540, DEG = 57.29577951308232;

static gv_status write_clip(const camera_kind *k, const char *video, gv_error *err) {
    static uint8_t rgb[FRAMES][3 * W * H];
#pragma omp parallel for schedule(dynamic, 1)
    for (int f = 0; f < FRAMES; f++) {
        scene s = camera_kind_scene(k, W, H, FOCAL);
        scene_render(&s, f, rgb[f]);
    }
    gv_video_writer *w = NULL;
    gv_status s = gv_video_create(&w, video, W, H, 30, err);
    for (int f = 0; s == GV_OK && f < FRAMES; f++) s = gv_video_write(w, rgb[f], 3 * W, f / 30., err);
    if (s == GV_OK) return gv_video_finish(w, err);
    gv_video_abandon(w);
    return s;
}

static gv_status write_truth(const camera_kind *k, const char *path, gv_error *err) {
    static float R[FRAMES * 9], t[FRAMES * 3];
    for (int f = 0; f < FRAMES; f++) {
        double Q[9], c[3], p[3];
        k->pose(f, Q, c);
        gv_so3_apply(p, Q, c);
        for (int i = 0; i < 9; i++) R[9 * f + i] = (float)Q[i];
        for (int i = 0; i < 3; i++) t[3 * f + i] = (float)-p[i];
    }
    float K[9] = {(float)FOCAL, 0, W / 2.f, 0, (float)FOCAL, H / 2.f, 0, 0, 1};
    gv_npz_writer *w = NULL;
    gv_status s = gv_npz_create(&w, path, err);
    if (s != GV_OK) return s;
    gv_npz_add_f32(w, "R_w2c", R, 3, FRAMES, 3, 3);
    gv_npz_add_f32(w, "t_w2c", t, 2, FRAMES, 3);
    gv_npz_add_f32(w, "K", K, 2, 3, 3);
    return gv_npz_finish(w, err);
}

static gv_status follow(gv_camera_path *path, const char *video, double focal, gv_error *err) {
    gv_video *v = NULL;
    gv_odometry *o = NULL;
    gv_optics optics = {0};
    gv_frame f;
    gv_status s = gv_optics_pinhole(&optics, focal > 0 ? focal : gv_focal_default(W, H), W, H,
                                    focal > 0 ? GV_FOCAL_GIVEN : GV_FOCAL_DIAGONAL,
                                    focal > 0 ? 0 : GV_FOCAL_DEFAULT_SD, err);
    if (s == GV_OK) s = gv_video_open(&v, video, NULL, err);
    if (s == GV_OK) s = gv_odometry_create(&o, W, H, &optics, err);
    while (s == GV_OK && (s = gv_video_next(v, &f, err)) == GV_OK && f.rgb)
        s = gv_odometry_frame(o, f.rgb, f.stride, NULL, 0, err);
    if (s == GV_OK) s = gv_odometry_finish(o, path, err);
    gv_odometry_destroy(o);
    gv_video_close(v);
    gv_optics_free(&optics);
    return s;
}

static void report(const camera_kind *k, const gv_camera_path *p, bool known) {
    double step = 0, drift = 0, least = 1, I[9], c[3], before[9], now[9];
    k->pose(0, I, c);
    memcpy(before, I, sizeof before);
    for (int f = 1; f < p->frames; f++) {
        double P[9], Q[9], A[9], B[9];
        k->pose(f, now, c);
        for (int i = 0; i < 9; i++) P[i] = p->R_w2c[9 * f + i], Q[i] = p->R_w2c[9 * f - 9 + i];
        gv_so3_mul_nt(A, P, Q), gv_so3_mul_nt(B, now, before);
        step += pow(gv_so3_angle(A, B) * DEG, 2);
        gv_so3_mul_nt(B, now, I);
        drift = fmax(drift, gv_so3_angle(P, B) * DEG), least = fmin(least, p->confidence[f]);
        memcpy(before, now, sizeof before);
    }
    printf("%-16s %-11s step %.4f  drift %6.3f  least confidence %.2f", k->name, known ? "K known" : "K not known",
           sqrt(step / (p->frames - 1)), drift, least);
    double centre[FRAMES * 3], way;
    for (int f = 0; f < p->frames; f++) k->pose(f, I, centre + 3 * f);
    way = camera_way_error(p, centre);
    if (!(way >= 0)) // also where the camera stays in its place
        printf("  no way        ");
    else
        printf("  way off %5.2f %%", 100 * way);
    if (!known)
        printf("  focal %+.1f %% (sd %.1f, %s)", 100 * (p->focal_px / FOCAL - 1), 100 * p->focal_sd,
               gv_focal_origin_text(p->focal_origin));
    printf("%s\n", p->is_static ? "  static" : "");
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) return fprintf(stderr, "usage: bench_camera_kinds DIR [KIND]\n"), 2;
    gv_error err = {0};
    for (int i = 0; i < CAMERA_KINDS; i++) {
        const camera_kind *k = &camera_kinds[i];
        if (argc > 2 && strcmp(argv[2], k->name)) continue;
        char video[1024], truth[1024];
        snprintf(video, sizeof video, "%s/%s.mp4", argv[1], k->name);
        snprintf(truth, sizeof truth, "%s/%s.npz", argv[1], k->name);
        gv_status s = access(video, R_OK) ? write_clip(k, video, &err) : GV_OK;
        if (s == GV_OK && access(truth, R_OK)) s = write_truth(k, truth, &err);
        for (int known = 1; s == GV_OK && known >= 0; known--) {
            gv_camera_path path;
            s = follow(&path, video, known ? FOCAL : 0, &err);
            if (s == GV_OK) report(k, &path, known);
            if (s == GV_OK) gv_camera_path_free(&path);
        }
        if (s != GV_OK) return fprintf(stderr, "bench_camera_kinds: %s\n", err.text), 1;
        fflush(stdout);
    }
    return 0;
}
