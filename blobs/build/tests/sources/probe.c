/* C as blobs are written in: a table of addresses, a hidden helper, a header, a macro from outside. */
#include "probe.h"

#ifndef LEVEL
#error "LEVEL comes from the build script"
#endif

static int first(int x) { return x + LEVEL; }
static int second(int x) { return x - LEVEL; }

EXPORT int (*const TABLE[])(int) = {first, second};
EXPORT int COUNT;

int hidden(int x) { return x * 3; }

EXPORT int probe(int which, int x)
{
    struct big { char bytes[200]; } copy = *(struct big *)__pie_blob_stack;
    COUNT++;
    return TABLE[which & 1](x) + copy.bytes[x & 127] + from_assembler(x);
}
