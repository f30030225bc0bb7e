#define _GNU_SOURCE // dladdr
#include "base/file.h"
#include "gvhmr_config.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

gv_status gv_file_read(const char *path, size_t limit, unsigned char **data, size_t *size, gv_error *err) {
    *data = NULL;
    *size = 0;
    if (!limit) limit = (size_t)1 << 30;
    FILE *f = fopen(path, "rb");
    if (!f) return gv_fail(err, GV_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    gv_status status = GV_OK;
    struct stat st;
    unsigned char *p = NULL;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        status = gv_fail(err, GV_ERR_IO, "%s: not a regular file", path);
    } else if ((unsigned long long)st.st_size > limit) {
        status =
            gv_fail(err, GV_ERR_FORMAT, "%s: %lld bytes, expected at most %zu", path, (long long)st.st_size, limit);
    } else if (!(p = malloc((size_t)st.st_size + 1))) {
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for %lld bytes", path, (long long)st.st_size);
    } else if (fread(p, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
        status = gv_fail(err, GV_ERR_IO, "%s: cannot read: %s", path, strerror(errno ? errno : EIO));
    }
    fclose(f);
    if (status != GV_OK) {
        free(p);
        return status;
    }
    p[st.st_size] = 0;
    *data = p;
    *size = (size_t)st.st_size;
    return GV_OK;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Names, one after the other, each with its NUL; *count of them in *bytes.
static char *read_names(DIR *d, size_t *bytes, size_t *count) {
    size_t room = 0;
    char *text = NULL;
    *bytes = *count = 0;
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name) + 1;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (n > room - *bytes) {
            char *grown = realloc(text, room = 2 * room + n + 4096);
            if (!grown) {
                free(text);
                return NULL;
            }
            text = grown;
        }
        memcpy(text + *bytes, e->d_name, n);
        *bytes += n, ++*count;
    }
    return text ? text : calloc(1, 1);
}

gv_status gv_folder_list(char ***names, const char *folder, gv_error *err) {
    size_t bytes, count;
    *names = NULL;
    DIR *d = opendir(folder);
    if (!d) return gv_fail(err, GV_ERR_IO, "%s: cannot list the folder: %s", folder, strerror(errno));
    char *text = read_names(d, &bytes, &count);
    closedir(d);
    char **list = text ? malloc((count + 1) * sizeof *list + bytes) : NULL;
    if (list) {
        char *at = (char *)(list + count + 1);
        memcpy(at, text, bytes);
        for (size_t i = 0; i < count; i++, at += strlen(at) + 1) list[i] = at;
        list[count] = NULL;
        qsort(list, count, sizeof *list, by_bytes);
        *names = list;
    }
    free(text);
    return list ? GV_OK : gv_fail(err, GV_ERR_MEMORY, "%s: no memory for the names in it", folder);
}

// The name in ".tmpPID.K-NAME", as gv_outfile_begin calls a file that is being written, PID perhaps more than once (a
// part of it); NULL for other names.
static const char *name_within(const char *entry, long *pid) {
    if (strncmp(entry, ".tmp", 4)) return NULL;
    char *rest = (char *)entry;
    while (!strncmp(rest, ".tmp", 4)) {
        *pid = strtol(rest + 4, &rest, 10);
        if (*rest == '.') strtol(rest + 1, &rest, 10);
        rest += *rest == '-';
    }
    return *pid > 0 ? rest : NULL;
}

// Removes what was left behind by the writing of `name`, or a part of it, or of anything (NULL): by processes that are
// no more, or by all.
static void remove_remains(const char *folder, const char *name, bool all) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        long pid = 0;
        const char *of = name_within(e->d_name, &pid);
        if (!of || (name && strncmp(of, name, strlen(name)))) continue;
        if (all || (kill((pid_t)pid, 0) != 0 && errno == ESRCH)) unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d) closedir(d);
}

void gv_folder_clean(const char *folder, const char *name) {
    remove_remains(folder, name, true);
}

gv_status gv_outfile_begin(gv_outfile *out, const char *path, gv_error *err) {
    *out = (gv_outfile){0};
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!*name) return gv_fail(err, GV_ERR_ARGUMENT, "%s: not a file name", path);
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return gv_fail(err, GV_ERR_IO, "%s: is a folder, expected a file name", path);
    size_t n = strlen(path) + 60;
    out->path = strdup(path);
    out->temporary = malloc(n);
    if (!out->path || !out->temporary) {
        gv_outfile_abandon(out);
        return gv_fail(err, GV_ERR_MEMORY, "%s: no memory", path);
    }
    char *folder = strndup(path, (size_t)(name - path));
    if (folder) remove_remains(*folder ? folder : ".", name, false);
    free(folder);
    int fd = -1;
    for (int k = 0; fd < 0 && k < 100; k++) { // another thread may be writing the same file
        snprintf(out->temporary, n, "%.*s.tmp%ld.%d-%s", (int)(name - path), path, (long)getpid(), k, name);
        fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd < 0 && errno != EEXIST) break;
    }
    if (fd < 0) {
        gv_status s = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        free(out->temporary);
        out->temporary = NULL;
        gv_outfile_abandon(out);
        return s;
    }
    close(fd);
    return GV_OK;
}

gv_status gv_outfile_commit(gv_outfile *out, gv_error *err) {
    gv_status status = GV_OK;
    int fd = open(out->temporary, O_RDONLY);
    if (fd < 0 || fsync(fd) != 0 || rename(out->temporary, out->path) != 0)
        status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", out->path, strerror(errno));
    if (fd >= 0) close(fd);
    if (status != GV_OK) {
        gv_outfile_abandon(out);
        return status;
    }
    free(out->path);
    free(out->temporary);
    *out = (gv_outfile){0};
    return GV_OK;
}

void gv_outfile_abandon(gv_outfile *out) {
    if (out->temporary) unlink(out->temporary);
    free(out->path);
    free(out->temporary);
    *out = (gv_outfile){0};
}

gv_status gv_file_write(const char *path, const void *data, size_t size, gv_error *err) {
    gv_outfile out;
    gv_status status = gv_outfile_begin(&out, path, err);
    if (status != GV_OK) return status;
    FILE *f = fopen(out.temporary, "wb");
    int ok = f && fwrite(data, 1, size, f) == size;
    int saved = errno;
    if (f && fclose(f) != 0) ok = 0, saved = errno;
    if (!ok) {
        status = gv_fail(err, GV_ERR_IO, "%s: cannot write: %s", path, strerror(saved));
        gv_outfile_abandon(&out);
        return status;
    }
    return gv_outfile_commit(&out, err);
}

gv_status gv_folder_prepare(const char *folder, gv_error *err) {
    char path[PATH_MAX];
    if (!*folder || strlen(folder) + 64 > sizeof path)
        return gv_fail(err, GV_ERR_ARGUMENT, "\"%.100s\": not a usable output folder name", folder);
    snprintf(path, sizeof path, "%s", folder);
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/') continue;
        char c = *p;
        *p = 0;
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return gv_fail(err, GV_ERR_IO, "%s: cannot make the output folder: %s", path, strerror(errno));
        *p = c;
        if (!c) break;
    }
    struct stat st;
    if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode)) return gv_fail(err, GV_ERR_IO, "%s: not a folder", folder);
    if (access(folder, W_OK | X_OK) != 0)
        return gv_fail(err, GV_ERR_IO, "%s: cannot write into the output folder: %s", folder, strerror(errno));
    return GV_OK;
}

static char *join(const char *a, const char *b, const char *c) {
    size_t n = strlen(a) + strlen(b) + strlen(c) + 3;
    char *p = malloc(n);
    if (p) snprintf(p, n, "%s/%s%s%s", a, b, *b ? "/" : "", c);
    return p;
}

// The folder of the shared library that this code is in, or else of the executable; "" where neither is known.
static void own_folder(char *folder) { // [PATH_MAX]
    char library[PATH_MAX], executable[PATH_MAX];
    Dl_info info;
    ssize_t n = readlink("/proc/self/exe", executable, sizeof executable - 1);
    executable[n > 0 ? n : 0] = 0;
    strcpy(folder, executable);
    // an executable's own name is as it was called, perhaps without its folder
    bool known = dladdr((void *)(uintptr_t)own_folder, &info) && info.dli_fname && strchr(info.dli_fname, '/');
    if (known && realpath(info.dli_fname, library)) strcpy(folder, library);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
}

char *gv_resource_find(const char *name, gv_error *err) {
    static const char *const folders[] = {"",
                                          "..",
                                          "../models",
                                          "../models/node_modules/@mediapipe/pose",
                                          "../../models",
                                          "../../models/node_modules/@mediapipe/pose",
                                          "../share/gvhmr",
                                          "../../share/gvhmr"}; // beside lib/x86_64-linux-gnu
    char own[PATH_MAX];
    own_folder(own);
    const char *env = getenv("GVHMR_DATA");
    char *p = env ? join(env, "", name) : NULL;
    for (size_t i = 0; !(p && access(p, R_OK) == 0) && i < sizeof folders / sizeof *folders; i++) {
        free(p);
        p = join(own, folders[i], name);
    }
    if (p && access(p, R_OK) == 0) return p;
    free(p);
    p = join(GVHMR_DATADIR, "", name);
    if (p && access(p, R_OK) == 0) return p;
    free(p);
    gv_fail(err, GV_ERR_MISSING,
            "%s: not found in $GVHMR_DATA, %s, ../models, ../models/node_modules/@mediapipe/pose, ../share/gvhmr, %s; "
            "run `make setup`, or set GVHMR_DATA to the folder that holds it",
            name, own, GVHMR_DATADIR);
    return NULL;
}
