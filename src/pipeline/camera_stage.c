#include "pipeline/camera_stage.h"
#include "base/memory.h"

#include <math.h>

static gv_status fixed_camera(gv_camera_path *c, long frames, const gv_optics *optics, gv_error *err) {
    c->frames = (int)frames;
    c->is_static = true;
    c->focal_px = (float)optics->lens->fx, c->focal_sd = (float)optics->sd, c->focal_origin = optics->origin;
    c->R_w2c = gv_calloc2((size_t)frames * 9, sizeof(float));
    c->confidence = gv_calloc2((size_t)frames, sizeof(float));
    if (!c->R_w2c || !c->confidence) return gv_fail(err, GV_ERR_MEMORY, "no memory for %ld camera rotations", frames);
    for (long t = 0; t < frames; t++) {
        for (int i = 0; i < 3; i++) c->R_w2c[9 * t + 4 * i] = 1;
        c->confidence[t] = 1;
    }
    return GV_OK;
}

// A focal length that was measured is better than what was believed before.
static void adopt_focal(gv_scene_observations *s) {
    if (s->camera.focal_origin != s->optics.origin) {
        s->optics.lens->fx = s->optics.lens->fy = s->camera.focal_px;
        s->optics.origin = s->camera.focal_origin, s->optics.sd = s->camera.focal_sd;
    }
    s->focal_source = gv_focal_origin_text(s->optics.origin);
}

gv_status gv_camera_conclude(gv_scene_observations *s, gv_odometry *odometry, bool static_given, long frames,
                             gv_error *err) {
    gv_status status = GV_OK;
    if (!s->camera.frames)
        status = odometry ? gv_odometry_finish(odometry, &s->camera, err)
                          : fixed_camera(&s->camera, frames, &s->optics, err);
    if (status != GV_OK) return status;
    s->rotation_source = static_given          ? "static (given)"
                         : s->camera.is_static ? "static (measured)"
                                               : "visual odometry";
    adopt_focal(s);
    return GV_OK;
}

gv_status gv_camera_from_file(gv_scene_observations *s, const char *file, const double *time_sec, struct gv_jail *jail,
                              gv_error *err) {
    if (!file) return GV_OK;
    gv_status status = gv_outside_rotation(&s->camera, &s->outside, file, time_sec, jail, err);
    if (status != GV_OK) return status;
    if (s->outside.source) s->rotation_source = s->outside.source;
    adopt_focal(s);
    return GV_OK;
}

void gv_camera_adopt_focal(gv_scene_observations *s, double ratio, double sd) {
    s->optics.lens->fx *= ratio, s->optics.lens->fy *= ratio;
    s->camera.focal_px *= (float)ratio, s->camera.focal_sd = (float)sd, s->camera.focal_origin = GV_FOCAL_PEOPLE;
    s->optics.origin = GV_FOCAL_PEOPLE, s->optics.sd = sd;
    s->focal_source = gv_focal_origin_text(GV_FOCAL_PEOPLE);
    for (int k = 0; k < s->people; k++)
        for (int t = 0; t < s->person[k].frames; t++) {
            float *K = s->person[k].K + 9 * (size_t)t;
            K[0] *= (float)ratio, K[4] *= (float)ratio;
        }
}

static void straighten_points(const gv_lens *lens, float *kp, int n) {
    for (double q[2]; n-- > 0; kp += 3) {
        if (!(kp[2] > 0)) continue;
        if (!gv_lens_straighten(lens, kp[0], kp[1], q)) kp[2] = 0;
        kp[0] = (float)q[0], kp[1] = (float)q[1];
    }
}

void gv_camera_straighten(const gv_lens *lens, float *box, float *kp, float *feet) {
    static const float dx[4] = {-0.5f, 0.5f, 0, 0}, dy[4] = {0, 0, -0.5f, 0.5f};
    double q[2], at[4][2];
    straighten_points(lens, kp, 17);
    straighten_points(lens, feet, 4);
    for (int i = 0; i < 4; i++) gv_lens_straighten(lens, box[0] + dx[i] * box[2], box[1] + dy[i] * box[2], at[i]);
    double side = fmax(at[1][0] - at[0][0], at[3][1] - at[2][1]);
    gv_lens_straighten(lens, box[0], box[1], q);
    box[0] = (float)q[0], box[1] = (float)q[1];
    if (side > 0.2 * box[2] && side < 5 * box[2]) box[2] = (float)side;
}
