/*
 * A program of 64 bits that spends its time in code of 32 bits: it jumps to the kernel's segment for such code and back, as
 * Wine does for Windows' old programs. The stack pointer has 32 bits meanwhile.
 *
 * segments global  through the kernel's own segment
 * segments local   through one of the program's own (modify_ldt)
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "rounds.h"

#define SIZE 4096
#define TURNS 5000000U

/* Lies where 32 bits reach, at any place there. Called with the number of turns in edi; answers with three times as much. */
__asm__(".pushsection .rodata\n"
	"mixed_start:\n"
	"movq %rsp, saved(%rip)\n"
	"leaq mixed_stack(%rip), %rsp\n"
	"ljmpl *narrow(%rip)\n"
	"mixed_narrow:\n"
	".code32\n"
	"xorl %eax, %eax\n"
	"1: pushl %edi\n"
	"addl $3, %eax\n"
	"popl %edi\n"
	"decl %edi\n"
	"jnz 1b\n"
	".byte 0xea\n"
	"mixed_wide: .long 0\n"
	".word 0x33\n"
	".code64\n"
	"mixed_back: movq saved(%rip), %rsp\n"
	"ret\n"
	".balign 8\n"
	"saved: .quad 0\n"
	"narrow: mixed_far: .long 0\n"
	"mixed_selector: .word 0x23\n"
	".balign 16\n"
	".skip 1024\n"
	"mixed_stack: .quad 0\n"
	"mixed_end:\n"
	".popsection\n");

extern const char mixed_start[], mixed_narrow[], mixed_wide[], mixed_back[], mixed_far[], mixed_selector[], mixed_end[];

/* A segment for code of 32 bits that reaches as far as they do; its selector. */
static uint16_t local(void)
{
	struct user_desc segment = {.limit = 0xfffff, .seg_32bit = 1, .contents = MODIFY_LDT_CONTENTS_CODE, .limit_in_pages = 1, .useable = 1};

	if (syscall(SYS_modify_ldt, 1, &segment, sizeof segment))
		_exit(4);
	/* Entry 0, of the local table, for user code. */
	return 0 << 3 | 4 | 3;
}

int main(int count, char **arguments)
{
	uint8_t *low = mmap(0, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	uint32_t address = (uint32_t)(uintptr_t)low, narrow, back;

	if (low == MAP_FAILED)
		return 4;
	memcpy(low, mixed_start, (size_t)(mixed_end - mixed_start));
	narrow = address + (uint32_t)(mixed_narrow - mixed_start);
	back = address + (uint32_t)(mixed_back - mixed_start);
	memcpy(low + (mixed_far - mixed_start), &narrow, sizeof narrow);
	if (count > 1 && !strcmp(arguments[1], "local")) {
		uint16_t selector = local();

		memcpy(low + (mixed_selector - mixed_start), &selector, sizeof selector);
	}
	memcpy(low + (mixed_wide - mixed_start), &back, sizeof back);
	for (unsigned long round = 1;; round++) {
		uint32_t answer;
		uint32_t turns = TURNS;
		void *code = low;

		__asm__ volatile("lea -128(%%rsp), %%rsp\n"
				 "call *%2\n"
				 "lea 128(%%rsp), %%rsp\n"
				 : "=&a"(answer), "+D"(turns), "+r"(code)
				 :
				 /* Code of 32 bits need not keep the upper halves of any register. */
				 : "memory", "cc", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15");
		if (answer != 3 * TURNS)
			damaged("code of 32 bits answers", answer);
		round_over(round);
	}
}
