#include "formats/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

gv_status gv_map_file(const unsigned char **data, size_t *size, const char *path, gv_error *err) {
    struct stat st;
    *data = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe without writer must not hang
    if (fd < 0) return gv_fail(err, GV_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    gv_status status = GV_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        status = gv_fail(err, GV_ERR_IO, "%s: not a regular file", path);
    } else if (st.st_size == 0) {
        status = gv_fail(err, GV_ERR_FORMAT, "%s: is empty", path);
    } else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            status = gv_fail(err, GV_ERR_IO, "%s: cannot map: %s", path, strerror(errno));
        } else {
            *data = p;
            *size = (size_t)st.st_size;
        }
    }
    close(fd);
    return status;
}

void gv_unmap_file(const unsigned char *data, size_t size) {
    if (data) munmap((void *)data, size);
}

void gv_forget_pages(const unsigned char *data, size_t size) {
    madvise((void *)data, size, MADV_DONTNEED);
}
