// lens.h - how a camera maps directions to pixels: focal lengths, principal point, distortion.
//
// Pixels count from the picture's corner, as K_fullimg does everywhere here. A direction (x, y, 1) falls on
//     brown:   x_d = x L + 2 p1 x y + p2 (r2 + 2 x^2),  y_d = y L + p1 (r2 + 2 y^2) + 2 p2 x y,
//              L = (1 + k1 r2 + k2 r2^2 + k3 r2^3) / (1 + k4 r2 + k5 r2^2 + k6 r2^3),  r2 = x^2 + y^2
//     fisheye: at the angle theta from the axis: theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8)
// and then on the pixel (fx x_d + cx, fy y_d + cy). Source: OpenCV's documentation of calib3d and of its fisheye
// camera; coefficients in its order: k1 k2 p1 p2 k3 k4 k5 k6, and k1 k2 k3 k4.
#pragma once
#include <stdbool.h>

typedef enum gv_lens_model { GV_LENS_PINHOLE, GV_LENS_BROWN, GV_LENS_FISHEYE } gv_lens_model;
enum { GV_LENS_COEFFICIENTS = 8 };

typedef struct gv_lens {
    gv_lens_model model;
    double fx, fy, cx, cy; // px
    double k[GV_LENS_COEFFICIENTS];
} gv_lens;

// Pinhole with its principal point in the picture's middle and square pixels.
gv_lens gv_lens_pinhole(double focal_px, int width, int height);
// Pixel (x, y) to the direction (out[0], out[1], 1). False where the lens model has no such direction: beyond a
// fisheye's 85 degrees or where the polynomial turns back; `out` is then the pinhole's answer.
bool gv_lens_direction(const gv_lens *l, double x, double y, double out[2]);
// Direction (x, y, 1) to the pixel.
void gv_lens_pixel(const gv_lens *l, double x, double y, double out[2]);
// Where a pixel would lie without distortion: K times its direction. False as above.
bool gv_lens_straighten(const gv_lens *l, double x, double y, double out[2]);
// For drawing through the lens: where the direction (x, y, 1) falls, as normalised coordinates (K times them is the
// pixel). Polynomials are only good inside of the picture; what lies beyond `reach` is carried on in proportion.
double gv_lens_reach(const gv_lens *l, int width, int height); // farthest direction that the picture shows, |(x, y)|
void gv_lens_bend(const gv_lens *l, double reach, double x, double y, double out[2]);
void gv_lens_matrix(const gv_lens *l, float K[9]); // of the pinhole that is left without distortion
