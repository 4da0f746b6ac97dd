/*
 * Syscall user dispatch, as Wine uses it: while foreign code runs its system calls become SIGSYS, and the handler answers
 * them. A SIGSYS for any other call than the foreign code's is damage.
 *
 * dispatch selector  the selector says "block" while foreign code runs, and "allow" in the program's own code
 * dispatch range     the selector says "block" for good, and the C library's own code is exempt
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "rounds.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif
#define NO_SUCH_CALL 7777
#define ANSWER 4242

enum { ALLOW, BLOCK };

static volatile char selector = ALLOW;
static volatile int expected = -1;
static int ranged;

static void handler(int signal, siginfo_t *information, void *context)
{
	(void)signal;
	if (!ranged)
		selector = ALLOW;
	if (information->si_syscall != expected)
		damaged("a SIGSYS for call", (unsigned long)information->si_syscall);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = ANSWER;
}

/* The code of the C library, which its own `write` lies in. */
static int library(unsigned long *start, unsigned long *length)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512], permissions[8];

	while (maps && fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %7s", &from, &to, permissions) == 3 && from <= (uintptr_t)write &&
		    (uintptr_t)write < to) {
			*start = from;
			*length = to - from;
			fclose(maps);
			return 1;
		}
	return 0;
}

int main(int count, char **arguments)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
	unsigned long start = 0, length = 0;

	ranged = count > 1 && !strcmp(arguments[1], "range");
	if (sigaction(SIGSYS, &action, 0) || (ranged && !library(&start, &length)) ||
	    prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, start, length, &selector))
		return 4;
	for (unsigned long round = 1;; round++) {
		volatile double sum = 0;
		long answer;

		selector = BLOCK;
		for (int n = 0; n < 2000000; n++)
			sum += n;
		expected = NO_SUCH_CALL;
		__asm__ volatile("syscall" : "=a"(answer) : "a"((long)NO_SUCH_CALL) : "rcx", "r11", "memory");
		expected = -1;
		if (!ranged)
			selector = ALLOW;
		else if (selector != BLOCK)
			damaged("the selector is", (unsigned long)selector);
		if (answer != ANSWER)
			damaged("the foreign call answers", (unsigned long)answer);
		round_over(round);
	}
}
