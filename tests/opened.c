// opened.c - a library to preload (LD_PRELOAD) that says on stderr, whenever FFmpeg opens an input, whether that
// process could open files of its own. For tests only.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int avformat_open_input(void **format, const char *url, const void *kind, void **options);

int avformat_open_input(void **format, const char *url, const void *kind, void **options) {
    int (*real)(void **, const char *, const void *, void **) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "avformat_open_input");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const char *words = fd >= 0 ? "opened with rights\n" : "opened without rights\n";
    if (fd >= 0) close(fd);
    if (write(STDERR_FILENO, words, strlen(words)) < 0) return -1;
    return real(format, url, kind, options);
}
