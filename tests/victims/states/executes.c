/*
 * Executes itself again after some twenty milliseconds of computing, with a number that goes on: whatever is known of its
 * memory is soon wrong.
 */
#include <stdlib.h>

#include "rounds.h"

int main(int count, char **arguments)
{
	unsigned long round = count > 1 ? strtoul(arguments[1], 0, 10) : 1;
	char number[24], *next[] = {arguments[0], number, 0};
	size_t at = sizeof number - 1;

	for (int turn = 0; turn < 4; turn++) {
		volatile double sum = 0;

		for (int n = 0; n < 3000000; n++)
			sum += n;
		if (sum != 4499998500000.0)
			damaged("a sum is", (unsigned long)sum);
	}
	round_over(round++);
	number[at] = 0;
	do {
		number[--at] = (char)('0' + round % 10);
		round /= 10;
	} while (round);
	next[1] = number + at;
	execv("/proc/self/exe", next);
	damaged("it cannot execute itself in round", round);
	return 3;
}
