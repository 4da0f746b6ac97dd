# Everything that both kinds of objects can have. Words of 32 bits stand in a section that is linked away.
    .section .text.start, "ax"
    .globl start
    .type start, @function
start:
    lea table(%rip), %rax
    mov inner@GOTPCREL(%rip), %rcx
    pushq zeroed@GOTPCREL(%rip)
    call inner
    ret
    .size start, . - start
    .text
    .hidden inner
    .globl inner
    .type inner, @function
inner:
    ret
    .size inner, . - inner

    .section .data.rel.ro, "aw"
    .balign 8
    .type table, @object
table:
    .quad inner, start, zeroed + 4, table
    .size table, . - table
    .weak absent
    .quad absent

    .data
    .balign 8
    .globl calls
    .type calls, @object
calls:
    .quad 7
    .size calls, 8
    .byte 1
    .quad zeroed + 8
    .quad zeroed + 16

    .bss
    .balign 8
    .globl zeroed
    .type zeroed, @object
zeroed:
    .zero 16
    .size zeroed, 16

    .section .narrow, "a"
    .long start, calls + 1
    .word start
    .section .debug_mine, "", @progbits
    .quad start
