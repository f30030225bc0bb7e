// vitpose_decode.c - from heatmaps to keypoints (SPEC-perception.md 4.4).
#include "perception/vitpose.h"

enum { W = GV_HEATMAP_COLUMNS };

void gv_vitpose_decode(float *kp2d, const float *heatmaps, const float bbx_xys[3]) {
    for (int j = 0; j < GV_VITPOSE_JOINTS; j++, heatmaps += GV_HEATMAP_PIXELS, kp2d += 3) {
        int peak = 0;
        for (int i = 1; i < GV_HEATMAP_PIXELS; i++)
            if (heatmaps[i] > heatmaps[peak]) peak = i;
        float at[2] = {(float)(peak % W), (float)(peak / W)}, L[9];
        if (heatmaps[peak] > 0) {
            for (int i = 0; i < 9; i++)
                L[i] = gv_heatmap_log_blurred(heatmaps, peak % W + i % 3 - 1, peak / W + i / 3 - 1);
            gv_heatmap_refine(at, L);
        }
        gv_heatmap_place(kp2d, at, heatmaps[peak], bbx_xys);
    }
}
