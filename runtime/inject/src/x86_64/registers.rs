//! General registers, as `NT_PRSTATUS` lays them out.

use std::io;

use pie_blob_std::abi;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::xstate::ExtendedState;
use super::{code, frame, gadget, rseq, xstate};
use crate::areas::Area;
use crate::machine::{Entering, Frames, Gadgets, Left, Machine, Original, Way};
use crate::sys::memory::Memory;
use crate::sys::ptrace::{self, RegisterSet};
use crate::system_call::SystemCall;

/// The kernel's `struct user_regs_struct`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub(crate) struct Registers {
    pub(super) r15: u64,
    pub(super) r14: u64,
    pub(super) r13: u64,
    pub(super) r12: u64,
    pub(super) rbp: u64,
    pub(super) rbx: u64,
    pub(super) r11: u64,
    pub(super) r10: u64,
    pub(super) r9: u64,
    pub(super) r8: u64,
    pub(super) rax: u64,
    pub(super) rcx: u64,
    pub(super) rdx: u64,
    pub(super) rsi: u64,
    pub(super) rdi: u64,
    pub(super) orig_rax: u64,
    pub(super) rip: u64,
    pub(super) cs: u64,
    pub(super) eflags: u64,
    pub(super) rsp: u64,
    pub(super) ss: u64,
    pub(super) fs_base: u64,
    pub(super) gs_base: u64,
    pub(super) ds: u64,
    pub(super) es: u64,
    pub(super) fs: u64,
    pub(super) gs: u64,
}

/// `orig_rax` of a thread that is not in a system call: nothing to start again.
const NO_SYSTEM_CALL: u64 = u64::MAX;

/// The code segment of 32-bit code under a 64-bit kernel.
const COMPAT_CS: u64 = 0x23;

/// Without the trap, direction, nested-task and alignment-check flags: no code expects to start with those.
const STARTING_FLAGS: u64 = !(1 << 8 | 1 << 10 | 1 << 14 | 1 << 18);

impl Registers {
    /// These registers with another place to go on and nothing to start again.
    fn going_to(&self, rip: u64, rsp: u64) -> Self {
        Self { rip, rsp, orig_rax: NO_SYSTEM_CALL, eflags: self.eflags & STARTING_FLAGS, ..*self }
    }

    /// As the C library's structure, for users of this crate.
    pub(crate) fn to_user(self) -> libc::user_regs_struct {
        libc::user_regs_struct {
            r15: self.r15,
            r14: self.r14,
            r13: self.r13,
            r12: self.r12,
            rbp: self.rbp,
            rbx: self.rbx,
            r11: self.r11,
            r10: self.r10,
            r9: self.r9,
            r8: self.r8,
            rax: self.rax,
            rcx: self.rcx,
            rdx: self.rdx,
            rsi: self.rsi,
            rdi: self.rdi,
            orig_rax: self.orig_rax,
            rip: self.rip,
            cs: self.cs,
            eflags: self.eflags,
            rsp: self.rsp,
            ss: self.ss,
            fs_base: self.fs_base,
            gs_base: self.gs_base,
            ds: self.ds,
            es: self.es,
            fs: self.fs,
            gs: self.gs,
        }
    }

    /// From the C library's structure.
    pub(crate) fn from_user(user: &libc::user_regs_struct) -> Self {
        Self {
            r15: user.r15,
            r14: user.r14,
            r13: user.r13,
            r12: user.r12,
            rbp: user.rbp,
            rbx: user.rbx,
            r11: user.r11,
            r10: user.r10,
            r9: user.r9,
            r8: user.r8,
            rax: user.rax,
            rcx: user.rcx,
            rdx: user.rdx,
            rsi: user.rsi,
            rdi: user.rdi,
            orig_rax: user.orig_rax,
            rip: user.rip,
            cs: user.cs,
            eflags: user.eflags,
            rsp: user.rsp,
            ss: user.ss,
            fs_base: user.fs_base,
            gs_base: user.gs_base,
            ds: user.ds,
            es: user.es,
            fs: user.fs,
            gs: user.gs,
        }
    }
}

impl Machine for Registers {
    type State = ExtendedState;

    /// `syscall`.
    const CALL_LENGTH: u64 = 2;

    fn ask_once() {
        xstate::has_shadow_stacks();
    }

    fn of(tid: i32) -> io::Result<Option<Self>> {
        let mut registers = Self::default();
        let len = ptrace::get_registers(tid, RegisterSet::General, registers.as_mut_bytes())?;
        Ok((len == size_of::<Self>() && registers.cs != COMPAT_CS).then_some(registers))
    }

    fn set(&self, tid: i32) -> io::Result<()> {
        ptrace::set_registers(tid, RegisterSet::General, self.as_bytes())
    }

    fn place(&self) -> u64 {
        self.rip
    }

    fn going_on_at(self, place: u64) -> Self {
        Self { rip: place, ..self }
    }

    fn stack(&self) -> u64 {
        self.rsp
    }

    fn resume_at(&self, tid: i32) -> io::Result<u64> {
        rseq::resume_at(tid, self)
    }

    fn system_call(&self) -> Option<i64> {
        Some(self.orig_rax.cast_signed_()).filter(|number| *number >= 0)
    }

    fn answer(&self) -> i64 {
        self.rax.cast_signed_()
    }

    fn answering(self, answer: i64) -> Self {
        Self { rax: unsigned(answer), ..self }
    }

    fn making_again(self, number: i64) -> Self {
        Self { rax: unsigned(number), rip: self.rip.wrapping_sub(Self::CALL_LENGTH), ..self }
    }

    fn in_no_call(self) -> Self {
        Self { orig_rax: NO_SYSTEM_CALL, ..self }
    }

    fn calling(&self, place: u64, stack: u64, call: &SystemCall) -> Self {
        let [rdi, rsi, rdx, r10, r8, r9] = call.arguments;
        Self { rax: call.number, rdi, rsi, rdx, r10, r8, r9, ..self.going_to(place, stack) }
    }

    fn entering(&self, stack: u64, entry: &Entering) -> Self {
        let [rdi, rsi, rdx, rcx, r8, r9] = entry.arguments;
        Self {
            rax: entry.function,
            rbx: if entry.first { abi::FIRST_CALL } else { 0 }
                | if entry.keep_from_children { abi::KEEP_FROM_CHILDREN } else { 0 },
            rdi,
            rsi,
            rdx,
            rcx,
            r8,
            r9,
            r10: entry.state,
            r12: abi::ending(entry.end, entry.process, entry.thread),
            r13: entry.call,
            r14: entry.resume,
            r15: entry.span,
            rbp: entry.own_stack,
            ..self.going_to(entry.base, stack)
        }
    }

    fn ended(&self) -> (u64, u64) {
        (self.rbp, self.rbx)
    }

    fn state_of(tid: i32) -> io::Result<ExtendedState> {
        ExtendedState::of(tid)
    }

    fn set_state(state: &ExtendedState, tid: i32) -> io::Result<()> {
        state.set(tid)
    }

    fn state_in_frame(state: &ExtendedState) -> Option<Vec<u8>> {
        state.in_frame()
    }

    fn gadgets(memory: &Memory, areas: &[Area]) -> Option<Gadgets> {
        gadget::search(memory, areas)
    }

    fn frame_space(state: usize) -> usize {
        frame::space(state)
    }

    fn frames(address: u64, original: &Original<'_, Self>, way: &Way, undo: &SystemCall) -> Option<Frames> {
        frame::lay_out(address, original, way, undo)
    }

    const LONGEST_FRAMES: u64 = frame::LONGEST;

    fn left(bytes: &[u8], address: u64) -> Option<Left> {
        frame::left(bytes, address)
    }

    fn frames_are_whole(memory: &Memory, frames: &Frames) -> bool {
        let mut bytes = vec![0; frames.bytes.len()];
        memory.read(frames.address, &mut bytes).is_ok() && frame::left(&bytes, frames.address).is_some()
    }

    fn ends_with_call(code: &[u8]) -> bool {
        code::ends_with_call(code)
    }
}

#[expect(clippy::cast_sign_loss, reason = "registers hold signed values too")]
fn unsigned(value: i64) -> u64 {
    value as u64
}

/// `u64::cast_signed`, which the oldest compiler this crate is for does not have yet.
trait CastSigned {
    fn cast_signed_(self) -> i64;
}

impl CastSigned for u64 {
    #[expect(clippy::cast_possible_wrap, reason = "the register holds a signed value")]
    fn cast_signed_(self) -> i64 {
        self as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restart::{after_death, by_hand, cured, starts_again};

    const EINTR: i64 = -4;
    const ERESTARTNOHAND: i64 = -514;
    const ERESTART_RESTARTBLOCK: i64 = -516;

    fn stopped(call: i64, rax: i64) -> Registers {
        Registers { rip: 0x1002, orig_rax: unsigned(call), rax: unsigned(rax), ..Registers::default() }
    }

    #[test]
    fn restart_codes_are_left_to_the_kernel() {
        let sleeping = stopped(libc::SYS_clock_nanosleep, ERESTART_RESTARTBLOCK);
        assert_eq!(cured(&sleeping), sleeping);
        let dead = after_death(&sleeping);
        assert_eq!((dead.rip, dead.rax), (0x1000, unsigned(libc::SYS_clock_nanosleep)));
        let hand = by_hand(&sleeping);
        assert_eq!((hand.rip, hand.rax), (0x1000, unsigned(libc::SYS_restart_syscall)));
    }

    #[test]
    fn a_wait_with_an_end_is_known_where_it_starts_again() {
        let waits = |call, arguments: [u64; 6]| starts_again(call, &arguments);
        assert!(waits(libc::SYS_epoll_wait, [5, 0x5000, 1, 50, 0, 0]));
        for endless in [0xffff_ffff, u64::MAX] {
            assert!(!waits(libc::SYS_epoll_wait, [5, 0x5000, 1, endless, 0, 0]));
        }
        assert!(waits(libc::SYS_rt_sigtimedwait, [0x5000, 0, 0x6000, 8, 0, 0]));
        assert!(!waits(libc::SYS_rt_sigtimedwait, [0x5000, 0, 0, 8, 0, 0]));
        assert!(!waits(libc::SYS_poll, [0x5000, 1, 50, 0, 0, 0]));
        assert!(!starts_again(libc::SYS_epoll_wait, &[]));
    }

    #[test]
    fn only_calls_that_can_are_started_again() {
        assert_eq!(cured(&stopped(libc::SYS_epoll_wait, EINTR)).rax, unsigned(ERESTARTNOHAND));
        assert_eq!(cured(&stopped(libc::SYS_epoll_wait, 3)).rax, 3);
        for call in [libc::SYS_close, libc::SYS_connect] {
            assert_eq!(cured(&stopped(call, EINTR)).rax, unsigned(EINTR));
        }
        assert_eq!(cured(&stopped(libc::SYS_io_uring_enter, EINTR)).rax, unsigned(ERESTARTNOHAND));
        // A number that looks like a call's error in a thread that is in none.
        let running = stopped(-1, -512);
        assert_eq!(cured(&running), running);
        assert_eq!(after_death(&running).rip, 0x1002);
    }
}
