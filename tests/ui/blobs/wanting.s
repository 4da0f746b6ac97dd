# A blob that wants a function and a static from its host.
    .globl start
    .text
    .type start, @function
start:
    ret
    .size start, . - start

    .data
    .globl wanted
    .balign 8
    .type wanted, @object
wanted:
    .quad getenv, environ
    .size wanted, . - wanted
