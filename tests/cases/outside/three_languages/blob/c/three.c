/* Tables of functions and texts, a table of jumps, division of 128 bits, data of every kind. */
#include "three.h"

#define EXPORT __attribute__((visibility("default")))

static uint64_t square(uint64_t x) { return x * x; }

static uint64_t (*const steps[])(uint64_t) = {triple, swap, level, square};
static const char *const names[] = {"triple", "swap", "level", "square"};

/* A pointer to data that changes, in data that changes. */
EXPORT uint64_t calls = 7;
static uint64_t *counter = &calls;

static uint8_t room[100000];

const char *c_name(uint32_t which) { return names[which % 4]; }

EXPORT uint64_t c_apply(uint32_t which, uint64_t x)
{
    ++*counter;
    return steps[which % 4](x);
}

EXPORT uint64_t c_jump(uint32_t which, uint64_t x)
{
    switch (which) {
    case 0: return x + 1;
    case 1: return x / 7;
    case 2: return x ^ 0x55;
    case 3: return square(x);
    case 4: return swap(x);
    case 5: return triple(x);
    case 6: return level(x);
    case 7: return x << 3;
    default: return 0;
    }
}

EXPORT uint64_t c_divide(uint64_t high, uint64_t low, uint64_t by)
{
    return (uint64_t)(((unsigned __int128)high << 64 | low) / by);
}

EXPORT uint64_t c_fill(uint8_t byte)
{
    uint64_t sum = 0;
    for (unsigned at = 0; at < sizeof room; ++at) {
        sum += room[at];
        room[at] = byte;
    }
    return sum;
}
