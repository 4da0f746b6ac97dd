/*
 * Computes with a flag of the processor's that hardly any program leaves set, and that code which is put into it inherits.
 *
 * flags direction  strings are worked on downwards (DF)
 * flags alignment  an access that is not aligned is a SIGBUS (AC)
 * flags floating   every inexact result is a SIGFPE, and results are rounded down (MXCSR and the x87 control word)
 */
#define _GNU_SOURCE
#include <fenv.h>
#include <stdint.h>

#include "rounds.h"

#define DIRECTION 0x400UL
#define ALIGNMENT 0x40000UL

/* A few milliseconds with the flag set; the flags as they were at the end. */
static unsigned long with(unsigned long flag)
{
	unsigned long turns = 10000000, flags;

	__asm__ volatile("lea -128(%%rsp), %%rsp\n"
			 "pushfq\n"
			 "or %2, (%%rsp)\n"
			 "popfq\n"
			 "1: dec %0\n"
			 "jnz 1b\n"
			 "pushfq\n"
			 "pop %1\n"
			 "push %1\n"
			 "not %2\n"
			 "and %2, (%%rsp)\n"
			 "popfq\n"
			 "lea 128(%%rsp), %%rsp\n"
			 : "+&r"(turns), "=&r"(flags), "+&r"(flag)
			 :
			 : "memory", "cc");
	return flags;
}

static void floating(void)
{
	uint32_t mxcsr, now;
	uint16_t control, control_now;
	volatile double sum = 0;

	__asm__ volatile("stmxcsr %0\nfnstcw %1" : "=m"(mxcsr), "=m"(control));
	for (int n = 0; n < 2000000; n++)
		sum += n;
	if (sum != 1999999000000.0)
		damaged("a sum is", (unsigned long)sum);
	__asm__ volatile("stmxcsr %0\nfnstcw %1" : "=m"(now), "=m"(control_now));
	if (now != mxcsr || control_now != control)
		damaged("MXCSR has become", now);
}

int main(int count, char **arguments)
{
	const char *mode = count > 1 ? arguments[1] : "direction";
	unsigned long flag = strcmp(mode, "alignment") ? DIRECTION : ALIGNMENT;
	int is_floating = !strcmp(mode, "floating");

	if (is_floating && (fesetround(FE_DOWNWARD) || feenableexcept(FE_ALL_EXCEPT) < 0))
		return 4;
	for (unsigned long round = 1;; round++) {
		if (is_floating)
			floating();
		else if (!(with(flag) & flag))
			damaged("a flag is lost in round", round);
		round_over(round);
	}
}
