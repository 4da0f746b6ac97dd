//! General registers, as `NT_PRSTATUS` lays them out.

use std::io;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::sys::ptrace::{self, RegisterSet};

/// The kernel's `struct user_regs_struct`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub(crate) struct Registers {
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) rbp: u64,
    pub(crate) rbx: u64,
    pub(crate) r11: u64,
    pub(crate) r10: u64,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) orig_rax: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) eflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
    pub(crate) fs_base: u64,
    pub(crate) gs_base: u64,
    pub(crate) ds: u64,
    pub(crate) es: u64,
    pub(crate) fs: u64,
    pub(crate) gs: u64,
}

/// `orig_rax` of a thread that is not in a system call: nothing to start again.
pub(crate) const NO_SYSTEM_CALL: u64 = u64::MAX;

/// The code segment of 32-bit code under a 64-bit kernel.
const COMPAT_CS: u64 = 0x23;

/// Without the trap, direction, nested-task and alignment-check flags: no code expects to start with those.
const STARTING_FLAGS: u64 = !(1 << 8 | 1 << 10 | 1 << 14 | 1 << 18);

impl Registers {
    /// Reads them from a stopped thread; `None` when it runs 32-bit code.
    pub(crate) fn of(tid: i32) -> io::Result<Option<Self>> {
        let mut registers = Self::default();
        let len = ptrace::get_registers(tid, RegisterSet::General, registers.as_mut_bytes())?;
        Ok((len == size_of::<Self>() && registers.cs != COMPAT_CS).then_some(registers))
    }

    /// Gives them to a stopped thread.
    pub(crate) fn set(&self, tid: i32) -> io::Result<()> {
        ptrace::set_registers(tid, RegisterSet::General, self.as_bytes())
    }

    /// These registers with another place to go on and nothing to start again.
    pub(crate) fn going_to(&self, rip: u64, rsp: u64) -> Self {
        Self { rip, rsp, orig_rax: NO_SYSTEM_CALL, eflags: self.eflags & STARTING_FLAGS, ..*self }
    }

    /// These registers before a system call instruction at `rip`.
    pub(crate) fn calling(&self, rip: u64, rsp: u64, call: &SystemCall) -> Self {
        let [rdi, rsi, rdx, r10, r8, r9] = call.arguments;
        Self { rax: call.number, rdi, rsi, rdx, r10, r8, r9, ..self.going_to(rip, rsp) }
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

    /// Whether the thread was stopped in a system call.
    pub(crate) fn in_system_call(&self) -> bool {
        self.orig_rax.cast_signed_() >= 0
    }
}

/// A system call that the victim is made to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemCall {
    pub(crate) name: &'static str,
    pub(crate) number: u64,
    pub(crate) arguments: [u64; 6],
}

impl SystemCall {
    /// Maps pages of a file, or of none with the descriptor -1.
    pub(crate) fn mmap(address: u64, len: u64, protection: i32, flags: i32, descriptor: u64) -> Self {
        let arguments = [address, len, small(protection), small(flags), descriptor, 0];
        Self { name: "mmap", number: libc::SYS_mmap.unsigned_abs(), arguments }
    }

    pub(crate) fn mprotect(address: u64, len: u64, protection: i32) -> Self {
        let arguments = [address, len, small(protection), 0, 0, 0];
        Self { name: "mprotect", number: libc::SYS_mprotect.unsigned_abs(), arguments }
    }

    /// Opens a file in memory, which nobody can execute as a program where the kernel knows how to say so (since 6.3). That
    /// is the one way that `vm.memfd_noexec` allows whatever its value, and it does not keep its pages from being code.
    pub(crate) fn memfd_create(name: u64, no_program: bool) -> Self {
        const MFD_NOEXEC_SEAL: u64 = 0x8;
        let flags = u64::from(libc::MFD_CLOEXEC) | if no_program { MFD_NOEXEC_SEAL } else { 0 };
        let number = libc::SYS_memfd_create.unsigned_abs();
        Self { name: "memfd_create", number, arguments: [name, flags, 0, 0, 0, 0] }
    }

    pub(crate) fn ftruncate(descriptor: u64, len: u64) -> Self {
        let number = libc::SYS_ftruncate.unsigned_abs();
        Self { name: "ftruncate", number, arguments: [descriptor, len, 0, 0, 0, 0] }
    }

    pub(crate) fn close(descriptor: u64) -> Self {
        Self { name: "close", number: libc::SYS_close.unsigned_abs(), arguments: [descriptor, 0, 0, 0, 0, 0] }
    }

    pub(crate) fn munmap(address: u64, len: u64) -> Self {
        Self {
            name: "munmap",
            number: libc::SYS_munmap.unsigned_abs(),
            arguments: [address, len, 0, 0, 0, 0],
        }
    }
}

/// Flags are small positive ints.
fn small(flags: i32) -> u64 {
    u64::from(flags.unsigned_abs())
}

/// What a system call left in `rax`: its value or its error.
pub(crate) fn answer(rax: u64) -> io::Result<u64> {
    match rax.cast_signed_() {
        errno @ -4095..=-1 => {
            Err(io::Error::from_raw_os_error(i32::try_from(-errno).unwrap_or(libc::EINVAL)))
        }
        _ => Ok(rax),
    }
}

/// `u64::cast_signed`, which the oldest compiler this crate is for does not have yet.
pub(crate) trait CastSigned {
    fn cast_signed_(self) -> i64;
}

impl CastSigned for u64 {
    #[expect(clippy::cast_possible_wrap, reason = "the register holds a signed value")]
    fn cast_signed_(self) -> i64 {
        self as i64
    }
}
