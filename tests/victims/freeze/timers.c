/*
 * Timers of every kind whose handlers run on an alternate stack, and signals that are blocked and pending.
 *
 * Ends when each timer has expired often enough, and says what came of the pending signals and in which order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char stack[64 * 1024];
static volatile sig_atomic_t ticks[4], elsewhere, wrong;
static volatile int got[8], gotten;

static void check(void)
{
    char here;
    if (&here < stack || &here >= stack + sizeof stack)
        elsewhere++;
}

static void interval(int signal)
{
    check();
    ticks[signal == SIGALRM ? 0 : signal == SIGVTALRM ? 1 : 2]++;
}

static void posix(int signal, siginfo_t *information, void *context)
{
    (void)signal, (void)context;
    check();
    if (information->si_value.sival_int != 77)
        wrong++;
    ticks[3]++;
}

static void queued(int signal, siginfo_t *information, void *context)
{
    (void)signal, (void)context;
    check();
    if (gotten < 8)
        got[gotten++] = information->si_code == SI_QUEUE ? information->si_value.sival_int : -1;
}

int main(int argc, char **argv)
{
    int enough = argc > 1 ? atoi(argv[1]) : 40;
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, 0);
    struct sigaction action = {.sa_handler = interval, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigaction(SIGALRM, &action, 0);
    sigaction(SIGVTALRM, &action, 0);
    sigaction(SIGPROF, &action, 0);
    action.sa_flags = SA_ONSTACK | SA_SIGINFO | SA_RESTART;
    action.sa_sigaction = posix;
    sigaction(SIGRTMIN + 3, &action, 0);
    action.sa_sigaction = queued;
    sigaction(SIGRTMIN + 1, &action, 0);
    sigaction(SIGUSR1, &action, 0);

    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN + 1);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, 0);
    for (int i = 1; i <= 3; i++)
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 100 + i});
    raise(SIGUSR1);

    /* Identifiers with a hole: the first timer is deleted again. */
    timer_t first, second, third;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3, .sigev_value.sival_int = 77};
    if (timer_create(CLOCK_MONOTONIC, &event, &first) || timer_create(CLOCK_MONOTONIC, &event, &second)
        || timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &third))
        return 2;
    timer_delete(first);
    struct itimerspec soon = {{0, 7000000}, {0, 7000000}}, late = {{0, 0}, {1000, 0}};
    timer_settime(second, 0, &soon, 0);
    timer_settime(third, 0, &late, 0);
    struct itimerval real = {{0, 9000}, {0, 9000}}, cpu = {{0, 11000}, {0, 11000}};
    setitimer(ITIMER_REAL, &real, 0);
    setitimer(ITIMER_VIRTUAL, &cpu, 0);
    setitimer(ITIMER_PROF, &cpu, 0);
    printf("ready\n");
    fflush(stdout);

    volatile uint64_t spun = 0;
    while (ticks[0] < enough || ticks[1] < enough || ticks[2] < enough || ticks[3] < enough)
        spun++;

    memset(&real, 0, sizeof real);
    setitimer(ITIMER_REAL, &real, &cpu);
    int period = cpu.it_interval.tv_usec == 9000;
    struct itimerspec left;
    int alive = timer_gettime(third, &left) == 0 && left.it_value.tv_sec > 900 && timer_delete(second) == 0;
    sigset_t pending;
    sigpending(&pending);
    int both = sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGRTMIN + 1);
    sigprocmask(SIG_UNBLOCK, &blocked, 0);
    stack_t now;
    sigaltstack(0, &now);
    printf("period %d timers %d pending %d got", period, alive, both);
    for (int i = 0; i < gotten; i++)
        printf(" %d", got[i]);
    printf(" elsewhere %d wrong %d stack %d\n", (int)elsewhere, (int)wrong, now.ss_sp == stack && now.ss_size == sizeof stack);
    return 0;
}
