// simplify.h - the same body with fewer triangles, for people who are small in a picture.
#pragma once
#include "body/body.h"

// A body whose surface has about `triangles` triangles, or as few as the shape allows: vertices are taken out one by
// one, those first that change the rest pose's shape least, and what is known of the others stays as it is. Joints are
// the same; J_regressor, coco17 are NULL. A body that has no more triangles comes back as a copy. Close with
// gv_body_close. NULL when memory is exhausted. About 50 ms.
//
// Source of the cost: Garland and Heckbert, "Surface Simplification Using Quadric Error Metrics", 1997, sections 3
// to 5.
gv_body *gv_body_simplify(const gv_body *b, int triangles);
