// losses.h - the losses of loss.h where the network is: on the processor, or queued on its engine's device.
//
//     gv_losses *l = gv_losses_create(&net->engine, &rig, B, L);
//     gv_losses_run(l, net, &batch->y, weights);
//     gv_net_backward(net, l->dx, l->dcam, l->dlogits);
//     gv_losses_get(l, &loss);                           // waits for the device
//
// On a device the targets go there where they are not, and outputs and their gradients stay there. Terms are summed in
// float32 there, and in double on the processor.
#pragma once
#include "training/loss.h"
#include "training/net.h"

typedef struct gv_losses {
    gv_engine *engine;
    const gv_rig *rig;
    int B, L;
    gv_real *dx, *dcam, *dlogits; // [B, L, 151], [.., 3], [.., 6] gradients, the engine's memory
    double *partial;              // [B, GV_LOSS_TERMS] (processor)
    gv_loss last;                 // (processor)
    gv_real weights[GV_LOSS_TERMS];
    struct gv_losses_there *there; // (device)
} gv_losses;

// NULL when memory is exhausted. The rig must outlive it.
gv_losses *gv_losses_create(gv_engine *e, const gv_rig *rig, int B, int L);
void gv_losses_destroy(gv_losses *l); // accepts NULL
// Of the last gv_net_forward. The targets may change when it returns, unless they are the device's (y->there).
void gv_losses_run(gv_losses *l, const gv_net *n, const gv_targets *y, const gv_real weights[GV_LOSS_TERMS]);
void gv_losses_get(gv_losses *l, gv_loss *out);
