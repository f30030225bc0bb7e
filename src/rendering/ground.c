// ground.c - the empty world: sky and ground grid, kept as long as the view stays.
//
// Lines of the grid are filtered analytically: a pixel's footprint on the ground is an interval in x and one
// in z, and the share of line in it is the difference of the integral of a pulse train, so that nothing
// flickers far away. Away from the two coloured axes a pixel's colour depends on two shares only, that of
// lines and that of haze, and in the sky on one: both come from tables, eight pixels at a time.
#include "rendering/raster.h"

#include "nn/vec8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 128, SKY = 1024 }; // levels of lines and of haze; of the sky
static const float far = 1e5f;    // m, no ground beyond
static const float ground_colour[3] = {0.52f, 0.54f, 0.56f}, line_colour[3] = {0.30f, 0.33f, 0.37f};
static const float horizon[3] = {0.72f, 0.76f, 0.80f}, zenith[3] = {0.30f, 0.42f, 0.58f};
static const float axis_colour[2][3] = {{0.62f, 0.10f, 0.08f}, {0.08f, 0.20f, 0.62f}}; // x, z

// Integral from 0 to x of a train of pulses of width w and height 1 around each whole number.
static v8 pulses(v8 x, float w) {
    x += 0.5f * w;
    v8 whole = v8_floor(x);
    return w * whole + v8_min(x - whole, v8_set(w));
}

// Share of grid lines (every `period` m, `width` m wide) in the interval of size f around x; inv_f = 1 / f.
static v8 line_share(v8 x, v8 f, v8 inv_f, float period, float width) {
    v8 h = f * (0.5f / period), at = x * (1 / period);
    return (pulses(at + h, width / period) - pulses(at - h, width / period)) * (inv_f * period);
}

// Share of [lo, hi] in the interval of size f around x.
static float interval_share(float x, float f, float lo, float hi) {
    float share = (fminf(hi, x + 0.5f * f) - fmaxf(lo, x - 0.5f * f)) / f;
    return share > 0 ? share : 0;
}

static void mix(float out[3], const float to[3], float k) {
    for (int i = 0; i < 3; i++) out[i] += (to[i] - out[i]) * k;
}

// Whole number of 0 .. steps - 1 for a share of 0 .. 1; not a number is 0.
static v8i level(v8 share, int steps) {
    return __builtin_convertvector(v8_min(v8_max(share, v8_set(0)), v8_set(1)) * (float)(steps - 1) + 0.5f, v8i);
}

static uint32_t code(const gv_canvas *c, const float colour[3]) {
    return (uint32_t)(gv_encode(c, colour[0]) | gv_encode(c, colour[1]) << 8 | gv_encode(c, colour[2]) << 16);
}

// [STEPS haze, STEPS lines] and, behind it, [SKY]: sRGB codes, red in the lowest byte.
static bool make_tables(gv_canvas *c) {
    if (c->shades.data) return true;
    if (!gv_buffer_reserve(&c->shades, STEPS * STEPS + SKY, sizeof(uint32_t))) return false;
    uint32_t *table = c->shades.data;
    for (int haze = 0; haze < STEPS; haze++)
        for (int lines = 0; lines < STEPS; lines++) {
            float colour[3];
            memcpy(colour, ground_colour, sizeof colour);
            mix(colour, line_colour, (float)lines / (STEPS - 1));
            mix(colour, horizon, (float)haze / (STEPS - 1));
            *table++ = code(c, colour);
        }
    for (int i = 0; i < SKY; i++) {
        float colour[3], k = (float)i / (SKY - 1);
        memcpy(colour, horizon, sizeof colour);
        mix(colour, zenith, k * (2 - k));
        *table++ = code(c, colour);
    }
    return true;
}

typedef struct strip { // ground in eight pixels of a row
    v8 x, z, fx, fz;   // m, place and footprint
    v8 lines, haze;    // shares
} strip;

// d: directions [3], inv_down = 1 / d[1]; t: how far along them the ground is; ray as of gv_view_rays; inv_fog in 1/m.
static void look_down(strip *s, const v8 d[3], v8 inv_down, v8 t, const float ray[9], const float eye[3],
                      float inv_fog) {
    const v8 k = v8_abs(t * inv_down);
    s->x = eye[0] + t * d[0];
    s->z = eye[2] + t * d[2];
    s->fx = k * (v8_abs(ray[0] * d[1] - d[0] * ray[3]) + v8_abs(ray[1] * d[1] - d[0] * ray[4]));
    s->fz = k * (v8_abs(ray[6] * d[1] - d[2] * ray[3]) + v8_abs(ray[7] * d[1] - d[2] * ray[4]));
    s->fx += 2e-5f, s->fz += 2e-5f; // never nothing
    const v8 gx = 1 / s->fx, gz = 1 / s->fz;
    const v8 a = 1 - line_share(s->x, s->fx, gx, 1, 0.018f), b = 1 - line_share(s->z, s->fz, gz, 1, 0.018f);
    const v8 e = 1 - line_share(s->x, s->fx, gx, 5, 0.035f), f = 1 - line_share(s->z, s->fz, gz, 5, 0.035f);
    s->lines = 1 - (1 - 0.55f * (1 - a * b)) * (1 - 0.80f * (1 - e * f)); // unions of independent patterns
    const v8 away2 = t * t * (d[0] * d[0] + d[2] * d[2]) * (inv_fog * inv_fog);
    s->haze = 1 - v8_exp_negative(-away2);
    s->haze = (v8)((v8i)s->haze & (away2 > v8_set(0.0025f)));
}

// Where something of the first metre of +x or +z may be seen.
static v8i on_axes(const strip *s) {
    const v8 hx = 0.5f * s->fx, hz = 0.5f * s->fz;
    const v8i x = (v8_abs(s->z) < 0.02f + hz) & (v8_abs(s->x - 0.5f) < 0.5f + hx);
    const v8i z = (v8_abs(s->x) < 0.02f + hx) & (v8_abs(s->z - 0.5f) < 0.5f + hz);
    return x | z;
}

// It is red and blue, between lines and haze.
static uint32_t axis_pixel(const gv_canvas *c, const strip *s, int i) {
    float colour[3];
    const float x = s->x[i], z = s->z[i], fx = s->fx[i], fz = s->fz[i];
    memcpy(colour, ground_colour, sizeof colour);
    mix(colour, line_colour, s->lines[i]);
    mix(colour, axis_colour[0], interval_share(x, fx, 0, 1) * interval_share(z, fz, -0.02f, 0.02f));
    mix(colour, axis_colour[1], interval_share(z, fz, 0, 1) * interval_share(x, fx, -0.02f, 0.02f));
    mix(colour, horizon, s->haze[i]);
    return code(c, colour);
}

static bool any(v8i mask) {
    int64_t half[4];
    memcpy(half, &mask, sizeof half);
    return (half[0] | half[1] | half[2] | half[3]) != 0;
}

// Eight pixels' indices into the tables; *axes: which of them are on the axes instead.
static v8i colours_at(const v8 d[3], const float ray[9], const float eye[3], float inv_fog, strip *s, v8i *axes) {
    const v8 inv_down = 1 / d[1], t = -eye[1] * inv_down;
    const v8i seen = (t > v8_set(0)) & (t < v8_set(far));
    v8i ground = {0}, sky = {0};
    *axes = ground;
    if (any(seen)) {
        look_down(s, d, inv_down, t, ray, eye, inv_fog);
        ground = level(s->haze, STEPS) * STEPS + level(s->lines, STEPS);
        *axes = seen & on_axes(s);
    }
    if (any(~seen)) // the sine of the elevation
        sky = STEPS * STEPS + level(d[1] / v8_sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), SKY);
    return (seen & ground) | (~seen & sky);
}

static void paint_row(const gv_canvas *c, uint8_t *out, int y, const float ray[9], const float eye[3], float inv_fog) {
    const uint32_t *table = c->shades.data;
    for (int x = 0; x < c->width; x += 8) {
        const v8 column = (float)x + (v8){0, 1, 2, 3, 4, 5, 6, 7};
        v8 d[3];
        for (int i = 0; i < 3; i++) d[i] = ray[3 * i] * column + (ray[3 * i + 1] * (float)y + ray[3 * i + 2]);
        strip s;
        v8i axes;
        const v8i which = colours_at(d, ray, eye, inv_fog, &s, &axes);
        uint32_t pixel[8];
        for (int i = 0; i < 8; i++) pixel[i] = table[which[i]];
        if (any(axes))
            for (int i = 0; i < 8; i++)
                if (axes[i]) pixel[i] = axis_pixel(c, &s, i);
        const int n = c->width - x < 8 ? c->width - x : 8;
        if (x + 8 < c->width) // room for four bytes in place of three
            for (int i = 0; i < 8; i++) memcpy(out + 3 * i, &pixel[i], 4);
        else
            for (int i = 0; i < n; i++) memcpy(out + 3 * i, &pixel[i], 3);
        out += 3 * n;
    }
}

bool gv_prepare_background(gv_canvas *c, const gv_view *view, const float ray[9], const float eye[3]) {
    if (c->background_valid && !memcmp(view, &c->background_view, sizeof *view)) return true;
    if (!gv_buffer_reserve(&c->background, (size_t)c->width * (size_t)c->height, 3) || !make_tables(c)) return false;
    const float inv_fog = 1 / fmaxf(22, 11 * eye[1]);
#pragma omp parallel for schedule(dynamic, 8)
    for (int y = 0; y < c->height; y++)
        paint_row(c, (uint8_t *)c->background.data + (size_t)y * (size_t)c->width * 3, y, ray, eye, inv_fog);
    c->background_view = *view;
    c->background_valid = true;
    return true;
}
