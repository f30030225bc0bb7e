// Bytes as a gyroscope's log in text.
#include "camera/gyro.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gv_error err = {0};
    gv_gyro g;
    if (gv_gyro_parse(&g, "fuzz", (const char *)data, size, &err) != GV_OK) return 0;
    static const double bias[3] = {0}, M[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    double R[9];
    if (gv_gyro_covers(&g, 0, 0.03)) gv_gyro_integrate(R, &g, 0, 0.03, bias, M);
    gv_gyro_free(&g);
    return 0;
}
