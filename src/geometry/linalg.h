// linalg.h - small dense linear algebra in double precision, for the solvers of camera and geometry.
//
// Matrices are row-major. Sizes are small (3 to a few hundred); nothing allocates or keeps state.
#pragma once
#include <stdbool.h>

// Cholesky factor of a symmetric positive definite matrix, in place: the lower triangle of A [n, n]
// (the upper is not looked at) becomes L with A = L L^T. Returns false when a pivot is not positive.
bool gv_cholesky(double *A, int n);
// Solves L L^T x = b in place, L from gv_cholesky.
void gv_cholesky_solve(const double *L, int n, double *b);

// Banded Cholesky: A [n, band + 1], A[i, j] holds the matrix element (i, i - band + j), j = 0..band;
// the last of each row is the diagonal. In place; elements before column 0 are not looked at.
bool gv_cholesky_banded(double *A, int n, int band);
void gv_cholesky_banded_solve(const double *L, int n, int band, double *b);

// Eigenvalues (ascending) and eigenvectors (columns of V) of a symmetric 3x3 matrix, by Jacobi rotations.
void gv_eigen_sym3(const double A[9], double values[3], double V[9]);
// Inverse of a symmetric positive definite 3x3 matrix; false when it is singular.
bool gv_inverse_sym3(double inv[9], const double A[9]);
