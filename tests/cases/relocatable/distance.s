# Distances of every width, forwards and backwards.
#! bases: 0x1000 0x7fff12345000
    .text
start:
    call function
    call function@PLT
    jmp function
    lea data(%rip), %rax
    movl $1, data + 4(%rip)
    jecxz near
near:
    .reloc ., R_X86_64_PC8, start - 3
    .byte 0
    .reloc ., R_X86_64_PC8, near + 0x70
    .byte 0
    .reloc ., R_X86_64_PC16, data + 0x7000
    .word 0
    .quad data - .
    .reloc ., R_X86_64_PC64, start - 0x123456789a
    .quad 0
    .long data - ., function + 9 - .
    .word data - .
    .section .text.more, "ax"
    .globl function
function:
    ret
    .section .rodata, "a"
    .balign 16
data:
    .long start - ., data - .
