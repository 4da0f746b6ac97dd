/*
 * Deep live frames: an array as a local variable, which is checked byte by byte. Of zeros, it looks like a part of the stack
 * that nobody uses.
 */
#ifndef LIVE_H
#define LIVE_H

#include <stdint.h>

#include "rounds.h"

/* More than the kernel gives a new process: the array is then what lies at the low end of the stack. */
#define DEEP (300 * 1024)

static uint8_t live_byte(int filled, size_t at)
{
	return filled ? (uint8_t)(at * 7 + 1) : 0;
}

/* Does the work again and again below an array that must stay as it is. */
static __attribute__((noinline)) void below_live_frames(int filled, void (*work)(void))
{
	volatile uint8_t live[DEEP];

	for (size_t at = 0; at < DEEP; at++)
		live[at] = live_byte(filled, at);
	for (unsigned long round = 1;; round++) {
		work();
		for (size_t at = 0; at < DEEP; at++)
			if (live[at] != live_byte(filled, at))
				damaged("a live byte of the stack, at", at);
		round_over(round);
	}
}

#endif
