// intrinsics_file.h - lenses from a file: JSON, or NumPy's .npz.
//
// Keys, the same in both (docs/camera.md): K (or K_fullimg, camera_matrix): [3, 3], or [frames, 3, 3] for a lens
// that zooms; in JSON also fx, fy, cx, cy. distortion (or dist, dist_coeffs, distortion_coefficients): 4, 5 or 8
// numbers in OpenCV's order, or [frames, n]. model: "pinhole", "brown" (where there is a distortion) or "fisheye".
// width, height (or image_size): the picture that K belongs to, scaled to the video's where they differ.
#pragma once
#include "camera/intrinsics.h"

// width, height: the video's frames, px. The file is untrusted. Errors name the file and the key.
gv_status gv_optics_load(gv_optics *o, const char *path, int width, int height, gv_error *err);
