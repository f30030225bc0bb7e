// ranks.h - training on several processes at once: sums over all of them, by MPI.
//
//     mpirun -n 4 gvhmr train ...     every rank computes its share of each batch; gradients are averaged
//
// A program that was not started by mpirun, or alone, has no ranks: NULL, and every function accepts that. A build
// without MPI (-Dmpi=disabled) refuses to run as one of several ranks. When a rank dies, mpirun ends the others.
#pragma once
#include "base/error.h"
#include <stdint.h>

typedef struct gv_ranks gv_ranks;
gv_status gv_ranks_begin(gv_ranks **out, gv_error *err); // *out NULL: alone
void gv_ranks_end(gv_ranks *r,
                  int well); // not well: every rank is ended, as the others would wait for this one for ever

int gv_ranks_count(const gv_ranks *r); // 1 when alone
int gv_ranks_index(const gv_ranks *r); // 0 when alone

// Starts replacing x [n] by its sum over all ranks; x stays untouched until gv_ranks_wait. Every rank starts the same
// sums in the same order. What is under way moves on in every further call. At most GV_RANKS_SUMS at a time.
enum { GV_RANKS_SUMS = 96 };
void gv_ranks_sum(gv_ranks *r, float *x, int64_t n);
void gv_ranks_wait(gv_ranks *r); // for all sums; sleeps meanwhile

void gv_ranks_sum_now(gv_ranks *r, double *x, int n);
void gv_ranks_share(gv_ranks *r, void *bytes, int n); // rank 0's, for all
