// train.h - the training loop: batches, AdamW, schedule, checkpoints that resume to the bit, a log in JSON lines.
//
// A folder holds checkpoint.gvt (weights, moments, step; replaced whole), log.jsonl and model.safetensors (the
// running average of the weights, which is what to use). The batch of a step depends on seed and step alone.
//
// Ranks (ranks.h) average their gradients while the backward pass goes on: on their devices themselves (NCCL) where
// each has one of its own, else through the program's memory.
//
// On a device the network, its gradients, the moments, the average and the clips lie there, sequences are made and
// losses computed there. The processor makes those of the validation alone.
#pragma once
#include "training/sample.h"

typedef struct gv_train_options {
    const char *out;                // folder
    const char *leave_out;          // subjects for validation, comma separated
    const char *note;               // goes into the model's metadata
    const char *init;               // a model file to start from, or NULL
    int rope, window, gravity_view; // 0: ablations, written into the model's metadata
    int points, bf16;               // with the keypoint network's points in space; products in bfloat16 where possible
    int width, layers, heads, batch, frames, surface;
    double dropout, gate; // gate: initial value of all gates
    long steps;
    double lr, warmup, decay; // warmup: steps; decay: share of the steps at the end over which lr falls to lr / 50
    double weight_decay, clip, average;         // average: decay of the running mean of the weights
    long save_every, validate_every, log_every; // steps
    int validation_batches;
    uint64_t seed;
    gv_sample_options sample;
    double weight[GV_LOSS_TERMS]; // of the losses, in the order of gv_loss_names
    gv_device *device;            // NULL: the processor
} gv_train_options;
extern const gv_train_options gv_train_defaults;

typedef struct gv_validation { // means over all valid frames of held-out sequences, weights averaged
    double mpjpe_mm, pa_mpjpe_mm, gravity_deg, velocity_mm, still_accuracy, loss;
    double wa_mpjpe_mm; // world, chunks of 100 frames, before post-processing
} gv_validation;

typedef struct gv_train_progress {
    long step, steps;
    gv_loss loss;
    double lr, norm, sequences_per_second, seconds;
    const gv_validation *validation; // NULL except where it was just run
} gv_train_progress;

typedef struct gv_train_hooks { // may be all NULL
    void (*progress)(void *user, const gv_train_progress *p);
    const volatile int *stop; // non-zero: save and return after the current step
    void *user;
    void (*note)(void *user, const char *text); // what is otherwise than one might think, one line
} gv_train_hooks;

// Continues from out/checkpoint.gvt where there is one (its sizes must agree), else starts anew.
gv_status gv_train_run(const gv_train_options *o, const gv_store *store, const gv_rig *rig, const gv_train_hooks *hooks,
                       gv_error *err);
