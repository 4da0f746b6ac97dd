/* What the three languages have of each other. */
#include <stdint.h>

uint64_t triple(uint64_t x);   /* Rust */
uint64_t swap(uint64_t x);     /* assembler */
uint64_t level(uint64_t x);    /* assembler, through the C preprocessor */
