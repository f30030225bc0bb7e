#include "base/sha256.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <immintrin.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint32_t K[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t right(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

static void blocks_plain(uint32_t state[8], const uint8_t *p, size_t blocks) {
    for (; blocks; blocks--, p += 64) {
        uint32_t w[64], s[8];
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
        for (int i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] =
                w[i - 16] + w[i - 7] + (right(a, 7) ^ right(a, 18) ^ a >> 3) + (right(b, 17) ^ right(b, 19) ^ b >> 10);
        }
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t a = s[0], e = s[4];
            uint32_t t1 = s[7] + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + K[i] + w[i];
            uint32_t t2 = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof *s);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++) state[i] += s[i];
    }
}

// The instructions keep the state as (a, b, e, f) and (c, d, g, h), highest lane first, and do two rounds each.
__attribute__((target("sha,sse4.1"))) static void blocks_sha(uint32_t state[8], const uint8_t *p, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
    __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
    for (; blocks; blocks--, p += 64) {
        __m128i w[4], abef0 = abef, cdgh0 = cdgh;
        for (int i = 0; i < 4; i++) w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
        for (int i = 0; i < 16; i++) {
            __m128i now = w[i & 3];
            if (i >= 4) { // w[t] = s1(w[t-2]) + w[t-7] + s0(w[t-15]) + w[t-16], four at a time
                __m128i last = w[(i + 3) & 3], t7 = _mm_alignr_epi8(last, w[(i + 2) & 3], 4);
                now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(now, w[(i + 1) & 3]), t7), last);
                w[i & 3] = now;
            }
            __m128i k = _mm_add_epi32(now, _mm_load_si128((const __m128i *)(K + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    uint32_t x[4], y[4];
    _mm_storeu_si128((__m128i *)x, abef);
    _mm_storeu_si128((__m128i *)y, cdgh);
    const uint32_t all[8] = {x[3], x[2], y[3], y[2], x[1], x[0], y[1], y[0]};
    memcpy(state, all, sizeof all);
}

static void blocks_any(uint32_t state[8], const uint8_t *p, size_t blocks) {
    unsigned eax = 7, ebx, ecx = 0, edx; // leaf 7: bit 29 of EBX
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    bool has = ebx >> 29 & 1;
    (has ? blocks_sha : blocks_plain)(state, p, blocks);
}

void gv_sha256_begin(gv_sha256 *h) {
    *h = (gv_sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void gv_sha256_add(gv_sha256 *h, const void *data, size_t size) {
    const uint8_t *p = data;
    size_t used = h->bytes & 63;
    h->bytes += size;
    if (used) {
        size_t n = size < 64 - used ? size : 64 - used;
        memcpy(h->block + used, p, n);
        p += n;
        size -= n;
        if (used + n < 64) return;
        blocks_any(h->state, h->block, 1);
    }
    if (size >= 64) blocks_any(h->state, p, size / 64);
    if (size % 64) memcpy(h->block, p + (size & ~(size_t)63), size % 64);
}

void gv_sha256_hex(gv_sha256 *h, char hex[65]) {
    uint64_t bits = h->bytes * 8;
    uint8_t end[72] = {0x80};
    size_t pad = (h->bytes % 64 < 56 ? 56 : 120) - h->bytes % 64; // 0x80 and zeros up to the last 8 bytes
    for (int i = 0; i < 8; i++) end[pad + i] = (uint8_t)(bits >> (56 - 8 * i));
    gv_sha256_add(h, end, pad + 8);
    for (int i = 0; i < 8; i++) snprintf(hex + 8 * i, 9, "%08x", h->state[i]);
}

// ---- files

enum { PIECE = 1 << 18, SAMPLE = 4096, SAMPLES = 1024 };

static bool add_range(gv_sha256 *h, FILE *f, off_t from, off_t bytes, uint8_t *buffer) {
    if (fseeko(f, from, SEEK_SET) != 0) return false;
    while (bytes > 0) {
        size_t n = fread(buffer, 1, bytes < PIECE ? (size_t)bytes : PIECE, f);
        if (n == 0) return false;
        gv_sha256_add(h, buffer, n);
        bytes -= (off_t)n;
    }
    return true;
}

static bool add_samples(gv_sha256 *h, FILE *f, off_t size, uint8_t *buffer) {
    uint64_t bytes = (uint64_t)size;
    gv_sha256_add(h, &bytes, sizeof bytes);
    if (!add_range(h, f, 0, PIECE, buffer) || !add_range(h, f, size - PIECE, PIECE, buffer)) return false;
    for (int i = 0; i < SAMPLES; i++)
        if (!add_range(h, f, (size - SAMPLE) / SAMPLES * i, SAMPLE, buffer)) return false;
    return true;
}

static gv_status sum_file(char hex[65], const char *path, off_t whole_limit, gv_error *err) {
    FILE *f = fopen(path, "rb");
    if (!f) return gv_fail(err, GV_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    setvbuf(f, NULL, _IONBF, 0);
    uint8_t *buffer = malloc(PIECE);
    struct stat st;
    gv_sha256 h;
    gv_sha256_begin(&h);
    gv_status status = GV_OK;
    if (!buffer)
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for its SHA-256", path);
    else if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
        status = gv_fail(err, GV_ERR_IO, "%s: not a regular file", path);
    else if (!(whole_limit && st.st_size > whole_limit ? add_samples(&h, f, st.st_size, buffer)
                                                       : add_range(&h, f, 0, st.st_size, buffer)))
        status = gv_fail(err, GV_ERR_IO, "%s: cannot read: %s", path, ferror(f) ? strerror(errno) : "it grew shorter");
    free(buffer);
    fclose(f);
    if (status == GV_OK) gv_sha256_hex(&h, hex);
    return status;
}

gv_status gv_sha256_file(char hex[65], const char *path, gv_error *err) {
    return sum_file(hex, path, 0, err);
}

gv_status gv_file_fingerprint(char hex[65], const char *path, gv_error *err) {
    return sum_file(hex, path, 16 << 20, err);
}

gv_status gv_path_fingerprint(char hex[65], const char *path, gv_error *err) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return gv_file_fingerprint(hex, path, err);
    char **list;
    gv_status status = gv_folder_list(&list, path, err);
    if (status != GV_OK) return status;
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    gv_sha256 h;
    gv_sha256_begin(&h);
    for (char **name = list; *name; name++) {
        if (**name == '.' || fstatat(fd, *name, &st, 0) != 0) continue;
        const int64_t facts[3] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
        gv_sha256_add(&h, *name, strlen(*name) + 1);
        gv_sha256_add(&h, facts, sizeof facts);
    }
    if (fd >= 0) close(fd);
    free(list);
    gv_sha256_hex(&h, hex);
    return GV_OK;
}
