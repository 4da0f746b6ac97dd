/*
 * The first thread computes on an alternate stack, in a signal handler, while 64 others sleep: neither has the main stack
 * room where it is usually found.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 64

static uint64_t rounds;
static volatile uint64_t sum = 1;
static char *stack;
static volatile int ending;

static void *sleeper(void *number)
{
    uint64_t round = 0;
    while (!ending) {
        usleep(3000 + 50 * (unsigned)(uintptr_t)number);
        round++;
    }
    return (void *)(uintptr_t)(round > 0);
}

static void compute(int signal)
{
    char here;
    (void)signal;
    for (uint64_t i = 0; i < rounds; i++)
        sum = sum * 6364136223846793005u + 1;
    if (&here < stack || &here >= stack + 65536)
        sum = 0;
}

int main(int argc, char **argv)
{
    rounds = argc > 1 ? strtoull(argv[1], 0, 10) : 1000000;
    pthread_t threads[THREADS];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], &small, sleeper, (void *)i);
    stack = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t alternate = {.ss_sp = stack, .ss_size = 65536}, now;
    sigaltstack(&alternate, 0);
    struct sigaction action = {.sa_handler = compute, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, 0);
    printf("ready\n");
    fflush(stdout);
    raise(SIGUSR1);
    ending = 1;
    unsigned woken = 0;
    for (int i = 0; i < THREADS; i++) {
        void *one;
        pthread_join(threads[i], &one);
        woken += (unsigned)(uintptr_t)one;
    }
    sigaltstack(0, &now);
    printf("%016llx %u %d\n", (unsigned long long)sum, woken, now.ss_sp == stack && now.ss_flags == 0);
    return 0;
}
