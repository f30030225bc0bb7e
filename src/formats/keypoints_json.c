// keypoints_json.c - COCO, MMPose and per-frame lists; OpenPose folders.
#include "base/memory.h"
#include "formats/keypoints_internal.h"
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_BYTES = 1 << 29, MAX_FILES = 1 << 22 };

static gv_status wrong(const gv_keypoints_builder *b, const char *found) {
    return gv_fail(b->err, GV_ERR_FORMAT,
                   "%s: %s, expected COCO or MMPose JSON, a folder of OpenPose JSON, or .npz with kp2d", b->path,
                   found);
}

static json_t *load(const gv_keypoints_builder *b, const char *path) {
    json_error_t e;
    struct stat st;
    if (stat(path, &st) != 0 || st.st_size > MAX_BYTES) {
        gv_fail(b->err, GV_ERR_IO, "%s: cannot be read or is larger than 512 MiB", path);
        return NULL;
    }
    json_t *root = json_load_file(path, 0, &e);
    if (!root) gv_fail(b->err, GV_ERR_FORMAT, "%s: no JSON, line %d: %s", path, e.line, e.text);
    return root;
}

// The last number in the characters before `end`, or -1.
static int last_number(const char *name, const char *end) {
    while (end > name && (end[-1] < '0' || end[-1] > '9')) end--;
    const char *p = end;
    while (p > name && p[-1] >= '0' && p[-1] <= '9') p--;
    if (p == end) return -1;
    while (p < end && *p == '0') p++;
    return end - p <= 9 ? atoi(p) : -1;
}

// Of a file's name: "clip_000012.jpg".
static int number_in(const char *name) {
    const char *dot = strrchr(name, '.');
    return last_number(name, dot ? dot : name + strlen(name));
}

// A frame's number: an integer, or a name that has one; -1 where there is none.
static int frame_number(const json_t *v) {
    if (json_is_string(v)) return number_in(json_string_value(v));
    json_int_t i = json_is_integer(v) ? json_integer_value(v) : -1;
    return i >= 0 && i < INT_MAX ? (int)i : -1;
}

// Who it is, where the file says so: MMPose's track_id, AlphaPose's idx, OpenPose's person_id.
static int identity(const json_t *person) {
    static const char *const names[] = {"track_id", "idx", "person_id"};
    for (int i = 0; i < 3; i++) {
        const json_t *v = json_object_get(person, names[i]);
        if (json_is_array(v)) v = json_array_get(v, 0);
        if (json_is_integer(v) || json_is_real(v)) {
            double id = json_number_value(v);
            return id >= 0 && id < INT_MAX ? (int)id : GV_NO_IDENTITY;
        }
    }
    return GV_NO_IDENTITY;
}

static bool is_known_set(size_t points) {
    return points == 17 || points == 26 || points == 133 || points == 136;
}

// Points as one list of numbers, or as one list per point; two numbers per point need `scores`.
static bool read_points(const json_t *list, const json_t *scores, float out[17][3]) {
    size_t n = json_array_size(list);
    bool nested = json_is_array(json_array_get(list, 0));
    if (nested && n == 1)
        return read_points(json_array_get(list, 0),
                           json_is_array(json_array_get(scores, 0)) ? json_array_get(scores, 0) : scores, out);
    size_t width = nested ? json_array_size(json_array_get(list, 0)) : is_known_set(n / 3) && n % 3 == 0 ? 3 : 2;
    size_t points = nested ? n : n / width;
    if (!is_known_set(points) || width < 2 || width > 3 || (width == 2 && json_array_size(scores) < 17)) return false;
    for (size_t j = 0; j < 17; j++)
        for (size_t c = 0; c < 3; c++) {
            const json_t *v = c == 2 && width == 2 ? json_array_get(scores, j)
                              : nested             ? json_array_get(json_array_get(list, j), c)
                                                   : json_array_get(list, j * width + c);
            if (!json_is_number(v)) return false;
            out[j][c] = (float)json_number_value(v);
        }
    return true;
}

static gv_status add_person(gv_keypoints_builder *b, int frame, const json_t *person) {
    float point[17][3];
    const json_t *points = json_is_array(person) ? person : json_object_get(person, "keypoints");
    const json_t *scores = json_object_get(person, "keypoint_scores");
    if (!points) return gv_fail(b->err, GV_ERR_FORMAT, "%s: frame %d: a person without \"keypoints\"", b->path, frame);
    if (!read_points(points, scores, point)) {
        size_t numbers = json_array_size(points);
        return gv_fail(
            b->err, GV_ERR_FORMAT,
            "%s: frame %d: \"keypoints\" has %zu entries, expected COCO's 17 points: 51 numbers, or 17 lists "
            "of x, y, confidence (or x, y and \"keypoint_scores\")",
            b->path, frame, numbers);
    }
    return gv_keypoints_add(b, frame, json_is_object(person) ? identity(person) : GV_NO_IDENTITY,
                            (const float(*)[3])point);
}

// ---- COCO ------------------------------------------------------------------------------------------------

typedef struct picture { // an entry of "images"
    json_int_t id;
    int frame;
} picture;

static int by_id(const void *x, const void *y) {
    const picture *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static gv_status read_pictures(gv_keypoints_builder *b, const json_t *images, picture *out) {
    size_t i;
    const json_t *image;
    json_array_foreach((json_t *)images, i, image) {
        const json_t *w = json_object_get(image, "width"), *h = json_object_get(image, "height");
        const json_t *id = json_object_get(image, "id"), *name = json_object_get(image, "file_name");
        if (json_is_number(w) && json_is_number(h)) {
            gv_status status = gv_keypoints_check_size(b, json_number_value(w), json_number_value(h));
            if (status != GV_OK) return status;
        }
        int frame = frame_number(name);
        if (frame < 0) frame = frame_number(id);
        if (!json_is_integer(id) || frame < 0) return wrong(b, "an entry of \"images\" has no id or number");
        out[i] = (picture){json_integer_value(id), frame};
        gv_keypoints_list_frame(b, frame);
    }
    b->complete = true;
    return GV_OK;
}

// A list of persons, each with the picture that it is in; pictures [n] sorted, n = 0: image_id is the frame.
static gv_status read_annotations(gv_keypoints_builder *b, const json_t *list, const picture *pictures, size_t n) {
    size_t i;
    const json_t *person;
    gv_status status = GV_OK;
    json_array_foreach((json_t *)list, i, person) {
        const json_t *id = json_object_get(person, "image_id");
        int frame = frame_number(id);
        if (n) {
            picture key = {json_is_integer(id) ? json_integer_value(id) : -1, 0};
            const picture *p = bsearch(&key, pictures, n, sizeof *pictures, by_id);
            frame = p ? p->frame : -1;
        }
        if (frame < 0)
            return gv_fail(b->err, GV_ERR_FORMAT, "%s: person %zu: image_id is missing or names no frame", b->path, i);
        if (!n) gv_keypoints_list_frame(b, frame);
        if ((status = add_person(b, frame, person)) != GV_OK) return status;
    }
    return status;
}

static gv_status read_coco(gv_keypoints_builder *b, const json_t *images, const json_t *annotations) {
    size_t n = json_array_size(images);
    picture *pictures = gv_calloc2(n, sizeof *pictures);
    if (!pictures) return gv_fail(b->err, GV_ERR_MEMORY, "%s: no memory for %zu pictures", b->path, n);
    gv_status status = read_pictures(b, images, pictures);
    qsort(pictures, n, sizeof *pictures, by_id);
    if (status == GV_OK) status = read_annotations(b, annotations, pictures, n);
    free(pictures);
    return status;
}

// ---- Frame by frame --------------------------------------------------------------------------------------

// MMPose: {"frame_id", "instances": [person, ...]}.
static gv_status read_frames(gv_keypoints_builder *b, const json_t *list) {
    size_t i, k;
    const json_t *frame, *person;
    b->complete = true;
    json_array_foreach((json_t *)list, i, frame) {
        int number = frame_number(json_object_get(frame, "frame_id"));
        const json_t *people = json_object_get(frame, "instances");
        if (number < 0 || !json_is_array(people)) return wrong(b, "a frame without \"frame_id\" or \"instances\"");
        gv_keypoints_list_frame(b, number);
        json_array_foreach((json_t *)people, k, person) {
            gv_status status = add_person(b, number, person);
            if (status != GV_OK) return status;
        }
    }
    return GV_OK;
}

static gv_status read_lists(gv_keypoints_builder *b, const json_t *list) {
    size_t i, k;
    const json_t *people, *person;
    b->complete = true;
    json_array_foreach((json_t *)list, i, people) {
        if (!json_is_array(people)) return wrong(b, "not every frame is a list of persons");
        gv_keypoints_list_frame(b, (int)i);
        json_array_foreach((json_t *)people, k, person) {
            gv_status status = add_person(b, (int)i, person);
            if (status != GV_OK) return status;
        }
    }
    return GV_OK;
}

gv_status gv_keypoints_read_json(gv_keypoints_builder *b) {
    json_t *root = load(b, b->path);
    if (!root) return b->err ? b->err->status : GV_ERR_FORMAT;
    const json_t *first = json_array_get(root, 0), *info = json_object_get(root, "instance_info");
    const json_t *images = json_object_get(root, "images"), *annotations = json_object_get(root, "annotations");
    gv_status status;
    if (json_is_array(info))
        status = read_frames(b, info);
    else if (json_is_array(annotations))
        status =
            json_array_size(images) ? read_coco(b, images, annotations) : read_annotations(b, annotations, NULL, 0);
    else if (json_is_array(root) && !first)
        status = wrong(b, "an empty list");
    else if (json_object_get(first, "instances"))
        status = read_frames(b, root);
    else if (json_object_get(first, "image_id"))
        status = read_annotations(b, root, NULL, 0);
    else if (json_is_array(first))
        status = read_lists(b, root);
    else if (json_is_array(json_object_get(root, "people")))
        status = wrong(b, "one frame of OpenPose (its folder is meant)");
    else
        status = wrong(b, "JSON of another kind");
    json_decref(root);
    return status;
}

// ---- OpenPose --------------------------------------------------------------------------------------------

static const char ENDING[] = "_keypoints.json";
// COCO-17's points in OpenPose's order of 25 and of 18.
static const int from_body25[17] = {0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11};
static const int from_coco18[17] = {0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10};

static gv_status add_openpose(gv_keypoints_builder *b, const char *file, int frame, const json_t *person) {
    const json_t *list = json_object_get(person, "pose_keypoints_2d");
    if (!list) list = json_object_get(person, "pose_keypoints"); // version 1.0
    size_t n = json_array_size(list);
    float point[17][3];
    if (n != 75 && n != 54)
        return gv_fail(b->err, GV_ERR_FORMAT,
                       "%s: pose_keypoints_2d has %zu numbers, expected 75 (BODY_25) or 54 (COCO)", file, n);
    const int *from = n == 75 ? from_body25 : from_coco18;
    for (int j = 0; j < 17; j++)
        for (int c = 0; c < 3; c++) {
            const json_t *v = json_array_get(list, (size_t)from[j] * 3 + (size_t)c);
            if (!json_is_number(v))
                return gv_fail(b->err, GV_ERR_FORMAT, "%s: pose_keypoints_2d holds something else than numbers", file);
            point[j][c] = (float)json_number_value(v);
        }
    return gv_keypoints_add(b, frame, identity(person), (const float(*)[3])point);
}

static gv_status read_openpose_frame(gv_keypoints_builder *b, const char *name) {
    char path[4096];
    size_t i;
    const json_t *person;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", b->path, name) >= sizeof path)
        return wrong(b, "a file name that is too long");
    int frame = last_number(name, name + strlen(name) - strlen(ENDING));
    if (frame < 0) return gv_fail(b->err, GV_ERR_FORMAT, "%s: has no frame number in its name", path);
    json_t *root = load(b, path);
    if (!root) return b->err ? b->err->status : GV_ERR_FORMAT;
    const json_t *people = json_object_get(root, "people");
    gv_status status =
        json_is_array(people) ? GV_OK : gv_fail(b->err, GV_ERR_FORMAT, "%s: has no list \"people\"", path);
    gv_keypoints_list_frame(b, frame);
    if (status == GV_OK)
        json_array_foreach((json_t *)people, i, person) if (status == GV_OK) status =
            add_openpose(b, path, frame, person);
    json_decref(root);
    return status;
}

gv_status gv_keypoints_read_openpose(gv_keypoints_builder *b) {
    DIR *d = opendir(b->path);
    gv_status status = GV_OK;
    if (!d) return gv_fail(b->err, GV_ERR_IO, "%s: cannot open the folder", b->path);
    b->complete = true;
    for (struct dirent *e; status == GV_OK && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n <= strlen(ENDING) || strcmp(e->d_name + n - strlen(ENDING), ENDING) != 0) continue;
        if (b->listed >= MAX_FILES) status = wrong(b, "more than four million files");
        if (status == GV_OK) status = read_openpose_frame(b, e->d_name);
    }
    closedir(d);
    if (status == GV_OK && !b->listed) status = wrong(b, "a folder without NAME_NUMBER_keypoints.json");
    return status;
}
