// elements.h - array elements as they lie in files: conversion from and to every plain type of npz.h.
//
// Sources are little-endian bytes without any alignment. Nothing here allocates or keeps state.
#pragma once
#include "formats/npz.h"

// Converts n elements at src to the floating or integer type of dst. Exact wherever dst can hold the
// value (binary16 and bfloat16 to float32 always; NaN payloads are kept), else rounded to nearest even.
// src_type must be a plain type (gv_dtype_size > 0).
void gv_elements_to_f32(float *dst, const void *src, gv_dtype src_type, size_t n);
void gv_elements_to_f64(double *dst, const void *src, gv_dtype src_type, size_t n);

// Integers and booleans only. Returns the index of the first value outside int32, or n when all fit;
// for floating types nothing is converted and 0 is returned.
size_t gv_elements_to_i32(int32_t *dst, const void *src, gv_dtype src_type, size_t n);

// Round to nearest even; overflow gives infinity, NaN stays NaN.
void gv_elements_f16_from_f32(uint16_t *dst, const float *src, size_t n);
void gv_elements_bf16_from_f32(uint16_t *dst, const float *src, size_t n);
