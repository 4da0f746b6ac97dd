# The global offset table itself, distances to it and in it: the large code model.
#! bases: 0x1000 0x7fff12345000
#! table
#! linkers: lld
    .text
start:
    lea _GLOBAL_OFFSET_TABLE_(%rip), %rbx
1:  lea 1b(%rip), %rbx
    movabs $_GLOBAL_OFFSET_TABLE_ - 1b, %r11
    movabs $data@GOTOFF, %rax
    movabs $data@GOT, %rcx
    movabs $function@PLTOFF, %rdx
    .globl function, data
function:
    ret
    .section .rodata, "a"
    .balign 8
data:
    .quad data
