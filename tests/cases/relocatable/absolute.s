# Addresses of 64 and 32 bits, of symbols before and behind them, with addends.
#! bases: 0x1000 0x10000 0x7ff00000
#! abs32: checked
    .text
start:
    movabs $data, %rax
    mov $data, %eax
    mov $data + 4, %rcx
    movl $1, data(, %rdx, 4)
    ret
    .quad start, data + 8, end, absolute
    .long data, start + 1, end, absolute
    .section .rodata, "a"
    .balign 8
data:
    .quad start - 0, data
end:
    .set absolute, 0x1234
