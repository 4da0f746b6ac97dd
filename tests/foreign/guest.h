/* What the two sources of the guest know of one another. */
#ifndef GUEST_H
#define GUEST_H

/* Of guest.S: a system call of the machine, and its numbers. */
long system_call(long number, long first, long second, long third);

#if defined(__mips__) && defined(__LP64__)
#define WRITE 5001
#define EXIT 5058
#elif defined(__mips__)
#define WRITE 4004
#define EXIT 4001
#elif defined(__aarch64__) || defined(__riscv) || defined(__loongarch__)
#define WRITE 64
#define EXIT 93
#elif defined(__x86_64__)
#define WRITE 1
#define EXIT 60
#else
#define WRITE 4
#define EXIT 1
#endif

#endif
