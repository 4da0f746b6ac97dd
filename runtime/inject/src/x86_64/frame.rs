//! Signal frames: states that the victim takes up by itself, through its own `rt_sigreturn`.
//!
//! Two of them lie in memory that no thread uses while it runs remote calls. The *undo* frame unmaps the
//! blob, wherever the call was when the tracer died; the *resume* frame behind it is the state that the thread
//! was stopped in. A remote call returns into them like a function returns to its caller, or by way of a chain that first
//! stops the thread. A note in front of both says whose they are, for the next host if this one dies.

use super::chain::{self, Sending};
use super::registers::Registers;
use crate::machine::{Frames, Machine, Original, Way};
use crate::note::{self, Note};
use crate::restart;
use crate::system_call::SystemCall;

/// `pretcode` and `ucontext` up to the end of the signal mask; `rt_sigreturn` reads no further.
pub(crate) const FRAME: usize = 312;
/// What the XSAVE area must be aligned to, and with it the whole.
const ALIGN: u64 = 64;

/// Where everything lies, in bytes from the start.
const CHAIN: usize = 8 * chain::WORDS;
const UNDO: usize = Note::LEN + CHAIN;
const RESUME: usize = UNDO + FRAME + CHAIN;
const STATE: usize = (RESUME + FRAME).next_multiple_of(64);
/// Where the first argument of the undo frame's call lies in it (`rdi`).
const FIRST_ARGUMENT: usize = 8 * 14;

const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;
/// No valid combination of `SS_*` flags: the kernel leaves the alternate stack as it is.
const SS_INVALID: u64 = 0x7fff_ffff;

/// The name of a mapping that must have one.
const NAME: &[u8] = b"pie_blob\0";

/// How many bytes the frames of a thread with this state take.
pub(super) fn space(area: usize) -> usize {
    (STATE + area + NAME.len()).next_multiple_of(64)
}

/// Lays both frames out at `address`, which is aligned to 64 bytes.
///
/// `None` where the address is not.
pub(super) fn lay_out(
    address: u64,
    original: &Original<'_, Registers>,
    way: &Way,
    undo: &SystemCall,
) -> Option<Frames> {
    if address % ALIGN != 0 {
        return None;
    }
    let at = |offset: usize| address + offset as u64;
    let mut bytes = vec![0; STATE];
    bytes.extend_from_slice(original.state);

    let undoing = original.registers.calling(way.call, at(RESUME), undo);
    // Nothing may come between while the blob is unmapped, so everything is blocked.
    write(bytes.get_mut(UNDO..)?, &undoing, u64::MAX, way.sigreturn, 0)?;

    let mut resuming = restart::after_death(&restart::cured(original.registers));
    if resuming.rip == original.registers.rip {
        resuming.rip = original.resume_at;
    }
    write(bytes.get_mut(RESUME..)?, &resuming, original.mask, way.sigreturn, at(STATE))?;

    let (mapped, unmapped) = (at(UNDO + FIRST_ARGUMENT), at(Note::ANSWER));
    let &Way { call, process, thread, .. } = way;
    let sending = way.signal.map(|signal| Sending { call, process, thread, signal });
    let mut lay = |frame: usize, answer: u64| {
        let words = way.chain?.words(answer, sending.as_ref());
        let start = frame - 8 * words.len();
        for (word, room) in words.iter().zip(bytes.get_mut(start..frame)?.chunks_exact_mut(8)) {
            room.copy_from_slice(&word.to_ne_bytes());
        }
        Some(at(start))
    };
    let noting = lay(UNDO, mapped);
    let resume_by_signal = lay(RESUME, unmapped).filter(|_| sending.is_some());
    let (undo_by_signal, undo_noting) = if sending.is_some() { (noting, None) } else { (None, noting) };
    let name = at(bytes.len());
    bytes.extend_from_slice(NAME);
    let (base, span) = way.mapping;
    let note = Note { base, span, thread: way.thread };
    let sum = note::checksum(&bytes, UNDO + FIRST_ARGUMENT);
    bytes.get_mut(..Note::LEN)?.copy_from_slice(&note.bytes(address, sum));
    Some(Frames {
        undo: at(UNDO),
        resume: at(RESUME),
        undo_by_signal,
        undo_noting,
        resume_by_signal,
        mapped,
        unmapped,
        state: at(STATE),
        address,
        bytes,
        name,
    })
}

/// Frames that somebody has left in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) note: Note,
    /// How many bytes they take.
    pub(crate) len: usize,
    /// The stack pointer with which a call returns into the resume frame.
    pub(crate) resume: u64,
    /// The `rt_sigreturn` that they return into.
    pub(crate) sigreturn: u64,
    /// The signals that the thread blocks once it is its own again.
    pub(crate) mask: u64,
}

/// The most bytes that frames take, with every extended state that there is.
pub(crate) const LONGEST: u64 = 16 * 1024;

/// Finds frames at `address` of a process, whose memory begins with `bytes`; `None` where there are none, or where something
/// else has been written over them since.
pub(crate) fn left(bytes: &[u8], address: u64) -> Option<Left> {
    /// `extended_size` of the kernel's `struct _fpx_sw_bytes`, in the XSAVE area.
    const SIZE_AT: usize = STATE + 468;
    let (note, sum) = Note::read(bytes, address)?;
    let size = bytes.get(SIZE_AT..)?.first_chunk().map(|size| u32::from_ne_bytes(*size))?;
    let len = STATE.checked_add(usize::try_from(size).ok()?)?.checked_add(NAME.len())?;
    let frames = bytes.get(..len)?;
    let word = |at: usize| frames.get(at..)?.first_chunk().map(|word| u64::from_ne_bytes(*word));
    let (sigreturn, mask) = (word(RESUME)?, word(RESUME + FRAME - 8)?);
    let whole = note::checksum(frames, UNDO + FIRST_ARGUMENT) == sum;
    whole.then_some(Left { note, len, resume: address + RESUME as u64, sigreturn, mask })
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
