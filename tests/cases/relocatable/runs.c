/* Whatever a compiler asks a linker for: tables of pointers, a jump table, data, zeros, COMMON, what is weak and absent. */

typedef unsigned long word;

static word add(word a) { return a + 1; }
static word twice(word a) { return 2 * a; }
word square(word a) { return a * a; }

word (*const functions[])(word) = { add, twice, square };
const char *const names[] = { "add", "twice", "square" };
word data[] = { 10, 20, 30 };
word *inside = &data[1];
word zeros[1000];
word common;

extern word absent(word) __attribute__((weak));

static word jump(word which)
{
	switch (which) {
	case 0: return zeros[7];
	case 1: return data[2] + *inside;
	case 2: return names[2][3];
	case 3: return absent ? absent(1) : 77;
	case 4: return (word)&data[1] == (word)inside;
	case 5: return ++common;
	case 6: return square(9);
	default: return 1000;
	}
}

/* 11 + 8 + 16 = 35, then what the jump table leads to. */
word answer(word which)
{
	word sum = functions[0](10) + functions[1](4) + functions[2](4);

	zeros[7] += sum;
	return sum + jump(which);
}

#ifdef __i386__
/* A program of its own: 42 when every answer is right, else which of them is not. */
void start(void)
{
	const word expected[] = { 70, 85, 35 + 'a', 112, 36, 36, 116, 1035 };
	word status = 42;

	for (word which = 0; which < 8; which++)
		if (answer(which) != expected[which])
			status = which;
	for (;;)
		__asm__ volatile("int $0x80" : : "a"(1), "b"(status));
}
#endif
