/*
 * Waits 20 ms in system calls of 32 bits (int 0x80), made by a program of 64: the kernel starts these again by another number
 * and another table than others.
 *
 * compat nanosleep|poll|futex
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#include "rounds.h"

#define MILLISECONDS 20

/* The numbers of the table for 32 bits. */
enum { NANOSLEEP = 162, POLL = 168, FUTEX = 240 };

/* Lies where 32 bits reach. */
struct low {
	int32_t time[2];
	uint32_t word;
};

static long narrow_call(long number, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	long answer;

	__asm__ volatile("int $0x80"
			 : "=a"(answer)
			 : "a"(number), "b"((long)a), "c"((long)b), "d"((long)c), "S"((long)d), "D"(0L)
			 : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int32_t)answer;
}

static long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int count, char **arguments)
{
	const char *mode = count > 1 ? arguments[1] : "nanosleep";
	struct low *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	uint32_t time = (uint32_t)(uintptr_t)low->time, word = (uint32_t)(uintptr_t)&low->word;

	if (low == MAP_FAILED)
		return 4;
	for (unsigned long round = 1;; round++) {
		long begin = microseconds(), answer, wanted = 0, took;

		low->time[1] = MILLISECONDS * 1000000;
		if (!strcmp(mode, "poll")) {
			answer = narrow_call(POLL, 0, 0, MILLISECONDS, 0);
		} else if (!strcmp(mode, "futex")) {
			answer = narrow_call(FUTEX, word, FUTEX_WAIT_PRIVATE, 0, time);
			wanted = -ETIMEDOUT;
		} else {
			answer = narrow_call(NANOSLEEP, time, 0, 0, 0);
		}
		took = microseconds() - begin;
		if (answer != wanted)
			damaged("a wait answers, negated:", (unsigned long)-answer);
		if (took < MILLISECONDS * 1000 - 500)
			damaged("a wait ends early, after microseconds:", (unsigned long)took);
		round_over(round);
	}
}
