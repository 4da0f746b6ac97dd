# i386: the same without a base register, where the slot's address stands in the instruction.
#! bases: 0x1000 0x7fff0000
#! linkers: gnu
    .text
start:
    mov data@GOT, %edx
    mov data@GOT, %eax
    call *function@GOT
    jmp *function@GOT
    .globl function, data
function:
    ret
    .section .rodata, "a"
    .balign 4
data:
    .long data
