# Signed words reach the top of the address space.
#! bases: 0x1000 0x7fff0000 0xffffffff80000000 0xffffffffc0000000
#! abs32: checked
    .text
start:
    mov $start, %rax
    mov $end, %rcx
    cmpq $start + 3, (%rdx)
end:
