# Sections in the order of their headers, zero-filled ones and empty ones between others.
#! bases: 0x10000 0x7fff12340000
#! page: .data .text.late
    .text
    .globl start
start:
    lea zeros + 4(%rip), %rax
    .byte 1
    .data
    .balign 32
    .quad zeros, late, constants, empty
    .byte 2
    .bss
    .balign 64
zeros:
    .zero 100
    .section .empty, "a"
    .balign 16
empty:
    .section .rodata, "a"
    .balign 4
constants:
    .long 3
    .quad data_again
    .section .data.again, "aw"
    .balign 2
data_again:
    .quad start
    .section .text.late, "ax"
    .balign 16
late:
    call start
    .section .debug_info, "", @progbits
    .quad start, zeros
    .long constants
