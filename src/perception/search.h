// search.h - where to look for people next: tiles of the picture at several scales, a few per frame.
//
// The detector sees people who fill about 25 to 70 % of its square picture, so the picture is covered with
// half-overlapping square tiles whose sides grow by 2.4 from 4 times the smallest person to the whole picture.
// Each frame gives a coarse grid of mean brightness; a tile where something changed that no followed person
// explains is due again after `every_s`, a quiet one after ten times that, so that people who stand still
// are found too. The most overdue tiles come first, larger ones before smaller ones; the budget grows with time.
// Deterministic: time is the video's, not the clock's.
#pragma once
#include "base/error.h"
#include "perception/blazepose.h"
#include <stdbool.h>

typedef struct gv_search gv_search;

// min_height: the smallest person, px. every_s: seconds between searches of a lively tile.
gv_search *gv_search_create(int width, int height, int min_height, double every_s); // NULL: no memory
// Tiles per second of video and at the start; 16 and 64 unless said otherwise.
void gv_search_limit(gv_search *s, double per_sec, double burst);
void gv_search_destroy(gv_search *s);                                               // accepts NULL

// Takes the next frame. `boxes` [n, 4] (x0, y0, x1, y1 px) cover what is already followed.
void gv_search_look(gv_search *s, const gv_image *image, double time_sec, const float (*boxes)[4], int n);

// Writes the tiles to search in this frame, most urgent first; returns their number (often 0). They count
// as searched. `reserved` tiles of the budget were spent elsewhere in this frame. The first frame and a cut
// get a larger budget.
int gv_search_pick(gv_search *s, bool anybody, int reserved, gv_tile *tiles, int max);
int gv_search_count(const gv_search *s); // tiles in all
