// gyro.h - a gyroscope's log: read, cleaned, integrated.
//
// Files, told apart by what is in them: GoPro's metadata track in MP4 (GPMF); Gyroflow's .gcsv; tables of numbers as
// phone apps write them (Android, iOS), with a header line that names time and axes or, without one, time x y z.
// Times may be s, ms, us or ns and count from anything; rates rad/s or deg/s. What the header does not say is taken
// from the sizes of the numbers, and gv_gyro_align checks the rates against the picture.
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct gv_jail;

typedef struct gv_gyro {
    long count;
    double *time_sec;    // [count] strictly increasing
    double (*rate)[3];   // [count] rad/s about the sensor's own axes, as the file orders them
    bool unit_known;     // rad/s or deg/s was stated
    bool of_picture;     // an orientation that the camera worked out: no bias, the picture's axes, true size
    double interval_sec; // median
    long out_of_order;   // samples that had to be moved or dropped
} gv_gyro;

// jail: who reads a video (base/jail.h); NULL: this process does.
// Errors: no gyroscope in the file, fewer than 8 samples, times that do not make sense.
gv_status gv_gyro_load(gv_gyro *g, const char *path, struct gv_jail *jail, gv_error *err);
// Turns by the orientation that the camera itself worked out and stored (GoPro's CORI and IORI), of the stabilised
// picture where it stabilised. Errors: GV_ERR_MISSING where the file holds none.
gv_status gv_gyro_load_own(gv_gyro *g, const char *path, struct gv_jail *jail, gv_error *err);
// gv_gyro_load of text in memory, not NUL-terminated; `name` is for messages.
gv_status gv_gyro_parse(gv_gyro *g, const char *name, const char *text, size_t size, gv_error *err);
void gv_gyro_free(gv_gyro *g);

// Appends a sample while a log is built; capacity starts at 0.
gv_status gv_gyro_add(gv_gyro *g, long *capacity, double time_sec, const double rate[3], gv_error *err);
// Sorts by time, drops repeated times and values that are no numbers, finds the median interval.
gv_status gv_gyro_clean(gv_gyro *g, const char *name, gv_error *err);

// Whether samples cover the time from a to b without a gap (longer than 5 intervals and 25 ms).
bool gv_gyro_covers(const gv_gyro *g, double a, double b);
// Rotation of the sensor's axes from a to b: R = prod exp(-rate dt), so that for a camera on these axes
// R_w2c(b) = R R_w2c(a). M [9] (any orthogonal matrix) turns rates to the axes wanted after `bias` is taken off.
void gv_gyro_integrate(double R[9], const gv_gyro *g, double a, double b, const double bias[3], const double M[9]);
