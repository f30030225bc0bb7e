// store.c - the file's layout and its checks.
#include "training/store.h"
#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(gv_clip) == 320, "the clip table's record");

typedef struct header {
    char magic[16];
    uint32_t version, clips;
    uint64_t frames;
    uint64_t reserved[4];
} header;

static const char MAGIC[16] = "gvhmr motions\n";
enum { VERSION = 2, MAX_CLIPS = 1 << 20, OLD_CLIP = 256 };
static const uint64_t FRAME_BYTES = GV_STORE_JOINTS * 4 * sizeof(int16_t) + 3 * sizeof(float) + GV_STORE_FEET;

static gv_status check(const gv_store *s, const char *path, gv_error *err) {
    for (int i = 0; i < s->clip_count; i++) {
        const gv_clip *c = &s->clips[i];
        if (!memchr(c->name, 0, sizeof c->name) || !memchr(c->subject, 0, sizeof c->subject) ||
            !memchr(c->category, 0, sizeof c->category) || !memchr(c->source, 0, sizeof c->source) ||
            !memchr(c->licence, 0, sizeof c->licence))
            return gv_fail(err, GV_ERR_FORMAT, "%s: clip %d has a text without an end", path, i);
        if (c->frames < 2 || c->first > s->frame_count || c->frames > s->frame_count - c->first)
            return gv_fail(err, GV_ERR_FORMAT, "%s: clip \"%s\" lies outside the %llu frames", path, c->name,
                           (unsigned long long)s->frame_count);
        if (c->shaped > 1 || c->incam_only > 1)
            return gv_fail(err, GV_ERR_FORMAT, "%s: clip \"%s\" has unknown properties", path, c->name);
        for (int k = 0; k < 10; k++)
            if (!(fabsf(c->betas[k]) < 100))
                return gv_fail(err, GV_ERR_FORMAT, "%s: clip \"%s\" has an absurd shape", path, c->name);
        if (!(c->leg > 0.1f && c->leg < 3))
            return gv_fail(err, GV_ERR_FORMAT, "%s: clip \"%s\" has legs of %g m", path, c->name, c->leg);
    }
    for (uint64_t i = 0; i < s->frame_count * 3; i++)
        if (!(fabsf(s->hips[i]) < 1e4f))
            return gv_fail(err, GV_ERR_FORMAT, "%s: frame %llu has no finite place", path, (unsigned long long)(i / 3));
    return GV_OK;
}

// Version 1's records are the first 256 bytes of today's, the rest zero.
static gv_status convert(gv_store *s, const unsigned char *table, const char *path, gv_error *err) {
    s->converted = gv_calloc2((size_t)s->clip_count, sizeof *s->converted);
    if (!s->converted) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %d clips", path, s->clip_count);
    for (int i = 0; i < s->clip_count; i++) memcpy(&s->converted[i], table + (size_t)i * OLD_CLIP, OLD_CLIP);
    s->clips = s->converted;
    return GV_OK;
}

gv_status gv_store_open(gv_store *s, const char *path, gv_error *err) {
    *s = (gv_store){0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        if (fd >= 0) close(fd);
        return gv_fail(err, GV_ERR_IO, "%s: cannot be read", path);
    }
    uint64_t size = (uint64_t)st.st_size;
    void *map = size >= sizeof(header) ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED) return gv_fail(err, GV_ERR_FORMAT, "%s: not a motion store", path);
    s->map = map;
    s->map_size = size;
    const header *h = map;
    gv_status status = GV_OK;
    uint64_t record = h->version == 1 ? OLD_CLIP : sizeof(gv_clip);
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) || (h->version != VERSION && h->version != 1))
        status = gv_fail(err, GV_ERR_FORMAT, "%s: not a motion store of version 1 or %d", path, VERSION);
    else if (h->clips < 1 || h->clips > MAX_CLIPS || h->frames < 2 || h->frames > size / FRAME_BYTES ||
             sizeof *h + h->clips * record + h->frames * FRAME_BYTES != size)
        status = gv_fail(err, GV_ERR_FORMAT, "%s: %u clips and %llu frames do not make %llu bytes", path, h->clips,
                         (unsigned long long)h->frames, (unsigned long long)size);
    if (!status) {
        s->clip_count = (int)h->clips;
        s->frame_count = h->frames;
        const unsigned char *table = (const unsigned char *)(h + 1);
        s->clips = (const gv_clip *)(h + 1);
        s->rotation = (const int16_t *)(const void *)(table + h->clips * record);
        s->hips = (const float *)(s->rotation + h->frames * GV_STORE_JOINTS * 4);
        s->still = (const uint8_t *)(s->hips + h->frames * 3);
        if (h->version == 1) status = convert(s, table, path, err);
        if (!status) status = check(s, path, err);
    }
    if (status) gv_store_close(s);
    return status;
}

void gv_store_close(gv_store *s) {
    if (s->map) munmap(s->map, s->map_size);
    free(s->converted);
    *s = (gv_store){0};
}

gv_status gv_clip_frames_alloc(gv_clip_frames *f, double count, float leg, const char *what, gv_error *err) {
    *f = (gv_clip_frames){0};
    if (count < GV_CLIP_SHORTEST)
        return gv_fail(err, GV_ERR_EMPTY, "%s: %.0f frames at 30 fps, expected %d or more", what, count,
                       GV_CLIP_SHORTEST);
    if (!(count <= GV_CLIP_LONGEST)) return gv_fail(err, GV_ERR_FORMAT, "%s: longer than a day", what);
    if (!(leg > 0.45f && leg < 1.5f))
        return gv_fail(err, GV_ERR_FORMAT, "%s: legs of %.2f m, expected 0.45 to 1.5; is the unit %s?", what, leg,
                       leg > 0.25f && leg <= 0.45f ? "inches" : "of length right");
    const size_t T = (size_t)count;
    *f = (gv_clip_frames){.count = (int)count,
                          .rotation = gv_calloc2(T, GV_STORE_JOINTS * sizeof(float[4])),
                          .hips = gv_calloc2(T, sizeof(float[3])),
                          .foot = gv_calloc2(T, GV_STORE_FEET * sizeof(float[3])),
                          .still = gv_calloc2(T, GV_STORE_FEET)};
    if (f->rotation && f->hips && f->foot && f->still) return GV_OK;
    gv_clip_frames_free(f);
    return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %zu frames", what, T);
}

void gv_clip_frames_free(gv_clip_frames *f) {
    free(f->rotation);
    free(f->hips);
    free(f->foot);
    free(f->still);
    *f = (gv_clip_frames){0};
}

void gv_store_stillness(uint8_t *still, const float *foot, int frames) {
    for (int t = 0; t + 1 < frames; t++)
        for (int i = 0; i < GV_STORE_FEET; i++) {
            const float *a = foot + (t * GV_STORE_FEET + i) * 3, *b = a + GV_STORE_FEET * 3;
            float v = 30 * sqrtf((b[0] - a[0]) * (b[0] - a[0]) + (b[1] - a[1]) * (b[1] - a[1]) +
                                 (b[2] - a[2]) * (b[2] - a[2]));
            still[t * GV_STORE_FEET + i] = (uint8_t)lrintf(255 * fmaxf(0, fminf(1, (0.35f - v) / 0.2f)));
        }
    memcpy(still + (frames - 1) * GV_STORE_FEET, still + (frames - 2) * GV_STORE_FEET, GV_STORE_FEET);
}

struct gv_store_builder {
    gv_clip *clips;
    int16_t *rotation;
    float *hips;
    uint8_t *still;
    size_t clip_count, clip_room, frames, frame_room;
};

gv_store_builder *gv_store_builder_create(void) {
    return calloc(1, sizeof(gv_store_builder));
}

void gv_store_builder_destroy(gv_store_builder *b) {
    if (!b) return;
    free(b->clips);
    free(b->rotation);
    free(b->hips);
    free(b->still);
    free(b);
}

static int grow(void **p, size_t count, size_t size) {
    void *q = count > GV_ALLOC_LIMIT / size ? NULL : realloc(*p, count * size);
    if (q) *p = q;
    return q != NULL;
}

static int reserve(gv_store_builder *b, size_t frames) {
    if (b->clip_count == b->clip_room) {
        size_t n = b->clip_room ? b->clip_room * 2 : 64;
        if (!grow((void **)&b->clips, n, sizeof(gv_clip))) return 0;
        b->clip_room = n;
    }
    if (b->frames + frames > b->frame_room) {
        size_t n = 2 * (b->frames + frames);
        if (!grow((void **)&b->rotation, n, GV_STORE_JOINTS * 4 * sizeof(int16_t)) ||
            !grow((void **)&b->hips, n, 3 * sizeof(float)) || !grow((void **)&b->still, n, GV_STORE_FEET))
            return 0;
        b->frame_room = n;
    }
    return 1;
}

gv_status gv_store_builder_add(gv_store_builder *b, const gv_clip *clip, const float *rotation, const float *hips,
                               const uint8_t *still, gv_error *err) {
    if (b->clip_count >= MAX_CLIPS || !reserve(b, clip->frames))
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %u more frames", clip->name, clip->frames);
    gv_clip *c = &b->clips[b->clip_count++];
    *c = *clip;
    c->first = b->frames;
    size_t n = clip->frames;
    for (size_t i = 0; i < n * GV_STORE_JOINTS * 4; i++)
        b->rotation[b->frames * GV_STORE_JOINTS * 4 + i] = (int16_t)lrintf(fmaxf(-1, fminf(1, rotation[i])) * 32767);
    memcpy(b->hips + b->frames * 3, hips, n * 3 * sizeof(float));
    memcpy(b->still + b->frames * GV_STORE_FEET, still, n * GV_STORE_FEET);
    b->frames += n;
    return GV_OK;
}

gv_status gv_store_builder_write(gv_store_builder *b, const char *path, gv_error *err) {
    if (!b->clip_count) return gv_fail(err, GV_ERR_EMPTY, "%s: no clip was accepted", path);
    header h = {.version = VERSION, .clips = (uint32_t)b->clip_count, .frames = b->frames};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    gv_outfile out = {0};
    gv_status s = gv_outfile_begin(&out, path, err);
    if (s) return s;
    FILE *f = fopen(out.temporary, "wb");
    int ok = f && fwrite(&h, sizeof h, 1, f) == 1 &&
             fwrite(b->clips, sizeof(gv_clip), b->clip_count, f) == b->clip_count &&
             fwrite(b->rotation, GV_STORE_JOINTS * 4 * sizeof(int16_t), b->frames, f) == b->frames &&
             fwrite(b->hips, 3 * sizeof(float), b->frames, f) == b->frames &&
             fwrite(b->still, GV_STORE_FEET, b->frames, f) == b->frames;
    if (f && fclose(f)) ok = 0;
    if (ok) return gv_outfile_commit(&out, err);
    gv_outfile_abandon(&out);
    return gv_fail(err, GV_ERR_IO, "%s: cannot be written", path);
}
