# The entry of a blob whose exports are called one by one (System V ABI, AMD64; Linux system calls).
#
# Whoever runs a call sets the registers and jumps to offset 0:
#   %rax                       the export to call
#   %rdi %rsi %rdx %rcx %r8 %r9  its arguments
#   %rbx                       bit 0: the mapping is still R-X everywhere, give the segments their permissions
#                              bit 1: and keep the mapping from children of the process
#   %r10                       an XSAVE area of the state to continue with, 0 for none
#   %r12                       bits 0-7: the signal that ends the call, nothing to the process unless it is traced;
#                              bits 8-35 the process's id, bits 36-63 the thread's, as the process counts them
#   %r13                       a `syscall; ret` outside of the blob, 0 for none
#   %r14                       a signal frame of the state to continue with, 0 for none
#   %r15                       the bytes mapped, from offset 0: the image and room for arguments behind it
#   %rbp                       where the thread's own stack is free
# and is stopped by the signal at __pie_blob_done with
#   %rbx                       what the export returned
#   %rbp                       how it ended: 0 returned, 1 a permission refused (%rbx: -errno), 2 panicked
# Where nobody stops it there, the blob unmaps itself and continues with the frame: it needs nobody to clean up.
# It takes up the extended state of the XSAVE area before that, because a tracer cannot do it as fast.
#
# Nothing here may touch the blob's data before its permissions stand.

        .set    SYS_mprotect, 10
        .set    SYS_munmap, 11
        .set    SYS_rt_sigreturn, 15
        .set    SYS_madvise, 28
        .set    SYS_pause, 34
        .set    SYS_prctl, 157
        .set    SYS_tgkill, 234
        .set    PROT_NONE, 0
        .set    PROT_READ, 1
        .set    PROT_READ_WRITE, 3
        .set    PR_SET_VMA, 0x53564d61
        .set    MADV_DONTFORK, 10
        .set    XSAVE_FEATURES, 472
        .set    ID, 0xfffffff

        # What the end of a call needs lies above the stack that the export has: in a page that the call touches anyway. The
        # first of it is not 0 once a host has entered the blob, which the panic handler asks.
        .set    SIGNAL, __pie_blob_stack_top - 8
        .set    GADGET, __pie_blob_stack_top - 16
        .set    FRAME, __pie_blob_stack_top - 24
        .set    MAPPED, __pie_blob_stack_top - 32
        .set    OWN_STACK, __pie_blob_stack_top - 40
        .set    STATE, __pie_blob_stack_top - 48
        .set    KEPT, __pie_blob_stack_top - 64

        .section .pie_blob.head, "ax", @progbits
        .globl  __pie_blob_entry
        .hidden __pie_blob_entry
        .type   __pie_blob_entry, @function
__pie_blob_entry:
        cld
        testb   $1, %bl
        jz      .Lcall

        # System calls take %rax %rdi %rsi %rdx and break %rcx: the arguments wait in vector registers.
        movq    %rax, %xmm0
        movq    %rdi, %xmm1
        movq    %rsi, %xmm2
        movq    %rdx, %xmm3
        movq    %rcx, %xmm4
        movq    %r10, %xmm6

        # A name for who reads the memory map; kernels without names refuse it, and that is no fault.
        # Given while the mapping is one area: its parts inherit it.
        movl    $PR_SET_VMA, %edi
        xorl    %esi, %esi
        leaq    __pie_blob_entry(%rip), %rdx
        movq    %r15, %r10
        movq    %r8, %xmm5
        leaq    .Lmapping_name(%rip), %r8
        movl    $SYS_prctl, %eax
        syscall
        movq    %xmm5, %r8

        # Constants: readable only.
        leaq    __pie_blob_rodata(%rip), %rdi
        leaq    __pie_blob_rodata_end(%rip), %rsi
        subq    %rdi, %rsi
        jz      .Ldata
        movl    $PROT_READ, %edx
        movl    $SYS_mprotect, %eax
        syscall
        testq   %rax, %rax
        jnz     .Lrefused

        # Data, stack and the arguments behind the image: writable, to the end of the mapping.
.Ldata:
        leaq    __pie_blob_data(%rip), %rdi
        leaq    __pie_blob_entry(%rip), %rsi
        addq    %r15, %rsi
        subq    %rdi, %rsi
        movl    $PROT_READ_WRITE, %edx
        movl    $SYS_mprotect, %eax
        syscall
        testq   %rax, %rax
        jnz     .Lrefused

        # The guard page between data and stack: nothing.
        leaq    __pie_blob_guard(%rip), %rdi
        leaq    __pie_blob_stack(%rip), %rsi
        subq    %rdi, %rsi
        jz      .Lguarded
        movl    $PROT_NONE, %edx
        movl    $SYS_mprotect, %eax
        syscall
        testq   %rax, %rax
        jnz     .Lrefused

        # A child that another thread makes meanwhile would keep a copy for ever.
.Lguarded:
        testb   $2, %bl
        jz      .Lnamed
        leaq    __pie_blob_entry(%rip), %rdi
        movq    %r15, %rsi
        movl    $MADV_DONTFORK, %edx
        movl    $SYS_madvise, %eax
        syscall

.Lnamed:
        movq    %xmm0, %rax
        movq    %xmm1, %rdi
        movq    %xmm2, %rsi
        movq    %xmm3, %rdx
        movq    %xmm4, %rcx
        movq    %xmm6, %r10

.Lcall:
        # Compiled code expects the floating-point environment that programs start with, not what the thread left.
        fninit
        ldmxcsr .Lmxcsr(%rip)
        # An export that panics never comes back here: what the end needs is kept in memory.
        movq    %r12, SIGNAL(%rip)
        movq    %r13, GADGET(%rip)
        movq    %r14, FRAME(%rip)
        movq    %r15, MAPPED(%rip)
        movq    %rbp, OWN_STACK(%rip)
        movq    %r10, STATE(%rip)
        leaq    KEPT(%rip), %rsp
        xorl    %ebp, %ebp
        callq   *%rax
        movq    %rax, %rbx
        xorl    %ebp, %ebp

.Lend:
        movq    SIGNAL(%rip), %r12
        movq    GADGET(%rip), %r13
        movq    FRAME(%rip), %r14
        movq    MAPPED(%rip), %r15
        # If the signal has a handler and nobody stops it, the handler runs where it would have run in the thread itself: a
        # thread that was on its alternate stack already has that overwritten otherwise.
        movq    OWN_STACK(%rip), %rsp
.Lsend:
        movq    %r12, %rdi
        shrq    $8, %rdi
        andl    $ID, %edi
        movq    %r12, %rsi
        shrq    $36, %rsi
        movzbl  %r12b, %edx
        movl    $SYS_tgkill, %eax
        syscall
        .globl  __pie_blob_done
        .hidden __pie_blob_done
__pie_blob_done:
        testq   %r14, %r14
        jz      .Lnowhere
        # The features of the area are those that the kernel would take up: `xfeatures` of its `struct _fpx_sw_bytes`.
        movq    STATE(%rip), %rcx
        testq   %rcx, %rcx
        jz      .Lback
        movl    XSAVE_FEATURES(%rcx), %eax
        movl    XSAVE_FEATURES + 4(%rcx), %edx
        xrstor64 (%rcx)
.Lback:
        movq    %r14, %rsp
        testq   %r13, %r13
        jz      .Lstay
        leaq    __pie_blob_entry(%rip), %rdi
        movq    %r15, %rsi
        movl    $SYS_munmap, %eax
        jmpq    *%r13

        # No code outside of the blob can unmap it: continue with the frame, the mapping stays.
.Lstay:
        addq    $8, %rsp
        movl    $SYS_rt_sigreturn, %eax
        syscall
        ud2

        # Nothing to continue with.
.Lnowhere:
        movl    $SYS_pause, %eax
        syscall
        jmp     .Lnowhere

.Lrefused:
        movq    %rbp, %rsp
        movq    %rax, %rbx
        movl    $1, %ebp
        jmp     .Lsend

        # Where the panic handler goes when it has left its note.
        .globl  __pie_blob_panicked
        .hidden __pie_blob_panicked
        .type   __pie_blob_panicked, @function
__pie_blob_panicked:
        xorl    %ebx, %ebx
        movl    $2, %ebp
        jmp     .Lend
        .size   __pie_blob_entry, . - __pie_blob_entry

        .section .rodata.pie_blob_name, "a", @progbits
.Lmapping_name:
        .asciz  "pie_blob"

        .section .rodata.pie_blob_mxcsr, "a", @progbits
        .balign 4
.Lmxcsr:
        .long   0x1f80
