/*
 * Has what its argument names, waits for SIGUSR1, and then looks whether it is as it was: what is not is named.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static volatile sig_atomic_t going, others;
static const char *mode;
static int wrong;

static void is(int ok, const char *what)
{
    if (!ok) {
        printf("wrong: %s (%s)\n", what, strerror(errno));
        wrong++;
    }
}

static int has(const char *name)
{
    return !strcmp(mode, name);
}

static void handle(int signal)
{
    if (signal == SIGUSR1)
        going = 1;
    else
        others++;
}

/* Whether the area at an address has a flag in smaps. */
static int flag(void *place, const char *wanted)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    char line[512];
    int here = 0, found = 0;
    uintptr_t at = (uintptr_t)place, start, end;
    while (fgets(line, sizeof line, smaps)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = start <= at && at < end;
        else if (here && !strncmp(line, "VmFlags:", 8))
            found = strstr(line, wanted) != 0;
    }
    fclose(smaps);
    return found;
}

static char *pages(int count, int protection, int flags)
{
    char *memory = mmap(0, (size_t)count * PAGE, protection, flags | MAP_ANONYMOUS, -1, 0);
    is(memory != MAP_FAILED, "mmap");
    return memory;
}

static void *sleeper(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    mode = argc > 1 ? argv[1] : "nothing";
    signal(SIGUSR1, handle);
    signal(SIGUSR2, handle);
    char *guard = 0, *memory = 0;
    pthread_t thread;
    timer_t timers[4] = {0};

    if (has("locked") || has("locked_later") || has("locked_when_used")) {
        guard = pages(2, PROT_NONE, MAP_PRIVATE);
        memory = pages(2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        int later = has("locked") ? 0 : has("locked_later") ? MCL_FUTURE : MCL_FUTURE | MCL_ONFAULT;
        is(mlockall(MCL_CURRENT | later) == 0, "mlockall");
    }
    if (has("droppable")) {
        memory = pages(4, PROT_READ | PROT_WRITE, 0x08);
        memset(memory, 'x', 4 * PAGE);
    }
    if (has("barriers")) {
        is(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0, "register");
        pthread_create(&thread, 0, sleeper, 0);
    }
    if (has("timers")) {
        struct sigevent event = {.sigev_notify = SIGEV_NONE};
        clockid_t clocks[4] = {CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, CLOCK_REALTIME, CLOCK_THREAD_CPUTIME_ID};
        struct itimerspec late = {{0, 0}, {1000, 0}};
        for (int i = 0; i < 4; i++)
            is(timer_create(clocks[i], &event, &timers[i]) == 0 && timer_settime(timers[i], 0, &late, 0) == 0, "timer");
        is(timer_delete(timers[0]) == 0, "delete");
    }
    if (has("core_filter")) {
        FILE *filter = fopen("/proc/self/coredump_filter", "w");
        is(filter && fprintf(filter, "0x5") == 3 && fclose(filter) == 0, "filter");
    }
    if (has("mapping")) {
        FILE *file = fopen("mapping", "w+");
        is(file && ftruncate(fileno(file), PAGE) == 0, "file");
        memory = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
        is(memory != MAP_FAILED && fclose(file) == 0, "mapping");
        memory[0] = 'x';
    }
    if (has("threads"))
        pthread_create(&thread, 0, sleeper, 0);

    printf("ready\n");
    fflush(stdout);
    sigset_t usual, blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &usual);
    while (!going)
        sigsuspend(&usual);

    if (guard)
        is(flag(guard, " lo") && flag(memory, " lo"), "locked");
    if (has("locked"))
        is(!flag(pages(2, PROT_READ, MAP_PRIVATE), " lo"), "not locked later");
    if (has("locked_later"))
        is(flag(pages(2, PROT_READ, MAP_PRIVATE), " lo") && !flag(pages(1, PROT_NONE, MAP_PRIVATE), " lf"), "locked later");
    if (has("locked_when_used"))
        is(flag(memory, " lf") && flag(pages(2, PROT_READ, MAP_PRIVATE), " lf"), "locked when used");
    if (has("droppable")) {
        is(flag(memory, " dp") && memory[0] == 0 && memory[4 * PAGE - 1] == 0, "droppable");
        memset(memory, 'y', 4 * PAGE);
    }
    if (has("barriers")) {
        is(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0, "barrier");
        is(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == -1, "another barrier");
    }
    if (has("timers"))
        for (int i = 1; i < 4; i++) {
            struct itimerspec left;
            is(timer_gettime(timers[i], &left) == 0 && left.it_value.tv_sec > 900, "timer later");
        }
    if (has("core_filter")) {
        int number = 0;
        FILE *filter = fopen("/proc/self/coredump_filter", "r");
        is(filter && fscanf(filter, "%x", &number) == 1 && number == 5, "filter later");
    }
    if (has("mapping"))
        is(memory[0] == 'x', "mapping later");
    if (has("signal"))
        is(others == 1, "signal");
    printf("%d wrong\n", wrong);
    return wrong != 0;
}
