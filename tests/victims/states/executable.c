/*
 * A personality of old: whatever may be read may be executed (READ_IMPLIES_EXEC). Maps, fills, checks and unmaps memory.
 */
#include <stdint.h>
#include <sys/mman.h>
#include <sys/personality.h>

#include "rounds.h"

#define SIZE (256 * 1024)

int main(void)
{
	if (personality(READ_IMPLIES_EXEC) < 0)
		return 4;
	for (unsigned long round = 1;; round++) {
		uint8_t *memory = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			damaged("a mapping fails in round", round);
		for (size_t at = 0; at < SIZE; at++)
			memory[at] = (uint8_t)(at * 3 + round);
		for (size_t at = 0; at < SIZE; at++)
			if (memory[at] != (uint8_t)(at * 3 + round))
				damaged("a byte of a mapping, at", at);
		/* `mov $42, %eax; ret`, which this personality lets run where it was written. */
		memcpy(memory, "\xb8\x2a\0\0\0\xc3", 6);
		if (((int (*)(void))(void *)memory)() != 42)
			damaged("code does not answer in round", round);
		munmap(memory, SIZE);
		if (personality(0xffffffff) != READ_IMPLIES_EXEC)
			damaged("the personality has changed in round", round);
		round_over(round);
	}
}
