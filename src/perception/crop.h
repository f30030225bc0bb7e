// crop.h - the person's square cut out of a frame, as ViTPose and HMR2.0 take it (SPEC-perception.md 3).
//
// Boxes bbx_xys are centre x, centre y and side in pixels of the FULL-SIZE frame, pixel centres at integers.
// `factor` is the size of the frame given here over the full size: 0.5 for frames decoded at half size, as the
// reference does for videos, 1 for single pictures. Pixels beyond the frame are black. A frame that is much
// larger than the crop is blurred a little first.
#pragma once
#include "nn/device.h"
#include "perception/image.h"

enum { GV_CROP_SIDE = 256, GV_CROP_ROWS = 256, GV_CROP_COLUMNS = 192, GV_CROP_LEFT = 32 };

// bytes [256, 256, 3] RGB: output pixel (i, j) reads the frame at centre - side/2 + (i, j) side/255, bilinear with
// weights of 1/32, rounded to 8 bits. Bit for bit OpenCV 4.6's warpAffine. The box must be finite.
void gv_crop_bytes(uint8_t *bytes, const gv_image *frame, const float bbx_xys[3], float factor);

// crop [3, 256, 192]: columns 32 ... 223 of those bytes, (p / 255 - mean) / std per channel.
void gv_crop_person(float *crop, const gv_image *frame, const float bbx_xys[3], float factor);

// The second half of gv_crop_person alone.
void gv_crop_normalise(float *crop, const uint8_t *bytes);

// ---- on a device, where they may stay

// The frame there, its rows without gaps, until gv_device_finish. It may change at once here; what goes wrong is told
// by gv_device_finish.
gv_image gv_frame_place(gv_device *d, const gv_image *frame);
// The same into memory of the device's, beside what is queued: there after gv_device_ahead_wait.
gv_image gv_frame_ahead(gv_device *d, uint8_t *rgb, const gv_image *frame);
// Queues gv_crop_bytes of n boxes of such a frame: bytes [n, 256, 256, 3] of the device's memory, the same to the last
// bit. It asks for no memory: `squares` is of gv_crop_squares, and one does for any number of calls.
void gv_crop_queue(gv_device *d, uint8_t *bytes, const gv_image *there, const float *boxes, int n, float factor,
                   void *squares);
void *gv_crop_squares(gv_device *d, gv_device_room *room);

// Crops as a network takes them: numbers of the program's memory, or of a device that the network is on.
typedef struct gv_crops {
    const float *numbers; // [n, 3, 256, 192] of gv_crop_person; NULL:
    const uint8_t *bytes; // of gv_crop_queue, there
    const int32_t *which; // [n] crop i is number which[i] of those
} gv_crops;
// Crops first ... first + n - 1 there, [n, 3, 256, 192], until gv_device_finish.
float *gv_crops_place(gv_device *d, const gv_crops *c, int first, int n);
