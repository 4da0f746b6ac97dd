/*
 * Steps itself instruction by instruction (the trap flag), as debuggers in the same process and copy protections do: its
 * handler must be called once an instruction, and nothing else may end in it.
 */
#define _GNU_SOURCE
#include <signal.h>

#include "rounds.h"

#define TURNS 500

static volatile unsigned long steps;

static void handler(int signal, siginfo_t *information, void *context)
{
	(void)signal;
	(void)context;
	if (information->si_code != TRAP_TRACE)
		damaged("a trap of kind", (unsigned long)information->si_code);
	steps++;
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};

	if (sigaction(SIGTRAP, &action, 0))
		return 4;
	for (unsigned long round = 1;; round++) {
		unsigned long turns = TURNS, before = steps, taken;

		__asm__ volatile("lea -128(%%rsp), %%rsp\n"
				 "pushfq\n"
				 "orq $0x100, (%%rsp)\n"
				 "popfq\n"
				 "1: dec %0\n"
				 "jnz 1b\n"
				 "pushfq\n"
				 "andq $~0x100, (%%rsp)\n"
				 "popfq\n"
				 "lea 128(%%rsp), %%rsp\n"
				 : "+r"(turns)
				 :
				 : "memory", "cc");
		taken = steps - before;
		/* Two a turn, and the last three; a processor may trap once more behind popfq. */
		if (taken < 2 * TURNS || taken > 2 * TURNS + 6)
			damaged("steps in a round:", taken);
		round_over(round);
	}
}
