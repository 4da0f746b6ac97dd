/*
 * Starts a program and waits for it, again and again: its only thread waits in vfork meanwhile, and a child runs in its memory.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "rounds.h"

extern char **environ;

int main(void)
{
	char *const arguments[] = {"true", 0};

	for (unsigned long round = 1;; round++) {
		int status;
		pid_t child;
		int error = posix_spawn(&child, "/bin/true", 0, 0, arguments, environ);

		if (error)
			damaged("a program does not start, error", (unsigned long)error);
		if (waitpid(child, &status, 0) != child || status)
			damaged("a program ends with status", (unsigned long)status);
		round_over(round);
	}
}
