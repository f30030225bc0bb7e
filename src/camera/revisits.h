// revisits.h - views that come again after their tracks were lost.
//
// A camera that pans there and back, or is held for long, sees the same things again. A few views are remembered, one
// for each direction it has looked in: a small picture and where its corners lay. When it looks there again, the
// corners are searched around the places that the rotation so far predicts, and the pairs that are found tell the
// rotation between two frames far apart in time (rotation_graph.h). Where a view has changed, because the camera has
// gone elsewhere, the new one takes its place. After a cut or a covered lens nothing predicts where the camera looks:
// then views are compared with those from before as thumbnails, at every shift.
#pragma once
#include "base/error.h"
#include "camera/corners.h"
#include "camera/picture.h"
#include <stdbool.h>

enum { GV_REVISIT_MATCHES = 120 };

typedef struct gv_revisit { // keyframe `to` sees what keyframe `from` saw
    long from, to;          // as told by the caller
    int count;
    float a[GV_REVISIT_MATCHES][2], b[GV_REVISIT_MATCHES][2]; // in `from`, in `to`; level-0 px
} gv_revisit;

typedef struct gv_revisits gv_revisits;
gv_status gv_revisits_create(gv_revisits **out, int width, int height, gv_error *err); // of level 0
void gv_revisits_destroy(gv_revisits *r);                                              // accepts NULL

// What comes is not linked to what was before.
void gv_revisits_cut(gv_revisits *r);
// A keyframe, in order of time: number, frame, rotation world to camera as far as it is known (a few degrees matter
// little), focal length in level-0 px, its picture, and its corners. True: *found is a view seen again, and if that is
// the first one after a cut R is what follows from it.
bool gv_revisits_look(gv_revisits *r, long keyframe, long frame, double R[9], double focal, const gv_picture *picture,
                      const gv_corners *corners, gv_revisit *found);
// The focal length is another: `ratio` of the old one. Rotations that were told before were as wrong as it.
void gv_revisits_refocus(gv_revisits *r, double ratio);
// The same for one rotation.
void gv_revisits_refocus_rotation(double R[9], double ratio);
