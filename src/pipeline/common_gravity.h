// common_gravity.h - one direction of gravity for everybody in a clip, or for somebody alone.
//
// An addition to the reference, used by `gvhmr run`. The network says of each person anew where down is; one of them
// may be off by ten degrees, and then walks up a slope that is not there. All of them are in the same world, so their
// directions, put into the odometry's world, are joined into one: a robust mean, weighted by how long and how large
// everybody was seen. From a steep view all are wrong alike; so before a camera that stands still the places where the
// feet stand, as the camera saw them, say how the ground lies, and that counts about as much as all of the network's
// directions together, while what is too steep for level ground (stairs) hardly counts. Of somebody alone the network's
// word is weighed against his balance: on average the middle of his mass is over the feet that he stands on.
#pragma once
#include "base/error.h"
#include "formats/motion_file.h"

// Turns the world of every motion (global_orient, transl, joints_world; the first pelvis stays) so that y is up for all
// of them; motions as gv_predict gives them, before they are settled. Who never stands, and is alone, stays as he is.
gv_status gv_common_gravity(gv_motion *motions, int people, bool static_camera, gv_error *err);
