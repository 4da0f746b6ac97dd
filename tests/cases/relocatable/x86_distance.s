# i386: distances of every width.
#! bases: 0x1000 0x7fff0000 0xfff00000
    .text
start:
    call function
    call function@PLT
    jecxz start
    .reloc ., R_386_PC8, data
    .byte 0
    .reloc ., R_386_PC16, data
    .word 0x10
    .long data - ., function + 9 - .
    .globl function
    .section .text.more, "ax"
function:
    ret
    .section .rodata, "a"
    .balign 16
data:
    .long start - .
