# Room for symbols that have none.
#! bases: 0x1000 0x7fff12345000
#! page: COMMON
#! linkers: lld
    .text
start:
    lea shared(%rip), %rax
    mov more@GOTPCREL(%rip), %rcx
    .section .rodata, "a"
    .balign 8
    .quad shared, more + 8
    .comm shared, 40, 32
    .comm more, 8, 16
