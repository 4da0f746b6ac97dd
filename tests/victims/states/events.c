/*
 * Waits for events with epoll_wait, which come every 20 ms, and for 60 ms at most. A wait that ends because its time is over
 * although it is not is damage; so is one that ends with an error.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

#include "rounds.h"

#define LIMIT 60

/* In memory, so that no register tells one wait from another. */
static volatile unsigned long events;
static volatile long begin;

static long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Every wait is made with the same registers. */
static long wait(int descriptor, struct epoll_event *event)
{
	register long limit __asm__("r10") = LIMIT, fifth __asm__("r8") = 0, sixth __asm__("r9") = 0;
	long answer;

	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "0"(SYS_epoll_wait), "D"(descriptor), "S"(event), "d"(1), "r"(limit), "r"(fifth), "r"(sixth)
			 : "rcx", "r11", "memory");
	return answer;
}

int main(void)
{
	struct itimerspec period = {{0, 20000000}, {0, 20000000}};
	struct epoll_event event = {.events = EPOLLIN};
	struct pollfd input = {.fd = 0, .events = POLLIN};
	int descriptor = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	unsigned long expirations;

	if (descriptor < 0 || timer < 0 || timerfd_settime(timer, 0, &period, 0)
	    || epoll_ctl(descriptor, EPOLL_CTL_ADD, timer, &event))
		return 1;
	say("", 0);
	for (;;) {
		long answer;

		begin = microseconds();
		answer = wait(descriptor, &event);

		if (answer < 0)
			damaged("a wait answers", (unsigned long)-answer);
		if (answer == 0 && microseconds() - begin < LIMIT * 1000L)
			damaged("microseconds until a wait of 60 ms is over:",
				(unsigned long)(microseconds() - begin));
		if (answer > 0 && read(timer, &expirations, sizeof expirations) > 0)
			events++;
		if (events % 25 == 24) {
			say("", ++events);
			if (poll(&input, 1, 0) > 0)
				return 0;
		}
	}
}
