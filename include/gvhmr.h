// gvhmr.h - world-grounded human motion from one ordinary video: the whole public interface of libgvhmr.
//
//     gvhmr *g = gvhmr_create();
//     gvhmr_result *r = NULL;
//     gvhmr_set(g, "static-camera", "yes");
//     if (gvhmr_run(g, "walk.mp4", "walk", &r) != GVHMR_OK) {        // also writes the folder walk/; NULL: only the
//     result
//         fprintf(stderr, "%s\n", gvhmr_error(g));
//     } else {
//         gvhmr_array joints;
//         gvhmr_result_array(r, 0, "joints_world", &joints);         // float32 [frames, 22, 3], metres
//     }
//     gvhmr_result_free(r);
//     gvhmr_destroy(g);
//
// Compile with `cc example.c $(pkg-config --cflags --libs gvhmr)`.
//
// The library prints nothing, never exits, and keeps no state of its own outside of handles (but the allocator). What
// it does to the whole process: it turns FFmpeg's log off (av_log_set_level), it reads the environment variable
// GVHMR_DATA (a folder with models, looked at before those that were installed), and it computes with OpenMP, whose
// threads spin while they wait unless OMP_WAIT_POLICY=passive is set before the program starts; `gvhmr` and the Python
// module set it, and so should you.
//
// Threads. A handle serves one thread at a time: a call on a handle that is busy (also from within one of its own
// callbacks) returns GVHMR_ERR_ARGUMENT and does nothing. Different handles are independent, but two runs at once need
// two folders. Results belong to nobody: any number of threads may read one. Only gvhmr_cancel may be called at any
// time, even by a signal handler.
//
// Memory. Texts and arrays that a function returns belong to the handle or result that they come from.
// gvhmr_set_allocator says where the library's own code takes its memory.
//
// Stability. Nothing below is taken away or changed as long as the library is called libgvhmr.so.0; options, keys,
// stages, status values and functions are added. Structs that you declare (gvhmr_array) keep their size; structs that
// the library shows you (gvhmr_progress) may grow at their end.
#ifndef GVHMR_H
#define GVHMR_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GVHMR_API __attribute__((visibility("default")))
#else
#define GVHMR_API
#endif

typedef enum gvhmr_status {
    GVHMR_OK = 0,
    GVHMR_ERR_ARGUMENT = 1,  // NULL, an option or a number that makes no sense, a busy handle
    GVHMR_ERR_IO = 2,        // a file that is missing, unreadable or unwritable; a full disk
    GVHMR_ERR_FORMAT = 3,    // a file that is not what it claims to be
    GVHMR_ERR_MEMORY = 4,    // allocation failed, or a size is beyond the limits
    GVHMR_ERR_MISSING = 5,   // a model or key that is needed is not there
    GVHMR_ERR_EMPTY = 6,     // nobody in the video
    GVHMR_ERR_INTERNAL = 7,  // a library underneath failed
    GVHMR_ERR_CANCELLED = 8, // gvhmr_cancel, or the progress callback, ended it
} gvhmr_status;

typedef struct gvhmr gvhmr;               // a handle: options, callbacks, loaded models, the last message
typedef struct gvhmr_result gvhmr_result; // the motion of everybody in a video

GVHMR_API const char *gvhmr_version(void); // "0.1.0"

GVHMR_API gvhmr *gvhmr_create(void);    // NULL where memory is exhausted
GVHMR_API void gvhmr_destroy(gvhmr *g); // accepts NULL; not while a call on it is under way

// What went wrong in the last gvhmr_set, gvhmr_run or gvhmr_open on this handle, one line of UTF-8 that names file,
// item, found and expected; "" where nothing did. Valid until the next of these.
GVHMR_API const char *gvhmr_error(const gvhmr *g);

// ---- memory

typedef struct gvhmr_allocator {               // as the C library's malloc, realloc and free, called by any thread
    void *(*malloc)(void *user, size_t bytes); // aligned for every type; NULL: there is none
    void *(*realloc)(void *user, void *p, size_t bytes); // p never NULL, bytes never 0; NULL: p stays as it is
    void (*free)(void *user, void *p);                   // p never NULL
    void *user;
} gvhmr_allocator;

// Where all of the library's own code takes its memory from now on, for the whole process; NULL: the C library's again.
// It must not be called beside another call, and is GVHMR_ERR_ARGUMENT, without effect, while there is a handle or a
// result, or where a function is missing. Where there is no more memory, calls end with GVHMR_ERR_MEMORY. Weights that
// are mapped from files, and what FFmpeg, oneDNN, OpenMP, Jansson, libzip, Expat and the C library take for themselves
// (packed weights and decoded pictures among it), do not pass here. Of the shared library only.
GVHMR_API gvhmr_status gvhmr_set_allocator(const gvhmr_allocator *a);

// ---- options

// Sets an option by its name: those of `gvhmr run`, without the dashes (gvhmr run --help describes them): "people",
// "landmarks", "static-camera", "focal-length", "intrinsics", "gyro", "fps", "weights", "detector", "keypoints",
// "features", "device", "model", "body-model", "heads", "fast", "low-memory", "bf16", "cache", "no-cache",
// "refine", "no-refinement", "verbose", "threads", and of what is written into a folder: "no-video", "side-by-side",
// "export".
//
// Switches take "yes" or "no" ("1", "0", "true", "false", "on", "off"). value NULL: back to the default. An unknown
// name or a number out of range is GVHMR_ERR_ARGUMENT at once; files are looked at when they are needed. Models stay
// loaded from run to run until an option is set.
GVHMR_API gvhmr_status gvhmr_set(gvhmr *g, const char *name, const char *value);

// The name of the i-th option this library knows, i = 0, 1, ...; NULL after the last.
GVHMR_API const char *gvhmr_option_name(int i);

// ---- callbacks: never two at once for one handle, but from any thread of the library; they must return soon

typedef struct gvhmr_progress { // lives during the call
    const char *stage;   // "observe" (people and camera), "camera", "keypoints", "features", "predict", "draw", ...
    int64_t done, total; // frames (of "predict": people); total 0 = not known
    double seconds;      // since the stage began
    double per_second;   // done / seconds
} gvhmr_progress;

// At a stage's begin and end and at most ten times a second between. Anything but 0 cancels the run.
typedef int gvhmr_progress_fn(void *user, const gvhmr_progress *p);
// Remarks: which models do the work, what was left out and why. One line without newline.
typedef void gvhmr_log_fn(void *user, const char *line);

// fn NULL: no more calls.
GVHMR_API gvhmr_status gvhmr_on_progress(gvhmr *g, gvhmr_progress_fn *fn, void *user);
GVHMR_API gvhmr_status gvhmr_on_log(gvhmr *g, gvhmr_log_fn *fn, void *user);

// Ends the run under way on this handle with GVHMR_ERR_CANCELLED, usually within a second (a model that is being loaded
// is loaded first); where none is, nothing happens. Files appear whole or not at all: the folder of a cancelled run
// holds its cache, with which the same run goes on where it was, and no half-written file. Accepts NULL.
GVHMR_API void gvhmr_cancel(gvhmr *g);

// ---- work

// A video to the motion of everybody in it. `folder` gets what `gvhmr run` writes (person-1.npz, scene.json, exports,
// videos, viewer.html; docs/architecture.md), and is made where it is not there; NULL writes nothing at all.
// *result (may be NULL where a folder is given) is the caller's to free; NULL after an error.
GVHMR_API gvhmr_status gvhmr_run(gvhmr *g, const char *video, const char *folder, gvhmr_result **result);

// The results in a folder that a run has written, or of one motion file (.npz).
GVHMR_API gvhmr_status gvhmr_open(gvhmr *g, const char *path, gvhmr_result **result);

// ---- results

GVHMR_API void gvhmr_result_free(gvhmr_result *r);               // accepts NULL
GVHMR_API int gvhmr_result_people(const gvhmr_result *r);        // most prominent first
GVHMR_API const char *gvhmr_result_scene(const gvhmr_result *r); // the text of scene.json; NULL for a motion file

typedef enum gvhmr_type { GVHMR_FLOAT32 = 1, GVHMR_FLOAT64 = 2, GVHMR_INT32 = 3 } gvhmr_type;
typedef struct gvhmr_array {
    const void *data; // row by row, without gaps; lives as long as the result
    int32_t type;     // gvhmr_type
    int32_t ndim;     // 0 to 8
    int64_t shape[8];
} gvhmr_array;

enum { GVHMR_CAMERA = -1 }; // in the place of a person

// An array by its key. Of a person (0, 1, ...), L frames from first to last sight:
//   body_pose [L, 63], betas [10], global_orient [L, 3], transl [L, 3]      SMPL-X in the world: y up, ground y = 0, m
//   global_orient_incam [L, 3], transl_incam [L, 3]                         in the camera: x right, y down, z forward
//   joints_world [L, 22, 3], joints_incam [L, 22, 3]                        m, names: gvhmr_joint_name
//   static_prob [L, 6]       that left ankle, left foot, right ankle, right foot, left wrist, right wrist stand still
//   frame_index [L] int32, time_sec [L] float64                             of the video's frames
//   K_fullimg [L, 3, 3], R_w2c [L, 3, 3], bbx_xys [L, 3], kp2d [L, 17, 3]   as observed, px
//   net/...                                                                 with the option "verbose"
// Of GVHMR_CAMERA, one row per frame of the video, or one where the camera stood still (none for a motion file):
//   R_w2c [N, 3, 3], t_w2c [N, 3]                                           x_camera = R x_world + t
// GVHMR_ERR_MISSING where there is no such key, GVHMR_ERR_ARGUMENT where there is no such person; then *out is zeroed.
GVHMR_API gvhmr_status gvhmr_result_array(const gvhmr_result *r, int person, const char *key, gvhmr_array *out);

// The i-th key of a person or of GVHMR_CAMERA, i = 0, 1, ...; NULL after the last.
GVHMR_API const char *gvhmr_result_key(const gvhmr_result *r, int person, int i);

// "pelvis", "left_hip", ... of joint i = 0 .. 21 of joints_world; NULL after the last.
GVHMR_API const char *gvhmr_joint_name(int i);

#ifdef __cplusplus
}
#endif
#endif
