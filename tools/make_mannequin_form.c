// make_mannequin_form.c - the mannequin's form: a signed distance field.
//
// Limbs, trunk, head and feet are lofts: sections of four quarter super-ellipses along an axis, their measures
// interpolated smoothly between stations. Smaller forms are ellipsoids and tapered capsules. All are joined by a
// smooth minimum. Breadths and girths follow ANSUR II's means for women and men at a stature of 1.72 m, on the
// slim side (waist 0.26 m wide, thigh 0.56 m and calf 0.35 m around).
#include "make_mannequin.h"

#include <math.h>
#include <string.h>

// A section: where on the axis, the centre in the two other axes (u, v), and its reach to +u, -u, +v, -v.
// Lofts along y have u = x, v = z; along x: u = y, v = z; along z: u = x, v = y.
typedef struct station {
    double t, cu, cv, pu, nu, pv, nv;
} station;

typedef struct loft {
    int axis;
    double power; // of the super-ellipse: 2 round, more is squarer
    int n;
    const station *station;
} loft;

#define H(y) (FLOOR + (y)) // height above the ground

static const station trunk_stations[] = {
    {H(0.790), 0, -0.006, .050, .050, .045, .040}, {H(0.830), 0, -0.008, .105, .105, .078, .075},
    {H(0.880), 0, -0.010, .142, .142, .096, .096}, {H(0.930), 0, -0.010, .155, .155, .101, .102},
    {H(0.980), 0, -0.010, .151, .151, .100, .096}, {H(1.030), 0, -0.010, .142, .142, .098, .086},
    {H(1.080), 0, -0.010, .136, .136, .096, .080}, {H(1.130), 0, -0.010, .137, .137, .098, .082},
    {H(1.190), 0, -0.012, .146, .146, .106, .092}, {H(1.250), 0, -0.014, .157, .157, .114, .104},
    {H(1.310), 0, -0.018, .163, .163, .114, .112}, {H(1.360), 0, -0.022, .152, .152, .096, .108},
    {H(1.400), 0, -0.026, .118, .118, .074, .092}, {H(1.435), 0, -0.030, .078, .078, .058, .070},
    {H(1.465), 0, -0.030, .058, .058, .050, .056}};

static const station neck_stations[] = {
    {H(1.390), 0, -0.034, .066, .066, .058, .062},   {H(1.430), 0, -0.034, .060, .060, .056, .058},
    {H(1.470), 0, -0.028, .0545, .0545, .055, .055}, {H(1.510), 0, -0.020, .0525, .0525, .055, .056},
    {H(1.550), 0, -0.014, .053, .053, .055, .060},   {H(1.590), 0, -0.010, .053, .053, .050, .062}};

static const station face_stations[] = {
    {H(1.494), 0, .030, .018, .018, .054, .020}, {H(1.503), 0, .030, .030, .030, .063, .034},
    {H(1.520), 0, .030, .046, .046, .067, .050}, {H(1.545), 0, .030, .057, .057, .068, .058},
    {H(1.575), 0, .028, .063, .063, .068, .064}, {H(1.605), 0, .024, .066, .066, .070, .066},
    {H(1.630), 0, .020, .068, .068, .074, .066}, {H(1.655), 0, .016, .066, .066, .072, .066},
    {H(1.670), 0, .014, .060, .060, .064, .060}};

// Along x from inside the chest; the shoulder's centre is at 0.172, elbow 0.447, wrist 0.711.
static const station arm_stations[] = {
    {0.090, H(1.372), -.026, .050, .056, .056, .056},     {0.140, H(1.374), -.026, .054, .062, .060, .060},
    {0.180, H(1.377), -.027, .059, .062, .062, .061},     {0.220, H(1.379), -.028, .056, .058, .059, .058},
    {0.270, H(1.380), -.028, .0475, .050, .052, .050},    {0.330, H(1.381), -.029, .0425, .046, .049, .046},
    {0.390, H(1.382), -.030, .038, .040, .042, .041},     {0.440, H(1.382), -.031, .036, .037, .037, .038},
    {0.480, H(1.382), -.030, .038, .038, .038, .040},     {0.520, H(1.382), -.029, .038, .038, .039, .040},
    {0.570, H(1.382), -.028, .034, .034, .036, .036},     {0.630, H(1.382), -.027, .027, .027, .031, .031},
    {0.680, H(1.382), -.026, .0215, .0215, .0285, .0285}, {0.710, H(1.382), -.026, .0195, .0195, .0275, .0275},
    {0.735, H(1.381), -.026, .017, .017, .029, .029}};

static const station palm_stations[] = {
    {0.690, H(1.382), -.026, .0190, .0190, .0270, .0270}, {0.715, H(1.382), -.026, .0180, .0185, .0280, .0285},
    {0.740, H(1.381), -.026, .0155, .0175, .0320, .0335}, {0.765, H(1.381), -.027, .0140, .0160, .0345, .0380},
    {0.785, H(1.381), -.027, .0125, .0140, .0350, .0400}, {0.802, H(1.380), -.028, .0100, .0115, .0340, .0380}};

// Upwards from the sole; follows ankle, knee and hip.
static const station leg_stations[] = {
    {H(0.030), .100, -.038, .030, .030, .034, .036},   {H(0.060), .100, -.038, .034, .034, .039, .039},
    {H(0.090), .100, -.038, .0335, .034, .037, .038},  {H(0.130), .100, -.036, .0335, .033, .035, .037},
    {H(0.180), .0995, -.033, .037, .0355, .037, .040}, {H(0.240), .099, -.029, .044, .043, .041, .049},
    {H(0.300), .0985, -.025, .051, .050, .044, .059},  {H(0.350), .098, -.021, .055, .054, .046, .064},
    {H(0.400), .0975, -.016, .054, .054, .047, .061},  {H(0.450), .097, -.011, .051, .053, .048, .054},
    {H(0.500), .096, -.007, .052, .054, .052, .051},   {H(0.550), .0955, -.005, .056, .057, .058, .054},
    {H(0.610), .0945, -.004, .063, .062, .067, .061},  {H(0.680), .093, -.003, .071, .069, .077, .070},
    {H(0.750), .091, -.003, .079, .076, .085, .078},   {H(0.810), .089, -.003, .081, .081, .088, .085},
    {H(0.860), .087, -.004, .081, .080, .088, .090},   {H(0.910), .084, -.006, .077, .076, .082, .088},
    {H(0.960), .080, -.008, .070, .066, .070, .074}};

static const station foot_stations[] = {
    {-.084, .0985, H(.034), .022, .022, .020, .034},     {-.070, .0990, H(.036), .031, .031, .034, .038},
    {-.045, .0995, H(.038), .035, .034, .046, .040},     {-.015, .1005, H(.038), .0355, .035, .052, .040},
    {.015, .1030, H(.034), .037, .036, .046, .036},      {.045, .1070, H(.030), .041, .039, .034, .032},
    {.075, .1115, H(.026), .0455, .043, .023, .028},     {.105, .1150, H(.023), .0475, .0455, .0145, .025},
    {.130, .1170, H(.0205), .0445, .0455, .0095, .0225}, {.148, .1170, H(.0190), .036, .039, .0070, .0205},
    {.160, .1150, H(.0180), .022, .026, .004, .018}};

#define LOFT(axis, power, table)                                                                                       \
    { axis, power, sizeof table / sizeof *table, table }
static const loft trunk = LOFT(1, 2.3, trunk_stations), neck = LOFT(1, 2, neck_stations),
                  face = LOFT(1, 2.1, face_stations), arm = LOFT(0, 2, arm_stations),
                  palm = LOFT(0, 2.6, palm_stations), leg = LOFT(1, 2.05, leg_stations),
                  foot = LOFT(2, 2.3, foot_stations);

// ------------------------------------------------------------------------------------------- primitives

// Joins two distances; k is how far the fillet reaches. Cubic, so curvature is continuous nearly everywhere.
static double join(double a, double b, double k) {
    double h = fmax(k - fabs(a - b), 0) / k;
    return fmin(a, b) - h * h * h * k / 6;
}

static double cut(double a, double b, double k) {
    return -join(-a, b, k);
} // a without b

static double ellipsoid(const double p[3], double x, double y, double z, double rx, double ry, double rz) {
    double u = p[0] - x, v = p[1] - y, w = p[2] - z;
    double k0 = sqrt(u * u / (rx * rx) + v * v / (ry * ry) + w * w / (rz * rz));
    double k1 = sqrt(u * u / pow(rx, 4) + v * v / pow(ry, 4) + w * w / pow(rz, 4));
    return k1 > 1e-9 ? k0 * (k0 - 1) / k1 : -fmin(rx, fmin(ry, rz));
}

static double capsule(const double p[3], const double a[3], const double b[3], double ra, double rb) {
    double ab = 0, ap = 0, d = 0;
    for (int i = 0; i < 3; i++) ab += (b[i] - a[i]) * (b[i] - a[i]), ap += (p[i] - a[i]) * (b[i] - a[i]);
    double t = fmin(fmax(ap / ab, 0), 1);
    for (int i = 0; i < 3; i++) d += pow(p[i] - a[i] - t * (b[i] - a[i]), 2);
    return sqrt(d) - (ra + (rb - ra) * t);
}

// Catmull-Rom between unevenly spaced stations: cubic Hermite with the slopes of the neighbours' chords.
static station section(const loft *l, double t) {
    const station *s = l->station;
    int i = 0;
    while (i < l->n - 2 && t > s[i + 1].t) i++;
    const double *a = &s[i].t, *b = &s[i + 1].t, *before = &s[i ? i - 1 : i].t,
                 *after = &s[i + 2 < l->n ? i + 2 : i + 1].t;
    double h = b[0] - a[0], x = fmin(fmax((t - a[0]) / h, 0), 1), x2 = x * x, x3 = x2 * x;
    station out;
    double *o = &out.t;
    o[0] = a[0] + x * h;
    for (int k = 1; k < 7; k++) {
        double ma = (b[k] - before[k]) / (b[0] - before[0]) * h, mb = (after[k] - a[k]) / (after[0] - a[0]) * h;
        o[k] = (2 * x3 - 3 * x2 + 1) * a[k] + (x3 - 2 * x2 + x) * ma + (3 * x2 - 2 * x3) * b[k] + (x3 - x2) * mb;
    }
    return out;
}

// Distance to a loft: within its section along the ray from the section's centre, beyond its ends to the end's disc.
static double lofted(const loft *l, const double p[3]) {
    static const int other[3][2] = {{1, 2}, {0, 2}, {0, 1}};
    double t = p[l->axis];
    station s = section(l, t);
    double u = p[other[l->axis][0]] - s.cu, v = p[other[l->axis][1]] - s.cv;
    double a = fabs(u) / (u > 0 ? s.pu : s.nu), b = fabs(v) / (v > 0 ? s.pv : s.nv);
    double m = fmax(a, b), q = sqrt(u * u + v * v), least = fmin(fmin(s.pu, s.nu), fmin(s.pv, s.nv));
    double r = m > 0 ? m * pow(pow(a / m, l->power) + pow(b / m, l->power), 1 / l->power) : 0;
    double d = r > 0.5 ? (1 - 1 / r) * q : fmax(-least, -(1 - r) * (r > 0 ? q / r : least));
    double from = l->station[0].t, to = l->station[l->n - 1].t, beyond = fabs(t - (from + to) / 2) - (to - from) / 2;
    return hypot(fmax(d, 0), fmax(beyond, 0)) + fmin(fmax(d, beyond), 0);
}

// ------------------------------------------------------------------------------------------------ parts

static const skeleton *rest; // the fingers follow its joints

void form_use(const skeleton *s) {
    rest = s;
}

static double head_distance(const double p[3]) {
    double side[3] = {fabs(p[0]), p[1], p[2]};
    double d = ellipsoid(p, 0, H(1.628), -.004, .0745, .0915, .098);
    d = join(d, ellipsoid(p, 0, H(1.643), -.026, .0725, .070, .074), .030); // the crown's sides
    d = join(d, lofted(&face, p), .035);
    d = join(d, ellipsoid(side, .045, H(1.586), .054, .019, .017, .026), .035); // cheekbones
    d = join(d, ellipsoid(side, .030, H(1.552), .064, .026, .030, .024), .035); // cheeks
    d = cut(d, ellipsoid(side, .032, H(1.608), .117, .021, .013, .026), .024);  // eye sockets
    d = join(d, capsule(p, (double[]){0, H(1.620), .087}, (double[]){0, H(1.575), .1060}, .007, .0100), .016); // nose
    d = join(d, ellipsoid(side, .0095, H(1.571), .097, .008, .006, .010), .009);
    d = join(d, ellipsoid(p, 0, H(1.547), .080, .024, .012, .022), .020);           // mouth
    d = cut(d, ellipsoid(p, 0, H(1.5285), .112, .026, .006, .012), .016);           // fold above the chin
    d = join(d, ellipsoid(p, 0, H(1.510), .079, .020, .014, .017), .020);           // chin
    return join(d, ellipsoid(side, .074, H(1.595), -.010, .009, .028, .016), .014); // ears
}

static double finger_distance(const double p[3], int i) {
    static const double radius[5][4] = {{.0098, .0088, .0078, .0064},
                                        {.0100, .0090, .0080, .0066},
                                        {.0086, .0076, .0068, .0056},
                                        {.0096, .0086, .0076, .0062},
                                        {.0150, .0112, .0100, .0080}};
    static const double last[5] = {.0195, .0205, .0165, .0200, .0225};
    const double(*j)[3] = rest->joint + 25 + 3 * i;
    double length = 0, tip[3];
    for (int c = 0; c < 3; c++) length += pow(j[2][c] - j[1][c], 2);
    for (int c = 0; c < 3; c++) tip[c] = j[2][c] + (j[2][c] - j[1][c]) * last[i] / sqrt(length);
    double d = capsule(p, j[0], j[1], radius[i][0], radius[i][1]);
    d = join(d, capsule(p, j[1], j[2], radius[i][1], radius[i][2]), .002);
    return join(d, capsule(p, j[2], tip, radius[i][2], radius[i][3]), .002);
}

static double hand_distance(const double p[3]) {
    const double *thumb = rest->joint[37];
    double d = lofted(&palm, p);
    d = join(d, ellipsoid(p, thumb[0] + .024, thumb[1] - .003, thumb[2] - .004, .030, .013, .016), .014);
    double fingers = finger_distance(p, 0);
    for (int i = 1; i < 4; i++) fingers = join(fingers, finger_distance(p, i), .0025);
    d = join(d, fingers, .008);
    return join(d, finger_distance(p, 4), .009);
}

static double leg_distance(const double p[3]) {
    double d = lofted(&leg, p);
    d = join(d, ellipsoid(p, .096, H(.505), .030, .025, .032, .018), .030); // knee cap
    double f = lofted(&foot, p);
    f = join(f, ellipsoid(p, .0985, H(.030), -.062, .029, .030, .032), .02); // heel
    f = join(f, ellipsoid(p, .1140, H(.017), .138, .038, .016, .034), .02);  // toes
    d = join(d, f, .035);
    d = join(d, ellipsoid(p, .129, H(.074), -.042, .010, .014, .013), .018); // ankles
    d = join(d, ellipsoid(p, .070, H(.084), -.034, .010, .014, .013), .018);
    return -join(-d, p[1] - FLOOR, .010); // flat sole
}

static double trunk_distance(const double p[3]) {
    double side[3] = {fabs(p[0]), p[1], p[2]};
    double d = lofted(&trunk, p);
    double yoke = capsule(side, (double[]){.03, H(1.402), -.036}, (double[]){.155, H(1.386), -.028}, .052, .055);
    d = join(d, yoke, .05);
    d = join(d, ellipsoid(side, .078, H(1.305), .046, .080, .060, .046), .055);  // chest
    d = join(d, ellipsoid(p, 0, H(.850), .040, .050, .060, .044), .045);         // pubis
    d = join(d, ellipsoid(side, .082, H(1.330), -.080, .050, .072, .040), .040); // shoulder blades
    d = cut(d, ellipsoid(p, 0, H(1.180), -.132, .016, .210, .030), .045);        // groove of the spine
    d = cut(d, ellipsoid(p, 0, H(1.130), .118, .014, .110, .022), .045);         // and of the belly
    double seat = ellipsoid(p, .070, H(.895), -.068, .076, .086, .062);
    double other = ellipsoid(p, -.070, H(.895), -.068, .076, .086, .062);
    return join(d, join(seat, other, .018), .045);
}

// Boxes that contain the parts, to leave out far ones: lower and upper corner.
static double outside(const double p[3], const double lo[3], const double hi[3]) {
    double d = 0;
    for (int i = 0; i < 3; i++) d = fmax(d, fmax(lo[i] - p[i], p[i] - hi[i]));
    return d;
}

#define FAR 0.08 // beyond it a part cannot touch the surface: more than the widest fillet
static double arm_side(const double p[3]) {
    double d = lofted(&arm, p);
    double out = fmax(0.66 - p[0], fmax(fabs(p[1] - H(1.375)) - .05, fabs(p[2]) - .10));
    return join(d, out > FAR ? out : hand_distance(p), .012);
}

double form_distance(const double q[3]) {
    double p[3] = {fabs(q[0]), q[1], q[2]}, m[3] = {-p[0], p[1], p[2]};
    double d = 1, out;
    out = outside(p, (double[]){0, H(.78), -.15}, (double[]){.22, H(1.47), .12});
    d = fmin(d, out > FAR ? out : trunk_distance(p));
    out = outside(p, (double[]){0, H(0), -.12}, (double[]){.18, H(.98), .17});
    double l = out > FAR ? out : leg_distance(p);
    if (out <= FAR && p[0] < .04) l = join(l, leg_distance(m), .030);
    d = join(d, l, .050);
    out = outside(p, (double[]){.09, H(1.30), -.10}, (double[]){.92, H(1.44), .10});
    d = join(d, out > FAR ? out : arm_side(p), .055);
    out = outside(p, (double[]){0, H(1.38), -.12}, (double[]){.09, H(1.73), .13});
    if (out > FAR) return fmin(d, out);
    double n = lofted(&neck, p);
    return join(d, join(n, head_distance(p), .028), .050);
}

// The slope by forward differences: the fields are smooth at this scale, and d is known already.
static double slope_of(double g[3], const double p[3], double d) {
    const double h = 1e-5;
    for (int i = 0; i < 3; i++) {
        double a[3] = {p[0], p[1], p[2]};
        a[i] += h;
        g[i] = (form_distance(a) - d) / h;
    }
    if (p[0] == 0) g[0] = 0;
    return g[0] * g[0] + g[1] * g[1] + g[2] * g[2];
}

void form_gradient(double g[3], const double p[3]) {
    double n = sqrt(slope_of(g, p, form_distance(p)));
    for (int i = 0; i < 3; i++) g[i] = n > 0 ? g[i] / n : i == 1;
}

// Newton's method along the gradient, whose length need not be 1.
bool form_project(double p[3]) {
    double d = form_distance(p);
    for (int k = 0; k < 12 && fabs(d) > 2e-6; k++) {
        double g[3], n2 = fmax(slope_of(g, p, d), .04), by = fmin(fmax(d, -.01), .01) / n2;
        for (int i = 0; i < 3; i++) p[i] -= by * g[i];
        d = form_distance(p);
    }
    return fabs(d) < 1e-4;
}

part form_part(const double p[3]) {
    double best = fmin(lofted(&neck, p), head_distance(p)), d;
    part found = PART_HEAD;
    if ((d = trunk_distance(p)) < best) best = d, found = PART_TRUNK;
    if ((d = leg_distance(p)) < best) best = d, found = PART_LEG;
    if ((d = lofted(&arm, p)) < best) best = d, found = PART_ARM;
    if ((d = lofted(&palm, p)) < best) best = d, found = PART_HAND;
    for (int i = 0; i < 5; i++)
        if ((d = finger_distance(p, i)) < best) best = d, found = PART_FINGER + i;
    return found;
}

static double ramp(double x, double a, double b) { // 0 below a, 1 above b, smooth
    double t = fmin(fmax((x - a) / (b - a), 0), 1);
    return t * t * (3 - 2 * t);
}

double form_edge(const double p[3]) {
    double e = .0172, x = fabs(p[0]);
    e += (.0064 - e) * ramp(x, .62, .74);
    e += (.0050 - e) * ramp(x, .79, .84);
    e += (.0115 - e) * ramp(p[1], H(1.44), H(1.52));
    e += (.0058 - e) * ramp(p[1], H(1.49), H(1.52)) * ramp(p[2], .03, .06) * (1 - ramp(p[1], H(1.62), H(1.66)));
    e += (.0115 - e) * (1 - ramp(p[1], H(.03), H(.14)));
    return e;
}
