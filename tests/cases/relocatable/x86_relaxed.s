# i386: instructions that do without a slot.
#! bases: 0x1000 0x7fff0000
#! linkers: gnu
#! table
#! pie
    .text
start:
    call 1f
1:  pop %ebx
    add $_GLOBAL_OFFSET_TABLE_ + (. - 1b), %ebx
    mov data@GOT(%ebx), %eax
    mov data@GOT(%ebx), %ecx
    call *function@GOT(%ebx)
    jmp *function@GOT(%ebx)
    .globl function, data
function:
    ret
    .section .rodata, "a"
    .balign 4
data:
    .long data
