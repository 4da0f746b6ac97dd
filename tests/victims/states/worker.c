/*
 * An io_uring whose worker of the kernel's (iou-wrk among the threads of the process) waits again and again until somebody opens
 * the other end of a FIFO. Its opening must succeed: a worker that is stopped would end it with an error that no program knows.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "rounds.h"

static struct io_uring_params parameters;

static uint32_t *word(uint8_t *of, uint32_t offset)
{
	return (uint32_t *)(void *)(of + offset);
}

/* The path of a FIFO that has no name any more. */
static const char *fifo(void)
{
	static char path[32];
	char folder[] = "/tmp/fifo-XXXXXX", name[64];
	int held;

	if (!mkdtemp(folder))
		return 0;
	snprintf(name, sizeof name, "%s/fifo", folder);
	if (mkfifo(name, 0600) || (held = open(name, O_PATH | O_CLOEXEC)) < 0)
		return 0;
	unlink(name);
	rmdir(folder);
	snprintf(path, sizeof path, "/proc/self/fd/%d", held);
	return path;
}

int main(void)
{
	const struct timespec moment = {0, 3000000};
	const char *path = fifo();
	int ring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
	uint8_t *submissions, *completions;
	struct io_uring_sqe *entries;

	if (ring < 0 || !path) {
		say("no io_uring here (kernel.io_uring_disabled?): error ", (unsigned long)errno);
		return 4;
	}
	submissions = mmap(0, parameters.sq_off.array + parameters.sq_entries * sizeof(uint32_t), PROT_READ | PROT_WRITE,
		MAP_SHARED, ring, IORING_OFF_SQ_RING);
	completions = mmap(0, parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe),
		PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	entries = mmap(0, parameters.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		IORING_OFF_SQES);
	if ((void *)submissions == MAP_FAILED || (void *)completions == MAP_FAILED || (void *)entries == MAP_FAILED)
		return 4;
	for (unsigned long round = 1;; round++) {
		uint32_t tail = *word(submissions, parameters.sq_off.tail);
		uint32_t index = tail & *word(submissions, parameters.sq_off.ring_mask);
		uint32_t head = *word(completions, parameters.cq_off.head);
		struct io_uring_cqe *done;
		int other;

		memset(&entries[index], 0, sizeof entries[index]);
		entries[index].opcode = IORING_OP_OPENAT;
		entries[index].flags = IOSQE_ASYNC;
		entries[index].fd = AT_FDCWD;
		entries[index].addr = (uint64_t)(uintptr_t)path;
		entries[index].open_flags = O_RDONLY | O_CLOEXEC;
		word(submissions, parameters.sq_off.array)[index] = index;
		__atomic_store_n(word(submissions, parameters.sq_off.tail), tail + 1, __ATOMIC_SEQ_CST);
		while (syscall(SYS_io_uring_enter, ring, 1, 0, 0, 0, 0) < 0)
			if (errno != EINTR)
				damaged("io_uring_enter ends with error", (unsigned long)errno);
		nanosleep(&moment, 0);
		/* Opened without waiting for the worker, if that has given up. */
		while ((other = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 && errno == ENXIO)
			if (__atomic_load_n(word(completions, parameters.cq_off.tail), __ATOMIC_ACQUIRE) != head)
				break;
		while (__atomic_load_n(word(completions, parameters.cq_off.tail), __ATOMIC_ACQUIRE) == head)
			syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, 0, 0);
		done = (struct io_uring_cqe *)(void *)(completions + parameters.cq_off.cqes) +
			(head & *word(completions, parameters.cq_off.ring_mask));
		if (done->res < 0)
			damaged("the worker's opening ends with error", (unsigned long)-done->res);
		__atomic_store_n(word(completions, parameters.cq_off.head), head + 1, __ATOMIC_RELEASE);
		close(done->res);
		close(other);
		round_over(round);
	}
}
