# Instructions that do without a slot.
#! bases: 0x1000 0x7fff12345000
#! pie
    .text
start:
    mov data@GOTPCREL(%rip), %rax
    mov data@GOTPCREL(%rip), %r15
    mov data@GOTPCREL(%rip), %ecx
    call *function@GOTPCREL(%rip)
    jmp *function@GOTPCREL(%rip)
    mov function@GOTPCREL(%rip), %rdi
    jmp *start@GOTPCREL(%rip)
    .globl function, data
function:
    ret
    .section .rodata, "a"
    .balign 8
data:
    .byte 7
