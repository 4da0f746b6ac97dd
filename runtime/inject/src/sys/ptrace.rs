//! `ptrace(2)`, request by request.
//!
//! Except for [`seize`], every request wants the thread stopped and traced by the calling thread; the kernel checks
//! that and answers `ESRCH` otherwise.

use std::io;
use std::ptr::{null_mut, without_provenance_mut};

use super::{check, count};

/// A register set of the kernel's (`NT_*` of `<linux/elf.h>`).
#[derive(Clone, Copy)]
pub(crate) enum RegisterSet {
    /// `NT_PRSTATUS`: general registers.
    General = 1,
    /// `NT_X86_XSTATE`: everything that XSAVE keeps.
    ExtendedState = 0x202,
    /// `NT_X86_SHSTK`: where the user shadow stack ends.
    ShadowStack = 0x204,
}

/// How a stopped thread goes on.
#[derive(Clone, Copy)]
pub(crate) enum Resume {
    /// Until a signal or an event.
    Continue,
    /// Until it enters or leaves a system call as well.
    ToSystemCall,
}

const PTRACE_GETSIGMASK: libc::c_uint = 0x420a;
const PTRACE_SETSIGMASK: libc::c_uint = 0x420b;
const PTRACE_GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;
const PTRACE_PEEKSIGINFO: libc::c_uint = 0x4209;
const PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: libc::c_uint = 0x4210;
const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: libc::c_uint = 0x4211;

/// `PTRACE_O_SUSPEND_SECCOMP`: the filter sleeps while the tracer lives.
pub(crate) const SUSPEND_SECCOMP: i32 = 1 << 21;

/// What every seizure sets: without it a tracer that dies at a system-call stop leaves a SIGTRAP behind.
pub(crate) const TRACESYSGOOD: i32 = libc::PTRACE_O_TRACESYSGOOD;

/// `PTRACE_O_TRACECLONE`: a thread that a traced one creates is traced from its start.
pub(crate) const TRACECLONE: i32 = libc::PTRACE_O_TRACECLONE;

/// Makes a request again that fails, a few times. What the victim is given back can be given back in no other way, so that
/// a host does not give up at the first refusal, whatever its reason.
fn insist(mut request: impl FnMut() -> libc::c_long) -> io::Result<libc::c_long> {
    const TRIES: u32 = 3;
    let mut answer = Ok(0);
    for _ in 0..TRIES {
        count();
        answer = check(request());
        if answer.is_ok() {
            break;
        }
    }
    answer
}

fn number(value: i32) -> *mut libc::c_void {
    #[expect(clippy::cast_sign_loss, reason = "the kernel takes the low 32 bits")]
    without_provenance_mut(value as usize)
}

/// `PTRACE_SEIZE`.
pub(crate) fn seize(tid: i32, options: i32) -> io::Result<()> {
    count();
    // SAFETY: takes two numbers in the pointers' places.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, tid, null_mut::<libc::c_void>(), number(options)) })
        .map(drop)
}

/// `PTRACE_SETOPTIONS`.
pub(crate) fn set_options(tid: i32, options: i32) -> io::Result<()> {
    count();
    // SAFETY: takes two numbers in the pointers' places.
    check(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, tid, null_mut::<libc::c_void>(), number(options)) })
        .map(drop)
}

/// `PTRACE_INTERRUPT`.
pub(crate) fn interrupt(tid: i32) -> io::Result<()> {
    // SAFETY: reads neither address nor data.
    insist(|| unsafe {
        libc::ptrace(libc::PTRACE_INTERRUPT, tid, null_mut::<libc::c_void>(), null_mut::<libc::c_void>())
    })
    .map(drop)
}

/// `PTRACE_DETACH`, delivering no signal.
pub(crate) fn detach(tid: i32) -> io::Result<()> {
    // SAFETY: takes a number in the data's place.
    insist(|| unsafe {
        libc::ptrace(libc::PTRACE_DETACH, tid, null_mut::<libc::c_void>(), null_mut::<libc::c_void>())
    })
    .map(drop)
}

/// `PTRACE_CONT` or `PTRACE_SYSCALL`, delivering `signal` where the thread is at a signal-delivery stop (0: none).
pub(crate) fn resume(tid: i32, how: Resume, signal: i32) -> io::Result<()> {
    let request = match how {
        Resume::Continue => libc::PTRACE_CONT,
        Resume::ToSystemCall => libc::PTRACE_SYSCALL,
    };
    // SAFETY: takes a number in the data's place.
    insist(|| unsafe { libc::ptrace(request, tid, null_mut::<libc::c_void>(), number(signal)) }).map(drop)
}

/// `PTRACE_GETREGSET`: fills `buffer` and returns how many bytes the kernel has.
pub(crate) fn get_registers(tid: i32, set: RegisterSet, buffer: &mut [u8]) -> io::Result<usize> {
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the kernel writes at most `iov_len` bytes to the buffer, and the length it used to `vector`; both
    // outlive the call.
    insist(|| unsafe { libc::ptrace(libc::PTRACE_GETREGSET, tid, number(set as i32), &raw mut vector) })?;
    Ok(vector.iov_len)
}

/// `PTRACE_SETREGSET`.
pub(crate) fn set_registers(tid: i32, set: RegisterSet, bytes: &[u8]) -> io::Result<()> {
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the kernel only reads `iov_len` bytes; both outlive the call.
    insist(|| unsafe { libc::ptrace(libc::PTRACE_SETREGSET, tid, number(set as i32), &raw mut vector) })
        .map(drop)
}

/// `PTRACE_GETSIGMASK`: bit 0 is signal 1.
pub(crate) fn get_signal_mask(tid: i32) -> io::Result<u64> {
    let mut mask = 0_u64;
    // SAFETY: the address is the mask's size, and the kernel writes that many bytes to `mask`.
    insist(|| unsafe { libc::ptrace(PTRACE_GETSIGMASK, tid, number(8), &raw mut mask) })?;
    Ok(mask)
}

/// `PTRACE_SETSIGMASK`.
pub(crate) fn set_signal_mask(tid: i32, mask: u64) -> io::Result<()> {
    let mut mask = mask;
    // SAFETY: the address is the mask's size, and the kernel reads that many bytes from `mask`.
    insist(|| unsafe { libc::ptrace(PTRACE_SETSIGMASK, tid, number(8), &raw mut mask) }).map(drop)
}

/// `PTRACE_GETEVENTMSG`: at `PTRACE_EVENT_CLONE` the new thread's id.
pub(crate) fn event_message(tid: i32) -> io::Result<i32> {
    let mut message: libc::c_ulong = 0;
    count();
    // SAFETY: the kernel writes one word to `message`.
    check(unsafe {
        libc::ptrace(libc::PTRACE_GETEVENTMSG, tid, null_mut::<libc::c_void>(), &raw mut message)
    })?;
    Ok(i32::try_from(message).unwrap_or(0))
}

/// What a signal-delivery stop is about: `si_code`, and `si_addr` where the signal is a fault.
pub(crate) fn signal_information(tid: i32) -> io::Result<libc::siginfo_t> {
    // SAFETY: a siginfo_t is plain numbers, for which zeros are a value.
    let mut information: libc::siginfo_t = unsafe { std::mem::zeroed() };
    count();
    // SAFETY: the kernel writes one siginfo_t to `information`.
    check(unsafe {
        libc::ptrace(libc::PTRACE_GETSIGINFO, tid, null_mut::<libc::c_void>(), &raw mut information)
    })?;
    Ok(information)
}

/// Whether a thread stands at an event that is no mere stop: at the end of a fork, an `execve`, of itself.
pub(crate) fn at_event(tid: i32) -> bool {
    // A group-stop of a thread that was attached has no information.
    signal_information(tid).is_ok_and(|information| {
        let event = information.si_code >> 8;
        information.si_signo == libc::SIGTRAP && event > 0 && event != libc::PTRACE_EVENT_STOP
    })
}

/// The kernel's `struct ptrace_rseq_configuration`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct RseqConfiguration {
    /// Where the thread's `struct rseq` lies; 0 when it has none.
    pub(crate) address: u64,
    size: u32,
    signature: u32,
    flags: u32,
    pad: u32,
}

/// `PTRACE_GET_RSEQ_CONFIGURATION`; no registration where the kernel does not know the request.
pub(crate) fn rseq_configuration(tid: i32) -> io::Result<RseqConfiguration> {
    let mut configuration = RseqConfiguration::default();
    count();
    // SAFETY: the address is the structure's size, and the kernel writes that many bytes.
    let result = check(unsafe {
        libc::ptrace(
            PTRACE_GET_RSEQ_CONFIGURATION,
            tid,
            without_provenance_mut::<libc::c_void>(size_of::<RseqConfiguration>()),
            &raw mut configuration,
        )
    });
    match result {
        Ok(_) => Ok(configuration),
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(RseqConfiguration::default()),
        Err(error) => Err(error),
    }
}

/// Whether a thread stands at the entry of a system call (`PTRACE_GET_SYSCALL_INFO`).
pub(crate) fn at_system_call_entry(tid: i32) -> io::Result<bool> {
    const PTRACE_GET_SYSCALL_INFO: libc::c_uint = 0x420e;
    const ENTRY: u8 = 1;
    let mut information = [0_u8; 88];
    count();
    // SAFETY: the address is the buffer's size, and the kernel writes at most that many bytes.
    check(unsafe { libc::ptrace(PTRACE_GET_SYSCALL_INFO, tid, number(88), information.as_mut_ptr()) })?;
    Ok(information[0] == ENTRY)
}

/// The signals among `faults` that are pending for the thread alone and that its own code has raised (`PTRACE_PEEKSIGINFO`); bit
/// 0 is signal 1.
pub(crate) fn faults_pending(tid: i32, faults: &[i32]) -> io::Result<u64> {
    /// The kernel's `struct ptrace_peeksiginfo_args`.
    #[repr(C)]
    struct Arguments {
        from: u64,
        flags: u32,
        number: i32,
    }
    const AT_ONCE: usize = 8;
    let (mut from, mut pending) = (0, 0);
    loop {
        // SAFETY: a siginfo_t is plain numbers, for which zeros are a value.
        let mut found: [libc::siginfo_t; AT_ONCE] = unsafe { std::mem::zeroed() };
        let arguments = Arguments { from, flags: 0, number: 8 };
        // SAFETY: the kernel reads the arguments and writes at most `number` structures, for which there is room.
        let got = insist(|| unsafe {
            libc::ptrace(PTRACE_PEEKSIGINFO, tid, &raw const arguments, found.as_mut_ptr())
        })?;
        let got = usize::try_from(got).unwrap_or(0);
        // From the kernel, for what the code did; what somebody has sent has a code that is not positive.
        let raised = |signal: &libc::siginfo_t| signal.si_code > 0 && faults.contains(&signal.si_signo);
        let raised = found.iter().take(got).filter(|signal| raised(signal));
        pending |= raised.fold(0, |set, signal| set | 1 << (signal.si_signo - 1));
        if got < AT_ONCE {
            return Ok(pending);
        }
        from += AT_ONCE as u64;
    }
}

/// The kernel's `struct ptrace_sud_config`: which system calls a thread has turned into signals (syscall user dispatch).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserDispatch {
    mode: u64,
    selector: u64,
    offset: u64,
    len: u64,
}

impl UserDispatch {
    /// Every call reaches the kernel.
    pub(crate) const OFF: Self = Self { mode: 0, selector: 0, offset: 0, len: 0 };
}

/// `PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG` (Linux 6.4); off where the kernel does not know the request.
pub(crate) fn user_dispatch(tid: i32) -> io::Result<UserDispatch> {
    let mut dispatch = UserDispatch::OFF;
    count();
    // SAFETY: the address is the structure's size, and the kernel writes that many bytes.
    let result = check(unsafe {
        libc::ptrace(
            PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG,
            tid,
            without_provenance_mut::<libc::c_void>(size_of::<UserDispatch>()),
            &raw mut dispatch,
        )
    });
    match result {
        Ok(_) => Ok(dispatch),
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(UserDispatch::OFF),
        Err(error) => Err(error),
    }
}

/// `PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG`.
pub(crate) fn set_user_dispatch(tid: i32, dispatch: &UserDispatch) -> io::Result<()> {
    // SAFETY: the address is the structure's size, and the kernel reads that many bytes.
    insist(|| unsafe {
        libc::ptrace(
            PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG,
            tid,
            without_provenance_mut::<libc::c_void>(size_of::<UserDispatch>()),
            std::ptr::from_ref(dispatch),
        )
    })
    .map(drop)
}
