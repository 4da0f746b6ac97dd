/* The entry, which a kernel jumps to, and what only assembler can say, for every architecture. */

#if defined(__LP64__)
#define WORD .8byte
#define ALIGNMENT 3
#else
#define WORD .4byte
#define ALIGNMENT 2
#endif

#if defined(__arm__)
#define FUNCTION %function
#else
#define FUNCTION @function
#endif

#if defined(__arm__) && defined(__thumb__)
#define CODE(name) .thumb_func; .globl name; .hidden name; .type name, FUNCTION; name:
    .syntax unified
    .thumb
#else
#define CODE(name) .globl name; .hidden name; .type name, FUNCTION; name:
#endif

    .section .pie_blob.head, "ax"

#if defined(__x86_64__)
CODE(start)
    call run
    .text
CODE(system_call)
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    syscall
    ret
CODE(twice)
    lea (%rdi, %rdi), %eax
    ret

#elif defined(__i386__)
CODE(start)
    call run
    .text
CODE(system_call)
    push %ebx
    mov 8(%esp), %eax
    mov 12(%esp), %ebx
    mov 16(%esp), %ecx
    mov 20(%esp), %edx
    int $0x80
    pop %ebx
    ret
CODE(twice)
    mov 4(%esp), %eax
    add %eax, %eax
    ret

#elif defined(__aarch64__)
CODE(start)
    bl run
    .text
CODE(system_call)
    mov x8, x0
    mov x0, x1
    mov x1, x2
    mov x2, x3
    svc 0
    ret
CODE(twice)
    add w0, w0, w0
    ret

#elif defined(__arm__)
CODE(start)
    bl run
    .text
CODE(system_call)
    push {r7, lr}
    mov r7, r0
    mov r0, r1
    mov r1, r2
    mov r2, r3
    svc 0
    pop {r7, pc}
CODE(twice)
    add r0, r0, r0
    bx lr

#elif defined(__riscv)
CODE(start)
    call run
    .text
CODE(system_call)
    mv a7, a0
    mv a0, a1
    mv a1, a2
    mv a2, a3
    ecall
    ret
CODE(twice)
    addw a0, a0, a0
    ret

#elif defined(__s390x__)
CODE(start)
    aghi %r15, -160
    brasl %r14, run
    .text
CODE(system_call)
    lgr %r1, %r2
    lgr %r2, %r3
    lgr %r3, %r4
    lgr %r4, %r5
    svc 0
    br %r14
CODE(twice)
    algfr %r2, %r2
    llgfr %r2, %r2
    br %r14

#elif defined(__powerpc64__)
    .abiversion 2
CODE(start)
    bcl 20, 31, 1f
1:  mflr %r12
    addi %r12, %r12, start - 1b
    addis %r2, %r12, .TOC. - start@ha
    addi %r2, %r2, .TOC. - start@l
    stdu %r1, -96(%r1)
    bl run
    nop
    .text
CODE(system_call)
    mr %r0, %r3
    mr %r3, %r4
    mr %r4, %r5
    mr %r5, %r6
    sc
    blr
CODE(twice)
    add %r3, %r3, %r3
    clrldi %r3, %r3, 32
    blr

#elif defined(__mips__)
    .set noreorder
CODE(start)
    bal 1f
    nop
#if defined(__LP64__)
1:  .cpsetup $31, $24, 1b
    daddiu $sp, $sp, -32
    dla $25, run
#else
1:  .cpload $31
    addiu $sp, $sp, -32
    la $25, run
#endif
    jalr $25
    nop
    .text
CODE(system_call)
    move $2, $4
    move $4, $5
    move $5, $6
    move $6, $7
    syscall
    jr $31
    nop
CODE(twice)
    jr $31
    addu $2, $4, $4

#elif defined(__loongarch__)
CODE(start)
    bl run
    .text
CODE(system_call)
    move $a7, $a0
    move $a0, $a1
    move $a1, $a2
    move $a2, $a3
    syscall 0
    jr $ra
CODE(twice)
    add.w $a0, $a0, $a0
    jr $ra
#endif

    .section .rodata.number, "a"
    .balign 4
number: .4byte 0x77

    .section .data.rel.ro.assembler, "aw"
    .p2align ALIGNMENT
    .globl assembler_table, assembler_pointer
    .hidden assembler_table, assembler_pointer
assembler_table: WORD twice, twice
assembler_pointer: WORD number
