/*
 * One injection after the other into the same victim, by compel's library: stop, infect, one call, cure, resume.
 *
 * usage: compel_cycle PID
 *
 * Reads the number of cycles to run from each line of standard input and answers with one line: for how many
 * microseconds the victim was stopped in each of them. Told so, it can take turns with whoever is compared with it.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <compel/infect-rpc.h>
#include <compel/infect.h>
#include <compel/log.h>
#include <compel/ptrace.h>

#include "parasite.h"

#define PING 64 /* PARASITE_USER_CMDS: the first number that is the user's */

static void say(unsigned int level, const char *format, va_list arguments)
{
	(void)level;
	vfprintf(stderr, format, arguments);
}

static void fail(const char *what)
{
	fprintf(stderr, "compel_cycle: %s failed\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static double cycle(int pid, int log)
{
	struct parasite_ctl *parasite;
	struct infect_ctx *context;
	double stopped = now();
	int socket, state = compel_stop_task(pid);

	if (state < 0)
		fail("compel_stop_task");
	parasite = compel_prepare(pid);
	if (!parasite)
		fail("compel_prepare");
	context = compel_infect_ctx(parasite);
	context->log_fd = log;
	socket = context->sock;
	parasite_setup_c_header(parasite);
	if (compel_infect(parasite, 1, 4096))
		fail("compel_infect");
	if (compel_rpc_call_sync(PING, parasite))
		fail("compel_rpc_call_sync");
	if (compel_cure(parasite))
		fail("compel_cure");
	if (compel_resume_task(pid, state, state))
		fail("compel_resume_task");
	stopped = now() - stopped;
	/* The socket that the parasite called back to stays open, and the next one would have its name. */
	close(socket);
	return stopped;
}

int main(int count, char **arguments)
{
	int pid, cycles, log = open("/dev/null", O_WRONLY);

	if (count != 2 || (pid = atoi(arguments[1])) <= 0)
		fail("reading the process id");
	compel_log_init(say, COMPEL_LOG_ERROR);
	while (scanf("%d", &cycles) == 1) {
		for (int done = 0; done < cycles; done++)
			printf("%.3f ", cycle(pid, log));
		printf("\n");
		fflush(stdout);
	}
	return 0;
}
