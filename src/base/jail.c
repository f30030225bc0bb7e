#define _GNU_SOURCE
#include "base/jail.h"
#include "base/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct gv_jail {
    pid_t pid;
    int socket;
};

typedef struct order {
    gv_jail_work *work; // at the same place in every copy of the program
    _Alignas(16) unsigned char request[GV_JAIL_REQUEST];
} order;

typedef struct ended { // the guard's last word; no packet of the work's begins like this
    uint32_t mark;
    int status; // as of waitpid
} ended;
static const uint32_t mark = 0xdeadbea7;

// ---- in the jail

static void close_all_but(int keep) { // and the standard ones
    if (keep > 3) syscall(SYS_close_range, 3, keep - 1, 0);
    syscall(SYS_close_range, keep + 1, ~0u, 0);
}

static void leave_with(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
}

static _Noreturn void do_work(order *o, int socket, const int *fds) {
    prctl(PR_SET_NAME, "gvhmr-decoder");
    o->work(socket, o->request, fds);
    _exit(0);
}

static void say_ended(int socket, int status) {
    ended e = {mark, status};
    send(socket, &e, sizeof e, MSG_NOSIGNAL);
}

// Starts the work and waits for its end, or for the socket's: then it makes one.
static _Noreturn void guard(order *o, int socket, const int *fds) {
    sigset_t mask, before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &mask, &before);
    pid_t self = getpid(), child = fork();
    if (child == 0) {
        leave_with(self);
        sigprocmask(SIG_SETMASK, &before, NULL);
        do_work(o, socket, fds);
    }
    if (child < 0) {
        say_ended(socket, -1);
        _exit(0);
    }
    for (int i = 0; i < GV_JAIL_FDS; i++)
        if (fds[i] >= 0) close(fds[i]);
    struct pollfd wait[2] = {{signalfd(-1, &mask, SFD_CLOEXEC), POLLIN, 0}, {socket, POLLRDHUP, 0}};
    while (poll(wait, 2, -1) < 0 && errno == EINTR) continue;
    if (!wait[0].revents) kill(child, SIGKILL);
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    say_ended(socket, status);
    _exit(0);
}

// Takes one order. False: nobody is there any more.
static bool take(int control, order *o, int *socket, int fds[GV_JAIL_FDS]) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE((GV_JAIL_FDS + 1) * sizeof(int))];
    } with;
    struct iovec part = {o, sizeof *o};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = with.bytes, .msg_controllen = sizeof with.bytes};
    ssize_t n;
    while ((n = recvmsg(control, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) continue;
    *socket = -1;
    for (int i = 0; i < GV_JAIL_FDS; i++) fds[i] = -1;
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_type == SCM_RIGHTS) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(socket, CMSG_DATA(c), sizeof(int));
        memcpy(fds, CMSG_DATA(c) + sizeof(int), (count - 1) * sizeof(int));
    }
    return n > 0;
}

static _Noreturn void serve(int control) {
    prctl(PR_SET_NAME, "gvhmr-jail");
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT}; // these are for the program, and it decides
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_IGN); // guards need no burial
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
    close_all_but(control);
    static order o;
    for (int socket, fds[GV_JAIL_FDS]; take(control, &o, &socket, fds);) {
        if (socket < 0) continue;
        pid_t self = getpid(), child = fork();
        if (child == 0) {
            leave_with(self);
            close(control);
            guard(&o, socket, fds);
        }
        if (child < 0) say_ended(socket, -1);
        close(socket);
        for (int i = 0; i < GV_JAIL_FDS; i++)
            if (fds[i] >= 0) close(fds[i]);
    }
    _exit(0);
}

// ---- in the program

gv_status gv_jail_create(gv_jail **out, gv_error *err) {
    *out = NULL;
    int pair[2];
    gv_jail *j = calloc(1, sizeof *j);
    if (!j) return gv_fail(err, GV_ERR_MEMORY, "no memory");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        free(j);
        return gv_fail(err, GV_ERR_IO, "no socket to a process for decoding: %s", strerror(errno));
    }
    pid_t self = getpid();
    j->socket = pair[0];
    j->pid = fork();
    if (j->pid == 0) {
        leave_with(self);
        serve(pair[1]);
    }
    close(pair[1]);
    if (j->pid > 0) {
        *out = j;
        return GV_OK;
    }
    gv_fail(err, GV_ERR_IO, "no process for decoding: %s", strerror(errno));
    close(pair[0]);
    free(j);
    return GV_ERR_IO;
}

void gv_jail_destroy(gv_jail *j) {
    if (!j) return;
    close(j->socket);
    while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR) continue;
    free(j);
}

static bool place(const gv_jail *j, const order *o, const int *fds, int count) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE((GV_JAIL_FDS + 1) * sizeof(int))];
    } with = {0};
    struct iovec part = {(void *)o, sizeof *o};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = with.bytes,
                       .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    with.head = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN((size_t)count * sizeof(int))};
    memcpy(CMSG_DATA(&with.head), fds, (size_t)count * sizeof(int));
    ssize_t n;
    while ((n = sendmsg(j->socket, &m, MSG_NOSIGNAL)) < 0 && errno == EINTR) continue;
    return n == sizeof *o;
}

gv_status gv_jail_start(gv_jail *j, gv_jail_work *work, const void *request, size_t bytes, const int *fds, int count,
                        int *socket, gv_error *err) {
    int pair[2], all[GV_JAIL_FDS + 1];
    *socket = -1;
    if (bytes > GV_JAIL_REQUEST || count > GV_JAIL_FDS)
        return gv_fail(err, GV_ERR_ARGUMENT, "a request of %zu bytes for another process, expected at most %d", bytes,
                       GV_JAIL_REQUEST);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return gv_fail(err, GV_ERR_IO, "no socket to a process for decoding: %s", strerror(errno));
    order o = {.work = work};
    memcpy(o.request, request, bytes);
    all[0] = pair[1];
    if (count > 0) memcpy(all + 1, fds, (size_t)count * sizeof *fds);
    bool placed = place(j, &o, all, count + 1);
    close(pair[1]);
    if (placed) {
        *socket = pair[0];
        return GV_OK;
    }
    gv_fail(err, GV_ERR_INTERNAL, "the process that starts decoders is gone: %s", strerror(errno));
    close(pair[0]);
    return GV_ERR_INTERNAL;
}

void gv_jail_end(int socket) {
    static const double longest_sec = 5;
    double until = gv_now() + longest_sec;
    char rest[64];
    shutdown(socket, SHUT_WR);
    for (double left; (left = until - gv_now()) > 0;) { // frames that were under way, and the guard's last word
        struct pollfd p = {socket, POLLIN, 0};
        int code = poll(&p, 1, (int)(left * 1000) + 1);
        if (code < 0 && errno == EINTR) continue;
        if (code <= 0 || recv(socket, rest, sizeof rest, MSG_DONTWAIT | MSG_TRUNC) <= 0) break;
    }
    close(socket);
}

bool gv_jail_send(int socket, const void *data, size_t bytes) {
    ssize_t n;
    while ((n = send(socket, data, bytes, MSG_NOSIGNAL)) < 0 && errno == EINTR) continue;
    return n == (ssize_t)bytes;
}

static void tell_end(int status, gv_error *err) {
    if (status == -1)
        gv_fail(err, GV_ERR_IO, "no process to decode it: too many, or no memory");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        gv_fail(err, GV_ERR_FORMAT,
                "the process that decodes it was ended: it tried what decoding has no need of "
                "(damaged, or made to do harm)");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        gv_fail(err, GV_ERR_INTERNAL, "the process that decodes it was killed (out of memory?)");
    else if (WIFSIGNALED(status))
        gv_fail(err, GV_ERR_FORMAT, "the process that decodes it was ended by signal %d (%s)", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    else
        gv_fail(err, GV_ERR_INTERNAL, "the process that decodes it ended with status %d", WEXITSTATUS(status));
}

gv_jail_answer gv_jail_receive(int socket, void *data, size_t *bytes, double patience_sec, const atomic_bool *stop,
                               gv_error *err) {
    static const int look_ms = 50; // how often at *stop
    double since = gv_now();
    for (;;) {
        if (stop && atomic_load(stop)) return GV_JAIL_STOPPED;
        struct pollfd p = {socket, POLLIN, 0};
        int code = poll(&p, 1, stop ? look_ms : patience_sec > 0 ? 1000 : -1);
        if (code < 0 && errno == EINTR) continue;
        if (code == 0 && (patience_sec <= 0 || gv_now() - since < patience_sec)) continue;
        if (code == 0) return GV_JAIL_SILENT;
        ssize_t n = code < 0 ? -1 : recv(socket, data, *bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0 && errno == ECONNRESET) continue; // it did not read all; said once, before its own last words
        ended e = {0};
        if (n == sizeof e) memcpy(&e, data, sizeof e);
        if (n <= 0) gv_fail(err, GV_ERR_INTERNAL, "the process that decodes it is gone");
        if (n > 0 && e.mark == mark) tell_end(e.status, err);
        if (n <= 0 || e.mark == mark) return GV_JAIL_ENDED;
        *bytes = (size_t)n;
        return GV_JAIL_PACKET;
    }
}
