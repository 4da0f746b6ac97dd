/*
 * An io_uring with a thread of the kernel's that looks for submissions (iou-sqp among the threads of the process): a pipe is
 * written and read through it, and a time-out of 5 ms waited for in io_uring_enter. Every answer must be the right one.
 *
 * ring [host-dies]: one wait may end with EINTR.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "rounds.h"

#define ENTRIES 8

static int ring;
static struct io_uring_params parameters;
static uint8_t *submissions, *completions;
static struct io_uring_sqe *entries;
static int interruptions;

static uint32_t *word(uint8_t *of, uint32_t offset)
{
	return (uint32_t *)(void *)(of + offset);
}

static void submit(uint8_t operation, int descriptor, void *address, uint32_t length, uint64_t name)
{
	uint32_t tail = *word(submissions, parameters.sq_off.tail);
	uint32_t index = tail & *word(submissions, parameters.sq_off.ring_mask);
	struct io_uring_sqe *entry = &entries[index];

	memset(entry, 0, sizeof *entry);
	entry->opcode = operation;
	entry->fd = descriptor;
	entry->addr = (uint64_t)(uintptr_t)address;
	entry->len = length;
	entry->off = operation == IORING_OP_TIMEOUT ? 0 : (uint64_t)-1;
	entry->user_data = name;
	word(submissions, parameters.sq_off.array)[index] = index;
	__atomic_store_n(word(submissions, parameters.sq_off.tail), tail + 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(word(submissions, parameters.sq_off.flags), __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		syscall(SYS_io_uring_enter, ring, 0, 0, IORING_ENTER_SQ_WAKEUP, 0, 0);
}

/* Waits in the kernel for one completion; its result. */
static int complete(uint64_t name)
{
	uint32_t head = *word(completions, parameters.cq_off.head);
	struct io_uring_cqe *entry;
	int result;

	while (__atomic_load_n(word(completions, parameters.cq_off.tail), __ATOMIC_ACQUIRE) == head)
		if (syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, 0, 0) < 0 &&
		    !(errno == EINTR && interruptions-- > 0))
			damaged("io_uring_enter ends with error", (unsigned long)errno);
	entry = (struct io_uring_cqe *)(void *)(completions + parameters.cq_off.cqes) +
		(head & *word(completions, parameters.cq_off.ring_mask));
	if (entry->user_data != name)
		damaged("a completion of another operation:", entry->user_data);
	result = entry->res;
	__atomic_store_n(word(completions, parameters.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return result;
}

static void *map(size_t size, off_t what)
{
	return mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, what);
}

int main(int count, char **arguments)
{
	struct __kernel_timespec pause = {0, 5000000};
	int ends[2];

	interruptions = count > 1 && !strcmp(arguments[1], "host-dies");
	parameters.flags = IORING_SETUP_SQPOLL;
	/* It sleeps, and is woken, once in a while. */
	parameters.sq_thread_idle = 2;
	ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &parameters);
	if (ring < 0 || pipe(ends)) {
		say("no io_uring here (kernel.io_uring_disabled?): error ", (unsigned long)errno);
		return 4;
	}
	submissions = map(parameters.sq_off.array + parameters.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
	completions = map(parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	entries = map(parameters.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	if ((void *)submissions == MAP_FAILED || (void *)completions == MAP_FAILED || (void *)entries == MAP_FAILED)
		return 4;
	for (unsigned long round = 1;; round++) {
		unsigned long sent = round, received = 0;

		submit(IORING_OP_WRITE, ends[1], &sent, sizeof sent, 1);
		if (complete(1) != sizeof sent)
			damaged("a write fails in round", round);
		submit(IORING_OP_READ, ends[0], &received, sizeof received, 2);
		if (complete(2) != sizeof received || received != sent)
			damaged("a read fails in round", round);
		submit(IORING_OP_TIMEOUT, -1, &pause, 1, 3);
		if (complete(3) != -ETIME)
			damaged("a time-out ends in another way in round", round);
		round_over(round);
	}
}
