# A blob that wants symbols from its host.
    .section .text.start, "ax"
    .globl start
    .type start, @function
start:
    call getenv@PLT
    pushq errno@GOTPCREL(%rip)
    ret
    .size start, . - start
    .data
    .balign 8
    .globl words
    .type words, @object
words:
    .quad environ, environ + 0x18, words, perhaps
    .size words, . - words
    .weak perhaps
