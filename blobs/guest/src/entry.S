# The first instruction of the machine, and the last.
#
# Reached with any registers. A packed blob has no stack of the linker script's, so one lies in its zero-filled data.

        .section .pie_blob.head, "ax", @progbits
        .globl  guest_entry
        .hidden guest_entry
        .type   guest_entry, @function
guest_entry:
        cli
        cld
        leaq    guest_stack_top(%rip), %rsp
        xorl    %ebp, %ebp
        callq   guest_main
0:      hlt
        jmp     0b
        .size   guest_entry, . - guest_entry

        .section .bss.guest_stack, "aw", @nobits
        .balign 16
        .skip   16384
guest_stack_top:
        .text
