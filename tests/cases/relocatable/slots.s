# Instructions that cannot do without a slot, and slots that are merged.
#! bases: 0x1000 0x7fff12345000
#! pie
#! linkers: lld
    .text
start:
    push data@GOTPCREL(%rip)
    push function@GOTPCREL(%rip)
    add data@GOTPCREL(%rip), %rax
    test %rcx, function@GOTPCREL(%rip)
    cmp data@GOTPCREL(%rip), %edx
    pushq data@GOTPCREL(%rip)
    .reloc . + 3, R_X86_64_GOTPCREL, data - 4
    .byte 0x48, 0x8b, 0x05
    .long 0
    .reloc . + 2, R_X86_64_GOTPCREL, function - 4
    .byte 0xff, 0x15
    .long 0
    .reloc . + 3, R_X86_64_REX_GOTPCRELX, data
    .byte 0x48, 0x8b, 0x05
    .long 0
    .globl function, data
function:
    ret
    .section .rodata, "a"
    .balign 8
data:
    .byte 7
