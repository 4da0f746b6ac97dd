/*
 * Touches as many MiB as it is told, with contents that no two pages share, and counts rounds until its input ends;
 * then says whether every word is what it was.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    uint64_t words = (argc > 1 ? strtoull(argv[1], 0, 10) : 16) << 17, wrong = 0;
    unsigned seconds = argc > 2 ? atoi(argv[2]) : 0;
    uint64_t *memory = malloc(words * 8);
    for (uint64_t i = 0; i < words; i++)
        memory[i] = i * 0x9e3779b97f4a7c15u;
    printf("ready\n");
    fflush(stdout);
    if (seconds)
        while ((seconds = sleep(seconds)))
            ;
    for (uint64_t i = 0; i < words; i++)
        wrong += memory[i] != i * 0x9e3779b97f4a7c15u;
    printf("%llu wrong\n", (unsigned long long)wrong);
    return wrong != 0;
}
