/*
 * Eight threads that hand work around with mutexes and condition variables, each with thread-local state, and one digest
 * at the end. The order in which a slot is filled and emptied is fixed, the threads that do it are not.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t robust;
static uint64_t turn, turns, digest = 1;
static __thread uint64_t mine;
static uint64_t sums[THREADS];

static void *work(void *argument)
{
    uint64_t id = (uint64_t)argument;
    char name[16];
    snprintf(name, sizeof name, "worker %d", (int)id);
    pthread_setname_np(pthread_self(), name);
    pid_t tid = syscall(SYS_gettid);
    mine = id + 1;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (turn < turns && turn % THREADS != id)
            pthread_cond_wait(&turned, &lock);
        if (turn >= turns) {
            pthread_mutex_unlock(&lock);
            break;
        }
        pthread_mutex_lock(&robust);
        digest = digest * 6364136223846793005u + mine;
        pthread_mutex_unlock(&robust);
        turn++;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&lock);
        for (int i = 0; i < 2000; i++)
            mine = mine * 2862933555777941757u + 3037000493u;
        if (tid != (pid_t)syscall(SYS_gettid)) {
            printf("thread %d has become %d\n", tid, (int)syscall(SYS_gettid));
            exit(1);
        }
    }
    pthread_getname_np(pthread_self(), name, sizeof name);
    sums[id] = mine + (uint64_t)name[7];
    return 0;
}

/* A program that can handle a signal has what it continues through: even where all of it is linked statically. */
static void handle(int signal)
{
    (void)signal;
}

int main(int argc, char **argv)
{
    signal(SIGUSR2, handle);
    turns = argc > 1 ? strtoull(argv[1], 0, 10) : 20000;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_t threads[THREADS];
    for (uint64_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], 0, work, (void *)i);
    printf("ready\n");
    fflush(stdout);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], 0);
    for (int i = 0; i < THREADS; i++)
        digest = digest * 31 + sums[i];
    printf("%016llx\n", (unsigned long long)digest);
    return 0;
}
