# A name that every module has, and two that differ in case only.
    .globl blob, twice, Twice
    .text
    .irp name, blob, twice, Twice
    .type \name, @function
\name:
    ret
    .size \name, . - \name
    .endr
