// json_build.h - JSON put together so that what is missing at the end is noticed.
//
// Where memory runs out, the container is released and becomes NULL; json_pack and these functions make NULL of
// whatever a NULL is put into, so that only the root needs to be looked at.
#pragma once
#include <jansson.h>

// Both take over the reference to `value`, which may be NULL: then the container becomes NULL.
void gv_json_append(json_t **array, json_t *value);
void gv_json_set(json_t **object, const char *key, json_t *value);

// The text of a root, malloc'ed; NULL without memory, and for NULL. (json_dumps of jansson 2.14 does not look whether a
// key found room.)
char *gv_json_dump(const json_t *root, size_t flags);

// A string of any bytes: where they are no UTF-8, those beyond ASCII become '?', cut at 1 kB. NULL without memory.
json_t *gv_json_text(const char *bytes);
