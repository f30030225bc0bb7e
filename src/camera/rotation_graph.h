// rotation_graph.h - one rotation per node from many relative ones.
//
// Nodes 0..n-1 (keyframes in time order), edges between nodes at most GV_GRAPH_BAND apart:
// R_to ~ R R_from with information `info` (3x3, for a left increment, 1 / rad^2). Solved by Gauss-Newton with
// Cauchy weights and a banded Cholesky factorisation; time and memory grow linearly with n.
// Source: Hartley et al. 2013, Rotation Averaging.
#pragma once
#include "base/error.h"

enum { GV_GRAPH_BAND = 14 };

typedef struct gv_graph_edge {
    int from, to; // from < to <= from + GV_GRAPH_BAND
    double R[9], info[9];
} gv_graph_edge;

// In: R [n, 9] roughly (node 0 is kept). Out: the average.
gv_status gv_rotation_graph_solve(double (*R)[9], int n, const gv_graph_edge *edges, long nedges, gv_error *err);
