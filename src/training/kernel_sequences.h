// kernel_sequences.h - the kernel that makes training's sequences; behind nn/kernel_code.h, as that is no file of nn's.
//
// It is training's own source (base/team.h): on the GPU it is compiled here once more, by itself; on the processor, for
// tests, a few threads with the library's functions stand for a block.
#pragma once
#include "nn/kernel_code.h"

#ifdef __CUDACC__
#include "base/error.h"
#include "base/team.h"
#include "nn/device.h"
#include "nn/device_ops.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#pragma nv_diag_suppress 177 // tables and functions that no kernel needs
namespace sequences {
using std::atomic_bool;
#include "body/tree.c"
#include "geometry/rotation.c"
#include "network/statistics.c"

#include "motion/chain_turn.c"
#include "training/cameras.c"
#include "training/observe.c"
#include "training/poses.c"
#include "training/rig_pose.c"
#include "training/sequence.c"
} // namespace sequences
using sequences::gv_batch;
using sequences::gv_rng;
using sequences::gv_rng_make;
using sequences::gv_sampler;
using sequences::gv_sequence;
using sequences::gv_sequence_make;
#define AS_TEAM
#else
#include "training/sample.h"

#include <omp.h>

static inline void gv_emulated_meet(void) {
    _Pragma("omp barrier");
}
static inline int gv_emulated_join(void) {
    gv_team_here = (gv_team){omp_get_thread_num(), omp_get_num_threads(), gv_emulated_meet};
    return 1;
}
static inline int gv_emulated_part(void) {
    gv_team_here = (gv_team){0, 1, NULL};
    return 0;
}
#define AS_TEAM _Pragma("omp parallel num_threads(3)") for (int on_ = gv_emulated_join(); on_; on_ = gv_emulated_part())
#endif

enum { GV_SEQUENCE_THREADS = 128 };
GV_GRID(make_sequences) {
    return gv_grid_of(a->sequences, GV_SEQUENCE_THREADS, 0);
}
GV_CODE(make_sequences) {
    (void)shared;
    AS_TEAM {
        gv_rng r = gv_rng_make(a->seed, a->step, (uint64_t)(a->first + at.block));
        gv_sequence_make((gv_batch *)a->batch, (int)at.block, (gv_sequence *)a->work + at.block,
                         (const gv_sampler *)a->sampler, &r);
    }
}
