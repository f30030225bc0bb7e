// stage.h - people as meshes, frame by frame: what every picture of a scene begins with.
//
//     gv_stage_create(&stage, motions, people, body, &err);
//     gv_view view = gv_stage_view(stage, width, height);
//     if (gv_stage_pose(stage, frame)) gv_stage_draw_world(stage, canvas, rgb, stride, &view);
#pragma once
#include "body/body.h"
#include "formats/motion_file.h"
#include "rendering/render.h"

typedef struct gv_stage gv_stage;

// Motions of one world and the body are borrowed and must outlive the stage.
gv_status gv_stage_create(gv_stage **out, const gv_motion *motions, int people, const gv_body *body, gv_error *err);
void gv_stage_destroy(gv_stage *s); // accepts NULL

// Poses everybody who is there in a frame of the video; returns how many.
int gv_stage_pose(gv_stage *s, long frame);

// Over the picture, in the camera that saw them, as posed last, through the lens that the motions carry
// (motion_lens.h). Nobody there: the picture stays as it is. False when
// memory is exhausted.
bool gv_stage_draw_over(gv_stage *s, gv_canvas *c, uint8_t *rgb, int width, int stride, float alpha);

// The world as posed last: bodies, their shadows, the way of every pelvis over the ground, rings around feet that
// stand.
bool gv_stage_draw_world(gv_stage *s, gv_canvas *c, uint8_t *rgb, int stride, const gv_view *view);

// A fixed outside view of person 1, and of the others while the ground to be shown stays small enough to see people.
gv_view gv_stage_view(const gv_stage *s, int width, int height);

// An outside view from a fixed direction that goes with person 1, smoothly; where that one is not there, with its
// nearest frame.
gv_view gv_stage_follow(const gv_stage *s, long frame, int width, int height);
