//! Signal frames: states that the victim takes up by itself, through its own `rt_sigreturn`.
//!
//! Two of them lie at the low end of its main stack while it runs remote calls. The *undo* frame unmaps the
//! blob, wherever the call was when the tracer died; the *resume* frame behind it is the state that the thread
//! was stopped in. A remote call returns into them like a function returns to its caller.

use super::registers::Registers;
use crate::machine::{Frames, Machine, Original, Way};
use crate::restart;
use crate::system_call::SystemCall;

/// `pretcode` and `ucontext` up to the end of the signal mask; `rt_sigreturn` reads no further.
pub(crate) const FRAME: usize = 312;
/// What the XSAVE area must be aligned to.
const ALIGN: u64 = 64;

const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;
/// No valid combination of `SS_*` flags: the kernel leaves the alternate stack as it is.
const SS_INVALID: u64 = 0x7fff_ffff;

/// The name of a mapping that must have one.
const NAME: &[u8] = b"pie_blob\0";

/// How many bytes the frames of a thread with this state take.
pub(super) fn space(area: usize) -> usize {
    (2 * FRAME + area + NAME.len()).next_multiple_of(64) + 64
}

/// Lays both frames out at `address` (aligned to 64 bytes).
///
/// `None` where the extended state is none that a frame can hold.
pub(super) fn lay_out(
    address: u64,
    original: &Original<'_, Registers>,
    way: &Way,
    undo: &SystemCall,
) -> Option<Frames> {
    let (undo_at, resume_at) = (0, FRAME);
    let area_at = (address + 2 * FRAME as u64).next_multiple_of(ALIGN);
    let mut bytes = vec![0; usize::try_from(area_at - address).ok()?];
    bytes.extend_from_slice(original.state);

    let resume = address + resume_at as u64;
    let undoing = original.registers.calling(way.call, resume, undo);
    // Nothing may come between while the blob is unmapped, so everything is blocked.
    write(bytes.get_mut(undo_at..)?, &undoing, u64::MAX, way.sigreturn, 0)?;

    let mut resuming = restart::after_death(original.registers);
    if resuming.rip == original.registers.rip {
        resuming.rip = original.resume_at;
    }
    write(bytes.get_mut(resume_at..)?, &resuming, original.mask, way.sigreturn, area_at)?;
    let name = address + bytes.len() as u64;
    bytes.extend_from_slice(NAME);
    Some(Frames { undo: address + undo_at as u64, resume, address, bytes, name })
}

/// Writes one `struct rt_sigframe`.
pub(crate) fn write(frame: &mut [u8], r: &Registers, mask: u64, sigreturn: u64, area: u64) -> Option<()> {
    let segments = r.cs | r.ss << 48;
    let words = [
        sigreturn,
        UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
        0,
        0,
        SS_INVALID,
        0,
        r.r8,
        r.r9,
        r.r10,
        r.r11,
        r.r12,
        r.r13,
        r.r14,
        r.r15,
        r.rdi,
        r.rsi,
        r.rbp,
        r.rbx,
        r.rdx,
        r.rax,
        r.rcx,
        r.rsp,
        r.rip,
        r.eflags,
        segments,
        0,
        0,
        0,
        0,
        area,
    ];
    let (head, mask_at) = frame.get_mut(..FRAME)?.split_at_mut_checked(FRAME - 8)?;
    for (word, place) in words.iter().zip(head.chunks_exact_mut(8)) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    mask_at.copy_from_slice(&mask.to_ne_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_lie_where_the_kernels_ucontext_has_them() {
        use std::mem::offset_of;
        let at = |register: libc::c_int| {
            // ucontext lies behind pretcode; its gregs are the first of mcontext.
            8 + offset_of!(libc::ucontext_t, uc_mcontext) + 8 * usize::try_from(register).unwrap()
        };
        let r = Registers {
            rip: 1,
            rsp: 2,
            rax: 3,
            r15: 4,
            eflags: 5,
            r8: 6,
            rbx: 7,
            cs: 0x33,
            ss: 0x2b,
            ..Registers::default()
        };
        let mut frame = vec![0; FRAME];
        write(&mut frame, &r, 0xabc, 0xdef, 64).unwrap();
        let word = |at: usize| u64::from_ne_bytes(*frame[at..].first_chunk().unwrap());
        for (register, value) in [
            (libc::REG_RIP, 1),
            (libc::REG_RSP, 2),
            (libc::REG_RAX, 3),
            (libc::REG_R15, 4),
            (libc::REG_EFL, 5),
            (libc::REG_R8, 6),
            (libc::REG_RBX, 7),
        ] {
            assert_eq!(word(at(register)), value);
        }
        assert_eq!(word(at(libc::REG_CSGSFS)), 0x002b_0000_0000_0033);
        assert_eq!(word(at(libc::REG_CR2) + 8), 64, "fpstate");
        assert_eq!(word(0), 0xdef);
        assert_eq!(word(8 + offset_of!(libc::ucontext_t, uc_sigmask)), 0xabc);
    }
}
