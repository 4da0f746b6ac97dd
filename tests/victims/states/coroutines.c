/*
 * Four coroutines (ucontext) that compute and sleep in turn and check their own frames, while the frames of main, which
 * switches between them, are live and zeros.
 *
 * coroutines heap    their stacks lie on the heap: the first thread's stack pointer is not on its stack
 * coroutines within  their stacks lie in main's frame: the stack pointer is on the main stack, above its live part
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#include "live.h"

#define COROUTINES 4
#define SIZE (64 * 1024)
#define OWN (16 * 1024)

static ucontext_t scheduler, coroutines[COROUTINES];

static void coroutine(int own)
{
	volatile uint8_t live[OWN];

	for (size_t at = 0; at < OWN; at++)
		live[at] = (uint8_t)(at * 5 + (size_t)own);
	for (;;) {
		struct timespec nap = {0, 1000000};
		volatile double sum = 0;

		for (int n = 0; n < 100000; n++)
			sum += n;
		if (syscall(SYS_nanosleep, &nap, 0))
			damaged("a sleep fails", 0);
		for (size_t at = 0; at < OWN; at++)
			if (live[at] != (uint8_t)(at * 5 + (size_t)own))
				damaged("a byte of a coroutine's stack, at", at);
		swapcontext(&coroutines[own], &scheduler);
	}
}

static void each_in_turn(void)
{
	for (int n = 0; n < COROUTINES; n++)
		swapcontext(&scheduler, &coroutines[n]);
}

int main(int count, char **arguments)
{
	char within[COROUTINES][SIZE];

	for (int n = 0; n < COROUTINES; n++) {
		getcontext(&coroutines[n]);
		coroutines[n].uc_stack.ss_sp = count > 1 && !strcmp(arguments[1], "within") ? within[n] : malloc(SIZE);
		coroutines[n].uc_stack.ss_size = SIZE;
		coroutines[n].uc_link = 0;
		makecontext(&coroutines[n], (void (*)(void))coroutine, 1, n);
	}
	below_live_frames(0, each_in_turn);
}
