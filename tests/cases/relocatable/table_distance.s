# Distances to slots and to the table, of 64 bits.
#! bases: 0x1000 0x7fff12345000
#! table
#! linkers: gnu
    .text
start:
    movabs $_GLOBAL_OFFSET_TABLE_ - ., %r11
    .reloc ., R_X86_64_GOTPCREL64, data + 5
    .quad 0
    .reloc ., R_X86_64_GOTPCREL64, data
    .quad 0
    .section .rodata, "a"
    .balign 8
    .globl data
data:
    .quad data
