/*
 * Something lies directly below the main stack: what is written below the stack's low end, and not looked at before, ends up
 * there. Computes and sleeps, and checks it.
 *
 * neighbour data    pages that may be written
 * neighbour hidden  the same, and nobody may touch them (PROT_NONE) but while they are checked: for such a neighbour the kernel
 *                   keeps no distance
 * neighbour gone    the main stack is unmapped: the program runs on another one
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#include "rounds.h"

#define SIZE (256 * 1024)

static uint8_t *below;
static int hidden, gone;
static uintptr_t low, high;

static void look_for_the_stack(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

	while (maps && fgets(line, sizeof line, maps))
		if (strstr(line, "[stack]"))
			sscanf(line, "%lx-%lx", &low, &high);
	if (maps)
		fclose(maps);
}

static void check(void)
{
	if (hidden && mprotect(below, SIZE, PROT_READ))
		damaged("the neighbour cannot be looked at", 0);
	for (size_t at = 0; at < SIZE; at++)
		if (below[at] != (uint8_t)(at * 7 + 1))
			damaged("a byte below the stack, counted from its end:", SIZE - at);
	if (hidden && mprotect(below, SIZE, PROT_NONE))
		damaged("the neighbour cannot be hidden", 0);
}

static void rounds(void)
{
	if (gone && munmap((void *)low, high - low))
		_exit(4);
	for (unsigned long round = 1;; round++) {
		struct timespec nap = {0, 3000000};
		volatile double sum = 0;

		for (int n = 0; n < 500000; n++)
			sum += n;
		if (syscall(SYS_nanosleep, &nap, 0))
			damaged("a sleep fails", 0);
		if (!gone)
			check();
		round_over(round);
	}
}

int main(int count, char **arguments)
{
	static ucontext_t here, there;

	hidden = count > 1 && !strcmp(arguments[1], "hidden");
	gone = count > 1 && !strcmp(arguments[1], "gone");
	look_for_the_stack();
	if (!low)
		return 4;
	if (gone) {
		getcontext(&there);
		there.uc_stack.ss_sp = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		there.uc_stack.ss_size = SIZE;
		makecontext(&there, rounds, 0);
		return swapcontext(&here, &there) ? 4 : 5;
	}
	below = mmap((void *)(low - SIZE), SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (below == MAP_FAILED)
		return 4;
	for (size_t at = 0; at < SIZE; at++)
		below[at] = (uint8_t)(at * 7 + 1);
	if (hidden && mprotect(below, SIZE, PROT_NONE))
		return 4;
	rounds();
}
