#include "base/order.h"

#include <stdlib.h>

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void gv_sort_doubles(double *v, size_t n) {
    if (n) qsort(v, n, sizeof *v, compare_doubles);
}

void gv_sort_floats(float *v, size_t n) {
    if (n) qsort(v, n, sizeof *v, compare_floats);
}
