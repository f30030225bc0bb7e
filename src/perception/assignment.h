// assignment.h - the cheapest pairing of rows with columns, where pairs may be refused.
//
// Exact (successive shortest augmenting paths, Kuhn 1955 with the potentials of Jonker and Volgenant 1987),
// deterministic, O(rows^2 (rows + cols)).
#pragma once
#include "base/error.h"

// Minimises the sum of the costs of the pairs plus limit/2 for every row and column left alone, so that no
// pair costs more than `limit`.
//
//   cost   [rows, cols]  finite or +INFINITY (never to be paired); not NaN
//   match  [rows]        out: the column of each row, -1 where it stays alone
//
// rows or cols may be 0. Fails only where memory is exhausted.
gv_status gv_assign(const double *cost, int rows, int cols, double limit, int *match, gv_error *err);
