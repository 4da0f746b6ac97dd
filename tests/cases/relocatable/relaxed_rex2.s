# The same behind the prefix of two bytes: what an assembler writes for it is a type of its own.
#! bases: 0x1000 0x7fff12345000
#! pie
#! retype: 42 43
#! linkers: lld
    .text
start:
    .byte 0xd5, 0x48, 0x8b, 0x05
    .reloc ., R_X86_64_REX_GOTPCRELX, data - 4
    .long 0
    .byte 0xd5, 0x48, 0x03, 0x05
    .reloc ., R_X86_64_REX_GOTPCRELX, data - 4
    .long 0
    .section .rodata, "a"
    .globl data
data:
    .byte 7
