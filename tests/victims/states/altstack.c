/*
 * Spends its time in a handler on an alternate stack, while deep live frames lie on the main stack.
 *
 * altstack zeros     the live frames are zeros
 * altstack filled    they are not
 * altstack within    zeros, and the alternate stack is a variable of main's: the stack pointer lies on the main stack and
 *                    far above its live part
 * altstack disarmed  zeros, and the kernel forgets the alternate stack while a handler runs on it (SS_AUTODISARM)
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "live.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif
#define SIZE (64 * 1024)

static long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Computes and sleeps for 3 ms each. */
static void handler(int signal)
{
	struct timespec nap = {0, 3000000};
	long begin = microseconds();
	volatile double sum = 0;

	(void)signal;
	while (microseconds() - begin < 3000)
		for (int n = 0; n < 1000; n++)
			sum += n;
	if (syscall(SYS_nanosleep, &nap, 0))
		damaged("a sleep fails", 0);
}

static void visit(void)
{
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
}

int main(int count, char **arguments)
{
	const char *mode = count > 1 ? arguments[1] : "zeros";
	char within[SIZE];
	void *elsewhere = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = {.ss_size = SIZE};
	/* The signal is not blocked in its handler, so that the mask is always the same. */
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_RESTART};

	stack.ss_sp = strcmp(mode, "within") ? elsewhere : within;
	if (!strcmp(mode, "disarmed"))
		stack.ss_flags = (int)SS_AUTODISARM;
	if (sigaltstack(&stack, 0) || sigaction(SIGUSR1, &action, 0))
		return 4;
	below_live_frames(!strcmp(mode, "filled"), visit);
}
