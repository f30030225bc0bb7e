// metadata.h - the lens from what the video file says: 35-mm equivalents and GoPro's field of view.
#pragma once
#include "camera/lens.h"
#include <stdbool.h>

struct gv_jail;

// jail: who reads the file (base/jail.h), or NULL. False where the file says nothing usable. *sd: relative error of the
// focal length that one must reckon with: stabilisation crops the picture, and cameras round.
bool gv_lens_from_metadata(gv_lens *lens, double *sd, const char *video, int width, int height, struct gv_jail *jail);
