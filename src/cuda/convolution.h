// convolution.h - convolutions by cuDNN, a part of cuda.cu.
//
// cuDNN 9 is loaded by name the first time that somebody asks for a convolution; without it, or where it has no way to
// one, the caller writes windows out and multiplies. Only ways that multiply and add as they say are taken: no Winograd
// and no Fourier transforms, whose rounding is another, and float32 is not rounded to TF32.
#pragma once
#if __has_include(<cudnn.h>)
#include <cudnn.h>
#endif

namespace {

// As cudnn_ops_v9.h and cudnn_cnn_v9.h have them, so that nobody needs those to build.
constexpr int CUDNN_FLOAT32 = 0, CUDNN_BF16 = 9, CUDNN_NHWC = 1, CUDNN_CORRELATION = 1, CUDNN_WAYS = 8;
constexpr int CUDNN_TENSOR_CORES = 1, CUDNN_FMA = 3, CUDNN_ALWAYS_THE_SAME = 1, CUDNN_DIRECT = 3; // ways 0 ... 3
struct cudnn_way {
    int algorithm, status;
    float time;
    size_t memory;
    int deterministic, math, reserved[3];
};
#ifdef CUDNN_MAJOR // where they are, the compiler checks that
static_assert(CUDNN_FLOAT32 == CUDNN_DATA_FLOAT && CUDNN_BF16 == CUDNN_DATA_BFLOAT16 &&
                  CUDNN_NHWC == CUDNN_TENSOR_NHWC && CUDNN_CORRELATION == CUDNN_CROSS_CORRELATION &&
                  CUDNN_WAYS == CUDNN_CONVOLUTION_FWD_ALGO_COUNT && CUDNN_TENSOR_CORES == CUDNN_TENSOR_OP_MATH &&
                  CUDNN_FMA == CUDNN_FMA_MATH && CUDNN_ALWAYS_THE_SAME == CUDNN_DETERMINISTIC &&
                  CUDNN_DIRECT == CUDNN_CONVOLUTION_FWD_ALGO_DIRECT && CUDNN_CONVOLUTION_FWD_ALGO_FFT > CUDNN_DIRECT &&
                  CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD > CUDNN_DIRECT,
              "cuDNN's numbers");
static_assert(sizeof(cudnn_way) == sizeof(cudnnConvolutionFwdAlgoPerfStruct) &&
                  offsetof(cudnn_way, memory) == offsetof(cudnnConvolutionFwdAlgoPerfStruct, memory) &&
                  offsetof(cudnn_way, math) == offsetof(cudnnConvolutionFwdAlgoPerfStruct, mathType),
              "cuDNN's structure");
#endif
typedef struct cudnn_handle *cudnn_handle_t;
typedef struct cudnn_tensor *cudnn_tensor_t;
typedef struct cudnn_filter *cudnn_filter_t;
typedef struct cudnn_window *cudnn_window_t;

struct cudnn {
    int (*create)(cudnn_handle_t *), (*destroy)(cudnn_handle_t), (*set_stream)(cudnn_handle_t, cudaStream_t);
    int (*create_tensor)(cudnn_tensor_t *), (*destroy_tensor)(cudnn_tensor_t);
    int (*set_tensor)(cudnn_tensor_t, int format, int type, int n, int c, int h, int w);
    int (*create_filter)(cudnn_filter_t *), (*destroy_filter)(cudnn_filter_t);
    int (*set_filter)(cudnn_filter_t, int type, int format, int k, int c, int h, int w);
    int (*create_window)(cudnn_window_t *), (*destroy_window)(cudnn_window_t);
    int (*set_window)(cudnn_window_t, int pad_h, int pad_w, int step_h, int step_w, int dilation_h, int dilation_w,
                      int mode, int type);
    int (*set_math)(cudnn_window_t, int math);
    int (*find)(cudnn_handle_t, cudnn_tensor_t x, cudnn_filter_t, cudnn_window_t, cudnn_tensor_t y, int wanted,
                int *found, cudnn_way *);
    int (*forward)(cudnn_handle_t, const void *alpha, cudnn_tensor_t, const void *x, cudnn_filter_t, const void *w,
                   cudnn_window_t, int algorithm, void *workspace, size_t bytes, const void *beta, cudnn_tensor_t,
                   void *y);
    const char *(*text)(int);
};

bool load_cudnn(cudnn *n) {
    void *module = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return module && find(module, "cudnnCreate", &n->create) && find(module, "cudnnDestroy", &n->destroy) &&
           find(module, "cudnnSetStream", &n->set_stream) &&
           find(module, "cudnnCreateTensorDescriptor", &n->create_tensor) &&
           find(module, "cudnnDestroyTensorDescriptor", &n->destroy_tensor) &&
           find(module, "cudnnSetTensor4dDescriptor", &n->set_tensor) &&
           find(module, "cudnnCreateFilterDescriptor", &n->create_filter) &&
           find(module, "cudnnDestroyFilterDescriptor", &n->destroy_filter) &&
           find(module, "cudnnSetFilter4dDescriptor", &n->set_filter) &&
           find(module, "cudnnCreateConvolutionDescriptor", &n->create_window) &&
           find(module, "cudnnDestroyConvolutionDescriptor", &n->destroy_window) &&
           find(module, "cudnnSetConvolution2dDescriptor", &n->set_window) &&
           find(module, "cudnnSetConvolutionMathType", &n->set_math) &&
           find(module, "cudnnGetConvolutionForwardAlgorithm_v7", &n->find) &&
           find(module, "cudnnConvolutionForward", &n->forward) && find(module, "cudnnGetErrorString", &n->text);
}

// A convolution that has been planned. Where there is no way to it that is remembered, too.
struct convolution_plan {
    gv_device_convolution key;
    cudnn_tensor_t x, y;
    cudnn_filter_t weight;
    cudnn_window_t window;
    int algorithm;
    bool there;
};

struct convolutions {
    cudnn library;
    cudnn_handle_t handle;
    bool asked;
    int plans;
    convolution_plan plan_of[ROOM];
};

void forget(const cudnn *n, convolution_plan *p) {
    if (p->x) n->destroy_tensor(p->x);
    if (p->y) n->destroy_tensor(p->y);
    if (p->weight) n->destroy_filter(p->weight);
    if (p->window) n->destroy_window(p->window);
    *p = convolution_plan();
}

void close_convolutions(convolutions *c) {
    for (int i = 0; i < c->plans; i++) forget(&c->library, &c->plan_of[i]);
    if (c->handle) c->library.destroy(c->handle);
    c->handle = nullptr;
    c->plans = 0;
}

bool have_cudnn(convolutions *c, cudaStream_t stream) {
    if (c->asked) return c->handle;
    c->asked = true;
    if (!load_cudnn(&c->library) || c->library.create(&c->handle)) {
        c->handle = nullptr;
    } else if (c->library.set_stream(c->handle, stream)) {
        c->library.destroy(c->handle);
        c->handle = nullptr;
    }
    return c->handle;
}

bool describe(const cudnn *n, convolution_plan *p, const gv_device_convolution *m) {
    const int type = m->bf16 ? CUDNN_BF16 : CUDNN_FLOAT32, pad = m->side / 2;
    return !n->create_tensor(&p->x) && !n->create_tensor(&p->y) && !n->create_filter(&p->weight) &&
           !n->create_window(&p->window) &&
           !n->set_tensor(p->x, CUDNN_NHWC, type, 1, m->channels, m->height, m->width) &&
           !n->set_tensor(p->y, CUDNN_NHWC, type, 1, m->out, (m->height - 1) / m->step + 1,
                          (m->width - 1) / m->step + 1) &&
           !n->set_filter(p->weight, type, CUDNN_NHWC, m->out, m->channels, m->side, m->side) &&
           !n->set_window(p->window, pad, pad, m->step, m->step, 1, 1, CUDNN_CORRELATION, CUDNN_FLOAT32) &&
           !n->set_math(p->window, m->bf16 ? CUDNN_TENSOR_CORES : CUDNN_FMA);
}

bool is_wanted(const cudnn_way &w, bool bf16) {
    return !w.status && w.algorithm >= 0 && w.algorithm <= CUDNN_DIRECT && w.memory <= WORKSPACE &&
           w.deterministic == CUDNN_ALWAYS_THE_SAME && (bf16 || w.math == CUDNN_FMA);
}

// The first, and by cuDNN's estimate fastest, that is wanted.
bool choose(const convolutions *c, convolution_plan *p, bool bf16) {
    cudnn_way ways[CUDNN_WAYS] = {};
    int found = 0;
    if (c->library.find(c->handle, p->x, p->weight, p->window, p->y, CUDNN_WAYS, &found, ways)) return false;
    for (int i = 0; i < found && i < CUDNN_WAYS; i++) {
        if (!is_wanted(ways[i], bf16)) continue;
        p->algorithm = ways[i].algorithm;
        return !c->library.set_math(p->window, ways[i].math);
    }
    return false;
}

bool same(const gv_device_convolution &a, const gv_device_convolution &b) {
    return a.height == b.height && a.width == b.width && a.channels == b.channels && a.out == b.out &&
           a.side == b.side && a.step == b.step && a.bf16 == b.bf16;
}

const convolution_plan *find_plan(convolutions *c, cudaStream_t stream, const gv_device_convolution *m) {
    if (!have_cudnn(c, stream)) return nullptr;
    for (int i = 0; i < c->plans; i++)
        if (same(c->plan_of[i].key, *m)) return c->plan_of[i].there ? &c->plan_of[i] : nullptr;
    if (c->plans == ROOM) {
        for (int i = 0; i < ROOM; i++) forget(&c->library, &c->plan_of[i]);
        c->plans = 0;
    }
    convolution_plan *p = &c->plan_of[c->plans++];
    p->key = *m;
    p->there = describe(&c->library, p, m) && choose(c, p, m->bf16);
    return p->there ? p : nullptr;
}

// cuDNN's return value; 0: it is queued.
int convolve(const convolutions *c, const convolution_plan *p, const gv_device_convolution *m, void *workspace) {
    const float one = 1, zero = 0;
    return c->library.forward(c->handle, &one, p->x, m->x, p->weight, m->weight, p->window, p->algorithm, workspace,
                              WORKSPACE, &zero, p->y, m->y);
}

} // namespace
