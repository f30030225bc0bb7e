// sequence.h - letters of the files that make training's sequences, on the processor and on a device (base/team.h):
// sequence.c, poses.c, cameras.c, observe.c. On a device all four are one unit (kernel_sequences.h), so their static
// names differ. Of several random numbers in one expression the order is not told by the language: each has its own.
#pragma once
#include "training/rig.h"

enum { J = GV_RIG_JOINTS, C = GV_COCO };
#define PI 3.14159265358979
