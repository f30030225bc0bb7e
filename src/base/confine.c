#define _GNU_SOURCE
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static const unsigned refuse = SECCOMP_RET_ERRNO | EPERM;

// ---- limits

static void limit(int what, rlim_t n) {
    struct rlimit r;
    if (getrlimit(what, &r) == 0 && r.rlim_max < n) n = r.rlim_max;
    setrlimit(what, &(struct rlimit){n, n});
}

static void drop_capabilities(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {0};
    syscall(SYS_capset, &head, none);
}

// ---- the filter of system calls

#ifdef MACHINE
typedef struct rule { // a call is allowed, where argument `arg` & mask == want; arg -1: always
    long nr;
    int arg;
    uint32_t mask, want;
} rule;

#define ALWAYS(name)                                                                                                   \
    { SYS_##name, -1, 0, 0 }
static const rule common[] = {
    ALWAYS(read),
    ALWAYS(pread64),
    ALWAYS(readv),
    ALWAYS(write),
    ALWAYS(writev),
    ALWAYS(lseek),
    ALWAYS(close),
    ALWAYS(sendto),
    ALWAYS(sendmsg),
    ALWAYS(recvfrom),
    ALWAYS(recvmsg),
    ALWAYS(ppoll),
    ALWAYS(fstat),
    {SYS_newfstatat, 3, AT_EMPTY_PATH, AT_EMPTY_PATH}, // how the C library makes fstat
    {SYS_mmap, 2, PROT_EXEC, 0},
    {SYS_mprotect, 2, PROT_EXEC, 0},
    ALWAYS(munmap),
    ALWAYS(mremap),
    ALWAYS(madvise),
    ALWAYS(brk),
    ALWAYS(futex),
    ALWAYS(clock_gettime),
    ALWAYS(clock_nanosleep),
    ALWAYS(nanosleep),
    ALWAYS(gettimeofday),
    ALWAYS(getpid),
    ALWAYS(gettid),
    ALWAYS(getrusage),
    ALWAYS(getrandom),
    ALWAYS(uname),
    ALWAYS(sysinfo),
    ALWAYS(getcpu),
    ALWAYS(sched_yield),
    ALWAYS(sched_getaffinity),
    ALWAYS(membarrier),
    {SYS_clone, 0, CLONE_THREAD, CLONE_THREAD},
    ALWAYS(set_robust_list),
    ALWAYS(rseq),
    ALWAYS(rt_sigaction),
    ALWAYS(rt_sigprocmask),
    ALWAYS(rt_sigreturn),
    ALWAYS(sigaltstack),
    ALWAYS(restart_syscall),
    ALWAYS(exit),
    ALWAYS(exit_group),
#ifdef __x86_64__
    ALWAYS(poll),
    ALWAYS(time),
#endif
};
static const rule stream[] = {
    ALWAYS(getsockopt),
    ALWAYS(setsockopt),
    ALWAYS(getsockname),
    ALWAYS(getpeername),
    ALWAYS(shutdown),
    ALWAYS(pselect6),
    ALWAYS(epoll_ctl),
    ALWAYS(epoll_pwait),
    // Flags, copies and locks of descriptors, not their owners and signals. FFmpeg's thread for UDP makes its socket
    // wait when it begins, which may be before or after this filter.
    {SYS_fcntl, 1, ~7u, 0},
#ifdef __x86_64__
    ALWAYS(select),
    ALWAYS(epoll_wait),
#endif
};
static const rule connecting[] = {ALWAYS(socket), ALWAYS(connect)};
static const rule camera[] = {{SYS_ioctl, 1, 0xff00, 'V' << 8}};

// Never by accident: these end the process, unless a rule before allows them.
static const long deadly[] = {
    SYS_execve,  SYS_execveat,       SYS_clone,   SYS_socket, SYS_socketpair,       SYS_connect,
    SYS_bind,    SYS_listen,         SYS_accept4, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
    SYS_kill,    SYS_tkill,          SYS_mount,   SYS_bpf,    SYS_setuid,           SYS_setns,
    SYS_unshare, SYS_io_uring_setup,
#ifdef __x86_64__
    SYS_fork,    SYS_vfork,
#endif
};
#define COUNT(a) (sizeof(a) / sizeof *(a))
enum { LONGEST = 512 };

typedef struct text {
    struct sock_filter line[LONGEST];
    unsigned short lines;
} text;

static void add(text *t, uint16_t code, uint32_t k, uint8_t yes, uint8_t no) {
    if (t->lines < LONGEST) t->line[t->lines++] = (struct sock_filter){code, yes, no, k};
}

static void add_rule(text *t, const rule *r, unsigned otherwise) {
    add(t, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->nr, 0, r->arg < 0 ? 1 : 5);
    if (r->arg >= 0) { // the low word: all that these calls look at
        add(t, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)r->arg), 0, 0);
        add(t, BPF_ALU | BPF_AND | BPF_K, r->mask, 0, 0);
        add(t, BPF_JMP | BPF_JEQ | BPF_K, r->want, 1, 0);
        add(t, BPF_RET | BPF_K, otherwise, 0, 0);
    }
    add(t, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

static void add_rules(text *t, const rule *r, size_t count) {
    for (size_t i = 0; i < count; i++) add_rule(t, &r[i], r[i].nr == SYS_clone ? SECCOMP_RET_KILL_PROCESS : refuse);
}

static void write_filter(text *t, unsigned rights) {
    add(t, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    add(t, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
    add(t, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    add(t, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    add_rules(t, common, COUNT(common));
    add_rule(t, &(rule){SYS_tgkill, 0, UINT32_MAX, (uint32_t)getpid()}, SECCOMP_RET_KILL_PROCESS); // abort, of itself
    if (rights & (GV_RIGHT_STREAM | GV_RIGHT_CONNECT)) add_rules(t, stream, COUNT(stream));
    if (rights & GV_RIGHT_CONNECT) add_rules(t, connecting, COUNT(connecting));
    if (rights & GV_RIGHT_CAMERA) add_rules(t, camera, COUNT(camera));
    for (size_t i = 0; i < COUNT(deadly); i++) {
        add(t, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)deadly[i], 0, 1);
        add(t, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    }
    add(t, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1); // its flags are out of a filter's sight; clone is tried next
    add(t, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
    add(t, BPF_RET | BPF_K, refuse, 0, 0);
}

static bool filter_calls(unsigned rights) {
    text t = {.lines = 0};
    write_filter(&t, rights);
    struct sock_fprog program = {t.lines, t.line};
    return t.lines < LONGEST && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

const char *gv_confine_lack(void) {
    unsigned action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? NULL
                                                                           : "the system has no filter of system calls";
}
#else
static bool filter_calls(unsigned rights) {
    (void)rights;
    return false;
}

const char *gv_confine_lack(void) {
    return "there is no filter of system calls for this processor";
}
#endif

bool gv_confine(unsigned rights, size_t memory) {
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, rights ? 64 : 1); // those that are open stay; 1: what poll needs
    if (memory && !SANITIZED) limit(RLIMIT_DATA, memory);
    drop_capabilities();
    return filter_calls(rights);
}
