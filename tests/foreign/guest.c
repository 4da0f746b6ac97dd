/* A program without anything but its image: constants, tables of addresses, data that changes, zeros, a jump table. What it
 * writes tells whether every word of it is right. */

#include "guest.h"

typedef unsigned int u32;
typedef __UINTPTR_TYPE__ address;

/* Of guest.S, each in a way of its own: called, called through a table, read, read through a table. */
extern u32 twice(u32 value);
extern u32 (*const assembler_table[2])(u32);
extern const u32 *const assembler_pointer;
extern char __pie_blob_start[];

__attribute__((visibility("default"))) u32 exported = 7;
/* Nobody defines it. Position-independent objects for MIPS cannot say so. */
#if defined(__mips__)
#define ABSENT 0
#else
extern u32 absent __attribute__((weak));
#define ABSENT &absent
#endif
static u32 zeros[3000];
static u32 *const middle = &zeros[1500];

static u32 thrice(u32 value) { return value * 3; }
static u32 square(u32 value) { return value * value; }
static u32 (*const volatile operations[])(u32) = {thrice, square, twice};
static const char *const volatile names[] = {"thrice", "square", "twice"};
/* Addresses at the beginning, in the middle and at the end of objects. */
static u32 numbers[] = {11, 22, 33};
static u32 *volatile pointers[] = {&numbers[0], &numbers[2], &zeros[2999], &exported};
/* Data and an address in one object, the address where the object's size puts it. */
static const volatile struct { unsigned char tag; const char *name; } tagged[] = {{1, "one"}, {2, "two"}};

/* Ten unlike cases: a table of places in the code. */
__attribute__((noinline)) static u32 choose(u32 which, u32 value) {
    switch (which) {
    case 0: return value + 1;
    case 1: return thrice(value) ^ 5;
    case 2: return twice(value) - 1;
    case 3: return value << 7;
    case 4: return exported + value;
    case 5: return ~value;
    case 6: return value * 1001;
    case 7: return numbers[value % 3];
    case 8: return square(value) + 8;
    case 9: return value >> 1;
    default: return 0xffff;
    }
}

static char line[200];
static u32 length;

static void text(const char *part) {
    while (*part) line[length++] = *part++;
    line[length++] = ' ';
}

static void hexadecimal(address value) {
    int digits = 1;
    while (digits < 2 * (int)sizeof value && value >> (4 * digits)) digits++;
    while (digits--) line[length++] = "0123456789abcdef"[value >> (4 * digits) & 15];
    line[length++] = ' ';
}

static void end(void) {
    line[length - 1] = '\n';
    system_call(WRITE, 1, (long)line, length);
    length = 0;
}

__attribute__((visibility("default"))) void run(void) {
    text("base");
    hexadecimal((address)__pie_blob_start);
    end();
    text("operations");
    for (u32 index = 0; index < 3; index++) {
        text(names[index]);
        hexadecimal(operations[index](10));
    }
    end();
    text("assembler");
    hexadecimal(assembler_table[0](21));
    hexadecimal(assembler_table[1](21));
    hexadecimal(*assembler_pointer);
    hexadecimal((address)ABSENT);
    end();
    text("pointers");
    for (u32 index = 0; index < 4; index++) hexadecimal(*pointers[index]);
    *pointers[2] = 0x1234;
    exported++;
    *middle = 9;
    hexadecimal(zeros[2999]);
    hexadecimal(*pointers[3]);
    hexadecimal(zeros[1500]);
    hexadecimal(zeros[0]);
    end();
    text("tagged");
    for (u32 index = 0; index < 2; index++) {
        hexadecimal(tagged[index].tag);
        text(tagged[index].name);
    }
    end();
    text("choices");
    for (u32 index = 0; index < 11; index++) hexadecimal(choose(index, 5));
    end();
    system_call(EXIT, 42, 0, 0);
}
