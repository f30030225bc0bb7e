// trained.h - a model file's weights in the network of training.
#pragma once
#include "formats/tensors.h"
#include "test.h"
#include "training/net.h"

#include <string.h>

static inline void load_into(gv_net *net, const char *model) {
    gv_error err = {0};
    gv_tensors *t;
    assert_int_equal(gv_tensors_open(&t, model, &err), GV_OK);
    for (int i = 0; i < net->tensors; i++) {
        float *w = gv_tensors_read_f32(t, net->table[i].name, net->table[i].shape, net->table[i].ndim, &err);
        assert_non_null(w);
        int64_t end = i + 1 < net->tensors ? net->offset[i + 1] : net->parameters;
        gv_engine_put(&net->engine, net->params + net->offset[i], w, end - net->offset[i]);
        free(w);
    }
    gv_tensors_close(t);
}
