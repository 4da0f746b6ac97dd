/*
 * May not make memory executable that was not mapped so (PR_SET_MDWE, systemd's MemoryDenyWriteExecute): computes, and checks
 * that the rule still holds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "rounds.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1UL
#endif

int main(void)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0L, 0L, 0L))
		return 4;
	for (unsigned long round = 1;; round++) {
		volatile double sum = 0;
		void *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (page == MAP_FAILED)
			damaged("a mapping fails in round", round);
		if (!mprotect(page, 4096, PROT_READ | PROT_EXEC) || errno != EACCES)
			damaged("the rule does not hold in round", round);
		munmap(page, 4096);
		for (int n = 0; n < 1000000; n++)
			sum += n;
		if (sum != 499999500000.0)
			damaged("a sum is", (unsigned long)sum);
		round_over(round);
	}
}
