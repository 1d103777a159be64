// What follow.py must find (bad_…), and where it must find nothing (ok_…), in instructions that Rust's compiler chooses itself.
.macro fn name
.globl \name
.type \name, %function
\name:
.endm
.macro end name
ret
.size \name, . - \name
.endm
.section .note.GNU-stack, "", %progbits
.text

// A secret that was spilled to the stack.
fn bad_spill
    sub sp, sp, #32
    ldr x8, [x0]
    str x8, [sp, #8]
    mov x8, xzr
    ldr x9, [sp, #8]
    cbz x9, 1f
    nop
1:
    add sp, sp, #32
end bad_spill

// A length beside it.
fn ok_spill
    stp x29, x30, [sp, #-32]!
    mov x29, sp
    ldr x8, [x0]
    stp x8, x1, [x29, #16]
    ldr x9, [sp, #24]
    subs x9, x9, #1
    b.ne 1f
    nop
1:
    ldp x29, x30, [sp], #32
end ok_spill

// The other of that pair.
fn bad_pair
    sub sp, sp, #32
    ldr x8, [x0]
    stp x1, x8, [sp, #16]
    ldp x9, x10, [sp, #16]
    tbnz x10, #3, 1f
    nop
1:
    add sp, sp, #32
end bad_pair

// A secret stored at an index over what was public.
fn bad_index_on_stack
    sub sp, sp, #64
    str xzr, [sp]
    ldr x8, [x0]
    str x8, [sp, x1, lsl #3]
    ldr x9, [sp]
    cbz x9, 1f
    nop
1:
    add sp, sp, #64
end bad_index_on_stack

// Through a vector.
fn bad_vector
    ldr q0, [x0], #16
    add v1.2d, v0.2d, v0.2d
    fmov x8, d1
    ldr x9, [x1, x8, lsl #3]
end bad_vector

// Through a lane of one.
fn bad_lane
    movi v0.2d, #0
    ldr x8, [x0]
    mov v0.d[1], x8
    mov x9, v0.d[1]
    ldr x9, [x1, x9]
end bad_lane

// A pointer that moves on.
fn ok_post_index
1:
    ldr x8, [x0], #8
    str x8, [x2], #8
    subs x1, x1, #1
    b.ne 1b
end ok_post_index

// A conditional select is allowed, but not what comes of it as an index.
fn bad_select
    ldr x8, [x0]
    mov x9, #8
    cmp x8, #5
    csel x9, x9, xzr, lo
    ldr x10, [x1, x9]
end bad_select

// A comparison in a register.
fn bad_flag
    ldr x8, [x0]
    cmp x8, #5
    cset w9, lo
    ldrb w10, [x1, w9, uxtw]
end bad_flag

// A comparison only if another says so.
fn bad_ccmp
    ldr x8, [x0]
    cmp x8, #5
    ccmp x1, #3, #0, lo
    b.eq 1f
    nop
1:
end bad_ccmp

// Secret on one of two paths.
fn bad_path
    mov x8, xzr
    cbz x1, 1f
    ldr x8, [x0]
1:
    cbnz x8, 2f
    nop
2:
end bad_path

// A bound that becomes secret within the loop.
fn bad_bound
    mov x8, xzr
1:
    cmp x8, x2
    b.eq 2f
    ldr x2, [x0]
    add x8, x8, #1
    b 1b
2:
end bad_bound

// Some bits of a register.
fn bad_insert
    mov x8, xzr
    ldrb w9, [x0]
    bfi x8, x9, #8, #8
    cbz x8, 1f
    nop
1:
end bad_insert
