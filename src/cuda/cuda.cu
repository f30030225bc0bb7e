// cuda.cu - the CUDA back end: nn/device_ops.h on one stream, with cuBLASLt for matrix products.
//
// Memory comes from the device's own pool in the order of the stream (cudaMallocAsync), and stays there between runs.
// Copies go through pinned memory, so that the caller's is free at once: two stages for each queue of copies, of which
// one is filled, with many small copies or a part of a large one, while the other is on its way. Kernels are those of
// nn/kernel_code.h, convolutions those of cuDNN where it is (convolution.h).
#include "nn/kernel_code.h"
#include "training/kernel_sequences.h"

#include "nn/device_ops.h"

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

constexpr size_t STAGE = size_t(8) << 20, WORKSPACE = size_t(32)
                                                      << 20; // bytes; the latter as cuBLAS advises for Hopper
constexpr int STAGES = 2, ROOM = 256;

template <typename T> bool find(void *module, const char *name, T *function) {
    void *symbol = dlsym(module, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol;
}

} // namespace

#include "cuda/convolution.h"

namespace {

// A product that has been planned: what it is for, and how cuBLASLt does it.
struct plan {
    gv_device_matmul key; // without pointers
    unsigned aligned[3];  // bytes to which x, weight and y are
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t x, weight, y;
    cublasLtMatmulAlgo_t algorithm;
    bool apart; // bias and activation are a kernel behind the product
};

// A queue of copies to the GPU and its pinned memory.
struct lane {
    cudaStream_t queue;
    char *stage[STAGES];
    cudaEvent_t free[STAGES]; // when a stage may be written again
    int at;                   // the one being filled
    size_t used;              // bytes of it
};

struct context {
    char name[160];
    int gpu;
    cudaStream_t stream;
    cublasLtHandle_t lt;
    void *workspace;
    lane work, ahead; // the stream's copies, and those that go ahead
    char *back;       // a stage for what comes back
    int plans;
    plan plan_of[ROOM];
    convolutions cudnn;
    cudaEvent_t copied;
    cudaStream_t sums; // of several GPUs
    cudaEvent_t ready, summed;
    struct nccl_group *group;
    size_t shared_limit;                    // bytes of shared memory that a block can have
    size_t shared_granted[GV_KERNEL_COUNT]; // what each kernel was told it may use
};

// base/error.c is not linked to the module.
void fail(gv_error *err, gv_status status, const char *format, ...) {
    va_list args;
    if (!err) return;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->status = status;
}

bool good(cudaError_t e, const char *what, gv_error *err) {
    if (e == cudaSuccess) return true;
    bool memory = e == cudaErrorMemoryAllocation;
    fail(err, memory ? GV_ERR_MEMORY : GV_ERR_INTERNAL, "CUDA: %s failed: %s", what, cudaGetErrorString(e));
    cudaGetLastError(); // an allocation that failed is no failure of what comes after
    return false;
}

bool good(cublasStatus_t s, const char *what, gv_error *err) {
    if (s == CUBLAS_STATUS_SUCCESS) return true;
    fail(err, s == CUBLAS_STATUS_ALLOC_FAILED ? GV_ERR_MEMORY : GV_ERR_INTERNAL, "cuBLASLt: %s failed: %s", what,
         cublasLtGetStatusString(s));
    return false;
}

// ---- several GPUs: NCCL, loaded by name when it is asked for

// As nccl.h (2.10 and later) has them, so that nobody needs it to build.
constexpr int NCCL_FLOAT32 = 7, NCCL_AVERAGE = 4;
struct nccl_id {
    char bytes[128];
};
typedef struct nccl_group *nccl_comm;

struct nccl {
    int (*unique_id)(nccl_id *);
    int (*join)(nccl_comm *, int count, nccl_id, int index);
    int (*reduce)(const void *, void *, size_t count, int type, int operation, nccl_comm, cudaStream_t);
    int (*abort)(nccl_comm), (*destroy)(nccl_comm);
    const char *(*text)(int);
    bool here;
};

const nccl *load_nccl(gv_error *err) {
    static nccl n;
    if (n.here) return &n;
    void *module = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!module) {
        const char *why = dlerror();
        fail(err, GV_ERR_MISSING, "NCCL cannot be used: %s", why ? why : "it does not load");
        return nullptr;
    }
    n.here = find(module, "ncclGetUniqueId", &n.unique_id) && find(module, "ncclCommInitRank", &n.join) &&
             find(module, "ncclAllReduce", &n.reduce) && find(module, "ncclCommAbort", &n.abort) &&
             find(module, "ncclCommDestroy", &n.destroy) && find(module, "ncclGetErrorString", &n.text);
    if (!n.here) fail(err, GV_ERR_MISSING, "NCCL cannot be used: libnccl.so.2 lacks a function");
    return n.here ? &n : nullptr;
}

bool good(const nccl *n, int r, const char *what, gv_error *err) {
    if (r) fail(err, GV_ERR_INTERNAL, "NCCL: %s failed: %s", what, n->text(r));
    return r == 0;
}

void leave(void *self) {
    context *c = static_cast<context *>(self);
    cudaSetDevice(c->gpu);
    if (c->group) { // where a sum is open, another process may never take part in it
        const nccl *n = load_nccl(nullptr);
        bool done = cudaStreamQuery(c->sums) == cudaSuccess;
        if (done)
            n->destroy(c->group);
        else
            n->abort(c->group);
    }
    if (c->ready) cudaEventDestroy(c->ready);
    if (c->summed) cudaEventDestroy(c->summed);
    if (c->sums) cudaStreamDestroy(c->sums);
    c->group = nullptr;
    c->ready = c->summed = nullptr;
    c->sums = nullptr;
}

// ---- opening

void forget(plan *p) {
    if (p->op) cublasLtMatmulDescDestroy(p->op);
    if (p->x) cublasLtMatrixLayoutDestroy(p->x);
    if (p->weight) cublasLtMatrixLayoutDestroy(p->weight);
    if (p->y) cublasLtMatrixLayoutDestroy(p->y);
    *p = plan();
}

void close_lane(lane *l) {
    for (int i = 0; i < STAGES; i++) {
        if (l->stage[i]) cudaFreeHost(l->stage[i]);
        if (l->free[i]) cudaEventDestroy(l->free[i]);
    }
}

bool open_lane(lane *l, cudaStream_t queue, gv_error *err) {
    l->queue = queue;
    for (int i = 0; i < STAGES; i++)
        if (!good(cudaMallocHost(&l->stage[i], STAGE), "allocating pinned memory", err) ||
            !good(cudaEventCreateWithFlags(&l->free[i], cudaEventDisableTiming), "making an event", err))
            return false;
    return true;
}

void close_device(void *self) {
    context *c = static_cast<context *>(self);
    if (!c) return;
    leave(c);
    if (c->ahead.queue) cudaStreamSynchronize(c->ahead.queue);
    if (c->stream) cudaStreamSynchronize(c->stream);
    for (int i = 0; i < c->plans; i++) forget(&c->plan_of[i]);
    close_convolutions(&c->cudnn);
    close_lane(&c->work);
    close_lane(&c->ahead);
    if (c->back) cudaFreeHost(c->back);
    if (c->workspace) cudaFree(c->workspace);
    if (c->lt) cublasLtDestroy(c->lt);
    if (c->copied) cudaEventDestroy(c->copied);
    if (c->ahead.queue) cudaStreamDestroy(c->ahead.queue);
    if (c->stream) cudaStreamDestroy(c->stream);
    delete c;
}

// The pool keeps what is given back to it: the next run asks for the same again.
bool keep_pool(int gpu, gv_error *err) {
    cudaMemPool_t pool;
    uint64_t all = UINT64_MAX;
    return good(cudaDeviceGetDefaultMemPool(&pool, gpu), "asking for the memory pool", err) &&
           good(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all), "setting the memory pool", err);
}

// Several processes of one machine that MPI or Slurm has started take its GPUs in turn; anybody else the first.
int choose_gpu() {
    static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"};
    int count = 0;
    cudaGetDeviceCount(&count);
    for (const char *name : names) {
        const char *text = getenv(name);
        if (text && atoi(text) > 0 && count > 0) return atoi(text) % count;
    }
    return 0;
}

bool set_up(context *c, gv_error *err) {
    cudaDeviceProp p;
    c->gpu = choose_gpu();
    if (!good(cudaSetDevice(c->gpu), "choosing a GPU", err) ||
        !good(cudaGetDeviceProperties(&p, c->gpu), "asking for the GPU's properties", err))
        return false;
    if (p.major < 8) {
        fail(err, GV_ERR_MISSING, "CUDA cannot be used: %s has compute capability %d.%d, expected 8.0 or later", p.name,
             p.major, p.minor);
        return false;
    }
    snprintf(c->name, sizeof c->name, "%.100s (compute capability %d.%d)", p.name, p.major, p.minor);
    c->shared_limit = p.sharedMemPerBlockOptin;
    return good(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "making a stream", err) &&
           good(cudaStreamCreateWithFlags(&c->ahead.queue, cudaStreamNonBlocking), "making a stream", err) &&
           good(cudaEventCreateWithFlags(&c->copied, cudaEventDisableTiming), "making an event", err) &&
           keep_pool(c->gpu, err) && good(cublasLtCreate(&c->lt), "opening the library", err) &&
           good(cudaMalloc(&c->workspace, WORKSPACE), "allocating the workspace", err) &&
           good(cudaMallocHost(&c->back, STAGE), "allocating pinned memory", err) &&
           open_lane(&c->work, c->stream, err) && open_lane(&c->ahead, c->ahead.queue, err);
}

bool find_gpu(gv_error *err) {
    int count = 0, driver = 0;
    cudaError_t e = cudaDriverGetVersion(&driver);
    if (e == cudaSuccess && driver) e = cudaGetDeviceCount(&count);
    if (e == cudaSuccess && count > 0) return true;
    if (e == cudaErrorInsufficientDriver && driver)
        fail(err, GV_ERR_MISSING, "CUDA cannot be used: the NVIDIA driver is for CUDA %d.%d, expected %d.%d or later",
             driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    else
        fail(err, GV_ERR_MISSING, "CUDA cannot be used: %s",
             e != cudaSuccess ? cudaGetErrorString(e)
             : driver         ? "there is no NVIDIA GPU"
                              : "there is no NVIDIA driver");
    return false;
}

gv_status open_device(void **self, gv_error *err) {
    gv_error why = {};
    *self = nullptr;
    if (!find_gpu(err)) return GV_ERR_MISSING;
    context *c = new (std::nothrow) context();
    if (!c) fail(&why, GV_ERR_MEMORY, "no memory for the device");
    if (c && set_up(c, &why)) {
        *self = c;
        return GV_OK;
    }
    close_device(c);
    if (err) *err = why;
    return why.status;
}

const char *name_of(const void *self) {
    return static_cast<const context *>(self)->name;
}

// The caller's thread may be another one than the last time.
context *use(void *self) {
    context *c = static_cast<context *>(self);
    cudaSetDevice(c->gpu);
    return c;
}

// ---- memory

void *alloc(void *self, size_t bytes, gv_error *err) {
    context *c = use(self);
    void *p = nullptr;
    cudaError_t e = cudaMallocAsync(&p, bytes, c->stream);
    if (e == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        fail(err, GV_ERR_MEMORY, "%s has no memory for %zu bytes more", c->name, bytes);
        return nullptr;
    }
    return good(e, "allocating memory", err) ? p : nullptr;
}

void release(void *self, void *memory) {
    if (memory) cudaFreeAsync(memory, use(self)->stream);
}

bool copy_there(lane *l, void *to, const void *from, size_t bytes, gv_error *err) {
    for (size_t at = 0, n; at < bytes; at += n) {
        if (l->used >= STAGE) {
            l->at = (l->at + 1) % STAGES;
            if (!good(cudaEventSynchronize(l->free[l->at]), "waiting for a copy", err)) return false;
            l->used = 0;
        }
        n = bytes - at < STAGE - l->used ? bytes - at : STAGE - l->used;
        char *stage = l->stage[l->at] + l->used;
        memcpy(stage, static_cast<const char *>(from) + at, n);
        l->used += (n + 255) / 256 * 256;
        if (!good(cudaMemcpyAsync(static_cast<char *>(to) + at, stage, n, cudaMemcpyHostToDevice, l->queue),
                  "copying to the GPU", err) ||
            !good(cudaEventRecord(l->free[l->at], l->queue), "recording a copy", err))
            return false;
    }
    return true;
}

bool upload(void *self, void *to, const void *from, size_t bytes, gv_error *err) {
    return copy_there(&use(self)->work, to, from, bytes, err);
}

bool upload_ahead(void *self, void *to, const void *from, size_t bytes, gv_error *err) {
    return copy_there(&use(self)->ahead, to, from, bytes, err);
}

bool ahead_wait(void *self, gv_error *err) {
    context *c = use(self);
    return good(cudaEventRecord(c->copied, c->ahead.queue), "recording the copies", err) &&
           good(cudaStreamWaitEvent(c->stream, c->copied, 0), "waiting for the copies", err);
}

bool download(void *self, void *to, const void *from, size_t bytes, gv_error *err) {
    context *c = use(self);
    for (size_t at = 0; at < bytes; at += STAGE) {
        size_t n = bytes - at < STAGE ? bytes - at : STAGE;
        if (!good(cudaMemcpyAsync(c->back, static_cast<const char *>(from) + at, n, cudaMemcpyDeviceToHost, c->stream),
                  "copying from the GPU", err) ||
            !good(cudaStreamSynchronize(c->stream), "the work on the GPU", err))
            return false;
        memcpy(static_cast<char *>(to) + at, c->back, n);
    }
    return true;
}

bool wait(void *self, gv_error *err) {
    context *c = use(self);
    return good(cudaStreamSynchronize(c->ahead.queue), "copying to the GPU", err) &&
           good(cudaStreamSynchronize(c->stream), "the work on the GPU", err);
}

// ---- matrix products

template <typename T> bool set(cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t what, T value) {
    return cublasLtMatmulDescSetAttribute(op, what, &value, sizeof value) == CUBLAS_STATUS_SUCCESS;
}

// cuBLASLt's matrices are column-major. Read so, our row-major y [rows, out] is Y = y^T [out, rows], and
//     Y = W x^T: the weight as it lies in memory is [in, out] and is transposed, x is [in, rows].
// What is turned in memory needs no transposition of the weight, but one of x. The bias belongs to the rows of Y and
// has Y's type. Sums and scales are float32; float32 products are not rounded to TF32 with this compute type.
bool layout(cublasLtMatrixLayout_t *l, cudaDataType_t type, int64_t high, int64_t wide, int stride, int count,
            int64_t step) { // of `high` rows of `wide` numbers in memory
    int32_t n = count;
    return cublasLtMatrixLayoutCreate(l, type, uint64_t(wide), uint64_t(high), stride ? stride : wide) ==
               CUBLAS_STATUS_SUCCESS &&
           (n < 2 || (cublasLtMatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &n, sizeof n) ==
                          CUBLAS_STATUS_SUCCESS &&
                      cublasLtMatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step,
                                                       sizeof step) == CUBLAS_STATUS_SUCCESS));
}

bool describe(plan *p, const gv_device_matmul *m) {
    static const cublasLtEpilogue_t epilogues[GV_EPILOGUES] = {
        CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_GELU_BIAS};
    cudaDataType_t in = m->bf16_in ? CUDA_R_16BF : CUDA_R_32F, out = m->bf16_out ? CUDA_R_16BF : CUDA_R_32F;
    int64_t rows = m->rows, wide = m->in, high = m->out;
    if (cublasLtMatmulDescCreate(&p->op, CUBLAS_COMPUTE_32F, CUDA_R_32F) != CUBLAS_STATUS_SUCCESS ||
        !layout(&p->weight, in, m->weight_turned ? wide : high, m->weight_turned ? high : wide, m->weight_stride,
                m->count, m->weight_step) ||
        !layout(&p->x, in, m->x_turned ? wide : rows, m->x_turned ? rows : wide, m->x_stride, m->count, m->x_step) ||
        !layout(&p->y, out, rows, high, m->y_stride, m->count, m->y_step))
        return false;
    return set(p->op, CUBLASLT_MATMUL_DESC_TRANSA, m->weight_turned ? CUBLAS_OP_N : CUBLAS_OP_T) &&
           set(p->op, CUBLASLT_MATMUL_DESC_TRANSB, m->x_turned ? CUBLAS_OP_T : CUBLAS_OP_N) &&
           set(p->op, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogues[m->epilogue]) &&
           (m->epilogue == GV_EPILOGUE_NONE || (set(p->op, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t(out)) &&
                                                set(p->op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, m->bias)));
}

enum class search { found, none, failed };

// cuBLASLt takes for granted 256 bytes, and that the weight is what it calls A, x B and y C and D.
bool wish_aligned(cublasLtMatmulPreference_t wish, const unsigned aligned[3]) {
    static const cublasLtMatmulPreferenceAttributes_t names[4] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (int i = 0; i < 4; i++) {
        uint32_t bytes = aligned[i < 2 ? i : 2];
        if (cublasLtMatmulPreferenceSetAttribute(wish, names[i], &bytes, sizeof bytes) != CUBLAS_STATUS_SUCCESS)
            return false;
    }
    return true;
}

search find_algorithm(context *c, plan *p, gv_error *err) {
    cublasLtMatmulPreference_t wish = nullptr;
    cublasLtMatmulHeuristicResult_t result;
    uint64_t workspace = WORKSPACE;
    int found = 0;
    cublasStatus_t s = CUBLAS_STATUS_SUCCESS;
    bool well =
        good(cublasLtMatmulPreferenceCreate(&wish), "planning", err) &&
        good(cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                  sizeof workspace),
             "planning", err) &&
        good(wish_aligned(wish, p->aligned) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE, "planning", err);
    if (well) s = cublasLtMatmulAlgoGetHeuristic(c->lt, p->op, p->weight, p->x, p->y, p->y, wish, 1, &result, &found);
    if (wish) cublasLtMatmulPreferenceDestroy(wish);
    if (!well) return search::failed;
    if (s == CUBLAS_STATUS_NOT_SUPPORTED || (s == CUBLAS_STATUS_SUCCESS && !found)) return search::none;
    if (!good(s, "looking for an algorithm", err)) return search::failed;
    p->algorithm = result.algo;
    return search::found;
}

bool same(const gv_device_matmul &a, const gv_device_matmul &b) {
    return a.rows == b.rows && a.in == b.in && a.out == b.out && a.bf16_in == b.bf16_in && a.bf16_out == b.bf16_out &&
           a.accumulate == b.accumulate && a.x_turned == b.x_turned && a.weight_turned == b.weight_turned &&
           a.epilogue == b.epilogue && a.x_stride == b.x_stride && a.weight_stride == b.weight_stride &&
           a.y_stride == b.y_stride && a.count == b.count && a.x_step == b.x_step && a.weight_step == b.weight_step &&
           a.y_step == b.y_step;
}

// Up to 256 bytes. Of several products the steps count, too.
unsigned alignment(const void *p, int64_t step, int count, bool bf16) {
    uint64_t bits = uint64_t(p) | 256;
    if (count > 1) bits |= uint64_t(step) * (bf16 ? 2 : 4);
    return unsigned(bits & (0 - bits));
}

// Layers of one shape share a plan. There are few shapes; of very many numbers of rows the oldest plans are made anew.
// A bias that is not aligned to 16 bytes is left to a kernel behind the product.
plan *find_plan(context *c, const gv_device_matmul *m, gv_error *err) {
    const unsigned aligned[3] = {alignment(m->x, m->x_step, m->count, m->bf16_in),
                                 alignment(m->weight, m->weight_step, m->count, m->bf16_in),
                                 alignment(m->y, m->y_step, m->count, m->bf16_out)};
    bool with = m->epilogue != GV_EPILOGUE_NONE, odd = with && alignment(m->bias, 0, 1, false) < 16;
    for (int i = 0; i < c->plans; i++)
        if (same(c->plan_of[i].key, *m) && !memcmp(c->plan_of[i].aligned, aligned, sizeof aligned) &&
            (!odd || c->plan_of[i].apart))
            return &c->plan_of[i];
    if (c->plans == ROOM) {
        for (int i = 0; i < ROOM; i++) forget(&c->plan_of[i]);
        c->plans = 0;
    }
    plan *p = &c->plan_of[c->plans];
    gv_device_matmul bare = *m;
    bare.epilogue = GV_EPILOGUE_NONE;
    search s = search::none;
    for (int apart = odd; apart < (with ? 2 : 1) && s == search::none; apart++) {
        forget(p);
        memcpy(p->aligned, aligned, sizeof aligned);
        s = describe(p, apart ? &bare : m) ? find_algorithm(c, p, err) : search::none;
        p->apart = apart;
    }
    p->key = *m;
    if (s == search::found) return &c->plan_of[c->plans++];
    if (s == search::none)
        fail(err, GV_ERR_INTERNAL, "cuBLASLt: there is no way to a product of %lld rows, %d to %d",
             static_cast<long long>(m->rows), m->in, m->out);
    forget(p);
    return nullptr;
}

bool launch(void *self, int kernel, const void *arguments, gv_error *err);

bool finish_apart(context *c, const gv_device_matmul *m, gv_error *err) {
    static const gv_device_activation activations[GV_EPILOGUES] = {GV_ACTIVATE_NONE, GV_ACTIVATE_NONE, GV_ACTIVATE_RELU,
                                                                   GV_ACTIVATE_GELU_TANH};
    gv_activate_args a = {};
    a.y = m->y;
    a.bias = m->bias;
    a.rows = m->rows;
    a.width = m->out;
    a.activation = activations[m->epilogue];
    a.bf16 = a.bf16_bias = m->bf16_out;
    return launch(c, GV_KERNEL_activate, &a, err);
}

bool matmul(void *self, const gv_device_matmul *m, gv_error *err) {
    context *c = use(self);
    const float scale = m->scale != 0 ? m->scale : 1, beta = m->accumulate ? 1.0f : 0.0f;
    if (m->rows < 1) return true;
    plan *p = find_plan(c, m, err);
    if (!p) return false;
    if (m->epilogue != GV_EPILOGUE_NONE && !p->apart && !set(p->op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, m->bias)) {
        fail(err, GV_ERR_INTERNAL, "cuBLASLt: the bias of a product cannot be set");
        return false;
    }
    return good(cublasLtMatmul(c->lt, p->op, &scale, m->weight, p->weight, m->x, p->x, &beta, m->y, p->y, m->y, p->y,
                               &p->algorithm, c->workspace, WORKSPACE, c->stream),
                "a product", err) &&
           (!p->apart || finish_apart(c, m, err));
}

// ---- convolutions

bool convolves(void *self, const gv_device_convolution *m) {
    context *c = use(self);
    return find_plan(&c->cudnn, c->stream, m);
}

bool convolve(void *self, const gv_device_convolution *m, gv_error *err) {
    context *c = use(self);
    const convolution_plan *p = find_plan(&c->cudnn, c->stream, m);
    int r = p ? convolve(&c->cudnn, p, m, c->workspace) : 0;
    if (!p || r)
        fail(err, GV_ERR_INTERNAL, "cuDNN: a convolution failed: %s", p ? c->cudnn.library.text(r) : "it has none");
    return p && !r;
}

// ---- kernels

#define GV_GLOBAL(kernel)                                                                                              \
    __global__ void kernel_##kernel(const __grid_constant__ gv_##kernel##_args a) {                                    \
        extern __shared__ __align__(128) char shared[];                                                                \
        gv_place at;                                                                                                   \
        at.block = blockIdx.x;                                                                                         \
        at.threads = int(blockDim.x);                                                                                  \
        gv_##kernel##_code(&a, at, shared);                                                                            \
    }
GV_KERNELS(GV_GLOBAL)

// A kernel may have more than 48 KiB of shared memory only when it is told so.
template <typename Kernel> bool grant(context *c, Kernel *kernel, int id, size_t bytes, gv_error *err) {
    if (bytes <= 48 << 10 || bytes <= c->shared_granted[id]) return true;
    if (bytes > c->shared_limit) {
        fail(err, GV_ERR_INTERNAL, "a kernel needs %zu bytes of shared memory, %s has %zu", bytes, c->name,
             c->shared_limit);
        return false;
    }
    c->shared_granted[id] = bytes;
    return good(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)),
                "reserving shared memory", err);
}

#define GV_LAUNCH(kernel)                                                                                              \
    bool launch_##kernel(context *c, const void *arguments, gv_error *err) {                                           \
        const gv_##kernel##_args *a = static_cast<const gv_##kernel##_args *>(arguments);                              \
        gv_grid g = gv_##kernel##_grid(a);                                                                             \
        if (g.blocks < 1) return true;                                                                                 \
        if (g.blocks > INT32_MAX) {                                                                                    \
            fail(err, GV_ERR_INTERNAL, #kernel ": %lld blocks are too many", static_cast<long long>(g.blocks));        \
            return false;                                                                                              \
        }                                                                                                              \
        if (!grant(c, kernel_##kernel, GV_KERNEL_##kernel, g.shared, err)) return false;                               \
        kernel_##kernel<<<unsigned(g.blocks), unsigned(g.threads), g.shared, c->stream>>>(*a);                         \
        return good(cudaGetLastError(), "launching " #kernel, err);                                                    \
    }
GV_KERNELS(GV_LAUNCH)

bool launch(void *self, int kernel, const void *arguments, gv_error *err) {
#define GV_ENTRY(kernel) launch_##kernel,
    static bool (*const table[])(context *, const void *, gv_error *) = {GV_KERNELS(GV_ENTRY)};
    return table[kernel](use(self), arguments, err);
}

// ---- graphs

bool record(void *self, gv_error *err) {
    return good(cudaStreamBeginCapture(use(self)->stream, cudaStreamCaptureModeThreadLocal), "recording", err);
}

void *recorded(void *self, gv_error *err) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    bool well = good(cudaStreamEndCapture(use(self)->stream, &graph), "ending a recording", err) &&
                good(cudaGraphInstantiate(&ready, graph, 0), "making a graph", err);
    if (graph) cudaGraphDestroy(graph);
    return well ? ready : nullptr;
}

bool replay(void *self, void *graph, gv_error *err) {
    return good(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), use(self)->stream), "launching a graph", err);
}

void forget_graph(void *self, void *graph) {
    use(self);
    cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

// ---- means over several GPUs

bool group(void *, char name[GV_DEVICE_GROUP], gv_error *err) {
    static_assert(sizeof(nccl_id) == GV_DEVICE_GROUP, "a group's name is NCCL's");
    const nccl *n = load_nccl(err);
    nccl_id id;
    if (!n || !good(n, n->unique_id(&id), "naming a group", err)) return false;
    memcpy(name, &id, sizeof id);
    return true;
}

bool join(void *self, const char name[GV_DEVICE_GROUP], int count, int index, gv_error *err) {
    context *c = use(self);
    const nccl *n = load_nccl(err);
    nccl_id id;
    memcpy(&id, name, sizeof id);
    return n && good(cudaStreamCreateWithFlags(&c->sums, cudaStreamNonBlocking), "making a stream", err) &&
           good(cudaEventCreateWithFlags(&c->ready, cudaEventDisableTiming), "making an event", err) &&
           good(cudaEventCreateWithFlags(&c->summed, cudaEventDisableTiming), "making an event", err) &&
           good(n, n->join(&c->group, count, id, index), "joining the GPUs", err);
}

bool mean(void *self, float *x, int64_t count, gv_error *err) {
    context *c = use(self);
    const nccl *n = load_nccl(err);
    return n && good(cudaEventRecord(c->ready, c->stream), "recording an event", err) &&
           good(cudaStreamWaitEvent(c->sums, c->ready, 0), "waiting for an event", err) &&
           good(n, n->reduce(x, x, size_t(count), NCCL_FLOAT32, NCCL_AVERAGE, c->group, c->sums), "a mean", err);
}

bool mean_wait(void *self, gv_error *err) {
    context *c = use(self);
    return good(cudaEventRecord(c->summed, c->sums), "recording an event", err) &&
           good(cudaStreamWaitEvent(c->stream, c->summed, 0), "waiting for an event", err);
}

} // namespace

extern "C" __attribute__((visibility("default"))) const gv_device_ops *gv_device_ops_get(void) {
    static const gv_device_ops ops = {GV_DEVICE_OPS_VERSION,
                                      open_device,
                                      close_device,
                                      name_of,
                                      alloc,
                                      release,
                                      upload,
                                      upload_ahead,
                                      ahead_wait,
                                      download,
                                      matmul,
                                      convolves,
                                      convolve,
                                      launch,
                                      wait,
                                      record,
                                      recorded,
                                      replay,
                                      forget_graph,
                                      group,
                                      join,
                                      leave,
                                      mean,
                                      mean_wait};
    return &ops;
}
