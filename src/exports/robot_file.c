#include "base/file.h"
#include "base/memory.h"
#include "exports/retarget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sheet {
    const gv_robot_motion *m;
    const gv_robot *r;
} sheet;

static void write_csv(FILE *f, const sheet *s) {
    fprintf(f, "# %.9g frames per second; root_x,root_y,root_z,root_qx,root_qy,root_qz,root_qw", s->m->fps);
    for (int j = 0; j < s->m->joints; j++) fprintf(f, ",%s", s->r->joint[j].name);
    fputc('\n', f);
    for (size_t t = 0; t < (size_t)s->m->frames; t++) {
        for (int i = 0; i < 3; i++) fprintf(f, "%.6f,", s->m->place[3 * t + i]);
        for (int i = 0; i < 4; i++) fprintf(f, i < 3 ? "%.7f," : "%.7f", s->m->turn[4 * t + i]);
        for (int j = 0; j < s->m->joints; j++) fprintf(f, ",%.6f", s->m->q[t * s->m->joints + j]);
        fputc('\n', f);
    }
}

// ---- Python's pickle, protocol 3. Source: CPython, Lib/pickletools.py; what an array pickles to: NumPy,
// ndarray.__reduce__ (its _reconstruct called with an empty array, then the state: version, shape, dtype, order,
// bytes).

static void put_text(FILE *f, const char *text) {
    uint32_t n = (uint32_t)strlen(text);
    fputc('X', f); // BINUNICODE
    fwrite(&n, 4, 1, f);
    fwrite(text, 1, n, f);
}

static void put_int(FILE *f, int32_t v) {
    fputc('J', f); // BININT
    fwrite(&v, 4, 1, f);
}

static void put_float(FILE *f, double v) {
    unsigned char big[8], *p = (unsigned char *)&v;
    for (int i = 0; i < 8; i++) big[i] = p[7 - i];
    fputc('G', f); // BINFLOAT
    fwrite(big, 1, 8, f);
}

static void put_array(FILE *f, const double *data, int rows, int columns) {
    uint32_t bytes = (uint32_t)rows * (uint32_t)columns * 8;
    fputs("cnumpy.core.multiarray\n_reconstruct\n", f); // GLOBAL
    fputs("cnumpy\nndarray\n", f);
    put_int(f, 0);
    fputs("\x85", f); // TUPLE1: (0,)
    fwrite("C\x01"
           "b",
           1, 3, f);    // SHORT_BINBYTES b'b'
    fputs("\x87R(", f); // TUPLE3, REDUCE, MARK
    put_int(f, 1);
    put_int(f, rows);
    put_int(f, columns);
    fputs("\x86", f); // TUPLE2
    fputs("cnumpy\ndtype\n", f);
    put_text(f, "f8");
    fputs("\x89\x88\x87R(", f); // NEWFALSE NEWTRUE TUPLE3 REDUCE MARK
    put_int(f, 3);
    put_text(f, "<");
    fputs("NNN", f);
    put_int(f, -1);
    put_int(f, -1);
    put_int(f, 0);
    fputs("tb\x89", f); // TUPLE BUILD; NEWFALSE: C order
    fputc('B', f);      // BINBYTES
    fwrite(&bytes, 4, 1, f);
    fwrite(data, 1, bytes, f);
    fputs("tb", f); // TUPLE BUILD
}

static void write_pickle(FILE *f, const sheet *s) {
    const gv_robot_motion *m = s->m;
    fputs("\x80\x03}(", f); // PROTO 3, EMPTY_DICT, MARK
    put_text(f, "fps");
    put_float(f, m->fps);
    put_text(f, "root_pos");
    put_array(f, m->place, m->frames, 3);
    put_text(f, "root_rot");
    put_array(f, m->turn, m->frames, 4);
    put_text(f, "dof_pos");
    put_array(f, m->q, m->frames, m->joints);
    put_text(f, "local_body_pos");
    fputc('N', f);
    put_text(f, "link_body_list");
    fputs("Nu.", f); // NONE, SETITEMS, STOP
}

static gv_status write_whole(const sheet *s, void (*write)(FILE *, const sheet *), const char *path, gv_error *err) {
    gv_outfile out;
    gv_status status = gv_outfile_begin(&out, path, err);
    if (status != GV_OK) return status;
    FILE *f = fopen(out.temporary, "wb");
    if (f) {
        write(f, s);
        bool bad = ferror(f) != 0;
        if (fclose(f) == 0 && !bad) return gv_outfile_commit(&out, err);
    }
    status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno ? errno : EIO));
    gv_outfile_abandon(&out);
    return status;
}

gv_status gv_robot_motion_csv(const gv_robot_motion *m, const gv_robot *r, const char *path, gv_error *err) {
    return write_whole(&(sheet){m, r}, write_csv, path, err);
}

gv_status gv_robot_motion_pickle(const gv_robot_motion *m, const char *path, gv_error *err) {
    if ((uint64_t)m->frames * (uint64_t)(m->joints > 4 ? m->joints : 4) * 8 > UINT32_MAX)
        return gv_fail(err, GV_ERR_ARGUMENT, "%s: more than 4 GiB in one array", path);
    return write_whole(&(sheet){m, NULL}, write_pickle, path, err);
}

void gv_robot_motion_free(gv_robot_motion *m) {
    free(m->place);
    free(m->turn);
    free(m->q);
    *m = (gv_robot_motion){0};
}
