# One of two sources that have a local function of the same name.
    .globl start
    .text
    .type start, @function
start:
    call helper
    ret
    .size start, . - start

    .type helper, @function
helper:
    ret
    .size helper, . - helper
