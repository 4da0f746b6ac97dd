/* What code reaches through the global offset table, in every way that a compiler for it has. */

extern int far[], later;
extern int absent __attribute__((weak));
int far[10] = {1, 2, 3};
int later;
static int own[10] = {4, 5};
static const char *names[] = {"one", "two"};
int increment(int value) { return value + 1; }

__attribute__((noinline)) static int choose(int which) {
    switch (which) {
    case 0: return 7;
    case 1: return 3;
    case 2: return 99;
    case 3: return increment(1);
    case 4: return 12;
    case 5: return far[1];
    case 6: return 111;
    default: return 5;
    }
}

void *volatile pointer;
int (*volatile function)(int);

int start(int which) {
    pointer = far;
    function = increment;
    pointer = own;
    function = choose;
    pointer = &absent;
    pointer = &names[which];
    return function(which) + choose(which) + increment(which) + own[which] + far[which] + later;
}
