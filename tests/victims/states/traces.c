/*
 * A debugger itself: leads a child from system call to system call and checks every stop. The tracer of a tracer must not
 * take its stops, nor stop what it traces.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "rounds.h"

#define CALLS 200

int main(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (;;)
			syscall(SYS_getppid);
	}
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		return 4;
	if (ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		return 4;
	/* Out of the call that stopped it, to the first one of the loop. */
	struct user_regs_struct registers = {0};
	do {
		if (ptrace(PTRACE_SYSCALL, child, 0, 0) || waitpid(child, &status, 0) != child ||
		    ptrace(PTRACE_GETREGS, child, 0, &registers))
			return 4;
	} while (registers.orig_rax != SYS_getppid);
	for (unsigned long round = 1;; round++) {
		for (int n = 0; n < CALLS; n++) {
			/* To the end of the call, and to the next one's beginning. */
			for (int end = 1; end >= 0; end--) {
				if (ptrace(PTRACE_SYSCALL, child, 0, 0))
					damaged("the child cannot be continued in round", round);
				if (waitpid(child, &status, 0) != child)
					damaged("the child cannot be waited for in round", round);
				if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
					damaged("the child has status", (unsigned long)status);
				if (ptrace(PTRACE_GETREGS, child, 0, &registers) || registers.orig_rax != SYS_getppid)
					damaged("the child makes call", registers.orig_rax);
				if (end && registers.rax != (unsigned long)getpid())
					damaged("the child's call answers", registers.rax);
			}
		}
		round_over(round);
	}
}
