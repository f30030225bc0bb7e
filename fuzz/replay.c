// replay.c - runs one target (fuzz_NAME.c) on the files of a folder, without a fuzzer: fuzz/corpus in every test run.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(const char *path) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st) != 0) return -1;
    if (!S_ISREG(st.st_mode)) return fclose(f), 0;
    uint8_t *data = malloc((size_t)st.st_size ? (size_t)st.st_size : 1); // as large as it is: a sanitizer sees beyond
    size_t n = data ? fread(data, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    if (!data || n != (size_t)st.st_size) return -1;
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 1;
}

int main(int argc, char **argv) {
    DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
    if (!d) return fprintf(stderr, "replay: %s: no folder\n", argc == 2 ? argv[1] : "(none)"), 1;
    int count = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char path[1200];
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        int ran = run(path);
        if (ran < 0) return fprintf(stderr, "replay: %s: cannot be read\n", path), 1;
        count += ran;
    }
    closedir(d);
    printf("%d files\n", count);
    return count == 0;
}
