// validate.h - how good a network is on sequences it was not trained on.
#pragma once
#include "training/train.h"

// Runs `batches` fixed batches of the sampler through the network. Scratch arrays as gv_loss_run wants them.
gv_status gv_validate(gv_validation *out, gv_net *n, gv_batch *b, const gv_sampler *s, int batches, float *dx,
                      float *dcam, float *dlogits, double *partial, gv_error *err);
