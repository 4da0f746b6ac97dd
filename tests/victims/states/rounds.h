/*
 * What every victim here does: it prints a number a round, says DAMAGED and ends with 3 when it finds itself hurt, and ends
 * with 0 when its standard input is closed.
 *
 * Nothing here needs much of the stack or calls the C library's stdio: some victims lie at the low end of their stack.
 */
#ifndef ROUNDS_H
#define ROUNDS_H

#include <poll.h>
#include <string.h>
#include <unistd.h>

/* A word, and a number where there is one. */
static void say(const char *word, unsigned long number)
{
	char line[128], digits[24];
	size_t length = strlen(word), count = 0;

	if (length > 90)
		length = 90;
	for (size_t at = 0; at < length; at++)
		line[at] = word[at];
	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (count)
		line[length++] = digits[--count];
	line[length++] = '\n';
	if (write(1, line, length) != (ssize_t)length)
		_exit(4);
}

static void damaged(const char *what, unsigned long number)
{
	char line[90] = "DAMAGED: ";
	size_t length = strlen(line);

	while (*what && length < sizeof line - 2)
		line[length++] = *what++;
	line[length++] = ' ';
	line[length] = 0;
	say(line, number);
	_exit(3);
}

/* Whether nobody listens any more. A poll that does not wait has two answers and no error. */
static int is_over(void)
{
	struct pollfd input = {0, 0, 0};
	int ready = poll(&input, 1, 0);

	if (ready < 0)
		damaged("a poll that does not wait fails", 0);
	return ready > 0 && (input.revents & POLLHUP);
}

static inline void round_over(unsigned long round)
{
	say("", round);
	if (is_over())
		_exit(0);
}

#endif
