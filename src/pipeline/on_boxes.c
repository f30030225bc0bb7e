#include "pipeline/on_boxes.h"
#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };
static const float PRESENCE = 0.5f;
static const float REGION_PER_SIDE = 1.15f; // BlazePose looks at 1.375 heights of a person, a square box has 1.2

struct gv_on_boxes {
    gv_blazepose *pose;
    gv_blaze_model model;
    gv_landmarks first[MOST], second[MOST];
};

gv_status gv_on_boxes_open(gv_on_boxes **out, gv_blaze_model model, bool mirror, gv_error *err) {
    *out = NULL;
    gv_on_boxes *b = gv_calloc2(1, sizeof *b);
    if (!b) return gv_fail(err, GV_ERR_MEMORY, "no memory for keypoints on boxes");
    b->model = model;
    gv_status status = gv_blazepose_open(&b->pose, model, NULL, err);
    if (status == GV_OK) {
        gv_blazepose_set_mirror(b->pose, mirror);
        *out = b;
    } else {
        gv_on_boxes_close(b);
    }
    return status;
}

void gv_on_boxes_close(gv_on_boxes *b) {
    if (!b) return;
    gv_blazepose_close(b->pose);
    free(b);
}

// Where the landmarks say the body is, unless that is far from the box: then it is another one's.
static gv_region better_region(const gv_landmarks *l, const gv_region *box) {
    gv_region r = gv_blaze_region_of_landmarks(l);
    bool near = hypotf(r.cx - box->cx, r.cy - box->cy) < 0.35f * box->width && r.width > 0.4f * box->width &&
                r.width < 1.8f * box->width;
    return l->presence > PRESENCE && near ? r : *box;
}

gv_status gv_on_boxes_run(gv_on_boxes *b, const gv_image *image, const float (*bbx_xys)[3], int n, float *kp2d,
                          gv_error *err) {
    assert(n >= 0 && n <= MOST);
    gv_region box[MOST] = {0}, region[MOST];
    for (int i = 0; i < n; i++) {
        float side = REGION_PER_SIDE * bbx_xys[i][2]; // regions have pixels' corners at integers
        box[i] = (gv_region){bbx_xys[i][0] + 0.5f, bbx_xys[i][1] + 0.5f, side, side, 0};
    }
    gv_status status = gv_blazepose_landmarks(b->pose, image, box, n, b->first, err);
    if (status != GV_OK) return status;
    for (int i = 0; i < n; i++) region[i] = better_region(&b->first[i], &box[i]);
    status = gv_blazepose_landmarks(b->pose, image, region, n, b->second, err);
    if (status != GV_OK) return status;
    for (int i = 0; i < n; i++) {
        const gv_landmarks *l = b->second[i].presence >= b->first[i].presence ? &b->second[i] : &b->first[i];
        float kp[17][3];
        gv_blaze_to_coco17(kp, l, b->model);
        for (int j = 0; j < 17; j++) {
            bool finite = isfinite(kp[j][0]) && isfinite(kp[j][1]) && isfinite(kp[j][2]);
            if (!finite) memcpy(kp[j], bbx_xys[i], 2 * sizeof(float));
            if (!finite || !(l->presence > PRESENCE)) kp[j][2] = 0;
        }
        memcpy(kp2d + (size_t)i * 51, kp, sizeof kp);
    }
    return GV_OK;
}
