# i386: boot code.
#! bases: 0x1000 0x7000
#! abs32: checked
    .code16
    .text
start:
    movw $data, %ax
    call start
    jmp other
    .word data, end
data:
    .byte 1
end:
    .section .text.other, "ax"
other:
    ret
