// metadata.h - the lens from what the video file says: 35-mm equivalents and GoPro's field of view.
#pragma once
#include "base/error.h"
#include "camera/lens.h"
#include <stdbool.h>

struct gv_jail;

// jail: who reads the file (base/jail.h), or NULL. *found is false where the file says nothing usable. *sd: relative
// error of the focal length that one must reckon with: stabilisation crops the picture, and cameras round.
gv_status gv_lens_from_metadata(bool *found, gv_lens *lens, double *sd, const char *video, int width, int height,
                                struct gv_jail *jail, gv_error *err);
