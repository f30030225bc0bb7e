// rotation_graph.h - one rotation per node from many relative ones.
//
// Nodes 0..n-1 (keyframes in time order), edges R_to ~ R R_from with information `info` (3x3, for a left increment,
// 1 / rad^2). Solved by Gauss-Newton with Cauchy weights. Edges between nodes at most GV_GRAPH_BAND apart make a banded
// matrix, which is factorised; the others (views that come again) come in by conjugate gradients with that factor as
// preconditioner. Memory grows linearly with n and the edges, time too where there are few of the others.
// Sources: Hartley et al. 2013, Rotation Averaging; Shewchuk 1994 for the conjugate gradients.
#pragma once
#include "base/error.h"

enum { GV_GRAPH_BAND = 14 };

typedef struct gv_graph_edge {
    int from, to; // from < to
    double R[9], info[9];
} gv_graph_edge;

// In: R [n, 9] roughly (node 0 is kept). Out: the average.
gv_status gv_rotation_graph_solve(double (*R)[9], int n, const gv_graph_edge *edges, long nedges, gv_error *err);
