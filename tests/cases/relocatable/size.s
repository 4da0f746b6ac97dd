# Sizes of symbols.
#! bases: 0x1000
    .text
start:
    .long data@SIZE
    .long data@SIZE + 3
    .quad data@SIZE - 2
    .section .rodata, "a"
    .globl data
    .type data, @object
data:
    .zero 0x123
    .size data, 0x123
