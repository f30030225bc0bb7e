// repeats.h - pictures that a video shows more than once: films of 24 pictures a second stored as 30 frames, screen
// recordings, phones that cannot keep up.
//
// A frame that shows what the last new one showed is a repeat. Nobody and nothing is looked at in it, and the camera
// did not stand still there: what is between two pictures is interpolated between the times at which these were true.
// Those are the times they are shown at, but where pictures come in an even rhythm (4 in 5 frames, 1 in 2 ...) times at
// even distances, which the frames' own grid had rounded (timebase.h gives everybody's frames their own times again).
//
//     gv_repeats *r = gv_repeats_create(width, height);
//     for each frame: repeated[t] = gv_repeats_look(r, &image);
//     gv_picture_times_find(&times, repeated, time_sec, frames, &err);
#pragma once
#include "camera/odometry.h"
#include "perception/people.h"
#include <stddef.h>

typedef struct gv_repeats gv_repeats;
gv_repeats *gv_repeats_create(int width, int height); // NULL when memory is exhausted
void gv_repeats_destroy(gv_repeats *r);               // accepts NULL

// Whether the frame shows again what the last one showed of which this was false. A scene in which nothing has moved
// of late repeats nothing, and after four repeats a frame is taken for new in any case: where that is wrong, somebody who
// stands like stone is looked at in every fifth frame for a while.
bool gv_repeats_look(gv_repeats *r, const gv_image *image);

typedef struct gv_picture_times {
    int pictures;     // different ones
    int *frame;       // [pictures] the first that shows it
    double *time_sec; // [pictures] when it was true; increasing
    int even;         // pictures among them that come in an even rhythm
    double rate;      // pictures a second in the longest such stretch; 0: none
} gv_picture_times;
// repeated, time_sec [frames], frames > 0; repeated[0] is 0.
gv_status gv_picture_times_find(gv_picture_times *out, const uint8_t *repeated, const double *time_sec, long frames,
                                gv_error *err);
void gv_picture_times_free(gv_picture_times *p);
// One plain line about them, nothing where no picture is repeated.
void gv_picture_times_describe(char *text, size_t size, const gv_picture_times *p, long frames);

// From one entry per picture to one per frame, each as the picture it shows.
gv_status gv_tracks_hold(gv_tracks *t, const uint8_t *repeated, long frames, gv_error *err);
gv_status gv_camera_hold(gv_camera_path *c, const uint8_t *repeated, long frames, gv_error *err);
