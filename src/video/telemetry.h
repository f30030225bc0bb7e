// telemetry.h - what a video file says beside its pictures: the camera's own words and sensors.
//
// MP4 and QuickTime only; other containers are read as saying nothing. The file is untrusted: with a jail (base/jail.h,
// NULL: none) a process without rights reads it, and what that says is checked.
#pragma once
#include "base/error.h"
#include <stddef.h>

struct gv_jail;

typedef struct gv_video_tags {
    char make[64], model[64]; // "" where it does not say
    double focal_35mm;        // 35-mm equivalent focal length, mm; 0 where it does not say
    unsigned char *settings;  // GoPro's settings (GPMF), NULL where there are none
    size_t settings_size;
} gv_video_tags;
gv_status gv_video_tags_read(gv_video_tags *t, const char *path, struct gv_jail *jail, gv_error *err);
void gv_video_tags_free(gv_video_tags *t);

typedef struct gv_telemetry_packet {
    size_t offset, size;           // in `bytes`
    double time_sec, duration_sec; // of its first sample, from the video's first frame; how long it lasts
} gv_telemetry_packet;

typedef struct gv_telemetry { // GoPro's metadata track (gpmd)
    unsigned char *bytes;
    gv_telemetry_packet *packet;
    long packets; // 0: the file has no such track
} gv_telemetry;
gv_status gv_telemetry_read(gv_telemetry *t, const char *path, struct gv_jail *jail, gv_error *err);
void gv_telemetry_free(gv_telemetry *t);
