# What is weak and not there is 0 and stays so; what is absolute does not move.
#! bases: 0x1000 0x7fff12345000
#! linkers: lld
    .text
start:
    push nowhere@GOTPCREL(%rip)
    push fixed@GOTPCREL(%rip)
    mov $nowhere, %eax
    mov $fixed, %eax
    .section .rodata, "a"
    .balign 8
    .quad nowhere, nowhere + 4, fixed
    .weak nowhere
    .globl fixed
    .set fixed, 0x1234
