// team.h - code that the processor runs as it stands, and the threads of a device's block together.
//
// Functions marked GV_SHARED (others call them) and GV_PART (static) are compiled by both. All threads of a team go
// through such code side by side. Locals are each thread's own, and all threads compute the same in them; what lies in
// memory that they share is written only within
//
//     GV_EACH(i, n) { ... item i ... }    // the items are shared out; on the processor a plain loop
//     GV_MEET();                          // before others' items are read: all wait for each other
//
// or where gv_team_has(i) says that item i is this thread's; never one within the other. Random numbers of item i are
// drawn from a copy of the stream that begins where one that draws item after item would be (gv_rng_after of
// training/random.h). A header for C and C++.
#pragma once

#ifdef __CUDACC__
#define GV_SHARED     inline __device__
#define GV_PART       static __device__
#define GV_BOTH       static __device__ inline
#define GV_TABLE      static __device__ const // a table of a file
#define GV_CONSTANT   static __device__ const // one that other files read, who do not declare it again
#define GV_EACH(i, n) for (int i = threadIdx.x, end_ = (n), step_ = blockDim.x; i < end_; i += step_)
#define GV_MEET()     __syncthreads()
static __device__ inline bool gv_team_has(int i) {
    return i % int(blockDim.x) == int(threadIdx.x);
}
#else
#define GV_SHARED
#define GV_PART       static
#define GV_BOTH       static inline
#define GV_TABLE      static const
#define GV_CONSTANT   const
#define GV_EACH(i, n) for (int i = gv_team_here.thread, end_ = (n), step_ = gv_team_here.threads; i < end_; i += step_)
#define GV_MEET()                                                                                                      \
    do {                                                                                                               \
        if (gv_team_here.meet) gv_team_here.meet();                                                                    \
    } while (0)

// The caller's place in its team. Everybody is alone; tests that emulate a device say otherwise.
typedef struct gv_team {
    int thread, threads;
    void (*meet)(void);
} gv_team;
extern _Thread_local gv_team gv_team_here;
static inline int gv_team_has(int i) {
    return i % gv_team_here.threads == gv_team_here.thread;
}
#endif
