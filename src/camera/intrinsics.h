// intrinsics.h - the camera's lens, where it is known from and how surely.
//
// Without any knowledge the camera is a pinhole with its principal point in the picture's middle and square
// pixels; what is left is one number, the focal length in pixels.
#pragma once
#include "base/error.h"
#include "camera/lens.h"
#include <stdbool.h>

typedef enum gv_focal_origin { // from the weakest to the strongest
    GV_FOCAL_DIAGONAL,         // the picture's diagonal: nobody knows
    GV_FOCAL_UPRIGHT,          // a picture higher than wide: a phone's, most likely
    GV_FOCAL_PEOPLE,           // people of human proportions on one ground
    GV_FOCAL_METADATA,         // the video file's own words
    GV_FOCAL_GYROSCOPE,        // the picture's turns against a gyroscope's
    GV_FOCAL_MEASURED,         // self-calibration from the tracks of a camera that turns
    GV_FOCAL_FILE,             // a file of intrinsics
    GV_FOCAL_GIVEN,            // the user's number
} gv_focal_origin;
// "image diagonal", "upright picture", "people", "metadata", "gyroscope", "measured from the turning camera",
// "intrinsics file", "given"
const char *gv_focal_origin_text(gv_focal_origin o);

typedef struct gv_optics {
    long count;    // 1: the same lens in every frame; otherwise one for each
    gv_lens *lens; // [count]
    gv_focal_origin origin;
    double sd; // relative standard deviation of the focal length, as far as one can tell
} gv_optics;
void gv_optics_free(gv_optics *o);
// One pinhole for all frames.
gv_status gv_optics_pinhole(gv_optics *o, double focal_px, int width, int height, gv_focal_origin origin, double sd,
                            gv_error *err);
const gv_lens *gv_optics_at(const gv_optics *o, long frame); // the last one beyond the end

// The last resort, as the reference does it: the picture's diagonal, sqrt(w^2 + h^2), a field of view of 53
// degrees along the diagonal. Phones see wider: theirs is 0.6 to 0.75 of it.
double gv_focal_default(int width, int height);
#define GV_FOCAL_DEFAULT_SD 0.35
// A pinhole for a video of which nothing is known: the diagonal; 0.68 of it where the picture stands upright, for then
// it is most likely a phone's (main lenses of 24 to 27 mm, cropped by a tenth to a fifth for video).
gv_status gv_optics_guess(gv_optics *o, int width, int height, gv_error *err);
#define GV_FOCAL_UPRIGHT_SHARE 0.68
#define GV_FOCAL_UPRIGHT_SD    0.15

// Focal length of a full-frame (36 x 24 mm) lens with the same diagonal field of view, mm.
double gv_focal_to_mm(double px, int width, int height);

// Reads "1468.6" (px) or "24mm" (35-mm equivalent) as --focal-length takes it. Errors: not a number, or a field of
// view that no lens has (focal length below 0.1 or above 100 diagonals).
gv_status gv_focal_parse(double *px, const char *text, int width, int height, gv_error *err);
