/*
 * Waits for 50 ms again and again, and prints how long the longest wait took, in milliseconds. A wait that ends early or in
 * another way than by time is damage.
 *
 * waiting epoll_wait|sigtimedwait|semtimedop [host-dies|beside]
 *
 * beside: another thread sleeps in pause() all the while.
 * host-dies: one wait may end with EINTR, as it does after SIGSTOP and SIGCONT (signal(7)).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

#include "rounds.h"

#define MILLISECONDS 50

static enum { EPOLL, SIGNAL, SEMAPHORE } kind;
static int descriptor = -1, semaphores = -1;

static long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* 0, or the error that the wait ended with; time passing is no error. */
static int wait_once(void)
{
	struct timespec time = {0, MILLISECONDS * 1000000};
	struct epoll_event event;
	struct sembuf take = {0, -1, 0};
	sigset_t set;
	int answer;

	switch (kind) {
	case EPOLL:
		answer = epoll_wait(descriptor, &event, 1, MILLISECONDS);
		break;
	case SIGNAL:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		answer = sigtimedwait(&set, 0, &time);
		break;
	default:
		answer = semtimedop(semaphores, &take, 1, &time);
		break;
	}
	if (answer > 0)
		damaged("a wait answers", (unsigned long)answer);
	return answer == 0 || errno == EAGAIN ? 0 : errno;
}

static void *sleeper(void *unused)
{
	for (;;)
		pause();
	return unused;
}

int main(int count, char **arguments)
{
	int interruptions = count > 2 && !strcmp(arguments[2], "host-dies");
	long longest = 0;
	sigset_t set;

	if (count > 1 && !strcmp(arguments[1], "sigtimedwait"))
		kind = SIGNAL;
	if (count > 1 && !strcmp(arguments[1], "semtimedop"))
		kind = SEMAPHORE;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, 0);
	if (count > 2 && !strcmp(arguments[2], "beside")) {
		pthread_t other;

		if (pthread_create(&other, 0, sleeper, 0))
			return 4;
	}
	if (kind == EPOLL)
		descriptor = epoll_create1(0);
	if (kind == SEMAPHORE)
		semaphores = semget(IPC_PRIVATE, 1, 0600);
	for (;;) {
		long begin = microseconds(), took;
		int error = wait_once();

		took = microseconds() - begin;
		if (error == EINTR && interruptions-- > 0)
			continue;
		if (error)
			damaged("a wait ends with error", (unsigned long)error);
		if (took < MILLISECONDS * 1000 - 500)
			damaged("a wait ends early, after microseconds:", (unsigned long)took);
		if (took > longest)
			longest = took;
		say("", (unsigned long)longest / 1000);
		if (is_over())
			break;
	}
	/* What the system would keep. */
	if (kind == SEMAPHORE)
		semctl(semaphores, 0, IPC_RMID);
	return 0;
}
