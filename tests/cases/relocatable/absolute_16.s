# Boot code: addresses of 16 bits.
#! bases: 0x1000 0x7000 0x8000
#! abs32: checked
    .code16
    .text
start:
    movw $data, %ax
    movw data + 2, %bx
    .word start, end, constant, negative
data:
    .word data
end:
    .set constant, 0xfffe
    .set negative, -2
