#include "exports/glb.h"
#include "base/file.h"
#include "base/json_build.h"
#include "base/memory.h"
#include "formats/motion_export.h"
#include "geometry/rotation.h"
#include "rendering/render.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { J = GV_MOTION_JOINTS, FLOAT = 5126, UINT = 5125, UBYTE = 5121, VERTICES = 34962, INDICES = 34963 };
static const double other_body_m = 0.005;

typedef struct builder {
    unsigned char *bin;
    size_t size, capacity;
    bool failed; // memory
    json_t *views, *accessors, *nodes, *meshes, *materials, *skins, *samplers, *channels, *roots, *cameras;
    int faces, joints, weights; // accessors that all people share, -1: not yet there
    double first_sec, last_sec;
} builder;

static int append(json_t **array, json_t *value) {
    gv_json_append(array, value);
    return (int)json_array_size(*array) - 1;
}

// Copies bytes behind what is there, at a multiple of four; returns the buffer view.
static int add_view(builder *b, const void *data, size_t bytes, int target) {
    size_t at = (b->size + 3) & ~(size_t)3, needed = at + bytes;
    if (needed > b->capacity) {
        size_t capacity = needed + needed / 2 + 4096;
        unsigned char *grown = needed < UINT32_MAX / 2 ? realloc(b->bin, capacity) : NULL;
        if (!grown) return b->failed = true, 0;
        b->bin = grown;
        b->capacity = capacity;
    }
    memset(b->bin + b->size, 0, at - b->size);
    memcpy(b->bin + at, data, bytes);
    b->size = needed;
    json_t *view =
        json_pack("{s:i, s:I, s:I}", "buffer", 0, "byteOffset", (json_int_t)at, "byteLength", (json_int_t)bytes);
    if (target) gv_json_set(&view, "target", json_integer(target));
    return append(&b->views, view);
}

static int add_accessor(builder *b, const void *data, int type, const char *shape, size_t count, size_t bytes,
                        int target) {
    return append(&b->accessors, json_pack("{s:i, s:i, s:I, s:s}", "bufferView", add_view(b, data, bytes, target),
                                           "componentType", type, "count", (json_int_t)count, "type", shape));
}

// Floats [count, width] with their smallest and largest values, which positions and times must state.
static int add_bounded(builder *b, const float *data, size_t count, int width, const char *shape, int target) {
    int accessor = add_accessor(b, data, FLOAT, shape, count, count * (size_t)width * 4, target);
    json_t *lowest = json_array(), *highest = json_array();
    for (int c = 0; c < width; c++) {
        float lo = data[c], hi = data[c];
        for (size_t i = 0; i < count; i++) lo = fminf(lo, data[i * width + c]), hi = fmaxf(hi, data[i * width + c]);
        gv_json_append(&lowest, json_real((double)lo));
        gv_json_append(&highest, json_real((double)hi));
    }
    json_t *a = json_array_get(b->accessors, (size_t)accessor);
    if (json_object_set_new(a, "min", lowest) != 0 || json_object_set_new(a, "max", highest) != 0) b->failed = true;
    return accessor;
}

static json_t *vector(const float *v, int n) {
    json_t *a = json_array();
    for (int i = 0; i < n; i++) gv_json_append(&a, json_real((double)v[i]));
    return a;
}

static void animate(builder *b, int node, const char *path, const char *interpolation, int times, int values) {
    int sampler = append(
        &b->samplers, json_pack("{s:i, s:s, s:i}", "input", times, "interpolation", interpolation, "output", values));
    append(&b->channels, json_pack("{s:i, s:{s:i, s:s}}", "sampler", sampler, "target", "node", node, "path", path));
}

// Quaternion x, y, z, w as glTF has it, on the side of the one before (NULL: any).
static void gltf_quaternion(float out[4], const float R[9], const float *before) {
    float q[4];
    gv_rot_to_quat(q, R);
    out[0] = q[1], out[1] = q[2], out[2] = q[3], out[3] = q[0];
    float dot = 0;
    for (int i = 0; before && i < 4; i++) dot += out[i] * before[i];
    for (int i = 0; dot < 0 && i < 4; i++) out[i] = -out[i];
}

// ---- a body

static void add_shared(builder *b, const gv_body *body) {
    size_t V = (size_t)body->vertices, F = (size_t)body->triangles * 3;
    unsigned char *index = gv_calloc2(V, 4);
    float *weight = gv_calloc2(V, 4 * sizeof *weight);
    if (!index || !weight) {
        b->failed = true;
    } else {
        for (size_t v = 0; v < V; v++) {
            float rest = 1;
            for (int i = 3; i >= 0; i--) { // the largest, the first, takes what rounding leaves
                weight[4 * v + i] = i ? fmaxf(body->bone_weight[4 * v + i], 0) : rest;
                rest -= weight[4 * v + i];
                index[4 * v + i] = (unsigned char)(weight[4 * v + i] > 0 ? body->bone_index[4 * v + i] : 0);
            }
        }
        b->faces = add_accessor(b, body->faces, UINT, "SCALAR", F, F * 4, INDICES);
        b->joints = add_accessor(b, index, UBYTE, "VEC4", V, V * 4, VERTICES);
        b->weights = add_accessor(b, weight, FLOAT, "VEC4", V, V * 16, VERTICES);
    }
    free(index);
    free(weight);
}

static int add_mesh(builder *b, const gv_body *body, const gv_motion *m, int number) {
    size_t V = (size_t)body->vertices;
    float *vertices = gv_calloc2(V, 12), *normals = gv_calloc2(V, 12);
    char name[32];
    int mesh = 0;
    snprintf(name, sizeof name, "person-%d", number);
    if (!vertices || !normals) {
        b->failed = true;
    } else {
        gv_body_rest_surface(body, m->betas, vertices, normals);
        int position = add_bounded(b, vertices, V, 3, "VEC3", VERTICES);
        int normal = add_accessor(b, normals, FLOAT, "VEC3", V, V * 12, VERTICES);
        json_t *colour = vector(gv_palette(number - 1), 3);
        gv_json_append(&colour, json_real(1));
        int material =
            append(&b->materials, json_pack("{s:s, s:{s:o, s:f, s:f}}", "name", name, "pbrMetallicRoughness",
                                            "baseColorFactor", colour, "metallicFactor", 0.0, "roughnessFactor", 0.75));
        mesh = append(&b->meshes, json_pack("{s:s, s:[{s:{s:i, s:i, s:i, s:i}, s:i, s:i}]}", "name", name, "primitives",
                                            "attributes", "POSITION", position, "NORMAL", normal, "JOINTS_0", b->joints,
                                            "WEIGHTS_0", b->weights, "indices", b->faces, "material", material));
    }
    free(vertices);
    free(normals);
    return mesh;
}

// The nodes of 55 joints, each after its parent; returns the first, the pelvis.
static int add_skeleton(builder *b, const gv_body *body, const float S[GV_SMPLX_JOINTS * 3]) {
    int first = (int)json_array_size(b->nodes);
    for (int j = 0; j < GV_SMPLX_JOINTS; j++) {
        float offset[3];
        for (int i = 0; i < 3; i++) offset[i] = S[3 * j + i] - (j ? S[3 * gv_parents55[j] + i] : 0);
        json_t *children = json_array(),
               *node = json_pack("{s:s, s:o}", "name", gv_joint_names55[j], "translation", vector(offset, 3));
        for (int c = j + 1; c < GV_SMPLX_JOINTS; c++)
            if (gv_parents55[c] == j) gv_json_append(&children, json_integer(first + c));
        if (!children || json_array_size(children)) gv_json_set(&node, "children", json_incref(children));
        json_decref(children);
        if (j >= 25) {
            float R[9], q[4];
            gv_rot_from_aa(R, body->hands_mean + 3 * (j - 25));
            gltf_quaternion(q, R, NULL);
            gv_json_set(&node, "rotation", vector(q, 4));
        }
        append(&b->nodes, node);
    }
    return first;
}

static int add_skin(builder *b, const float S[GV_SMPLX_JOINTS * 3], int pelvis, int root) {
    float inverse[GV_SMPLX_JOINTS * 16] = {0}; // columns
    json_t *joints = json_array();
    for (int j = 0; j < GV_SMPLX_JOINTS; j++) {
        for (int i = 0; i < 4; i++) inverse[16 * j + 5 * i] = 1;
        for (int i = 0; i < 3; i++) inverse[16 * j + 12 + i] = -S[3 * j + i];
        gv_json_append(&joints, json_integer(pelvis + j));
    }
    int matrices = add_accessor(b, inverse, FLOAT, "MAT4", GV_SMPLX_JOINTS, sizeof inverse, 0);
    return append(&b->skins,
                  json_pack("{s:o, s:i, s:i}", "joints", joints, "inverseBindMatrices", matrices, "skeleton", root));
}

static void animate_person(builder *b, const gv_motion *m, int pelvis) {
    size_t L = (size_t)m->frames;
    float *times = gv_calloc2(L, 4), *values = gv_calloc2(L, 16);
    if (!times || !values) {
        b->failed = true;
        goto done;
    }
    for (size_t t = 0; t < L; t++) times[t] = (float)(m->time_sec[t] - b->first_sec);
    int input = add_bounded(b, times, L, 1, "SCALAR", 0);
    for (size_t t = 0; t < L; t++) memcpy(values + 3 * t, m->joints_world + 3 * J * t, 12);
    animate(b, pelvis, "translation", "LINEAR", input, add_accessor(b, values, FLOAT, "VEC3", L, L * 12, 0));
    for (int j = 0; j < J; j++) {
        for (size_t t = 0; t < L; t++) {
            float R[9];
            gv_rot_from_aa(R, j ? m->body_pose + 63 * t + 3 * (j - 1) : m->global_orient + 3 * t);
            gltf_quaternion(values + 4 * t, R, t ? values + 4 * (t - 1) : NULL);
        }
        animate(b, pelvis + j, "rotation", "LINEAR", input, add_accessor(b, values, FLOAT, "VEC4", L, L * 16, 0));
    }
done:
    free(times);
    free(values);
}

// Scaled to nothing before the first and after the last frame, where the scene is longer than the person's stay.
static void animate_presence(builder *b, const gv_motion *m, int node) {
    double first = m->time_sec[0] - b->first_sec, last = m->time_sec[m->frames - 1] - b->first_sec;
    double frame = 1 / gv_motion_mean_rate(m, NULL), end = b->last_sec - b->first_sec;
    float times[3], scales[9];
    int n = 0;
    if (first > frame / 2) times[n++] = 0;
    times[n++] = (float)first;
    if (last + frame / 2 < end) times[n++] = (float)fmin(last + frame, end);
    if (n == 1) return;
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) scales[3 * i + c] = times[i] == (float)first ? 1 : 0;
    int input = add_bounded(b, times, (size_t)n, 1, "SCALAR", 0);
    animate(b, node, "scale", "STEP", input, add_accessor(b, scales, FLOAT, "VEC3", (size_t)n, (size_t)n * 12, 0));
}

static gv_status check_body(const gv_motion *m, const float *S, int number, gv_error *err) {
    double bones[J][3];
    char name[32];
    snprintf(name, sizeof name, "person %d", number);
    gv_status status = gv_motion_bones(m, bones, name, err);
    for (int j = 1; j < J && status == GV_OK; j++)
        for (int i = 0; i < 3; i++) {
            double off = fabs(bones[j][i] - (double)(S[3 * j + i] - S[3 * gv_parents55[j] + i]));
            if (off > other_body_m)
                return gv_fail(
                    err, GV_ERR_ARGUMENT,
                    "%s: the bone to %s differs by %.0f mm from this body's: give the body model that the motion "
                    "was made with",
                    name, gv_joint_names[j], 1000 * off);
        }
    return status;
}

static gv_status add_person(builder *b, const gv_body *body, const gv_motion *m, int number, gv_error *err) {
    float S[GV_SMPLX_JOINTS * 3];
    char name[32];
    gv_body_rest_joints(S, body, m->betas, GV_SMPLX_JOINTS);
    gv_status status = check_body(m, S, number, err);
    if (status != GV_OK) return status;
    if (b->faces < 0) add_shared(b, body);
    int pelvis = add_skeleton(b, body, S);
    snprintf(name, sizeof name, "person-%d", number);
    int root = append(&b->nodes, json_pack("{s:s, s:[i]}", "name", name, "children", pelvis));
    int mesh = add_mesh(b, body, m, number), skin = add_skin(b, S, pelvis, root);
    snprintf(name, sizeof name, "person-%d-body", number);
    int skinned = append(&b->nodes, json_pack("{s:s, s:i, s:i}", "name", name, "mesh", mesh, "skin", skin));
    append(&b->roots, json_integer(root));
    append(&b->roots, json_integer(skinned));
    animate_person(b, m, pelvis);
    animate_presence(b, m, root);
    return GV_OK;
}

// ---- the camera

// A glTF camera looks along its -z, y up: its axes in the world are R^T diag(1, -1, -1), its place -R^T t.
static void camera_pose(float place[3], float R[9], const gv_export_camera *c, size_t f) {
    const float *W = c->R_w2c + 9 * f;
    gv_mat3_apply_t(place, W, c->t_w2c + 3 * f);
    for (int i = 0; i < 3; i++) {
        place[i] = -place[i];
        for (int k = 0; k < 3; k++) R[3 * i + k] = (k ? -1 : 1) * W[3 * k + i];
    }
}

static void add_camera(builder *b, const gv_export_camera *c) {
    if (c->frames < 1 || c->width < 1 || c->height < 1) return;
    size_t n = (size_t)c->frames;
    float *places = gv_calloc2(n, 12), *turns = gv_calloc2(n, 16), *times = gv_calloc2(n, 4);
    if (!places || !turns || !times) {
        b->failed = true;
        goto done;
    }
    for (size_t f = 0; f < n; f++) {
        float R[9];
        camera_pose(places + 3 * f, R, c, f);
        gltf_quaternion(turns + 4 * f, R, f ? turns + 4 * (f - 1) : NULL);
        times[f] = (float)(c->time_sec[f] - b->first_sec);
    }
    double aspect = c->width * c->fy / (c->height * c->fx);
    append(&b->cameras,
           json_pack("{s:s, s:s, s:{s:f, s:f, s:f}}", "name", "camera", "type", "perspective", "perspective", "yfov",
                     2 * atan(c->height / (2 * c->fy)), "aspectRatio", aspect, "znear", 0.05));
    int node = append(&b->nodes, json_pack("{s:s, s:i, s:o, s:o}", "name", "camera", "camera", 0, "translation",
                                           vector(places, 3), "rotation", vector(turns, 4)));
    append(&b->roots, json_integer(node));
    if (n > 1) {
        int input = add_bounded(b, times, n, 1, "SCALAR", 0);
        animate(b, node, "translation", "LINEAR", input, add_accessor(b, places, FLOAT, "VEC3", n, n * 12, 0));
        animate(b, node, "rotation", "LINEAR", input, add_accessor(b, turns, FLOAT, "VEC4", n, n * 16, 0));
    }
done:
    free(places);
    free(turns);
    free(times);
}

// ---- the file

static char *json_text(builder *b) {
    json_t *root = json_pack(
        "{s:{s:s, s:s}, s:i, s:[{s:s, s:O}], s:O, s:O, s:O, s:O, s:O, s:O, s:[{s:I}], s:[{s:s, s:O, s:O}]}", "asset",
        "version", "2.0", "generator", "gvhmr.c " GVHMR_VERSION, "scene", 0, "scenes", "name", "world", "nodes",
        b->roots, "nodes", b->nodes, "meshes", b->meshes, "materials", b->materials, "skins", b->skins, "accessors",
        b->accessors, "bufferViews", b->views, "buffers", "byteLength", (json_int_t)b->size, "animations", "name",
        "motion", "samplers", b->samplers, "channels", b->channels);
    if (root && (!b->cameras || json_array_size(b->cameras))) gv_json_set(&root, "cameras", json_incref(b->cameras));
    char *text = gv_json_dump(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(root);
    return text;
}

static gv_status write_file(builder *b, const char *text, const char *path, gv_error *err) {
    size_t json = strlen(text), json_padded = (json + 3) & ~(size_t)3, bin_padded = (b->size + 3) & ~(size_t)3;
    uint64_t total = 12 + 8 + (uint64_t)json_padded + 8 + bin_padded;
    if (total > UINT32_MAX) return gv_fail(err, GV_ERR_ARGUMENT, "%s: more than 4 GiB, which a .glb cannot hold", path);
    gv_outfile out;
    gv_status status = gv_outfile_begin(&out, path, err);
    if (status != GV_OK) return status;
    FILE *f = fopen(out.temporary, "wb");
    bool ok = f != NULL;
    if (ok) {
        const uint32_t header[5] = {0x46546C67, 2, (uint32_t)total, (uint32_t)json_padded, 0x4E4F534A};
        const uint32_t chunk[2] = {(uint32_t)bin_padded, 0x004E4942};
        ok = fwrite(header, 1, sizeof header, f) == sizeof header && fwrite(text, 1, json, f) == json &&
             fwrite("   ", 1, json_padded - json, f) == json_padded - json &&
             fwrite(chunk, 1, sizeof chunk, f) == sizeof chunk && fwrite(b->bin, 1, b->size, f) == b->size &&
             fwrite("\0\0\0", 1, bin_padded - b->size, f) == bin_padded - b->size;
        if (fclose(f) != 0) ok = false;
    }
    if (ok) return gv_outfile_commit(&out, err);
    status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    gv_outfile_abandon(&out);
    return status;
}

static void span(builder *b, const gv_export_people *p) {
    b->first_sec = INFINITY;
    b->last_sec = -INFINITY;
    for (int k = 0; k < p->people; k++) {
        b->first_sec = fmin(b->first_sec, p->motion[k].time_sec[0]);
        b->last_sec = fmax(b->last_sec, p->motion[k].time_sec[p->motion[k].frames - 1]);
    }
    if (p->camera.frames > 1) {
        b->first_sec = fmin(b->first_sec, p->camera.time_sec[0]);
        b->last_sec = fmax(b->last_sec, p->camera.time_sec[p->camera.frames - 1]);
    }
}

gv_status gv_glb_write(const gv_export_people *p, const gv_body *body, const char *path, gv_error *err) {
    assert(p->people >= 1);
    builder b = {.faces = -1};
    json_t **arrays[] = {&b.views, &b.accessors, &b.nodes,    &b.meshes, &b.materials,
                         &b.skins, &b.samplers,  &b.channels, &b.roots,  &b.cameras};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (!(*arrays[i] = json_array())) b.failed = true;
    span(&b, p);
    gv_status status = GV_OK;
    for (int k = 0; k < p->people && status == GV_OK && !b.failed; k++)
        status = add_person(&b, body, p->motion + k, p->number[k], err);
    if (status == GV_OK && !b.failed) add_camera(&b, &p->camera);
    char *text = status == GV_OK && !b.failed ? json_text(&b) : NULL;
    if (status == GV_OK && (b.failed || !text)) status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    if (status == GV_OK) status = write_file(&b, text, path, err);
    free(text);
    free(b.bin);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) json_decref(*arrays[i]);
    return status;
}
