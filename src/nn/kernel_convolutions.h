// kernel_convolutions.h - the bodies of the kernels around convolutions; a part of kernel_code.h, which includes it.
#pragma once

GV_DEVICE_CODE float gv_number(const void *x, int64_t i, bool bf16) {
    return bf16 ? gv_widen(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

GV_GRID(letterbox) {
    return gv_grid_items((int64_t)a->height * a->width);
}
GV_CODE(letterbox) {
    (void)shared;
    const bool same = a->inner_width == a->picture_width && a->inner_height == a->picture_height;
    const bool half = 2 * a->inner_width == a->picture_width && 2 * a->inner_height == a->picture_height;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        int y = (int)(i / a->width) - a->top, x = (int)(i % a->width) - a->left;
        bool inside = y >= 0 && y < a->inner_height && x >= 0 && x < a->inner_width;
        gv_letterbox_tap v = {{y, y}, {0, 0}}, u = {{x, x}, {0, 0}};
        if (half)
            v.at[0] = 2 * y, v.at[1] = 2 * y + 1, u.at[0] = 2 * x, u.at[1] = 2 * x + 1;
        else if (inside && !same)
            v = gv_letterbox_tap_of(y, a->picture_height, a->inner_height, false),
            u = gv_letterbox_tap_of(x, a->picture_width, a->inner_width, true);
        for (int c = 0; c < 3 && i < (int64_t)a->height * a->width; c++) {
            int byte = GV_LETTERBOX_PADDING;
            if (inside) {
                const uint8_t *up = a->rgb + (int64_t)v.at[0] * a->stride + c,
                              *low = a->rgb + (int64_t)v.at[1] * a->stride + c;
                int p = up[3 * u.at[0]], q = up[3 * u.at[1]], r = low[3 * u.at[0]], s = low[3 * u.at[1]];
                byte = same ? p : half ? gv_letterbox_halved(p, q, r, s) : gv_letterbox_mixed(p, q, r, s, &u, &v);
            }
            a->y[3 * i + c] = (float)byte / 255;
        }
    }
}

GV_GRID(windows) {
    return gv_grid_items((int64_t)a->rows * a->columns * a->side * a->side * a->channels);
}
GV_CODE(windows) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, tap = i / a->channels, cell = tap / (a->side * a->side);
        if (cell < (int64_t)a->rows * a->columns) {
            int c = (int)(i % a->channels), y = (int)(cell / a->columns) * a->step - a->side / 2,
                x = (int)(cell % a->columns) * a->step - a->side / 2;
            y += (int)(tap / a->side % a->side);
            x += (int)(tap % a->side);
            bool inside = y >= 0 && y < a->height && x >= 0 && x < a->width;
            int64_t from = ((int64_t)y * a->width + x) * a->stride + c;
            if (a->bf16)
                ((uint16_t *)a->y)[i] = inside ? ((const uint16_t *)a->x)[from] : 0;
            else
                ((float *)a->y)[i] = inside ? ((const float *)a->x)[from] : 0;
        }
    }
}

GV_GRID(place_rows) {
    return gv_grid_items(a->rows * a->width);
}
GV_CODE(place_rows) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, row = i / a->width;
        if (row < a->rows) {
            float x = gv_number(a->x, i, a->bf16_x);
            float y = gv_activated(a->bias ? x + a->bias[i % a->width] : x, a->activation);
            if (a->addend) y += gv_number(a->addend, row * a->addend_stride + i % a->width, a->bf16);
            gv_put(a->y, row * a->y_stride + i % a->width, y, a->bf16);
        }
    }
}

GV_GRID(upsample2) {
    return gv_grid_items((int64_t)4 * a->height * a->width * a->channels);
}
GV_CODE(upsample2) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, pixel = i / a->channels;
        int64_t y = pixel / (2 * a->width), x = pixel % (2 * a->width);
        if (y < 2 * a->height) {
            int64_t from = (y / 2 * a->width + x / 2) * a->x_stride + i % a->channels;
            gv_put(a->y, pixel * a->y_stride + i % a->channels, gv_number(a->x, from, a->bf16), a->bf16);
        }
    }
}

GV_GRID(max5) {
    return gv_grid_items((int64_t)a->height * a->width * a->channels);
}
GV_CODE(max5) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread, pixel = i / a->channels;
        int y = (int)(pixel / a->width), x = (int)(pixel % a->width);
        if (y < a->height) {
            float most = -INFINITY;
            for (int v = y < 2 ? 0 : y - 2; v <= y + 2 && v < a->height; v++)
                for (int u = x < 2 ? 0 : x - 2; u <= x + 2 && u < a->width; u++)
                    most = fmaxf(most,
                                 gv_number(a->x, ((int64_t)v * a->width + u) * a->x_stride + i % a->channels, a->bf16));
            gv_put(a->y, pixel * a->y_stride + i % a->channels, most, a->bf16);
        }
    }
}

GV_GRID(yolo_cells) {
    return gv_grid_items(a->cells);
}
GV_CODE(yolo_cells) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < a->cells) {
            float *y = a->y + 5 * i;
            y[0] = gv_yolo_person_score(a->scores + i * a->score_stride, 16, a->classes);
            for (int side = 0; side < 4; side++)
                y[1 + side] = y[0] > a->least ? gv_yolo_distance(a->sides + i * a->side_stride, GV_YOLO_BINS, side) : 0;
        }
    }
}

// One block takes the best that is left, strikes out what it covers, and so on. Every thread looks after each
// GV_SUPPRESS_THREADS-th cell.
enum { GV_SUPPRESS_THREADS = 256 };
GV_GRID(suppress) {
    size_t cells = 0;
    for (int i = 3; i < 6; i++) cells += (size_t)(a->height >> i) * (size_t)(a->width >> i);
    return gv_grid_of(1, GV_SUPPRESS_THREADS, (cells + 2 * GV_SUPPRESS_THREADS) * sizeof(float));
}
GV_CODE(suppress) {
    const int cells = gv_yolo_cells_of(a->height, a->width, GV_YOLO_LEVELS);
    float *left = (float *)shared, *score = left + cells; // of the cells that are left, else 0; of each thread's best
    int *best = (int *)(score + GV_SUPPRESS_THREADS), kept = 0;
    EACH_THREAD {
        for (int i = thread; i < cells; i += at.threads) left[i] = a->cells[5 * i] > a->least ? a->cells[5 * i] : 0;
    }
    for (; kept < a->max; kept++) {
        EACH_THREAD {
            int mine = thread;
            for (int i = thread; i < cells; i += at.threads)
                if (left[i] > left[mine]) mine = i;
            best[thread] = mine;
            score[thread] = thread < cells ? left[mine] : 0;
        }
        int top = 0; // of equal ones the first cell
        for (int k = 1; k < at.threads; k++)
            if (score[k] > score[top] || (score[k] == score[top] && best[k] < best[top])) top = k;
        if (!(score[top] > 0)) break;
        const int cell = best[top];
        float box[4];
        gv_yolo_box(box, a->cells + 5 * cell + 1, cell, a->height, a->width);
        EACH_THREAD {
            if (thread == 0) {
                for (int k = 0; k < 4; k++) a->kept[1 + 5 * kept + k] = box[k];
                a->kept[5 + 5 * kept] = a->cells[5 * cell];
            }
            for (int i = thread; i < cells; i += at.threads) {
                float other[4];
                if (!(left[i] > 0)) continue;
                gv_yolo_box(other, a->cells + 5 * i + 1, i, a->height, a->width);
                if (i == cell || gv_box_overlap(box, other) > a->overlap) left[i] = 0;
            }
        }
    }
    EACH_THREAD {
        if (thread == 0) a->kept[0] = (float)kept;
    }
}
