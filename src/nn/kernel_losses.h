// kernel_losses.h - the bodies of the losses' kernels; a part of kernel_code.h, which includes it.
//
// They are training/loss.c and training/rig.c, where the formulas are told, with a block of threads for a frame (a
// sequence for the roll-out). Sums are taken in a fixed order: the same numbers every time.
#pragma once

// ---- what follows the heads

enum { GV_LOSS_X = 151, GV_LOSS_BETAS_AT = 126, GV_LOSS_VELOCITY_AT = 148, GV_LOSS_RAW = 142, GV_LOSS_BETAS = 10 };

GV_GRID(heads_end) {
    return gv_grid_of(a->sequences, 128, GV_LOSS_BETAS * sizeof(float));
}
GV_CODE(heads_end) { // one sequence
    const int L = a->frames, valid = a->length[at.block], from = a->raw ? L : valid;
    float *x = a->x + at.block * L * GV_LOSS_X + GV_LOSS_BETAS_AT, *mean = (float *)shared;
    EACH_THREAD {
        if (thread < GV_LOSS_BETAS) {
            float sum = 0;
            for (int t = 0; t < from; t++) sum += x[t * GV_LOSS_X + thread] / (float)valid;
            mean[thread] = sum;
        }
    }
    EACH_THREAD {
        for (int i = thread; i < L * GV_LOSS_BETAS; i += at.threads) {
            int t = i / GV_LOSS_BETAS, k = i % GV_LOSS_BETAS;
            x[t * GV_LOSS_X + k] = a->raw && t >= valid ? 0 : mean[k];
        }
        for (int i = thread; i < L * 3; i += at.threads) {
            int c = i % 3;
            float *y = a->cam + at.block * L * 3 + i, z = a->raw ? a->raw[at.block * L * 3 + i] : *y;
            float v = z * a->std[c] + a->mean[c];
            bool low = c == 0 && v < a->least;
            *y = a->raw ? (low ? 0 : *y * a->std[c]) : low ? a->least : v;
        }
    }
}

// ---- one frame

enum {
    GV_LOSSES_THREADS = 128,
    GV_LOSSES_LANES = 12, // threads that share one shape value's sum
    // columns of a thread's sums: the terms, then gradients of the translation, the middle of the hips, the pelvis
    GV_LOSSES_TRANSL = GV_LOSSES,
    GV_LOSSES_MIDDLE = GV_LOSSES + 3,
    GV_LOSSES_PELVIS = GV_LOSSES + 6,
    GV_LOSSES_SUMS = GV_LOSSES + 9,
};

typedef struct gv_losses_room { // a block's; d_ are gradients. Behind it: y, dy [count, 3], points, d_points [.., 3]
    float raw[GV_LOSS_RAW], transl[3];
    float local[GV_LOSSES_JOINTS][9], R[GV_LOSSES_JOINTS][9], t[GV_LOSSES_JOINTS][3], S[GV_LOSSES_JOINTS][3];
    float d_local[GV_LOSSES_JOINTS][9], d_R[GV_LOSSES_JOINTS][9], d_t[GV_LOSSES_JOINTS][3], d_S[GV_LOSSES_JOINTS][3];
    float sums[GV_LOSSES_THREADS][GV_LOSSES_SUMS], betas[GV_LOSSES_LANES][GV_LOSS_BETAS];
    float *y, *dy, *points, *d_points;
} gv_losses_room;

GV_GRID(frame_losses) {
    size_t floats = (size_t)6 * (size_t)(a->count + GV_LOSSES_COCO + a->surface);
    return gv_grid_of((int64_t)a->sequences * a->frames, GV_LOSSES_THREADS,
                      sizeof(gv_losses_room) + floats * sizeof(float));
}

GV_DEVICE_CODE int gv_losses_six(int joint) { // where its 6D form begins
    return joint ? 6 * (joint - 1) : GV_LOSS_BETAS_AT + GV_LOSS_BETAS;
}

GV_DEVICE_CODE float gv_losses_sum(const gv_losses_room *r, int column) {
    float sum = 0;
    for (int i = 0; i < GV_LOSSES_THREADS; i++) sum += r->sums[i][column];
    return sum;
}

// The frame's values, zeros, and the loss of the values themselves.
GV_DEVICE_CODE void gv_losses_begin(const gv_frame_losses_args *a, gv_place at, gv_losses_room *r, bool world) {
    const float *x = a->x + at.block * GV_LOSS_X, *truth = a->true_x + at.block * GV_LOSS_X;
    const float *std = a->statistics, *mean = std + GV_LOSS_X;
    float *zero = (float *)((char *)r + offsetof(gv_losses_room, d_local));
    const int zeros = GV_LOSSES_JOINTS * 24, n = world ? GV_LOSS_X : GV_LOSS_RAW;
    EACH_THREAD {
        for (int i = 0; i < GV_LOSSES_SUMS; i++) r->sums[thread][i] = 0;
        for (int i = thread; i < GV_LOSS_RAW; i += at.threads) r->raw[i] = x[i] * std[i] + mean[i];
        for (int i = thread; i < zeros; i += at.threads) zero[i] = 0; // d_local, d_R, d_t, d_S
        for (int i = thread; i < 3 * (GV_LOSSES_COCO + a->surface); i += at.threads) r->d_points[i] = 0;
        for (int i = thread; i < GV_LOSS_X; i += at.threads) {
            float e = i < n ? x[i] - truth[i] : 0;
            r->sums[thread][0] += e * e;
            a->dx[at.block * GV_LOSS_X + i] = 2 * a->w[0] * e;
        }
    }
}

// Rotations, the skeleton at rest, where the body is; the losses of camera and stillness.
GV_DEVICE_CODE void gv_losses_pose(const gv_frame_losses_args *a, gv_place at, gv_losses_room *r, bool world) {
    const float *cam = a->cam + 3 * at.block, *box = a->box + 3 * at.block, *K = a->K + 4 * at.block;
    EACH_THREAD {
        if (thread < GV_LOSSES_JOINTS) gv_real_from_6d(r->local[thread], r->raw + gv_losses_six(thread));
        for (int i = thread; i < 3 * GV_LOSSES_JOINTS; i += at.threads) {
            const float *dirs = a->skeleton + 3 * GV_LOSSES_JOINTS + i * GV_LOSS_BETAS;
            float s = a->skeleton[i];
            for (int k = 0; k < GV_LOSS_BETAS; k++) s += dirs[k] * r->raw[GV_LOSS_BETAS_AT + k];
            r->S[i / 3][i % 3] = s;
        }
        if (thread == at.threads - 1) {
            float goal[3];
            bool known = gv_cam_target(goal, a->transl + 3 * at.block, a->coco + at.block * 3 * GV_LOSSES_COCO, box, K);
            gv_cam_decode(r->transl, cam, box, K);
            for (int c = 0; c < 3; c++) {
                float e = known ? cam[c] - goal[c] : 0;
                r->sums[thread][2] += e * e;
                a->dcam[3 * at.block + c] = 2 * a->w[2] * e;
            }
        }
        if (thread < 6) {
            float slope = 0;
            double e = gv_still_loss(&slope, a->logits[6 * at.block + thread], a->still[6 * at.block + thread]);
            r->sums[thread][7] = world ? (float)e : 0;
            a->dlogits[6 * at.block + thread] = world ? a->w[7] * slope : 0;
        }
    }
}

// Joint after joint down the tree, then the points that ride on it.
GV_DEVICE_CODE void gv_losses_place(const gv_frame_losses_args *a, gv_place at, gv_losses_room *r) {
    for (int j = 0; j < GV_LOSSES_JOINTS; j++) {
        const int k = a->parent[j];
        EACH_THREAD {
            if (thread < 9) {
                const float *P = r->R[k < 0 ? 0 : k] + thread / 3 * 3, *M = r->local[j] + thread % 3;
                r->R[j][thread] = k < 0 ? r->local[0][thread] : P[0] * M[0] + P[1] * M[3] + P[2] * M[6];
            } else if (thread < 12) {
                const int c = thread - 9;
                float t = r->S[j][c];
                if (k >= 0) {
                    const float *P = r->R[k] + 3 * c, *s = r->S[j], *o = r->S[k];
                    t = P[0] * (s[0] - o[0]) + P[1] * (s[1] - o[1]) + P[2] * (s[2] - o[2]) + r->t[k][c];
                }
                r->t[j][c] = t;
            }
        }
    }
    if (!a->surface) return;
    EACH_THREAD {
        for (int i = thread; i < 3 * a->count; i += at.threads) { // Y - W S
            const gv_losses_part *q = a->parts + i / 3;
            float y = q->rest[i % 3] - q->weight * r->S[q->bone][i % 3];
            for (int k = 0; k < GV_LOSS_BETAS; k++) y += q->dirs[i % 3][k] * r->raw[GV_LOSS_BETAS_AT + k];
            r->y[i] = y;
        }
    }
    EACH_THREAD {
        for (int i = thread; i < GV_LOSSES_COCO + a->surface; i += at.threads) {
            float *p = r->points + 3 * i;
            p[0] = p[1] = p[2] = 0;
            for (int k = a->first[i]; k < a->first[i + 1]; k++) {
                const gv_losses_part *q = a->parts + k;
                float z[3];
                gv_real_apply(z, r->R[q->bone], r->y + 3 * k);
                for (int c = 0; c < 3; c++) p[c] += z[c] + q->weight * r->t[q->bone][c];
            }
        }
    }
}

// Adds what the picture says of a point: its gradient d, the translation's, the term's column.
GV_DEVICE_CODE void gv_losses_project(const gv_frame_losses_args *a, int64_t frame, gv_losses_room *r, float *sums,
                                      float *d, const float *point, const float *truth, int term) {
    float g[3], p[3] = {point[0] + r->transl[0], point[1] + r->transl[1], point[2] + r->transl[2]};
    sums[term] += (float)gv_projected(g, p, truth, a->box + 3 * frame, a->K + 4 * frame, a->w[term]);
    for (int c = 0; c < 3; c++) {
        d[c] += g[c];
        sums[GV_LOSSES_TRANSL + c] += g[c];
    }
}

// Joints relative to the pelvis, surface points relative to the middle of the hips (keypoints 11 and 12), both in the
// picture.
GV_DEVICE_CODE void gv_losses_compare(const gv_frame_losses_args *a, gv_place at, gv_losses_room *r, bool world) {
    const float *joints = a->joints + at.block * 3 * GV_LOSSES_JOINTS, *coco = a->coco + at.block * 3 * GV_LOSSES_COCO;
    const float *verts = a->verts + at.block * 3 * a->surface;
    EACH_THREAD {
        float *sums = r->sums[thread];
        if (thread < GV_LOSSES_JOINTS) {
            const int j = thread;
            for (int c = 0; c < 3; c++) {
                float e = (r->t[j][c] - r->t[0][c]) - (joints[3 * j + c] - joints[c]);
                sums[1] += e * e;
                r->d_t[j][c] += 2 * a->w[1] * e;
                sums[GV_LOSSES_PELVIS + c] -= 2 * a->w[1] * e;
            }
            if (world) gv_losses_project(a, at.block, r, sums, r->d_t[j], r->t[j], joints + 3 * j, 4);
        }
        for (int i = thread; i < a->surface; i += at.threads) {
            const float *p = r->points + 3 * (GV_LOSSES_COCO + i), *k = r->points, *q = verts + 3 * i;
            float *d = r->d_points + 3 * (GV_LOSSES_COCO + i);
            for (int c = 0; c < 3; c++) {
                float mid = (k[33 + c] + k[36 + c]) / 2, mid_true = (coco[33 + c] + coco[36 + c]) / 2;
                float e = (p[c] - mid) - (q[c] - mid_true);
                sums[3] += e * e;
                d[c] += 2 * a->w[3] * e;
                sums[GV_LOSSES_MIDDLE + c] -= 2 * a->w[3] * e;
            }
            if (world) gv_losses_project(a, at.block, r, sums, d, p, q, 5);
        }
    }
    EACH_THREAD {
        if (thread < 3) r->d_t[0][thread] += gv_losses_sum(r, GV_LOSSES_PELVIS + thread);
        if (thread >= 3 && thread < 6) {
            float half = gv_losses_sum(r, GV_LOSSES_MIDDLE + thread - 3) / 2;
            r->d_points[33 + thread - 3] += half;
            r->d_points[36 + thread - 3] += half;
        }
    }
}

// From the points to the bones, each number by one thread over the bone's parts, and to the shape.
GV_DEVICE_CODE void gv_losses_to_bones(const gv_frame_losses_args *a, gv_place at, gv_losses_room *r) {
    EACH_THREAD {
        for (int k = thread; k < a->count; k += at.threads)
            gv_real_apply_t(r->dy + 3 * k, r->R[a->parts[k].bone], r->d_points + 3 * a->parts[k].point);
    }
    EACH_THREAD {
        for (int i = thread; i < GV_LOSSES_JOINTS * 15; i += at.threads) {
            const int bone = i / 15, e = i % 15;
            float sum = 0;
            for (int n = a->bone_first[bone]; n < a->bone_first[bone + 1]; n++) {
                const int k = a->by_bone[n];
                const gv_losses_part *q = a->parts + k;
                const float *d = r->d_points + 3 * q->point;
                sum +=
                    e < 9 ? d[e / 3] * r->y[3 * k + e % 3] : q->weight * (e < 12 ? d[e - 9] : -r->dy[3 * k + e - 12]);
            }
            float *to = e < 9 ? &r->d_R[bone][e] : e < 12 ? &r->d_t[bone][e - 9] : &r->d_S[bone][e - 12];
            *to += sum;
        }
        if (thread < GV_LOSSES_LANES * GV_LOSS_BETAS) {
            const int lane = thread / GV_LOSS_BETAS, m = thread % GV_LOSS_BETAS;
            float sum = 0;
            for (int k = lane; k < a->count; k += GV_LOSSES_LANES)
                for (int c = 0; c < 3; c++) sum = fmaf(a->parts[k].dirs[c][m], r->dy[3 * k + c], sum);
            r->betas[lane][m] = sum;
        }
    }
}

// R_j = R_k L_j and t_j = t_k + R_k (S_j - S_k), undone from the leaves to the root.
GV_DEVICE_CODE void gv_losses_up(const gv_frame_losses_args *a, gv_place at, gv_losses_room *r) {
    for (int j = GV_LOSSES_JOINTS - 1; j > 0; j--) {
        const int k = a->parent[j];
        EACH_THREAD {
            const int e = thread % 9, row = e / 3, column = e % 3;
            if (thread < 9) {
                const float *P = r->R[k] + row, *d = r->d_R[j] + column; // R_k^T dR_j
                r->d_local[j][e] = P[0] * d[0] + P[3] * d[3] + P[6] * d[6];
            } else if (thread < 18) {
                const float *d = r->d_R[j] + 3 * row, *M = r->local[j] + 3 * column; // dR_j L_j^T
                float o = r->S[j][column] - r->S[k][column];
                r->d_R[k][e] += d[0] * M[0] + d[1] * M[1] + d[2] * M[2] + r->d_t[j][row] * o;
            } else if (thread < 21) {
                const float *P = r->R[k] + e, *d = r->d_t[j];
                float s = P[0] * d[0] + P[3] * d[1] + P[6] * d[2];
                r->d_S[j][e] += s;
                r->d_S[k][e] -= s;
                r->d_t[k][e] += d[e];
            }
        }
    }
    EACH_THREAD {
        if (thread < 9) r->d_local[0][thread] = r->d_R[0][thread];
        if (thread < 3) r->d_S[0][thread] += r->d_t[0][thread];
    }
}

// To the network's outputs, and the terms.
GV_DEVICE_CODE void gv_losses_end(const gv_frame_losses_args *a, gv_place at, gv_losses_room *r) {
    const float *std = a->statistics;
    float *dx = a->dx + at.block * GV_LOSS_X;
    EACH_THREAD {
        if (thread < GV_LOSSES_JOINTS) {
            const int six = gv_losses_six(thread);
            float d6[6];
            gv_real_from_6d_backward(d6, r->d_local[thread], r->raw + six);
            for (int i = 0; i < 6; i++) dx[six + i] += d6[i] * std[six + i];
        } else if (thread >= 32 && thread < 32 + GV_LOSS_BETAS) {
            const int m = thread - 32;
            const float *dirs = a->skeleton + 3 * GV_LOSSES_JOINTS + m;
            float sum = 0;
            for (int i = 0; i < GV_LOSSES_LANES && a->surface; i++) sum += r->betas[i][m];
            for (int i = 0; i < 3 * GV_LOSSES_JOINTS; i++) sum = fmaf(dirs[i * GV_LOSS_BETAS], r->d_S[i / 3][i % 3], sum);
            dx[GV_LOSS_BETAS_AT + m] += sum * std[GV_LOSS_BETAS_AT + m];
        } else if (thread == 64) {
            float d[3];
            for (int c = 0; c < 3; c++) d[c] = gv_losses_sum(r, GV_LOSSES_TRANSL + c);
            gv_cam_decode_backward(a->dcam + 3 * at.block, d, a->cam + 3 * at.block, a->box + 3 * at.block,
                                   a->K + 4 * at.block);
        } else if (thread >= 96 && thread < 96 + GV_LOSSES && thread != 96 + 6) {
            a->terms[at.block * GV_LOSSES + thread - 96] = gv_losses_sum(r, thread - 96);
        }
    }
}

GV_CODE(frame_losses) {
    gv_losses_room *r = (gv_losses_room *)shared;
    const int64_t sequence = at.block / a->frames;
    const bool world = !a->incam_only[sequence];
    if (at.block % a->frames >= a->length[sequence]) {
        EACH_THREAD {
            for (int i = thread; i < GV_LOSS_X; i += at.threads) a->dx[at.block * GV_LOSS_X + i] = 0;
            if (thread < 3) a->dcam[3 * at.block + thread] = 0;
            if (thread < 6) a->dlogits[6 * at.block + thread] = 0;
            if (thread < GV_LOSSES && thread != 6) a->terms[GV_LOSSES * at.block + thread] = 0;
        }
        return;
    }
    EACH_THREAD {
        if (thread == 0) {
            r->y = (float *)(r + 1);
            r->dy = r->y + 3 * a->count;
            r->points = r->dy + 3 * a->count;
            r->d_points = r->points + 3 * (GV_LOSSES_COCO + a->surface);
        }
    }
    gv_losses_begin(a, at, r, world);
    gv_losses_pose(a, at, r, world);
    gv_losses_place(a, at, r);
    gv_losses_compare(a, at, r, world);
    if (a->surface) gv_losses_to_bones(a, at, r);
    gv_losses_up(a, at, r);
    gv_losses_end(a, at, r);
}

// ---- one sequence in the world: L1 of positions rolled out from the true start with the true orientations

GV_GRID(rollout_loss) {
    return gv_grid_of(a->sequences, 128, (size_t)a->frames * 3 * sizeof(float));
}
GV_CODE(rollout_loss) {
    const int L = a->frames, valid = a->incam_only[at.block] ? 0 : a->length[at.block];
    const int64_t first = at.block * L;
    const float *std = a->statistics + GV_LOSS_VELOCITY_AT, *mean = std + GV_LOSS_X;
    float *p = (float *)shared; // [frames, 3] steps, then errors, their signs, the sums of later signs
    EACH_THREAD {
        for (int t = thread; t < valid; t += at.threads) {
            const float *x = a->x + (first + t) * GV_LOSS_X + GV_LOSS_VELOCITY_AT;
            float v[3] = {x[0] * std[0] + mean[0], x[1] * std[1] + mean[1], x[2] * std[2] + mean[2]};
            gv_real_apply(p + 3 * t, a->R_w + 9 * (first + t), v);
        }
    }
    EACH_THREAD {
        if (thread < 3) {
            float sum = valid ? a->transl_w[3 * first + thread] : 0;
            for (int t = 0; t < valid; t++) {
                float step = p[3 * t + thread];
                p[3 * t + thread] = sum - a->transl_w[3 * (first + t) + thread];
                sum += step;
            }
        }
    }
    EACH_THREAD {
        for (int t = thread; t < L; t += at.threads) {
            float sum = 0;
            for (int c = 0; c < 3 && t < valid; c++) {
                float e = p[3 * t + c];
                sum += fabsf(e);
                p[3 * t + c] = (float)((e > 0) - (e < 0));
            }
            a->terms[(first + t) * GV_LOSSES + 6] = sum;
        }
    }
    EACH_THREAD {
        if (thread < 3) {
            float sum = 0;
            for (int t = valid - 1; t >= 0; t--) { // velocity t moves every later frame
                float sign = p[3 * t + thread];
                p[3 * t + thread] = sum;
                sum += sign;
            }
        }
    }
    EACH_THREAD {
        for (int t = thread; t < valid; t += at.threads) {
            float d[3], *dx = a->dx + (first + t) * GV_LOSS_X + GV_LOSS_VELOCITY_AT;
            gv_real_apply_t(d, a->R_w + 9 * (first + t), p + 3 * t);
            for (int c = 0; c < 3; c++) dx[c] += a->w * std[c] * d[c];
        }
    }
}
