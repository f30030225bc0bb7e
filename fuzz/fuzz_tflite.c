// Feeds bytes to the tflite reader.
#include "formats/tflite.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gv_tflite *g = NULL;
    gv_error err = {0};
    if (gv_tflite_parse(&g, data, size, &err) == GV_OK) {
        double sum = 0; // read all that a graph that opens promises
        for (int t = 0; t < g->ntensors; t++)
            for (int64_t i = 0; g->tensors[t].f32 && i < g->tensors[t].count; i++) sum += (double)g->tensors[t].f32[i];
        for (int i = 0; i < g->noutputs; i++) sum += (double)g->tensors[g->outputs[i]].count;
        if (sum == 12345.678) abort(); // keeps the reads
    }
    gv_tflite_close(g);
    return 0;
}
