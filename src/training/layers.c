// layers.c - plain loops around the matrix product.
#ifdef __GNUC__
#pragma GCC optimize("no-trapping-math") // comparisons may become selects: the same values, in vectors
#endif
#include "training/layers.h"
#include "nn/hash.h"

#include <math.h>
#include <string.h>
#ifdef GV_TRAIN_DOUBLE
#define ON_DEVICE(call) (void)e;
#else
#include "training/layers_device.h"
#include <dnnl.h>
#define ON_DEVICE(call)                                                                                                \
    if (e->device) {                                                                                                   \
        call;                                                                                                          \
        return;                                                                                                        \
    }
#endif
#include <omp.h>

enum { COLUMNS = 64 }; // column sums: one task's width

#ifndef GV_TRAIN_DOUBLE
// oneDNN exports it beside dnnl_sgemm and uses it itself, but its header leaves it out: operands in bfloat16, result
// float.
dnnl_status_t dnnl_gemm_bf16bf16f32(char ta, char tb, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k, float alpha,
                                    const uint16_t *A, dnnl_dim_t lda, const uint16_t *B, dnnl_dim_t ldb, float beta,
                                    float *C, dnnl_dim_t ldc);

// Rows of float32 to bfloat16, to nearest, ties to even; out has no gaps.
static void round_rows(uint16_t *out, const float *x, int rows, int columns, int ld) {
#pragma omp parallel for schedule(static) if (!omp_in_parallel() && (int64_t)rows * columns > 16384)
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            uint32_t u;
            memcpy(&u, x + (int64_t)r * ld + c, 4);
            out[(int64_t)r * columns + c] = (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
        }
}

static int rounded_product(const gv_engine *e, char ta, char tb, int m, int n, int k, float alpha, const float *A,
                           int lda, const float *B, int ldb, float beta, float *C, int ldc) {
    int inner = omp_in_parallel();
    int64_t room = inner ? e->little_room : e->room;
    uint16_t *a = inner ? e->little + 2 * room * omp_get_thread_num() : e->a, *b = inner ? a + room : e->b;
    if ((int64_t)m * k > room || (int64_t)n * k > room) return 0;
    int na = ta == 'N' ? k : m, nb = tb == 'N' ? n : k;
    round_rows(a, A, ta == 'N' ? m : k, na, lda);
    round_rows(b, B, tb == 'N' ? k : n, nb, ldb);
    return dnnl_gemm_bf16bf16f32(ta, tb, m, n, k, alpha, a, na, b, nb, beta, C, ldc) == dnnl_success;
}
#endif

// C [m, n] = alpha op(A) op(B) + beta C, leading dimensions in elements; ta, tb: 'N' or 'T'. The processor's alone.
static void gemm(gv_engine *e, char ta, char tb, int m, int n, int k, gv_real alpha, const gv_real *A, int lda,
                 const gv_real *B, int ldb, gv_real beta, gv_real *C, int ldc) {
#ifdef GV_TRAIN_DOUBLE
    (void)e;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            gv_real s = 0;
            for (int l = 0; l < k; l++)
                s += (ta == 'N' ? A[i * lda + l] : A[l * lda + i]) * (tb == 'N' ? B[l * ldb + j] : B[j * ldb + l]);
            C[i * ldc + j] = alpha * s + (beta != 0 ? beta * C[i * ldc + j] : 0);
        }
#else
    if (e->bf16 && rounded_product(e, ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc)) return;
    dnnl_sgemm(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
#endif
}

// out += sum over rows of a [T, n] (times b where given). Each column is summed by one thread, in order.
static void column_sums(gv_real *out, const gv_real *a, const gv_real *b, int T, int n) {
#pragma omp parallel for schedule(static)
    for (int c0 = 0; c0 < n; c0 += COLUMNS) {
        gv_real s[COLUMNS] = {0};
        int w = n - c0 < COLUMNS ? n - c0 : COLUMNS;
        for (int t = 0; t < T; t++) {
            const gv_real *x = a + (int64_t)t * n + c0, *y = b ? b + (int64_t)t * n + c0 : NULL;
            if (y)
                for (int c = 0; c < w; c++) s[c] += x[c] * y[c];
            else
                for (int c = 0; c < w; c++) s[c] += x[c];
        }
        for (int c = 0; c < w; c++) out[c0 + c] += s[c];
    }
}

static void linear_forward(gv_engine *e, bool add, gv_real *y, const gv_real *x, const gv_real *W, const gv_real *b,
                           int T, int in, int out) {
    ON_DEVICE(gv_queue_linear_forward(e, add, y, x, W, b, T, in, out))
    gemm(e, 'N', 'T', T, out, in, 1, x, in, W, in, add, y, out);
#pragma omp parallel for schedule(static)
    for (int t = 0; t < T; t++)
        for (int c = 0; c < out; c++) y[(int64_t)t * out + c] += b[c];
}

static void linear_backward(gv_engine *e, bool add, gv_real *dx, gv_real *dW, gv_real *db, const gv_real *dy,
                            const gv_real *x, const gv_real *W, int T, int in, int out) {
    ON_DEVICE(gv_queue_linear_backward(e, add, dx, dW, db, dy, x, W, T, in, out))
    gemm(e, 'T', 'N', out, in, T, 1, dy, out, x, in, 1, dW, in);
    column_sums(db, dy, NULL, T, out);
    if (dx) gemm(e, 'N', 'N', T, in, out, 1, dy, out, W, in, add, dx, in);
}

void gv_linear_forward(gv_engine *e, gv_real *y, const gv_real *x, const gv_real *W, const gv_real *b, int T, int in,
                       int out) {
    linear_forward(e, false, y, x, W, b, T, in, out);
}

void gv_linear_forward_add(gv_engine *e, gv_real *y, const gv_real *x, const gv_real *W, const gv_real *b, int T,
                           int in, int out) {
    linear_forward(e, true, y, x, W, b, T, in, out);
}

void gv_linear_backward(gv_engine *e, gv_real *dx, gv_real *dW, gv_real *db, const gv_real *dy, const gv_real *x,
                        const gv_real *W, int T, int in, int out) {
    linear_backward(e, false, dx, dW, db, dy, x, W, T, in, out);
}

void gv_linear_backward_add(gv_engine *e, gv_real *dx, gv_real *dW, gv_real *db, const gv_real *dy, const gv_real *x,
                            const gv_real *W, int T, int in, int out) {
    linear_backward(e, true, dx, dW, db, dy, x, W, T, in, out);
}

void gv_norm_forward(gv_engine *e, gv_real *y, gv_real *stats, const gv_real *x, const gv_real *w, const gv_real *b,
                     int T, int n, gv_real eps) {
    ON_DEVICE(gv_queue_norm_forward(e, y, stats, x, w, b, T, n, eps))
#pragma omp parallel for schedule(static)
    for (int t = 0; t < T; t++) {
        const gv_real *r = x + (int64_t)t * n;
        double m = 0, v = 0;
        for (int c = 0; c < n; c++) m += r[c];
        m /= n;
        for (int c = 0; c < n; c++) v += (r[c] - m) * (r[c] - m);
        gv_real mean = (gv_real)m, rstd = (gv_real)(1 / sqrt(v / n + eps));
        stats[2 * t] = mean;
        stats[2 * t + 1] = rstd;
        for (int c = 0; c < n; c++) y[(int64_t)t * n + c] = (r[c] - mean) * rstd * w[c] + b[c];
    }
}

// with h = (x - mean) rstd and g = dy w:  dx = rstd (g - mean(g) - h mean(g h))
void gv_norm_backward(gv_engine *e, gv_real *dx, gv_real *dw, gv_real *db, const gv_real *dy, const gv_real *x,
                      const gv_real *stats, const gv_real *w, int T, int n) {
    ON_DEVICE(gv_queue_norm_backward(e, dx, dw, db, dy, x, stats, w, T, n))
    column_sums(db, dy, NULL, T, n);
#pragma omp parallel for schedule(static)
    for (int c0 = 0; c0 < n; c0 += COLUMNS) {
        gv_real s[COLUMNS] = {0};
        int k = n - c0 < COLUMNS ? n - c0 : COLUMNS;
        for (int t = 0; t < T; t++) {
            const gv_real *r = x + (int64_t)t * n + c0, *g = dy + (int64_t)t * n + c0;
            gv_real mean = stats[2 * t], rstd = stats[2 * t + 1];
            for (int c = 0; c < k; c++) s[c] += g[c] * (r[c] - mean) * rstd;
        }
        for (int c = 0; c < k; c++) dw[c0 + c] += s[c];
    }
    if (!dx) return;
#pragma omp parallel for schedule(static)
    for (int t = 0; t < T; t++) {
        const gv_real *r = x + (int64_t)t * n, *g = dy + (int64_t)t * n;
        gv_real mean = stats[2 * t], rstd = stats[2 * t + 1];
        double a = 0, b = 0;
        for (int c = 0; c < n; c++) {
            double q = g[c] * w[c];
            a += q;
            b += q * (r[c] - mean) * rstd;
        }
        gv_real ga = (gv_real)(a / n), gb = (gv_real)(b / n);
        for (int c = 0; c < n; c++) dx[(int64_t)t * n + c] += rstd * (g[c] * w[c] - ga - (r[c] - mean) * rstd * gb);
    }
}

// exp to 2 ulp in a form that compilers vectorise: 2^round(x / ln 2) times a polynomial (Cephes' expf).
static inline gv_real exp_real(gv_real x) {
#ifdef GV_TRAIN_DOUBLE
    return exp(x);
#else
    x = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
    float n = x * 1.44269504f + 12582912.0f; // rounds in the low mantissa bits
    int32_t bits;
    memcpy(&bits, &n, 4);
    n -= 12582912.0f;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1;
    int32_t e = (bits - 0x4b400000 + 127) << 23;
    float s;
    memcpy(&s, &e, 4);
    return p * s;
#endif
}

static inline gv_real tanh_real(gv_real x) {
    return 1 - 2 / (exp_real(2 * x) + 1);
}

// erf to 1.5e-7 (Abramowitz and Stegun 7.1.26), which vectorises; g receives exp(-x^2).
static inline gv_real erf_real(gv_real x, gv_real *g) {
#ifdef GV_TRAIN_DOUBLE
    *g = exp(-x * x);
    return erf(x);
#else
    float a = fabsf(x), t = 1 / (1 + 0.3275911f * a);
    *g = exp_real(-x * x);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    return copysignf(1 - p * t * *g, x);
#endif
}

#define SQRT_2_PI ((gv_real)0.7978845608028654)
#define GELU_CUBE ((gv_real)0.044715)

static void act_forward_run(gv_real *y, const gv_real *x, gv_activation a, int n) {
    if (a == GV_ACT_GELU_ERF)
        for (int i = 0; i < n; i++) {
            gv_real g;
            y[i] = (gv_real)0.5 * x[i] * (1 + erf_real(x[i] * (gv_real)0.7071067811865476, &g));
        }
    else if (a == GV_ACT_SILU)
        for (int i = 0; i < n; i++) y[i] = x[i] / (1 + exp_real(-x[i]));
    else
        for (int i = 0; i < n; i++)
            y[i] = (gv_real)0.5 * x[i] * (1 + tanh_real(SQRT_2_PI * (x[i] + GELU_CUBE * x[i] * x[i] * x[i])));
}

static void act_backward_run(gv_real *dx, const gv_real *dy, const gv_real *x, gv_activation a, int n) {
    if (a == GV_ACT_GELU_ERF)
        for (int i = 0; i < n; i++) {
            gv_real g, e = erf_real(x[i] * (gv_real)0.7071067811865476, &g); // g = exp(-x^2 / 2)
            dx[i] = dy[i] * ((gv_real)0.5 * (1 + e) + x[i] * (gv_real)0.3989422804014327 * g);
        }
    else if (a == GV_ACT_SILU)
        for (int i = 0; i < n; i++) {
            gv_real s = 1 / (1 + exp_real(-x[i]));
            dx[i] = dy[i] * s * (1 + x[i] * (1 - s));
        }
    else
        for (int i = 0; i < n; i++) {
            gv_real v = x[i], t = tanh_real(SQRT_2_PI * (v + GELU_CUBE * v * v * v));
            dx[i] = dy[i] * (gv_real)0.5 * (1 + t + v * (1 - t * t) * SQRT_2_PI * (1 + 3 * GELU_CUBE * v * v));
        }
}

enum { RUN = 4096 };

void gv_act_forward(gv_engine *e, gv_real *y, const gv_real *x, gv_activation a, int64_t n) {
    ON_DEVICE(gv_queue_act_forward(e, y, x, a, n))
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += RUN) act_forward_run(y + i, x + i, a, n - i < RUN ? (int)(n - i) : RUN);
}

void gv_act_backward(gv_engine *e, gv_real *dx, const gv_real *dy, const gv_real *x, gv_activation a, int64_t n) {
    ON_DEVICE(gv_queue_act_backward(e, dx, dy, x, a, n))
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += RUN) act_backward_run(dx + i, dy + i, x + i, a, n - i < RUN ? (int)(n - i) : RUN);
}

uint32_t gv_dropout_limit(gv_real p) {
    return (uint32_t)(p * (gv_real)4294967040.0);
}

static void dropout_run(gv_real *y, const gv_real *x, gv_real p, uint32_t key, uint32_t first, int n) {
    uint32_t limit = gv_dropout_limit(p);
    gv_real keep = 1 / (1 - p);
    for (int i = 0; i < n; i++) y[i] = gv_dropped(key, first + (uint32_t)i, limit) ? 0 : x[i] * keep;
}

void gv_dropout(gv_engine *e, gv_real *x, gv_real p, const uint64_t *seed, int64_t n) {
    if (p <= 0) return;
    ON_DEVICE(gv_queue_dropout(e, x, p, seed, n))
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += RUN)
        dropout_run(x + i, x + i, p, gv_element_key(*seed, i), (uint32_t)i, n - i < RUN ? (int)(n - i) : RUN);
}

void gv_rope(gv_engine *e, gv_real *x, const gv_real *cosines, const gv_real *sines, int B, int L, int H, int d,
             int sign) {
    ON_DEVICE(gv_queue_rope(e, x, cosines, sines, B, L, H, d, sign))
    int h = d / 2;
#pragma omp parallel for schedule(static)
    for (int t = 0; t < B * L; t++) {
        const gv_real *c = cosines + (int64_t)(t % L) * h, *s = sines + (int64_t)(t % L) * h;
        for (int head = 0; head < H; head++) {
            gv_real *v = x + ((int64_t)t * H + head) * d;
            for (int i = 0; i < h; i++) {
                gv_real a = v[2 * i], b = v[2 * i + 1], si = (gv_real)sign * s[i];
                v[2 * i] = a * c[i] - b * si;
                v[2 * i + 1] = b * c[i] + a * si;
            }
        }
    }
}

enum { LANES = 16 }; // partial results of a reduction, in a fixed order

static gv_real row_max(const gv_real *r, int n) {
    gv_real m[LANES], top;
    for (int k = 0; k < LANES; k++) m[k] = r[0];
    int j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) m[k] = r[j + k] > m[k] ? r[j + k] : m[k];
    for (; j < n; j++) m[0] = r[j] > m[0] ? r[j] : m[0];
    top = m[0];
    for (int k = 1; k < LANES; k++) top = m[k] > top ? m[k] : top;
    return top;
}

static gv_real row_sum(const gv_real *r, const gv_real *w, int n) { // sum of r, or of r w
    gv_real m[LANES] = {0}, sum = 0;
    int j = 0;
    if (w)
        for (; j + LANES <= n; j += LANES)
            for (int k = 0; k < LANES; k++) m[k] += r[j + k] * w[j + k];
    else
        for (; j + LANES <= n; j += LANES)
            for (int k = 0; k < LANES; k++) m[k] += r[j + k];
    for (; j < n; j++) m[0] += w ? r[j] * w[j] : r[j];
    for (int k = 0; k < LANES; k++) sum += m[k];
    return sum;
}

// Rows of scores to probabilities, the first `keys` columns; the others become 0.
static void softmax_rows(gv_real *P, int L, int keys) {
    for (int i = 0; i < L; i++) {
        gv_real *r = P + (int64_t)i * L, top = row_max(r, keys);
        for (int j = 0; j < keys; j++) r[j] = exp_real(r[j] - top);
        gv_real scale = 1 / row_sum(r, NULL, keys);
        for (int j = 0; j < keys; j++) r[j] *= scale;
        for (int j = keys; j < L; j++) r[j] = 0;
    }
}

void gv_attention_forward(gv_engine *e, gv_real *y, gv_real *P, gv_real *Pd, const gv_real *q, const gv_real *k,
                          const gv_real *v, const int *length, int B, int L, int H, int d, gv_real p,
                          const uint64_t *seed) {
    ON_DEVICE(gv_queue_attention_forward(e, y, P, Pd, q, k, v, length, B, L, H, d, p, seed))
    int D = H * d;
    gv_real scale = (gv_real)(1 / sqrt((double)d));
#pragma omp parallel for schedule(static)
    for (int bh = 0; bh < B * H; bh++) {
        int64_t at = (int64_t)(bh / H) * L * D + bh % H * d;
        gv_real *Pb = P + (int64_t)bh * L * L, *Pk = Pd + (int64_t)bh * L * L;
        gemm(e, 'N', 'T', L, L, d, scale, q + at, D, k + at, D, 0, Pb, L);
        softmax_rows(Pb, L, length[bh / H]);
        if (p > 0) dropout_run(Pk, Pb, p, gv_head_key(*seed, bh), 0, L * L);
        gemm(e, 'N', 'N', L, d, L, 1, Pk, L, v + at, D, 0, y + at, D);
    }
}

// y = Pd v; scores = scale q k^T:  dv = Pd^T dy, dP = dropout(dy v^T), dS = P (dP - sum_j dP P) scale
void gv_attention_backward(gv_engine *e, gv_real *dq, gv_real *dk, gv_real *dv, const gv_real *dy, const gv_real *P,
                           const gv_real *Pd, const gv_real *q, const gv_real *k, const gv_real *v, gv_real *scratch,
                           int B, int L, int H, int d, gv_real p, const uint64_t *seed) {
    ON_DEVICE(gv_queue_attention_backward(e, dq, dk, dv, dy, P, Pd, q, k, v, scratch, B, L, H, d, p, seed))
    int D = H * d;
    gv_real scale = (gv_real)(1 / sqrt((double)d));
#pragma omp parallel for schedule(static)
    for (int bh = 0; bh < B * H; bh++) {
        int64_t at = (int64_t)(bh / H) * L * D + bh % H * d;
        const gv_real *Pb = P + (int64_t)bh * L * L, *Pk = Pd + (int64_t)bh * L * L;
        gv_real *dP = scratch + (int64_t)omp_get_thread_num() * L * L;
        gemm(e, 'T', 'N', L, d, L, 1, Pk, L, dy + at, D, 0, dv + at, D);
        gemm(e, 'N', 'T', L, L, d, 1, dy + at, D, v + at, D, 0, dP, L);
        if (p > 0) dropout_run(dP, dP, p, gv_head_key(*seed, bh), 0, L * L);
        for (int i = 0; i < L; i++) {
            gv_real *g = dP + (int64_t)i * L;
            const gv_real *r = Pb + (int64_t)i * L;
            gv_real sum = row_sum(g, r, L);
            for (int j = 0; j < L; j++) g[j] = r[j] * (g[j] - sum);
        }
        gemm(e, 'N', 'N', L, d, L, scale, dP, L, k + at, D, 0, dq + at, D);
        gemm(e, 'T', 'N', L, d, L, scale, dP, L, q + at, D, 0, dk + at, D);
    }
}

void gv_gate_forward(gv_engine *e, gv_real *out, const gv_real *x, const gv_real *y, const gv_real *gate, int T,
                     int n) {
    ON_DEVICE(gv_queue_gate_forward(e, out, x, y, gate, T, n))
#pragma omp parallel for schedule(static)
    for (int t = 0; t < T; t++)
        for (int c = 0; c < n; c++) out[(int64_t)t * n + c] = x[(int64_t)t * n + c] + gate[c] * y[(int64_t)t * n + c];
}

void gv_gate_backward(gv_engine *e, gv_real *dy, gv_real *dgate, const gv_real *dout, const gv_real *y,
                      const gv_real *gate, int T, int n) {
    ON_DEVICE(gv_queue_gate_backward(e, dy, dgate, dout, y, gate, T, n))
    column_sums(dgate, dout, y, T, n);
#pragma omp parallel for schedule(static)
    for (int t = 0; t < T; t++)
        for (int c = 0; c < n; c++) dy[(int64_t)t * n + c] = gate[c] * dout[(int64_t)t * n + c];
}

void gv_add(gv_engine *e, gv_real *y, const gv_real *x, int64_t n, int64_t period) {
    ON_DEVICE(gv_queue_add(e, y, x, n, period))
    for (int64_t at = 0; at < n; at += period) {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < period; i++) y[at + i] += x[i];
    }
}

void gv_joints_forward(gv_engine *e, gv_real *y, const gv_real *obs, const gv_real *unseen, const gv_real *W,
                       const gv_real *b, int T, int joints, int size) {
    ON_DEVICE(gv_queue_joints_forward(e, y, obs, unseen, W, b, T, joints, size))
#pragma omp parallel for schedule(static)
    for (int i = 0; i < T * joints; i++) {
        gv_real *to = y + (int64_t)i * size;
        const gv_real *o = obs + 3 * (int64_t)i, *p = unseen + (i % joints) * size;
        for (int c = 0; c < size; c++)
            to[c] = o[2] > (gv_real)0.5 ? W[2 * c] * o[0] + W[2 * c + 1] * o[1] + b[c] : p[c];
    }
}

void gv_joints_backward(gv_engine *e, gv_real *dunseen, gv_real *dW, gv_real *db, const gv_real *dy, const gv_real *obs,
                        int T, int joints, int size) {
    ON_DEVICE(gv_queue_joints_backward(e, dunseen, dW, db, dy, obs, T, joints, size))
    for (int i = 0; i < T * joints; i++) {
        const gv_real *g = dy + (int64_t)i * size, *o = obs + 3 * (int64_t)i;
        gv_real *p = dunseen + (i % joints) * size;
        if (o[2] > (gv_real)0.5)
            for (int c = 0; c < size; c++) {
                dW[2 * c] += g[c] * o[0];
                dW[2 * c + 1] += g[c] * o[1];
                db[c] += g[c];
            }
        else
            for (int c = 0; c < size; c++) p[c] += g[c];
    }
}
