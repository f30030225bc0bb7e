// sample.h - training sequences: clips, recombined and varied, seen by synthetic cameras, observed with noise.
//
//     gv_sampler s = {...};  gv_sampler_init(&s, &store, &rig, &options, &err);
//     gv_batch *b = gv_batch_create(B, L, surface points);
//     gv_batch_fill(b, &s, seed, step);       // the same (seed, step) gives the same batch on any thread count
#pragma once
#include "base/team.h"
#include "training/loss.h"
#include "training/net.h"
#include "training/random.h"
#include "training/store.h"
#include <stdbool.h>

typedef enum gv_sample_camera { GV_SAMPLE_ANY, GV_SAMPLE_STATIC, GV_SAMPLE_MOVING } gv_sample_camera;
typedef struct gv_sample_options {
    const char *leave_out; // comma separated subjects that are not drawn (training) or NULL
    const char *only;      // draw from these subjects only (validation) or NULL
    bool plain;            // no recombination, perturbation or condition dropping: validation
    double recombine;      // share of sequences whose upper body or arms come from elsewhere
    double bend, lay;      // shares bent at hips, knees and waist (squatting, sitting, ...); laid on the ground
    double perturb;        // share with joint angles shifted
    gv_sample_camera camera;
    double slow;         // share played slower than others, down to a third
    double surveillance; // share seen by a high, far camera
    double askew;        // share seen by a camera that is held askew, by 20 degrees or so
    double wrong_focal;  // share whose focal length is told wrongly
    double noise;        // scale of all keypoint noise, 1 = default
    double points;       // share whose keypoint network also guesses the points in space
    double drop;         // condition dropping probability per frame
    int chained;         // ablation: the root's turns instead of Gravity-View orientations (motion/chain.h)
    double shapes;       // share of sequences that keep their clip's shape, where it has one; the rest draws one
} gv_sample_options;
#define GV_SAMPLE_DEFAULTS                                                                                             \
    {                                                                                                                  \
        .recombine = 0.55, .bend = 0.15, .lay = 0.02, .perturb = 0.5, .slow = 0.15, .surveillance = 0.25,              \
        .askew = 0.2, .wrong_focal = 0.4, .noise = 1, .points = 0.85, .drop = 0.1                                      \
    }
extern const gv_sample_options gv_sample_defaults;

typedef struct gv_sampler {
    const gv_store *store;
    const gv_rig *rig;
    gv_sample_options options;
    int *clip;          // [count] drawn clips
    double *cumulative; // [count] of their probabilities
    int count;
    struct gv_sampler_place *place; // where a device has it, or NULL
} gv_sampler;

gv_status gv_sampler_init(gv_sampler *s, const gv_store *store, const gv_rig *rig, const gv_sample_options *o,
                          gv_error *err);
// For batches on a device: clips, rig and chances are brought there once. False: the device has failed or has no room.
bool gv_sampler_put(gv_sampler *s, gv_device *d);
void gv_sampler_free(gv_sampler *s); // before the device is closed

typedef struct gv_batch { // [B, L, ...]
    int B, L;
    int first;   // its first sequence's number in the whole batch, where ranks share one
    int *length; // [B]
    unsigned char *incam_only;
    float *obs, *cliff, *angvel; // network inputs: [.., 17, 3], [.., 3], [.., 6] normalised
    float *images;               // [.., 1024] the image features: the guessed points in space, or 0
    float *kp2d;                 // [.., 17, 3] px with noise, before normalisation
    float *R_w2c;                // [.., 9] true camera rotation
    float *joints_w;             // [.., 22, 3] true joints, world
    gv_targets y;                // arrays owned by the batch
    void *memory;
    gv_engine *engine;             // whose memory the arrays are; NULL: the program's
    struct gv_batch *there;        // on a device: this, and its sequences while they are made
    struct gv_sequence *sequences; // [B]
} gv_batch;

gv_batch *gv_batch_create(int B, int L, int surface); // NULL when memory is exhausted
// In the memory of an engine. On a device sequences are made there, in its queue, from a sampler that was put there.
gv_batch *gv_batch_create_on(gv_engine *e, int B, int L, int surface);
gv_net_input gv_batch_input(const gv_batch *b);
void gv_batch_destroy(gv_batch *b); // accepts NULL
// False: no memory, and the batch is of no use.
bool gv_batch_fill(gv_batch *b, const gv_sampler *s, uint64_t seed, uint64_t step);

// ---- inside: one sequence, made by a team (base/team.h) ----
enum { GV_MAX_FRAMES = 320 };
typedef struct gv_sequence { // a motion in the world at 30 fps
    int frames;
    float q[GV_MAX_FRAMES][22][4];
    float hips[GV_MAX_FRAMES][3]; // middle of the hip joints, m, scaled to `leg`
    float still[GV_MAX_FRAMES][4];
    float leg;
    unsigned incam_only; // as in the store
    float betas[GV_BETAS];
    // set by place; held: how far a foot that stands still has moved the body, x and z
    float R_w[GV_MAX_FRAMES][9], transl[GV_MAX_FRAMES][3], joints[GV_MAX_FRAMES][22][3], held[GV_MAX_FRAMES][2];
    // set by observe: the camera, and what an estimator says of what it sees
    float R[GV_MAX_FRAMES][9], t[GV_MAX_FRAMES][3];
    float extent[GV_MAX_FRAMES][4];         // least x, y, largest x, y of the body in the picture, px
    float kp[GV_MAX_FRAMES][GV_COCO][2];    // px
    bool seen[GV_MAX_FRAMES][GV_COCO];      //
    bool turned[GV_MAX_FRAMES];             // taken for somebody facing the other way
    float wander[GV_MAX_FRAMES][22][3];     // of each joint's error, and of the whole body's (0); unit variance
    float space[GV_MAX_FRAMES][GV_COCO][3]; // the estimator's guess in space, m; origin between the hips
} gv_sequence;
// Frames first .. first + frames - 1 of a clip as they are (at most GV_MAX_FRAMES); the shape is drawn.
GV_SHARED void gv_sequence_read(gv_sequence *m, const gv_store *s, const gv_clip *c, int first, int frames, gv_rng *r);
GV_SHARED void gv_sequence_draw(gv_sequence *m, const gv_sampler *s, gv_rng *r, int L); // up to L frames
GV_SHARED void gv_sequence_place(gv_sequence *m, const gv_rig *rig, gv_rng *r); // our body, feet held, random heading
// Observes it into row `row` of the batch (SPEC.md 14.1 and 14.3).
GV_SHARED void gv_sequence_observe(gv_batch *b, int row, gv_sequence *m, const gv_sampler *s, gv_rng *r);
// All three.
GV_SHARED void gv_sequence_make(gv_batch *b, int row, gv_sequence *m, const gv_sampler *s, gv_rng *r);
