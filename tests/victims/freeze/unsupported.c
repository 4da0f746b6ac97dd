/* Has what its argument names, says that it is ready, and sleeps. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const char *mode;

static int is(const char *name)
{
    return !strcmp(mode, name);
}

static void ready(void)
{
    printf("ready\n");
    fflush(stdout);
    for (;;)
        pause();
}

static void need(int ok, const char *what)
{
    if (!ok) {
        printf("%s: %s\n", what, strerror(errno));
        fflush(stdout);
        exit(3);
    }
}

static void *other(void *unused)
{
    (void)unused;
    if (is("other_files"))
        need(unshare(CLONE_FILES) == 0, mode);
    if (is("other_directory"))
        need(unshare(CLONE_FS) == 0, mode);
    if (is("other_user"))
        need(syscall(SYS_setresuid, 0, 65534, 0) == 0, mode);
    if (is("first_thread_ended"))
        usleep(50000);
    ready();
    return 0;
}

static char *page(int flags, int fd)
{
    char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
    need(p != MAP_FAILED, "mmap");
    return p;
}

int main(int argc, char **argv)
{
    mode = argc > 1 ? argv[1] : "nothing";
    int many = is("many"), fd = -1, ends[2];
    if (is("pipe") || many)
        need(pipe(ends) == 0, mode);
    if (is("socket") || many)
        need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, mode);
    if (is("epoll"))
        need(epoll_create1(0) == 3, mode);
    if (is("eventfd"))
        need(eventfd(0, 0) == 3, mode);
    if (is("timerfd"))
        need(timerfd_create(CLOCK_MONOTONIC, 0) == 3, mode);
    if (is("signalfd")) {
        sigset_t set;
        sigemptyset(&set);
        need(signalfd(-1, &set, 0) == 3, mode);
    }
    if (is("inotify"))
        need(inotify_init1(0) == 3, mode);
    if (is("io_uring")) {
        char parameters[256] = {0};
        need(syscall(425, 4, parameters) == 3, mode);
    }
    if (is("pidfd"))
        need(syscall(SYS_pidfd_open, getpid(), 0) == 3, mode);
    if (is("memfd"))
        need(memfd_create("some", 0) == 3, mode);
    if (is("terminal"))
        need(posix_openpt(O_RDWR | O_NOCTTY) == 3, mode);
    if (is("deleted") || is("deleted_mapping") || is("replaced") || is("lease")) {
        need((fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600)) == 3 && ftruncate(fd, 4096) == 0, mode);
        if (is("lease"))
            need(fcntl(fd, F_SETLEASE, F_WRLCK) == 0, mode);
        else
            need(unlink("file") == 0, mode);
        if (is("replaced"))
            need(open("file", O_RDWR | O_CREAT, 0600) == 4 && close(4) == 0, mode);
        if (is("deleted_mapping")) {
            page(MAP_PRIVATE, fd);
            close(fd);
        }
    }
    if (is("deleted_output") || is("signalling_output")) {
        need((fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600)) == 3, mode);
        if (is("deleted_output"))
            need(unlink("file") == 0, mode);
        else
            need(fcntl(fd, F_SETOWN, getpid()) == 0, mode);
        need(dup2(fd, 2) == 2 && close(fd) == 0, mode);
    }
    if (is("owner"))
        need((fd = open("file", O_RDWR | O_CREAT, 0600)) == 3 && fcntl(fd, F_SETOWN, getpid()) == 0, mode);
    if (is("shown_file"))
        need(open("/proc/self/status", O_RDONLY) == 3, mode);
    if (is("many_areas")) {
        char *p = mmap(0, 40000L * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        need(p != MAP_FAILED, mode);
        for (long i = 0; i < 40000; i += 2)
            need(mprotect(p + i * 4096, 4096, PROT_READ) == 0, mode);
    }
    if (is("most_addresses"))
        need(mmap(0, 80L << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED, mode);
    if (is("shared_memory") || many)
        page(MAP_SHARED | MAP_ANONYMOUS, -1);
    if (is("shared_file_in_memory")) {
        need((fd = shm_open("/pie_blob_freeze_test", O_RDWR | O_CREAT, 0600)) >= 0 && ftruncate(fd, 4096) == 0, mode);
        page(MAP_SHARED, fd);
        close(fd);
    }
    if (is("system_v_memory")) {
        int id = shmget(IPC_PRIVATE, 4096, 0600);
        need(id >= 0 && shmat(id, 0, 0) != (void *)-1 && shmctl(id, IPC_RMID, 0) == 0, mode);
    }
    if (is("userfaultfd")) {
        char *p = page(MAP_PRIVATE | MAP_ANONYMOUS, -1);
        int watch = syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);
        struct uffdio_api api = {.api = UFFD_API};
        struct uffdio_register range = {{(uintptr_t)p, 4096}, UFFDIO_REGISTER_MODE_MISSING, 0};
        need(watch >= 0 && ioctl(watch, UFFDIO_API, &api) == 0 && ioctl(watch, UFFDIO_REGISTER, &range) == 0, mode);
    }
    if (is("sealed"))
        need(syscall(462, page(MAP_PRIVATE | MAP_ANONYMOUS, -1), 4096, 0) == 0, mode);
    if (is("guard_pages"))
        need(madvise(page(MAP_PRIVATE | MAP_ANONYMOUS, -1), 4096, 102) == 0, mode);
    if ((is("child") || many) && fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    if (is("seccomp")) {
        struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        struct sock_fprog program = {1, &allow};
        need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, mode);
    }
    if (is("deadline")) {
        struct {
            uint32_t size, policy;
            uint64_t flags;
            int32_t nice;
            uint32_t priority;
            uint64_t runtime, deadline, period;
        } attributes = {48, 6, 0, 0, 0, 1000000, 10000000, 10000000};
        need(syscall(SYS_sched_setattr, 0, &attributes, 0) == 0, mode);
    }
    if (is("network"))
        need(unshare(CLONE_NEWNET) == 0, mode);
    if (is("hostname"))
        need(unshare(CLONE_NEWUTS) == 0, mode);
    if (is("root"))
        need(chroot("/var") == 0, mode);
    if (is("directory"))
        need(mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0, mode);
    if (is("other_files") || is("other_directory") || is("other_user") || is("first_thread_ended")) {
        pthread_t thread;
        need(pthread_create(&thread, 0, other, 0) == 0, mode);
        if (is("first_thread_ended"))
            pthread_exit(0);
        for (;;)
            pause();
    }
    ready();
}
