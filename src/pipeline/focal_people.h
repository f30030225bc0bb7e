// focal_people.h - the focal length from how people walk before a camera that stands still.
//
// Seen through a lens, a person of known build goes sideways as far as the picture says whatever the focal length
// is, but towards the camera by the focal length times what the change of size says. How far people go in truth their
// bodies tell: steps, planted feet and the network's own idea of a path in the world. The focal length
// that makes both agree over a second or two is the right one. Nobody who stays at one distance tells anything.
#pragma once
#include "formats/motion_file.h"

typedef struct gv_people_focal {
    bool found;   // people tell it better than to 22 %
    double ratio; // focal length over the one behind the motions, weighed against that one
    double sd;    // relative standard deviation
} gv_people_focal;

// motions [people] as gv_predict gives them from a camera that stands still, with a focal length that is believed to
// prior_sd.
void gv_focal_from_people(gv_people_focal *out, const gv_motion *motions, int people, double prior_sd);
