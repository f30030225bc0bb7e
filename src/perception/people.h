// people.h - everybody in a video: found, followed with one identity, 2D keypoints per frame.
//
//     gv_people *p = NULL;
//     gv_people_create(&p, &(gv_people_options){.model = GV_BLAZE_FULL}, width, height, &err);
//     for each frame: gv_people_frame(p, &image, time_sec, &err);
//     gv_people_finish(p, &tracks, &err);        // persons, most prominent first
//
// Online with bounded memory up to the tracks themselves. gv_people_masks gives the boxes of the current
// frame, so that the camera estimation can leave people out.
#pragma once
#include "base/error.h"
#include "perception/blazepose.h"

typedef struct gv_people_options {
    gv_blaze_model model;
    int max_people;        // persons returned, most prominent first; 0 = all
    float min_seconds;     // shorter tracks are dropped (default 1.0; never below 2 frames)
    int min_height_px;     // smallest person looked for (default 50)
    double detect_every_s; // seconds between searches of the whole picture (default 0.5)
    int look_every;        // frames from one look to the next (default 1), see gv_people_look_every
    bool mirror;           // everybody is also read as a mirror shows him (gv_blazepose_set_mirror)
    bool live;             // for gv_people_present alone: nothing is kept for gv_people_finish, memory does not grow
} gv_people_options;

typedef struct gv_person { // one identity over consecutive frames first .. first + frames - 1, gaps filled
    int first, frames;
    float *kp2d;     // [frames, 17, 3] COCO-17 x, y px (pixel centres at integers), confidence; 0 in filled gaps
    float *kp3d;     // [frames, 17, 3] the same points in space, m, origin between the hips, camera axes; 0 in gaps
    float *feet2d;   // [frames, 4, 3] left heel, left toes, right heel, right toes: as kp2d; confidence 0 where unknown
    float *bbx_xyxy; // [frames, 4] smoothed box, px (SPEC.md 12.1, steps 3-4)
    float *bbx_xys;  // [frames, 3] square box (SPEC.md 12.1, step 5)
    uint8_t *observed; // [frames] 1 where the person was really seen, or in the looks before and after
    double prominence; // sum over frames of box area / image area
} gv_person;

typedef struct gv_tracks {
    gv_person *person;
    int count;
    long frames; // of the video
} gv_tracks;
void gv_tracks_free(gv_tracks *t);

// The motion network works at 30 fps: of faster video every second, third ... frame is looked at, so that at least
// thirty a second are, and what lies between is interpolated. 1 where the rate is not known (0).
int gv_people_look_every(double fps);

typedef struct gv_people gv_people;
gv_status gv_people_create(gv_people **out, const gv_people_options *opt, int width, int height, gv_error *err);
void gv_people_destroy(gv_people *p); // accepts NULL
gv_status gv_people_frame(gv_people *p, const gv_image *image, double time_sec, gv_error *err);
// Boxes x0, y0, x1, y1 (px) of those followed in the last frame; returns their number, at most max.
int gv_people_boxes(const gv_people *p, float (*boxes)[4], int max);
// Who is there now: identities that have been seen in three looks running, fifteen where they are partly on somebody
// known (a second reading of one person does not last so long) or not clear; a thing whose limbs are read in another
// way each time is none. A number is never given twice.
typedef struct gv_presence {
    int id;    // 1, 2, 3 ... in the order of appearance
    bool seen; // in the last look; else its points are those of the last sighting. Forgotten after three seconds,
               // sooner who was seen for less
    float kp2d[17][3], kp3d[17][3], box[4]; // as in gv_person
} gv_presence;
int gv_people_present(const gv_people *p, gv_presence *out, int max);    // returns their number, at most max
gv_status gv_people_finish(gv_people *p, gv_tracks *out, gv_error *err); // count 0 is not an error here
