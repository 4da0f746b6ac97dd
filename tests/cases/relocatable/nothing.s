# What asks for nothing changes nothing.
#! bases: 0x1000
    .text
start:
    .reloc ., R_X86_64_NONE, elsewhere
    .byte 0x11, 0x22
    .section .rodata, "a"
elsewhere:
    .byte 1
