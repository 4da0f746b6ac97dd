# i386: a word of 32 bits is as wide as an address.
#! bases: 0x1000 0x7fff0000 0xfff00000
    .text
start:
    mov $data, %eax
    mov data + 4, %ecx
    .long start, end, absolute, data - 0
    .word absolute, small
    .byte small
    .section .rodata, "a"
    .balign 4
data:
    .long data, start + 1
end:
    .set absolute, 0x1234
    .set small, 0x12
