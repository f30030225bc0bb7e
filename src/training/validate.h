// validate.h - how good a network is on sequences it was not trained on.
#pragma once
#include "training/losses.h"
#include "training/train.h"

// Runs `batches` fixed batches of the sampler through the network; the losses' gradients are overwritten.
gv_status gv_validate(gv_validation *out, gv_net *n, gv_batch *b, const gv_sampler *s, int batches, gv_losses *losses,
                      gv_error *err);
