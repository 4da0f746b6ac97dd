# A relocatable object of i386: addends in the words.
    .text
    .globl start
    .type start, @function
start:
    call 1f
1:  pop %ebx
    add $_GLOBAL_OFFSET_TABLE_ + (. - 1b), %ebx
    mov table@GOT(%ebx), %eax
    push zeroed@GOT(%ebx)
    lea table@GOTOFF(%ebx), %ecx
    call inner@PLT
    ret
    .size start, . - start
    .globl inner
inner:
    .reloc ., R_386_PC16, start
    .word 0
    .reloc ., R_386_PC8, start
    .byte 0
    ret
    .data
    .balign 4
    .globl table
    .type table, @object
table:
    .long inner, start, zeroed + 4, table
    .word start
    .size table, . - table
    .bss
    .balign 4
    .globl zeroed
zeroed:
    .zero 16
    .comm shared, 40, 16
