/*
 * Raises a fault three thousand times a round and lives from its handler: one that is lost, comes twice or comes from another
 * place is damage.
 *
 * faults KIND [alternate] [thread]
 *
 * breakpoint  its own int3
 * emulated    a system call that a seccomp filter makes a SIGSYS of (RET_TRAP), which the handler answers
 * memory      a read of address 0x10, which the handler skips
 * division    a division by zero, which the handler skips
 *
 * alternate: the handler runs on an alternate stack. thread: another thread than the first does it all.
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "rounds.h"

#define SIZE (64 * 1024)
#define NO_SUCH_CALL 7777
#define ANSWER 4242

extern char breakpoint_site[], memory_site[], division_site[];
static enum { BREAKPOINT, EMULATED, MEMORY, DIVISION } kind;
static int alternate;
static volatile unsigned long hits;

static void skip(greg_t *registers, const char *site, size_t length)
{
	if (registers[REG_RIP] != (greg_t)(uintptr_t)site)
		damaged("a fault at", (unsigned long)registers[REG_RIP]);
	registers[REG_RIP] += (greg_t)length;
}

static void handler(int signal, siginfo_t *information, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal;
	hits++;
	switch (kind) {
	case BREAKPOINT:
		if (registers[REG_RIP] != (greg_t)(uintptr_t)breakpoint_site + 1)
			damaged("a breakpoint at", (unsigned long)registers[REG_RIP]);
		break;
	case EMULATED:
		if (information->si_syscall != NO_SUCH_CALL)
			damaged("the filter judges call", (unsigned long)information->si_syscall);
		registers[REG_RAX] = ANSWER;
		break;
	case MEMORY:
		if (information->si_addr != (void *)0x10)
			damaged("a fault on address", (unsigned long)information->si_addr);
		skip(registers, memory_site, 3);
		break;
	case DIVISION:
		skip(registers, division_site, 3);
		break;
	}
}

static void raise_one(void)
{
	long answer;

	switch (kind) {
	case BREAKPOINT:
		__asm__ volatile(".globl breakpoint_site\nbreakpoint_site: int3" ::: "memory");
		break;
	case EMULATED:
		__asm__ volatile("syscall" : "=a"(answer) : "a"((long)NO_SUCH_CALL) : "rcx", "r11", "memory");
		if (answer != ANSWER)
			damaged("the emulated call answers", (unsigned long)answer);
		break;
	case MEMORY:
		__asm__ volatile("xor %%eax, %%eax\n.globl memory_site\nmemory_site: mov 0x10(%%rax), %%ecx" ::: "rax", "rcx", "memory");
		break;
	case DIVISION:
		__asm__ volatile("xor %%ecx, %%ecx\nxor %%edx, %%edx\nmov $5, %%eax\n.globl division_site\ndivision_site: div %%rcx" ::: "rax", "rcx", "rdx", "memory");
		break;
	}
}

static void filter(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NO_SUCH_CALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, rules};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(4);
}

static void *work(void *nothing)
{
	stack_t stack = {.ss_sp = malloc(SIZE), .ss_size = SIZE};
	unsigned long wanted = 0;

	if (alternate && sigaltstack(&stack, 0))
		_exit(4);
	if (kind == EMULATED)
		filter();
	for (unsigned long round = 1;; round++) {
		for (int n = 0; n < 3000; n++) {
			raise_one();
			if (hits != ++wanted)
				damaged("faults are lost or new, now", hits);
		}
		round_over(round);
	}
	return nothing;
}

int main(int count, char **arguments)
{
	static const char *const names[] = {"breakpoint", "emulated", "memory", "division"};
	static const int signals[] = {SIGTRAP, SIGSYS, SIGSEGV, SIGFPE};
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
	int threaded = 0;
	pthread_t thread;

	for (int at = 1; at < count; at++) {
		alternate |= !strcmp(arguments[at], "alternate");
		threaded |= !strcmp(arguments[at], "thread");
		for (int n = 0; n < 4; n++)
			if (!strcmp(arguments[at], names[n]))
				kind = n;
	}
	if (sigaction(signals[kind], &action, 0))
		return 4;
	if (threaded && !pthread_create(&thread, 0, work, 0))
		pthread_join(thread, 0);
	else
		work(0);
	return 4;
}
