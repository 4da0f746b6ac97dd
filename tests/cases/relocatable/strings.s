# Strings that a linker may merge and this one does not.
#! bases: 0x1000 0x7fff12345000
#! flags: -O0
#! linkers: lld
    .text
start:
    lea .Lhello(%rip), %rax
    lea .Llo + 1(%rip), %rcx
    .section .rodata.str1.1, "aMS", @progbits, 1
.Lhello:
    .string "hello"
.Llo:
    .string "lo"
    .string "hello"
    .section .rodata.cst8, "aM", @progbits, 8
    .balign 8
    .quad 1, 2, 1
    .section .rodata.more, "a"
    .balign 8
    .quad .Lhello, .Llo + 1
