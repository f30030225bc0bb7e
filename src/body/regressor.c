#include "body/regressor.h"
#include "base/memory.h"
#include "formats/tensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Adds values [n] at indices [2, n], checked.
static bool scatter(float *out, int rows, int columns, const float *indices, const float *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float r = indices[i], c = indices[n + i];
        if (!(r >= 0 && r < (float)rows && c >= 0 && c < (float)columns && isfinite(values[i]))) return false;
        out[(size_t)r * (size_t)columns + (size_t)c] += values[i];
    }
    return true;
}

static float *load_sparse(gv_tensors *w, int rows, int columns, gv_error *err) {
    const gv_tensor *v = gv_tensors_find(w, "values");
    int64_t n = v ? v->count : 0; // indices below 2^24 are exact in float32
    float *values = gv_tensors_read_f32(w, "values", (int64_t[]){n}, 1, err);
    float *indices = values ? gv_tensors_read_f32(w, "indices", (int64_t[]){2, n}, 2, err) : NULL;
    float *out = indices ? gv_calloc2((size_t)rows * (size_t)columns, sizeof *out) : NULL;
    if (out && !scatter(out, rows, columns, indices, values, n)) {
        gv_fail(err, GV_ERR_FORMAT, "%s: indices beyond %d x %d, or values that are not finite", gv_tensors_path(w),
                rows, columns);
        free(out);
        out = NULL;
    }
    free(indices);
    free(values);
    return out;
}

float *gv_regressor_load(const char *path, int rows, int columns, gv_error *err) {
    gv_tensors *w = NULL;
    if (gv_tensors_open(&w, path, err) != GV_OK) return NULL;
    float *out = gv_tensors_find(w, "indices") ? load_sparse(w, rows, columns, err)
                                               : gv_tensors_read_f32(w, "tensor", (int64_t[]){rows, columns}, 2, err);
    gv_tensors_close(w);
    return out;
}

// out [rows, GV_SMPLX_VERTICES] = of_smpl [rows, GV_SMPL_VERTICES] times the file's matrix from SMPL-X's vertices to
// SMPL's. free() it.
static float *for_smplx(const float *of_smpl, int rows, const char *smplx2smpl_path, gv_error *err) {
    enum { V = GV_SMPL_VERTICES, X = GV_SMPLX_VERTICES };
    float *map = gv_regressor_load(smplx2smpl_path, V, X, err);
    float *out = map ? gv_calloc2((size_t)rows * X, sizeof *out) : NULL;
    if (map && !out) gv_fail(err, GV_ERR_MEMORY, "%s: no memory", smplx2smpl_path);
    for (int r = 0; out && r < rows; r++)
        for (int v = 0; v < V; v++) {
            float w = of_smpl[(size_t)r * V + v];
            for (int x = 0; w != 0 && x < X; x++) out[(size_t)r * X + x] += w * map[(size_t)v * X + x];
        }
    free(map);
    return out;
}

gv_status gv_regressor_open(gv_regressor *r, const char *path, int rows, int columns, gv_error *err) {
    *r = (gv_regressor){.rows = rows, .columns = columns};
    float *dense = gv_regressor_load(path, rows, columns, err);
    if (!dense) return err->status;
    size_t cells = (size_t)rows * (size_t)columns, entries = 0;
    for (size_t i = 0; i < cells; i++) entries += dense[i] != 0;
    r->first = gv_calloc2((size_t)rows + 1, sizeof *r->first);
    r->column = gv_calloc2(entries, sizeof *r->column);
    r->weight = gv_calloc2(entries, sizeof *r->weight);
    int n = 0, ok = r->first && r->column && r->weight;
    for (int i = 0; i < rows && ok; i++) {
        for (int c = 0; c < columns; c++) {
            float w = dense[(size_t)i * (size_t)columns + (size_t)c];
            if (w != 0) r->column[n] = c, r->weight[n++] = w;
        }
        r->first[i + 1] = n;
    }
    free(dense);
    if (ok) return GV_OK;
    gv_regressor_close(r);
    return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
}

void gv_regressor_close(gv_regressor *r) {
    free(r->first);
    free(r->column);
    free(r->weight);
    *r = (gv_regressor){0};
}

void gv_regressor_apply(float *out, const gv_regressor *r, const float *points) {
    for (int i = 0; i < r->rows; i++) {
        double sum[3] = {0};
        for (int e = r->first[i]; e < r->first[i + 1]; e++)
            for (int c = 0; c < 3; c++) sum[c] += (double)r->weight[e] * points[3 * r->column[e] + c];
        for (int c = 0; c < 3; c++) out[3 * i + c] = (float)sum[c];
    }
}

gv_status gv_body_find_coco17(gv_body *b, const char *folder, gv_error *err) {
    char points[4096], map[4096];
    snprintf(points, sizeof points, "%s/smpl_coco17_J_regressor.pt", folder);
    snprintf(map, sizeof map, "%s/smplx2smpl_sparse.pt", folder);
    bool smplx = b->vertices == GV_SMPLX_VERTICES;
    if (b->coco17 || (!smplx && b->vertices != GV_SMPL_VERTICES)) return GV_OK;
    if (access(points, F_OK) != 0 || (smplx && access(map, F_OK) != 0)) return GV_OK;
    float *of_smpl = gv_regressor_load(points, GV_COCO17, GV_SMPL_VERTICES, err);
    if (!of_smpl) return err ? err->status : GV_ERR_FORMAT;
    if (!smplx) {
        b->coco17 = of_smpl;
        return GV_OK;
    }
    b->coco17 = for_smplx(of_smpl, GV_COCO17, map, err);
    free(of_smpl);
    return b->coco17 ? GV_OK : err ? err->status : GV_ERR_FORMAT;
}
