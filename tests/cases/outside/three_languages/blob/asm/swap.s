# Swaps the bytes of its argument, by way of a table in constants.
        .text
        .globl  swap
        .type   swap, @function
swap:
        movq    table(%rip), %rax
        jmpq    *%rax
.Lswap:
        movq    %rdi, %rax
        bswapq  %rax
        ret
        .size   swap, . - swap

        .section .data.rel.ro, "aw"
        .balign 8
        .globl  table
        .type   table, @object
table:
        .quad   .Lswap
        .size   table, 8
        .section .note.GNU-stack, "", @progbits
