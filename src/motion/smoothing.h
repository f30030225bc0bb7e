// smoothing.h - Gaussian smoothing in time (SPEC.md 1.2).
#pragma once

enum { GV_PARALLEL_FROM = 256 }; // frames from which waking other threads pays

// In place, `channels` of every frame of x [frames, stride] from column `first`: correlation with a
// Gaussian of floor(4 sigma + 0.5) frames to each side, ends repeated. `scratch` [frames] numbers.
void gv_gaussian_smooth(double *x, int frames, int stride, int first, int channels, double sigma, double *scratch);
