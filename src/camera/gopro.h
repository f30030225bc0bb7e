// gopro.h - what a GoPro's metadata track says about turning: its gyroscope (GYRO), and the orientation that newer
// cameras work out themselves (CORI: world to camera, IORI: camera to the stabilised picture).
//
// The track may hold several devices (a drone's or another sensor's beside the camera): a key is taken from the first
// device that has it, and from one stream of that. Samples come at an even rate: a line through all payloads'
// beginnings (STMP where stated, else the track's times) gives their times, as counts vary between payloads by whole
// batches. Source: GoPro's description of the format (github.com/gopro/gpmf-parser, README); that IORI CORI with the
// numbers in the order w x y z is world to picture in OpenCV's axes was found by comparison with a picture.
#pragma once
#include "camera/gyro.h"

// Adds GYRO's samples, rad/s, in the order of ORIO where the stream states how it is mounted (MTRX, or ORIN and ORIO),
// else as stored. Errors: GV_ERR_MISSING where the file has no such stream.
gv_status gv_gopro_gyroscope(gv_gyro *g, const char *path, struct gv_jail *jail, gv_error *err);
// Adds the rates at which the picture turned by IORI CORI (CORI alone where there is no IORI): constant between frames,
// GV_GOPRO_DENSE samples each, so that integrating them from frame to frame gives the orientations' differences.
enum { GV_GOPRO_DENSE = 16 };
gv_status gv_gopro_orientation(gv_gyro *g, const char *path, struct gv_jail *jail, gv_error *err);
