# Two functions, one of them local, and two statics.
    .globl dump_misc, calls, unaligned
    .text
    .type dump_misc, @function
dump_misc:
    ret
    .size dump_misc, . - dump_misc

    .data
    .balign 8
    .type calls, @object
calls:
    .quad 7
    .size calls, 8
    .byte 0
    .type unaligned, @object
unaligned:
    .quad 8
    .size unaligned, 8
