#include "exports/robot.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gv_robot *r;
    double places[GV_ROBOT_LINKS][3], rotations[GV_ROBOT_LINKS][9];
    static const double q[GV_ROBOT_JOINTS], place[3], turn[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    if (gv_robot_parse(&r, data, size, "fuzz", NULL) == GV_OK) gv_robot_pose(r, place, turn, q, places, rotations);
    gv_robot_close(r);
    return 0;
}
