// order.h - numbers in ascending order, for medians and quantiles. No NaN.
#pragma once
#include <stddef.h>

void gv_sort_doubles(double *v, size_t n); // v may be NULL where n = 0
void gv_sort_floats(float *v, size_t n);
