// eval.h - the table and the JSON of `gvhmr eval`, shared by its kinds.
#pragma once
#include "evaluation/score.h"

#include <jansson.h>

void gv_eval_header(const char *what);
void gv_eval_row(const char *name, const gv_score *s);
json_t *gv_eval_json(const gv_score *s);                                // a new object
gv_status gv_eval_write(const char *path, json_t *root, gv_error *err); // path NULL: nothing is written

int gv_eval_data_set(int argc, char **argv); // argv[0]: 3dpw, emdb1, emdb2 or rich
