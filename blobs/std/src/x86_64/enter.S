# The entry of a blob that is entered once and never returns (System V ABI, AMD64).
#
# Entered at offset 0 with the argument in %rdi, segments' permissions given. Moves to the blob's own stack,
# because the one it came on may be gone soon, and calls pie_blob_main.

        .section .pie_blob.head, "ax", @progbits
        .globl  __pie_blob_entry
        .hidden __pie_blob_entry
        .type   __pie_blob_entry, @function
__pie_blob_entry:
        cld
        leaq    __pie_blob_stack_top(%rip), %rsp
        xorl    %ebp, %ebp
        callq   pie_blob_main
        ud2
        .size   __pie_blob_entry, . - __pie_blob_entry
