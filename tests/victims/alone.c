/* A victim without libc: no `syscall; ret` and no `rt_sigreturn` anywhere in its code. Spins with registers loaded, sleeps,
 * checks both, prints a line a round, ends with its input; ends with 3 when it finds itself damaged.
 *
 *     cc -O1 -static -nostdlib -ffreestanding -fno-stack-protector -o alone alone.c */

static long call(long number, long a, long b, long c) {
    long answer;
    /* Whatever follows here, it is not `ret`. */
    __asm__ volatile("syscall\n\tnop" : "=a"(answer) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return answer;
}

static _Noreturn void end(int status) {
    for (;;) call(231, status, 0, 0);
}

static void say(const char *text, long length) {
    if (call(1, 1, (long)text, length) != length) end(0);
}

static int registers_kept(void) {
    unsigned long wanted[2] = {0x0123456789abcdef, 0xfedcba9876543210}, found[2] = {0, 0}, general;
    __asm__ volatile("movdqu (%1), %%xmm7\n\tmovdqu (%1), %%xmm15\n\tmov (%1), %%r12\n\tmov $2000000, %%ecx\n"
                     "1:\tdec %%ecx\n\tjnz 1b\n\t"
                     "pxor %%xmm7, %%xmm15\n\tpor %%xmm15, %%xmm7\n\tmovdqu %%xmm7, (%2)\n\tmov %%r12, %0"
                     : "=&r"(general)
                     : "r"(wanted), "r"(found)
                     : "rcx", "r12", "xmm7", "xmm15", "memory", "cc");
    return general == wanted[0] && found[0] == wanted[0] && found[1] == wanted[1];
}

__attribute__((used)) _Noreturn static void run(void) {
    struct { int descriptor; short events, happened; } input = {0, 0, 0};
    for (unsigned long round = 1;; round++) {
        long nap[2] = {0, 5000000};
        input.happened = 0;
        if (call(7, (long)&input, 1, 0) > 0 && (input.happened & 0x10)) end(0);
        if (!registers_kept() || call(35, (long)nap, 0, 0) != 0) {
            say("DAMAGED\n", 8);
            end(3);
        }
        char line[24];
        long at = sizeof line;
        line[--at] = '\n';
        for (unsigned long rest = round; rest || at == sizeof line - 1; rest /= 10) line[--at] = (char)('0' + rest % 10);
        say(line + at, (long)sizeof line - at);
    }
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall run\n\thlt");
