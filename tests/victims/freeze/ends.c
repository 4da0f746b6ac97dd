/* Sleeps; SIGUSR1 counts, SIGINT ends it with 42 and the count, SIGTERM kills it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t count, ending;

static void handle(int signal)
{
    if (signal == SIGUSR1)
        count++;
    else
        ending = 1;
}

int main(void)
{
    signal(SIGUSR1, handle);
    signal(SIGINT, handle);
    printf("ready\n");
    fflush(stdout);
    while (!ending)
        usleep(5000);
    printf("ended\n");
    fflush(stdout);
    return 42 + count;
}
