// kernel_convolutions.h - the bodies of the kernels around convolutions; a part of kernel_code.h, which includes it.
#pragma once

GV_DEVICE_CODE float gv_number(const void *x, int64_t i, bool bf16) {
    return bf16 ? gv_widen(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

GV_GRID(bytes_to_pixels) {
    return gv_grid_items(3 * a->pixels);
}
GV_CODE(bytes_to_pixels) {
    (void)shared;
    EACH_THREAD {
        int64_t i = at.block * at.threads + thread;
        if (i < 3 * a->pixels) a->y[i] = (float)a->planes[i % 3 * a->pixels + i / 3] / 255;
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
            float y = gv_activated(a->x[i], a->activation);
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
