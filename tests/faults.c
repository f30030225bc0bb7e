// faults.c - a library to preload (LD_PRELOAD) that lets the n-th call of one kind fail. For tests only.
//
//     FAULTS_KIND=own FAULTS_AT=120 LD_PRELOAD=libfaults.so OMP_WAIT_POLICY=passive gvhmr predict ...
//
// Memory: malloc and its relatives are replaced; a call belongs to a kind by the address it returns to. Libraries that
// do not stand it are spared: oneDNN, libgomp, the C++ library and x264 end the process, and FFmpeg 5.1 fails
// assertions (libavcodec, when a reference to a frame cannot be made) or goes on with options unset
// (avcodec_alloc_context3). Files: a seccomp filter turns the system calls into a signal, and the handler makes them or
// fails them, so that what the C library does inside fread and fclose is reached as well. Only regular files count, and
// not stderr.
//
// FAULTS_SHARED=FILE: counts, and where memory was refused, are kept there (faults.h).
// FAULTS_SHOW: who asked for the memory is printed.
// FAULTS_SERVE: the program waits before its main for points on descriptor FAULTS_IN and runs each in a process of its
// own, which saves loading 150 libraries each time.
#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

typedef struct range {
    uintptr_t from, to;
} range;

static faults_shared own_counts, *shared = &own_counts;
static int kind = -1;
static long at;
static range program, libraries[8];
static int library_count;
static bool ready, show;

// Counts a call of kind k; true where it is to fail.
static bool strike(int k) {
    long n = __atomic_add_fetch(&shared->count[k], 1, __ATOMIC_RELAXED);
    bool lasts = k == FAULT_FULL || k == FAULT_ALL;
    return k == kind && at > 0 && (lasts ? n >= at : n == at);
}

// ---- memory

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static bool refused(void *caller) {
    if (!ready) return false;
    uintptr_t p = (uintptr_t)caller;
    bool no = false;
    if (p - program.from < program.to - program.from) {
        no = strike(FAULT_OWN);
        no |= strike(FAULT_ALL);
    } else {
        for (int i = 0; i < library_count; i++)
            if (p - libraries[i].from < libraries[i].to - libraries[i].from) no = strike(FAULT_LIBRARY);
    }
    if (!no) return false;
    if (!shared->where) shared->where = p - program.from;
    if (show) { // who asked for it
        ready = false;
        void *frame[24];
        backtrace_symbols_fd(frame, backtrace(frame, 24), 2);
    }
    errno = ENOMEM;
    return true;
}

// Pointers that gvhmr's own code holds, by their address: 0 is free, 1 was one once. A pointer is put in and taken out
// by one thread at a time, so that the slots need no lock.
enum { SLOTS = 1 << 17 };
static uintptr_t held[SLOTS], holder[SLOTS];

static size_t slot_of(uintptr_t p) {
    return (size_t)((p >> 4) * 0x9E3779B97F4A7C15u >> 47);
}

static void *hold(void *p, void *caller) {
    uintptr_t from = (uintptr_t)caller - program.from;
    if (!p || !ready || from >= program.to - program.from) return p;
    for (size_t k = 0, i = slot_of((uintptr_t)p); k < SLOTS; k++, i = (i + 1) % SLOTS) {
        uintptr_t was = __atomic_load_n(&held[i], __ATOMIC_RELAXED);
        if (was > 1 ||
            !__atomic_compare_exchange_n(&held[i], &was, (uintptr_t)p, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            continue;
        holder[i] = from;
        break;
    }
    return p;
}

static void let_go(void *p) {
    if (!p || !ready) return;
    for (size_t k = 0, i = slot_of((uintptr_t)p); k < SLOTS; k++, i = (i + 1) % SLOTS) {
        uintptr_t was = __atomic_load_n(&held[i], __ATOMIC_RELAXED);
        if (was == (uintptr_t)p) __atomic_store_n(&held[i], 1, __ATOMIC_SEQ_CST);
        if (was == (uintptr_t)p || was == 0) return;
    }
}

static void count_kept(void) {
    for (size_t i = 0; i < SLOTS; i++)
        if (held[i] > 1) shared->kept++, shared->keeper = holder[i];
    shared->ended = 1;
}

#define CALLER  __builtin_return_address(0)
#define REFUSED refused(CALLER)

void *malloc(size_t n) {
    return REFUSED ? NULL : hold(__libc_malloc(n), CALLER);
}

void *calloc(size_t count, size_t n) {
    return REFUSED ? NULL : hold(__libc_calloc(count, n), CALLER);
}

static void *grow(void *p, size_t n, void *caller) {
    let_go(p); // before another thread can get the same address
    void *q = __libc_realloc(p, n);
    if (!q && n) hold(p, caller);
    return hold(q, caller);
}

void *realloc(void *p, size_t n) {
    return REFUSED ? NULL : grow(p, n, CALLER);
}

void *reallocarray(void *p, size_t count, size_t n) {
    size_t all;
    return REFUSED || __builtin_mul_overflow(count, n, &all) ? NULL : grow(p, all, CALLER);
}

void *aligned_alloc(size_t alignment, size_t n) {
    return REFUSED ? NULL : hold(__libc_memalign(alignment, n), CALLER);
}

int posix_memalign(void **p, size_t alignment, size_t n) {
    void *q = REFUSED ? NULL : hold(__libc_memalign(alignment, n), CALLER);
    if (!q) return ENOMEM;
    *p = q;
    return 0;
}

void free(void *p) {
    let_go(p);
    __libc_free(p);
}

#undef strdup
#undef strndup
char *strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *p = REFUSED ? NULL : hold(__libc_malloc(n), CALLER);
    return p ? memcpy(p, s, n) : NULL;
}

char *strndup(const char *s, size_t limit) {
    size_t n = strnlen(s, limit);
    char *p = REFUSED ? NULL : hold(__libc_malloc(n + 1), CALLER);
    if (p) memcpy(p, s, n), p[n] = 0;
    return p;
}

static int note_ranges(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    static const char *const names[] = {"libjansson", "libzip"};
    range r = {UINTPTR_MAX, 0};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD) continue;
        uintptr_t from = info->dlpi_addr + h->p_vaddr;
        if (from < r.from) r.from = from;
        if (from + h->p_memsz > r.to) r.to = from + h->p_memsz;
    }
    if (!*info->dlpi_name && !program.to) program = r; // the first is the executable
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(info->dlpi_name, names[i]) && library_count < 8) libraries[library_count++] = r;
    return 0;
}

// ---- files

long faults_call(long nr, long a, long b, long c, long d, long e, long f);
extern const char faults_call_from[], faults_call_to[];
__asm__(".text\n.globl faults_call, faults_call_from, faults_call_to\n"
        ".hidden faults_call, faults_call_from, faults_call_to\n"
        "faults_call:\n"
        "  mov %rdi, %rax\n  mov %rsi, %rdi\n  mov %rdx, %rsi\n  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n  mov %r9, %r8\n  mov 8(%rsp), %r9\n"
        "faults_call_from:\n  syscall\nfaults_call_to:\n  ret\n");

static bool regular(long fd) {
    struct stat st;
    return fd != 2 && fstat((int)fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool watched_path(const char *path) {
    static const char *const no[] = {"/proc", "/sys", "/dev", "/etc", "/usr", "/lib"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (!strncmp(path, no[i], strlen(no[i]))) return false;
    return true;
}

// What to answer instead of the call, 1 for: make it; a read or write may be shortened.
static long verdict(long nr, const long *a, long *size) {
    switch (nr) {
    case SYS_read:
    case SYS_pread64:
    case SYS_write:
    case SYS_pwrite64: {
        bool reads = nr == SYS_read || nr == SYS_pread64;
        if (!regular(a[0])) return 1;
        if (strike(FAULT_INTERRUPT)) return -EINTR;
        if (reads && strike(FAULT_READ)) return -EIO;
        if (!reads && strike(FAULT_FULL)) return -ENOSPC;
        if (*size > 1 && strike(reads ? FAULT_SHORT_READ : FAULT_SHORT_WRITE)) *size /= 2;
        return 1;
    }
    case SYS_ftruncate:
        return strike(FAULT_FULL) ? -ENOSPC : 1;
    case SYS_open:
        return watched_path((const char *)a[0]) && strike(FAULT_OPEN) ? -EMFILE : 1;
    case SYS_openat:
        return watched_path((const char *)a[1]) && strike(FAULT_OPEN) ? -EMFILE : 1;
    case SYS_mkdir:
        return strike(FAULT_OPEN) ? -EACCES : 1;
    default:
        return strike(FAULT_RENAME) ? -EIO : 1; // rename, fsync
    }
}

static void on_call(int number, siginfo_t *info, void *context) {
    (void)number;
    int saved = errno;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    long a[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
    long result = verdict(info->si_syscall, a, &a[2]);
    r[REG_RAX] = result == 1 ? faults_call(info->si_syscall, a[0], a[1], a[2], a[3], a[4], a[5]) : result;
    errno = saved;
}

static void watch_files(void) {
#define ELSEWHERE(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
    uintptr_t after = (uintptr_t)faults_call_to; // the handler's own calls
    struct sock_filter program_text[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)after, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(after >> 32), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ELSEWHERE(SYS_read),
        ELSEWHERE(SYS_pread64),
        ELSEWHERE(SYS_write),
        ELSEWHERE(SYS_pwrite64),
        ELSEWHERE(SYS_ftruncate),
        ELSEWHERE(SYS_open),
        ELSEWHERE(SYS_openat),
        ELSEWHERE(SYS_mkdir),
        ELSEWHERE(SYS_rename),
        ELSEWHERE(SYS_fsync),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = {sizeof program_text / sizeof *program_text, program_text};
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) != 0)
        shared->unable = 1;
}

// ---- start

static int (*real_main)(int, char **, char **);

static int watched_main(int argc, char **argv, char **envp) {
    unsetenv("LD_PRELOAD");
    watch_files();
    ready = true;
    int status = real_main(argc, argv, envp);
    count_kept();
    return status;
}

static void map_counts(void) {
    const char *file = getenv("FAULTS_SHARED");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    void *p = fd >= 0 ? mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (p != MAP_FAILED) shared = p;
    if (fd >= 0) close(fd);
}

static int first_main(int argc, char **argv, char **envp) {
    dl_iterate_phdr(note_ranges, NULL);
    map_counts();
    show = getenv("FAULTS_SHOW") != NULL;
    if (!getenv("FAULTS_SERVE")) {
        const char *name = getenv("FAULTS_KIND"), *n = getenv("FAULTS_AT");
        for (int k = 0; name && k < FAULT_KINDS; k++)
            if (!strcmp(name, fault_names[k])) kind = k;
        at = n ? atol(n) : 0;
        return watched_main(argc, argv, envp);
    }
    faults_point point;
    while (read(FAULTS_IN, &point, sizeof point) == sizeof point) {
        int child = fork();
        if (child == 0) {
            close(FAULTS_IN);
            close(FAULTS_OUT);
            kind = point.kind, at = point.at;
            return watched_main(argc, argv, envp);
        }
        int status = -1;
        if (write(FAULTS_OUT, &child, sizeof child) != sizeof child) break;
        waitpid(child, &status, 0);
        if (write(FAULTS_OUT, &status, sizeof status) != sizeof status) break;
    }
    _exit(0);
}

int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void *stack_end);
int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void *stack_end) {
    union {
        void *symbol;
        int (*function)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                        void *);
    } next = {dlsym(RTLD_NEXT, "__libc_start_main")};
    real_main = start;
    return next.function(first_main, argc, argv, init, fini, loader_fini, stack_end);
}
