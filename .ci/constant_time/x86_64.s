# What follow.py must find (bad_…), and where it must find nothing (ok_…), in instructions that Rust's compiler chooses itself.
.intel_syntax noprefix
.macro fn name
.globl \name
.type \name, @function
\name:
.endm
.macro end name
ret
.size \name, . - \name
.endm
.section .note.GNU-stack, "", @progbits
.text

# A secret that was spilled to the stack.
fn bad_spill
    sub rsp, 24
    mov rax, [rdi]
    mov [rsp + 8], rax
    xor eax, eax
    mov rcx, [rsp + 8]
    test rcx, rcx
    je 1f
    nop
1:
    add rsp, 24
end bad_spill

# A length beside it.
fn ok_spill
    push rbx
    sub rsp, 16
    mov [rsp + 8], rsi
    mov rax, [rdi]
    mov [rsp], rax
    mov rcx, [rsp + 8]
    dec rcx
    jne 1f
    nop
1:
    add rsp, 16
    pop rbx
end ok_spill

# A secret stored at an index over what was public.
fn bad_index_on_stack
    sub rsp, 64
    mov qword ptr [rsp], 0
    mov rax, [rdi]
    mov [rsp + rsi * 8], rax
    mov rcx, [rsp]
    test rcx, rcx
    je 1f
    nop
1:
    add rsp, 64
end bad_index_on_stack

# Through a vector.
fn bad_vector
    vmovdqu ymm0, [rdi]
    vpaddq ymm1, ymm0, ymm0
    vmovq rax, xmm1
    mov rcx, [rsi + rax * 8]
end bad_vector

# Through a mask.
fn bad_mask
    vmovdqu64 zmm0, [rdi]
    vptestmq k1, zmm0, zmm0
    kmovw eax, k1
    test eax, eax
    je 1f
    nop
1:
end bad_mask

# A vector of addresses.
fn bad_gather
    vmovdqu64 zmm0, [rdi]
    kxnorw k1, k0, k0
    vpgatherqq zmm1{k1}, [rsi + zmm0 * 8]
end bad_gather

# inc leaves the carry of an addition of secrets.
fn bad_carry
    mov rax, [rdi]
    add rax, rax
    inc rcx
    jb 1f
    nop
1:
end bad_carry

# And sets the other flags.
fn ok_zero
    mov rax, [rdi]
    add rax, rax
    inc rcx
    jne 1f
    nop
1:
end ok_zero

# A conditional move is allowed, but not what comes of it as an index.
fn bad_select
    mov rax, [rdi]
    xor ecx, ecx
    mov edx, 8
    cmp rax, 5
    cmovb rcx, rdx
    mov rax, [rsi + rcx]
end bad_select

# A comparison in a register.
fn bad_flag
    cmp qword ptr [rdi], 5
    setb al
    movzx eax, al
    mov rax, [rsi + rax * 8]
end bad_flag

# Secret on one of two paths.
fn bad_path
    xor eax, eax
    test rsi, rsi
    je 1f
    mov rax, [rdi]
1:
    test rax, rax
    jne 2f
    nop
2:
end bad_path

# A bound that becomes secret within the loop.
fn bad_bound
    xor eax, eax
1:
    cmp rax, rdx
    je 2f
    mov rdx, [rdi]
    inc rax
    jmp 1b
2:
end bad_bound

# One byte of a register.
fn bad_byte
    mov eax, 8
    mov cl, [rdi]
    mov al, cl
    cmp eax, 3
    je 1f
    nop
1:
end bad_byte

# Shifted by a secret.
fn bad_shift
    mov rcx, [rdi]
    mov rax, 1
    shl rax, cl
    test rax, rsi
    jne 1f
    nop
1:
end bad_shift
