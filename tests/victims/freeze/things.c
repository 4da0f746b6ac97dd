/*
 * Has one of everything that an image holds, waits for SIGUSR1 to come with SIGEV_THREAD's and its own threads asleep, and
 * then looks at each thing: what is not as it was is named.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t going, in_thread;
static volatile int timer_ticks;
static int wrong;
static char other_stack[32768];

static void is(int ok, const char *what)
{
    if (!ok) {
        printf("wrong: %s (%s)\n", what, strerror(errno));
        wrong++;
    }
}

static void handle(int signal)
{
    if (signal == SIGUSR1)
        going = 1;
    else
        in_thread = syscall(SYS_gettid);
}

static void tick(union sigval value)
{
    if (value.sival_int == 5)
        timer_ticks++;
}

static void *sleeper(void *argument)
{
    pid_t *tid = argument;
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack}, now;
    is(sigaltstack(&stack, 0) == 0, "alternate stack of a thread");
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    *tid = syscall(SYS_gettid);
    syscall(SYS_tgkill, getpid(), *tid, SIGUSR2);
    prctl(PR_SET_NAME, "a sleeper");
    struct timespec long_time = {0, 20000000};
    while (!going)
        nanosleep(&long_time, 0);
    char name[16];
    prctl(PR_GET_NAME, name);
    is(!strcmp(name, "a sleeper"), "name of a thread");
    is(sigaltstack(0, &now) == 0 && now.ss_sp == other_stack && now.ss_size == sizeof other_stack, "alternate stack later");
    sigpending(&pending);
    is(sigismember(&pending, SIGUSR2), "signal pending for a thread");
    pthread_sigmask(SIG_UNBLOCK, &set, 0);
    is(in_thread == *tid, "thread that took it");
    return 0;
}

int main(int argc, char **argv)
{
    int user = argc > 1 && !strcmp(argv[1], "user");
    signal(SIGUSR1, handle);
    signal(SIGUSR2, handle);
    signal(SIGHUP, SIG_IGN);

    /* Descriptors: numbers with holes, positions, flags, two that share one description, a directory, a device. */
    int file = open("things", O_RDWR | O_CREAT | O_TRUNC, 0640);
    is(file == 3 && write(file, "0123456789", 10) == 10, "file");
    is(dup2(file, 40) == 40 && fcntl(40, F_SETFD, FD_CLOEXEC) == 0 && lseek(file, 4, SEEK_SET) == 4, "duplicate");
    is(open("things", O_RDONLY) == 4 && lseek(4, 7, SEEK_SET) == 7, "second description");
    is(open("log", O_WRONLY | O_APPEND | O_CREAT | O_TRUNC, 0600) == 5 && write(5, "a", 1) == 1, "log");
    is(open(".", O_RDONLY | O_DIRECTORY) == 6 && open("/dev/zero", O_RDWR) == 7, "folder and device");
    is(close(4) == 0 && dup2(file, 4) == 4 && open("things", O_RDONLY | O_NONBLOCK) == 8 && lseek(8, 9, SEEK_SET) == 9, "more");
    struct flock part = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3};
    is(fcntl(file, F_SETLK, &part) == 0 && flock(5, LOCK_EX) == 0, "locks");

    /* Memory: shared with a file, private to a file and changed, not readable, locked, advised. */
    int shared = open("shared", O_RDWR | O_CREAT | O_TRUNC, 0600);
    is(ftruncate(shared, 8192) == 0, "shared");
    char *both = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    char *own = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, shared, 0);
    is(dup2(shared, 41) == 41 && close(shared) == 0, "shared file");
    strcpy(both, "for all");
    own[4096] = 'x';
    char *hidden = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(hidden, "hidden");
    mprotect(hidden, 8192, PROT_NONE);
    char *locked = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    is(mlock(locked, 8192) == 0, "lock memory");
    char *secret = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    is(madvise(secret, 8192, MADV_WIPEONFORK) == 0 && madvise(secret, 8192, MADV_DONTDUMP) == 0, "advice");
    void *before = sbrk(0);
    is(sbrk(100000) == before, "program break");

    /* The process: limits, mask, nice value, processors, personality, flags, who it is. */
    struct rlimit limit = {77, 99}, limits;
    is(setrlimit(RLIMIT_NOFILE, &limit) == 0, "limit");
    umask(031);
    is(setpriority(PRIO_PROCESS, 0, 7) == 0, "nice");
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    is(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "processors");
    is(personality(ADDR_NO_RANDOMIZE) >= 0, "personality");
    is(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_SET_TIMERSLACK, 123456) == 0, "prctl");
    is(prctl(PR_SET_NAME, "things") == 0, "name");
    if (user) {
        gid_t groups[] = {7, 8, 9};
        is(setgroups(3, groups) == 0 && prctl(PR_SET_KEEPCAPS, 1) == 0, "groups");
        is(setresgid(65534, 65533, 65532) == 0 && setresuid(65534, 65534, 65534) == 0, "ids");
        is(prctl(PR_SET_DUMPABLE, 1) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "after ids");
    }
    char status_before[4096] = "", status_after[4096] = "";
    pid_t tid = 0, pid = getpid();
    pthread_t thread;
    pthread_create(&thread, 0, sleeper, &tid);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = tick, .sigev_value.sival_int = 5};
    struct itimerspec soon = {{0, 5000000}, {0, 5000000}};
    timer_t timer;
    is(timer_create(CLOCK_REALTIME, &event, &timer) == 0 && timer_settime(timer, 0, &soon, 0) == 0, "timer");
    while (!tid || !timer_ticks)
        usleep(1000);

#define STATUS(buffer)                                                                                                           \
    do {                                                                                                                         \
        char line[512];                                                                                                          \
        FILE *status = fopen("/proc/self/status", "r");                                                                          \
        while (fgets(line, sizeof line, status))                                                                                 \
            if (strstr("Name Umask Pid Uid Gid Groups SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Cpus_allowed", \
                    strtok(strdup(line), ":")))                                                                                  \
                strcat(buffer, line);                                                                                            \
        fclose(status);                                                                                                          \
    } while (0)
    STATUS(status_before);
    void *end = sbrk(0);
    printf("ready\n");
    fflush(stdout);
    while (!going)
        pause();

    errno = 0;
    is(sbrk(0) == end, "program break later");
    is(fcntl(9, F_GETFD) == -1 && fcntl(39, F_GETFD) == -1, "nothing else");
    STATUS(status_after);
    is(!strcmp(status_before, status_after), "status");
    if (strcmp(status_before, status_after))
        printf("%s\nhas become\n%s\n", status_before, status_after);
    is(getpid() == pid && syscall(SYS_getpid) == pid && syscall(SYS_gettid) == pid, "ids");
    char text[16] = "";
    is(lseek(file, 0, SEEK_CUR) == 4 && read(40, text, 2) == 2 && !strcmp(text, "45"), "position");
    is(lseek(4, 0, SEEK_CUR) == 6 && lseek(file, 0, SEEK_CUR) == 6, "shared position");
    is(fcntl(40, F_GETFD) == FD_CLOEXEC && fcntl(file, F_GETFD) == 0, "close-on-exec");
    is(lseek(8, 0, SEEK_CUR) == 9 && (fcntl(8, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == (O_NONBLOCK | O_RDONLY), "flags");
    is(write(5, "b", 1) == 1 && (fcntl(5, F_GETFL) & O_APPEND), "log later");
    DIR *folder = fdopendir(dup(6));
    is(folder && readdir(folder) != 0, "folder later");
    is(read(7, text, 5) == 5 && text[0] == 0, "device later");
    struct flock asked = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    if (fork() == 0) {
        int again = open("log", O_RDONLY);
        _exit(fcntl(file, F_GETLK, &asked) || asked.l_type != F_WRLCK || asked.l_start != 2 || asked.l_len != 3 || asked.l_pid != pid
            || flock(again, LOCK_EX | LOCK_NB) == 0);
    }
    int status;
    is(wait(&status) > 0 && status == 0, "locks later");
    is(!strcmp(both, "for all"), "shared memory with a file");
    strcpy(both, "changed");
    is(pread(41, text, 8, 0) == 8 && !strcmp(text, "changed"), "file shared with memory");
    is(own[4096] == 'x' && !strcmp(own, "changed"), "private to a file");
    is(mprotect(hidden, 8192, PROT_READ) == 0 && !strcmp(hidden, "hidden"), "hidden");
    memset((char *)before, 1, 100000);
    is(getrlimit(RLIMIT_NOFILE, &limits) == 0 && limits.rlim_cur == 77 && limits.rlim_max == 99, "limit later");
    is(umask(0) == 031, "umask");
    is(getpriority(PRIO_PROCESS, 0) == 7, "nice later");
    is(personality(0xffffffff) == ADDR_NO_RANDOMIZE, "personality later");
    int reaper = 0;
    is(prctl(PR_GET_CHILD_SUBREAPER, &reaper) == 0 && reaper && prctl(PR_GET_TIMERSLACK) == 123456, "prctl later");
    int ticks = timer_ticks;
    for (int i = 0; i < 1000 && timer_ticks < ticks + 5; i++)
        usleep(5000);
    is(timer_ticks >= ticks + 5, "timer later");
    is(pthread_join(thread, 0) == 0, "join");
    struct timespec here;
    is(clock_gettime(CLOCK_MONOTONIC, &here) == 0 && time(0) > 1000000, "vDSO");
    char path[4096] = "";
    is(readlink("/proc/self/exe", path, sizeof path) > 0 && !strncmp(path, argv[0], strlen(argv[0])), "program");
    is(getenv("PATH") && argv[0][0] == '/', "arguments");
    printf("%d wrong\n", wrong);
    return wrong != 0;
}
