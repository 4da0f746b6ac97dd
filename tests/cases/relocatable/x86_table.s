# i386: the table, distances in it, and slots.
#! bases: 0x1000 0x7fff0000
#! table
#! linkers: lld
    .text
start:
    call 1f
1:  pop %ebx
    add $_GLOBAL_OFFSET_TABLE_ + (. - 1b), %ebx
    lea data@GOTOFF(%ebx), %eax
    push data@GOT(%ebx)
    push function@GOT(%ebx)
    push data@GOT
    add data@GOT(%ebx), %ecx
    .reloc . + 2, R_386_GOT32, data
    .byte 0x8b, 0x8b
    .long 4
    .globl function, data
function:
    ret
    .section .rodata, "a"
    .balign 4
data:
    .long data
