// png.c - PNG (ISO/IEC 15948): signature, IHDR, PLTE, IDAT with stored deflate blocks (RFC 1950, 1951), IEND.
#include "formats/png.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 65535, PALETTE = 256 * 3 };

typedef struct bytes {
    uint8_t *data;
    size_t used;
} bytes;

static void put(bytes *b, const void *data, size_t n) {
    memcpy(b->data + b->used, data, n);
    b->used += n;
}

static void put32(bytes *b, uint32_t x) {
    const uint8_t big[4] = {(uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x};
    put(b, big, 4);
}

static uint32_t crc32_of(const uint8_t *p, size_t n) {
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    }
    return ~c;
}

// A chunk whose content has just been put after its 8 bytes of length and type.
static size_t begin_chunk(bytes *b, const char *type) {
    size_t at = b->used;
    put32(b, 0);
    put(b, type, 4);
    return at;
}

static void end_chunk(bytes *b, size_t at) {
    size_t n = b->used - at - 8;
    bytes length = {b->data + at, 0};
    put32(&length, (uint32_t)n);
    put32(b, crc32_of(b->data + at + 4, n + 4));
}

// Rows, each with filter 0 before it, as a zlib stream of stored blocks.
static void put_rows(bytes *b, const uint8_t *pixels, int width, int height) {
    size_t row = (size_t)width + 1, left = row * (size_t)height, in_block = 0;
    uint32_t s1 = 1, s2 = 0; // Adler-32
    put(b, "\x78\x01", 2);
    for (int y = 0; y < height; y++)
        for (size_t x = 0; x < row; x++, left--) {
            if (in_block == 0) {
                in_block = left < BLOCK ? left : BLOCK;
                const uint8_t head[5] = {left <= BLOCK, (uint8_t)in_block, (uint8_t)(in_block >> 8), (uint8_t)~in_block,
                                         (uint8_t)(~in_block >> 8)};
                put(b, head, 5);
            }
            uint8_t v = x ? pixels[(size_t)y * (size_t)width + x - 1] : 0;
            b->data[b->used++] = v;
            in_block--;
            s1 = (s1 + v) % 65521;
            s2 = (s2 + s1) % 65521;
        }
    put32(b, s2 << 16 | s1);
}

gv_status gv_png_write(const char *path, const uint8_t *pixels, int width, int height, const uint8_t (*palette)[3],
                       gv_error *err) {
    if (width < 1 || height < 1 || width > 1 << 15 || height > 1 << 15)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: a picture of %d x %d", path, width, height);
    size_t raw = ((size_t)width + 1) * (size_t)height;
    bytes b = {gv_calloc2(raw + 5 * (raw / BLOCK + 1) + PALETTE + 256, 1), 0};
    if (!b.data) return gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the picture", path);
    put(&b, "\x89PNG\r\n\x1a\n", 8);
    size_t at = begin_chunk(&b, "IHDR");
    put32(&b, (uint32_t)width);
    put32(&b, (uint32_t)height);
    put(&b, (uint8_t[5]){8, 3, 0, 0, 0}, 5); // 8 bits, palette
    end_chunk(&b, at);
    at = begin_chunk(&b, "PLTE");
    put(&b, palette, PALETTE);
    end_chunk(&b, at);
    at = begin_chunk(&b, "IDAT");
    put_rows(&b, pixels, width, height);
    end_chunk(&b, at);
    at = begin_chunk(&b, "IEND");
    end_chunk(&b, at);
    gv_status s = gv_file_write(path, b.data, b.used, err);
    free(b.data);
    return s;
}
