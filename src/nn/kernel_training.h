// kernel_training.h - the bodies of training's kernels; a part of kernel_code.h, which includes it.
#pragma once

GV_GRID(add) {
    return gv_grid_items(a->count);
}
GV_CODE(add) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < a->count) {
            float x = a->x ? a->x[a->period < a->count ? i % a->period : i] : 0;
            a->y[i] = a->accumulate ? a->y[i] + x : x;
        }
    }
}

// ---- sums over rows: 32 columns of a part, eight threads a column

enum { GV_SUM_COLUMNS = 32, GV_SUM_LANES = 8, GV_SUM_THREADS = GV_SUM_COLUMNS * GV_SUM_LANES };
GV_GRID(column_sums) {
    int64_t groups = (a->width + GV_SUM_COLUMNS - 1) / GV_SUM_COLUMNS;
    return gv_grid_of(groups * a->parts, GV_SUM_THREADS, GV_SUM_THREADS * sizeof(float));
}
GV_CODE(column_sums) {
    const int groups = (a->width + GV_SUM_COLUMNS - 1) / GV_SUM_COLUMNS, part = (int)(at.block / groups);
    const int begin = (int)(at.block % groups) * GV_SUM_COLUMNS, width = a->width;
    const int64_t first = (int64_t)part * a->each, end = first + a->each < a->rows ? first + a->each : a->rows;
    float *sums = (float *)shared;
    EACH_THREAD {
        int c = begin + thread % GV_SUM_COLUMNS;
        float sum = 0;
        for (int64_t t = first + thread / GV_SUM_COLUMNS; t < end && c < width; t += GV_SUM_LANES) {
            float y = a->by ? a->by[t * width + c] : 1;
            if (a->stats) y = (y - a->stats[2 * t]) * a->stats[2 * t + 1];
            sum = fmaf(a->x[t * width + c], y, sum);
        }
        sums[thread] = sum;
    }
    EACH_THREAD {
        int c = begin + thread;
        if (thread < GV_SUM_COLUMNS && c < width) {
            float sum = 0;
            for (int i = thread; i < GV_SUM_THREADS; i += GV_SUM_COLUMNS) sum += sums[i];
            float *y = a->y + (int64_t)part * width + c;
            *y = a->accumulate ? *y + sum : sum;
        }
    }
}

// One row. With h = (x - mean) / deviation and g = dy weight: dx += (g - mean(g) - h mean(g h)) / deviation.
GV_GRID(norm_backward) {
    return gv_grid_of(a->rows, GV_NORM_THREADS, 2 * GV_NORM_THREADS * sizeof(float));
}
GV_CODE(norm_backward) {
    const float *x = a->x + at.block * a->width, *dy = a->dy + at.block * a->width;
    const float mean = a->stats[2 * at.block], scale = a->stats[2 * at.block + 1];
    float *plain = (float *)shared, *weighted = plain + at.threads;
    EACH_THREAD {
        float sum = 0, more = 0;
        for (int i = thread; i < a->width; i += at.threads) {
            float g = dy[i] * a->weight[i];
            sum += g;
            more = fmaf(g, (x[i] - mean) * scale, more);
        }
        plain[thread] = sum;
        weighted[thread] = more;
    }
    const float g0 = gv_block_sum(at, plain) / (float)a->width, g1 = gv_block_sum(at, weighted) / (float)a->width;
    EACH_THREAD {
        for (int i = thread; i < a->width; i += at.threads)
            a->dx[at.block * a->width + i] += scale * (dy[i] * a->weight[i] - g0 - (x[i] - mean) * scale * g1);
    }
}

// ---- elements

GV_DEVICE_CODE float gv_activated_slope(float z, gv_device_activation f) {
    switch (f) {
    case GV_ACTIVATE_GELU_ERF:
        return 0.5f * (1 + erff(z * 0.70710678f)) + z * 0.39894228f * expf(-0.5f * z * z);
    case GV_ACTIVATE_GELU_TANH: {
        float t = tanhf(0.79788456f * (z + 0.044715f * z * z * z));
        return 0.5f * (1 + t + z * (1 - t * t) * 0.79788456f * (1 + 3 * 0.044715f * z * z));
    }
    case GV_ACTIVATE_SILU: {
        float s = 1 / (1 + expf(-z));
        return s * (1 + z * (1 - s));
    }
    case GV_ACTIVATE_RELU:
        return z > 0 ? 1.0f : 0.0f;
    default:
        return 1;
    }
}

GV_GRID(activate_backward) {
    return gv_grid_items(a->count);
}
GV_CODE(activate_backward) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < a->count) a->dx[i] = a->dy[i] * gv_activated_slope(a->x[i], a->activation);
    }
}

GV_GRID(gate) {
    return gv_grid_of(a->rows * ((a->width + GV_ACTIVATE_PART - 1) / GV_ACTIVATE_PART), GV_ITEMS, 0);
}
GV_CODE(gate) { // a part of one row
    (void)shared;
    const int parts = (a->width + GV_ACTIVATE_PART - 1) / GV_ACTIVATE_PART;
    const int64_t row = at.block / parts * a->width;
    const int begin = (int)(at.block % parts) * GV_ACTIVATE_PART;
    EACH_THREAD {
        UNROLL for (int j = 0; j < GV_ACTIVATE_EACH; j++) {
            int c = begin + j * GV_ITEMS + thread;
            if (c < a->width) a->out[row + c] = (a->x ? a->x[row + c] : 0) + a->gate[c] * a->y[row + c];
        }
    }
}

GV_GRID(dropout) {
    return gv_grid_items(a->count);
}
GV_CODE(dropout) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < a->count)
            a->x[i] = gv_dropped(gv_element_key(*a->seed, i), (uint32_t)i, a->limit) ? 0 : a->x[i] * a->keep;
    }
}

GV_GRID(rotate) {
    return gv_grid_items(a->rows * a->heads * (a->head_dim / 2));
}
GV_CODE(rotate) {
    (void)shared;
    const int half = a->head_dim / 2;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, row = i / half / a->heads;
        if (row < a->rows) {
            int64_t angle = row % a->frames * half + i % half;
            float *v = a->x + 2 * i, x = v[0], y = v[1], s = (float)a->sign * a->sine[angle];
            v[0] = x * a->cosine[angle] - y * s;
            v[1] = y * a->cosine[angle] + x * s;
        }
    }
}

// ---- softmax: 32 rows of scores through shared memory, four threads a row

enum { GV_SOFT_ROWS = 32, GV_SOFT_THREADS = 4 * GV_SOFT_ROWS };
GV_BOTH_SIDES int gv_soft_stride(int frames) { // rows begin in different banks
    return (frames + 31) / 32 * 32 + 4;
}
GV_BOTH_SIDES int64_t gv_soft_blocks(int sequences, int heads, int frames) {
    return ((int64_t)sequences * heads * frames + GV_SOFT_ROWS - 1) / GV_SOFT_ROWS;
}

GV_GRID(softmax) {
    size_t floats = (size_t)GV_SOFT_ROWS * gv_soft_stride(a->frames) + 2 * GV_SOFT_THREADS;
    return gv_grid_of(gv_soft_blocks(a->sequences, a->heads, a->frames), GV_SOFT_THREADS, floats * sizeof(float));
}
GV_CODE(softmax) {
    const int L = a->frames, stride = gv_soft_stride(L);
    const int64_t first = at.block * GV_SOFT_ROWS, rows = (int64_t)a->sequences * a->heads * L;
    float *scores = (float *)shared, *largest = scores + GV_SOFT_ROWS * stride, *sums = largest + GV_SOFT_THREADS;
    EACH_THREAD {
        for (int i = thread; i < GV_SOFT_ROWS * L; i += at.threads) {
            int64_t row = first + i / L;
            bool seen = row < rows && i % L < a->length[row / L / a->heads];
            scores[i / L * stride + i % L] = seen ? a->p[first * L + i] : -INFINITY;
        }
    }
    EACH_THREAD {
        const float *s = scores + thread / 4 * stride;
        float top = -INFINITY;
        for (int t = thread % 4; t < L; t += 4) top = fmaxf(top, s[t]);
        largest[thread] = top;
    }
    EACH_THREAD {
        float *s = scores + thread / 4 * stride, *four = largest + thread / 4 * 4, sum = 0;
        float top = fmaxf(fmaxf(four[0], four[1]), fmaxf(four[2], four[3]));
        for (int t = thread % 4; t < L; t += 4) sum += s[t] = expf(s[t] - top);
        sums[thread] = sum;
    }
    EACH_THREAD {
        for (int i = thread; i < GV_SOFT_ROWS * L; i += at.threads) {
            int64_t row = first + i / L;
            if (row >= rows) continue;
            const float *four = sums + i / L * 4;
            float p = scores[i / L * stride + i % L] * (1 / (four[0] + four[1] + four[2] + four[3]));
            a->p[first * L + i] = p;
            if (!a->dropped) continue;
            bool drop = gv_dropped(gv_head_key(*a->seed, row / L), (uint32_t)(row % L * L + i % L), a->limit);
            a->dropped[first * L + i] = drop ? 0 : p * a->keep;
        }
    }
}

GV_GRID(softmax_backward) {
    size_t floats = (size_t)2 * GV_SOFT_ROWS * gv_soft_stride(a->frames) + GV_SOFT_THREADS;
    return gv_grid_of(gv_soft_blocks(a->sequences, a->heads, a->frames), GV_SOFT_THREADS, floats * sizeof(float));
}
GV_CODE(softmax_backward) {
    const int L = a->frames, stride = gv_soft_stride(L);
    const int64_t first = at.block * GV_SOFT_ROWS, rows = (int64_t)a->sequences * a->heads * L;
    float *g = (float *)shared, *p = g + GV_SOFT_ROWS * stride, *sums = p + GV_SOFT_ROWS * stride;
    EACH_THREAD {
        for (int i = thread; i < GV_SOFT_ROWS * L; i += at.threads) {
            int64_t row = first + i / L;
            float h = row < rows ? a->g[first * L + i] : 0;
            bool drop =
                a->keep > 0 && gv_dropped(gv_head_key(*a->seed, row / L), (uint32_t)(row % L * L + i % L), a->limit);
            g[i / L * stride + i % L] = drop ? 0 : a->keep > 0 ? h * a->keep : h;
            p[i / L * stride + i % L] = row < rows ? a->p[first * L + i] : 0;
        }
    }
    EACH_THREAD {
        const float *x = g + thread / 4 * stride, *y = p + thread / 4 * stride;
        float sum = 0;
        for (int t = thread % 4; t < L; t += 4) sum = fmaf(x[t], y[t], sum);
        sums[thread] = sum;
    }
    EACH_THREAD {
        for (int i = thread; i < GV_SOFT_ROWS * L; i += at.threads) {
            int at_row = i / L * stride + i % L;
            const float *four = sums + i / L * 4;
            if (first + i / L < rows)
                a->g[first * L + i] = p[at_row] * (g[at_row] - (four[0] + four[1] + four[2] + four[3]));
        }
    }
}

// ---- the joints' tokens

GV_GRID(embed_joints_backward) {
    return gv_grid_of(a->parts, GV_ITEMS, 0);
}
GV_CODE(embed_joints_backward) { // a part's frames; a thread makes every 256th number
    (void)shared;
    const int size = a->size, unseen = a->joints * size, all = unseen + 3 * size;
    const int64_t first = at.block * a->each, end = first + a->each < a->frames ? first + a->each : a->frames;
    EACH_THREAD {
        for (int o = thread; o < all; o += at.threads) {
            bool of_unseen = o < unseen, of_weight = o < unseen + 2 * size;
            int c = of_unseen ? o % size : of_weight ? (o - unseen) / 2 : o - unseen - 2 * size;
            int from = of_unseen ? o / size : 0, to = of_unseen ? from + 1 : a->joints;
            float sum = 0;
            for (int64_t t = first; t < end; t++)
                for (int j = from; j < to; j++) {
                    const float *seen = a->obs + (t * a->joints + j) * 3;
                    float e = a->dy[(t * a->joints + j) * size + c];
                    if ((seen[2] > 0.5f) == of_unseen) continue;
                    sum += of_unseen || !of_weight ? e : e * seen[(o - unseen) % 2];
                }
            a->y[at.block * all + o] = sum;
        }
    }
}

// ---- the optimiser

GV_GRID(square_sum) {
    return gv_grid_of(a->x ? a->parts : 1, GV_ITEMS, GV_ITEMS * sizeof(double));
}
GV_CODE(square_sum) {
    const int64_t step = a->x ? (int64_t)a->parts * at.threads : at.threads, count = a->x ? a->count : a->parts;
    double *sums = (double *)shared;
    EACH_THREAD {
        double sum = 0;
        for (int64_t i = at.block * at.threads + thread; i < count; i += step)
            sum += a->x ? (double)a->x[i] * a->x[i] : a->partial[i];
        sums[thread] = sum;
    }
    EACH_THREAD {
        if (thread < GV_SUMS)
            for (int i = thread + GV_SUMS; i < at.threads; i += GV_SUMS) sums[thread] += sums[i];
    }
    EACH_THREAD {
        if (thread == 0) {
            double sum = 0;
            for (int i = 0; i < GV_SUMS; i++) sum += sums[i];
            a->y[at.block] = sum;
        }
    }
}

GV_GRID(adamw) {
    return gv_grid_items(a->count);
}
GV_CODE(adamw) { // PyTorch's clip_grad_norm_ and AdamW, as training/optimiser.c
    (void)shared;
    double over = a->clip / (sqrt(*a->square) + 1e-6);
    const float scale = a->clip > 0 && over < 1 ? (float)over : 1;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < a->count) {
            float g = a->grads[i] * scale;
            float m = a->m[i] = a->beta1 * a->m[i] + (1 - a->beta1) * g;
            float v = a->v[i] = a->beta2 * a->v[i] + (1 - a->beta2) * g * g;
            float p = a->params[i] = a->params[i] * a->keep - a->rate * m / (sqrtf(v) * a->root + a->epsilon);
            if (a->mean) a->mean[i] = a->slow * a->mean[i] + (1 - a->slow) * p;
        }
    }
}
