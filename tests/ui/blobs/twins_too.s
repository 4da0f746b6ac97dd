# One of two sources that have a local function of the same name.
    .globl start_too
    .text
    .type start_too, @function
start_too:
    call helper
    ret
    .size start_too, . - start_too

    .type helper, @function
helper:
    ret
    .size helper, . - helper
