// folder.h - a folder of its own for the files of a test program.
//
//     return cmocka_run_group_tests(tests, make_dir, remove_dir);
#pragma once
#include "test.h"
#include <string.h>
#include <sys/wait.h>

static char dir[] = "/tmp/gvhmr-test-XXXXXX"; // its name, once made

// Path of a file in it; one of 64 static buffers.
static inline const char *in_dir(const char *name) {
    static char path[64][300];
    static int next;
    char *p = path[next++ & 63];
    snprintf(p, 300, "%s/%s", dir, name);
    return p;
}

static inline void write_bytes(const char *name, const void *data, size_t size) {
    FILE *f = fopen(in_dir(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void write_text(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

static inline int make_dir(void **state) {
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static inline int remove_dir(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

// Fails where a test left something behind.
static inline int remove_empty_dir(void **state) {
    (void)state;
    return rmdir(dir);
}

// Runs `gvhmr COMMAND ARGUMENTS` in the folder; returns the exit status, its messages in `text`.
static inline int program(const char *command, const char *arguments, char text[2048]) {
    char line[4096];
    snprintf(line, sizeof line, "cd %s && '%s' %s %s 2>&1", dir, GV_TEST_PROGRAM, command, arguments);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    size_t got = fread(text, 1, 2047, f);
    text[got] = 0;
    int status = pclose(f);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
