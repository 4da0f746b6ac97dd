# The entry: at offset 0 whatever else there is.
# if this comment were a directive, a C compiler would be needed
        .section .pie_blob.head, "ax"
        .globl  entry
        .type   entry, @function
entry:
        leaq    __pie_blob_start(%rip), %rax
        ret
        .size   entry, . - entry

        .text
        .globl  from_assembler
        .type   from_assembler, @function
from_assembler:
        leal    1(%rdi), %eax
        ret
        .size   from_assembler, . - from_assembler
        .section .note.GNU-stack, "", @progbits
