#include "perception/assignment.h"

#include "base/memory.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

// The limit/2 on both sides equals `limit` per unpaired row, up to a constant. So every row gets the choice
// of `rows` further columns at that price, and each row is always assigned.
typedef struct problem {
    const double *cost;
    int rows, cols, total; // total = cols + rows
    double limit;
    double *row_potential, *col_potential; // [rows + 1], [total + 1], 1-based; 0 is the virtual start
    double *distance;                      // [total + 1] shortest reduced path found so far
    int *owner;                            // [total + 1] the row that holds a column, 0 = free
    int *previous;                         // [total + 1] column before this one on the path
    unsigned char *done;                   // [total + 1]
} problem;

static double cost_at(const problem *p, int row, int col) {
    return col <= p->cols ? p->cost[(size_t)(row - 1) * p->cols + (col - 1)] : p->limit;
}

// Extends the path tree by the nearest open column and returns it.
static int extend(problem *p, int from) {
    int row = p->owner[from], best = -1;
    double delta = INFINITY;
    p->done[from] = 1;
    for (int j = 1; j <= p->total; j++) {
        if (p->done[j]) continue;
        double d = cost_at(p, row, j) - p->row_potential[row] - p->col_potential[j];
        if (d < p->distance[j]) {
            p->distance[j] = d;
            p->previous[j] = from;
        }
        if (p->distance[j] < delta) {
            delta = p->distance[j];
            best = j;
        }
    }
    assert(best > 0); // the further columns are always within reach
    for (int j = 0; j <= p->total; j++) {
        if (p->done[j]) {
            p->row_potential[p->owner[j]] += delta;
            p->col_potential[j] -= delta;
        } else {
            p->distance[j] -= delta;
        }
    }
    return best;
}

static void insert_row(problem *p, int row) {
    for (int j = 0; j <= p->total; j++) {
        p->distance[j] = INFINITY;
        p->done[j] = 0;
    }
    p->owner[0] = row;
    int col = 0;
    do col = extend(p, col);
    while (p->owner[col] != 0);
    while (col != 0) {
        p->owner[col] = p->owner[p->previous[col]];
        col = p->previous[col];
    }
}

gv_status gv_assign(const double *cost, int rows, int cols, double limit, int *match, gv_error *err) {
    assert(rows >= 0 && cols >= 0);
    problem p = {.cost = cost, .rows = rows, .cols = cols, .total = cols + rows, .limit = limit};
    size_t n = (size_t)p.total + 1;
    p.row_potential = gv_calloc2((size_t)rows + 1, sizeof(double));
    p.col_potential = gv_calloc2(n, sizeof(double));
    p.distance = gv_calloc2(n, sizeof(double));
    p.owner = gv_calloc2(n, sizeof(int));
    p.previous = gv_calloc2(n, sizeof(int));
    p.done = gv_calloc2(n, 1);
    gv_status status = GV_OK;
    if (!p.row_potential || !p.col_potential || !p.distance || !p.owner || !p.previous || !p.done) {
        status = gv_fail(err, GV_ERR_MEMORY, "no memory for an assignment of %d to %d", rows, cols);
        goto done;
    }
    for (int i = 1; i <= rows; i++) insert_row(&p, i);
    for (int i = 0; i < rows; i++) match[i] = -1;
    for (int j = 1; j <= cols; j++)
        if (p.owner[j]) match[p.owner[j] - 1] = j - 1;
done:
    free(p.row_potential);
    free(p.col_potential);
    free(p.distance);
    free(p.owner);
    free(p.previous);
    free(p.done);
    return status;
}
