//! Everything that can go wrong, typed: what was being done, to whom, and what the answer was.

mod words;

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use pie_blob::LoadError;

use crate::sys::end;
use crate::{CrashRisk, Rule};
use words::{At, Child, Fell, How, Listed, SignalName};

/// Why an injection did not happen or did not end well. Whatever it says, the victim was left as it was, as far as
/// it still lives and unless the variant says otherwise.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No process has this id.
    #[error("process {pid}: no such process")]
    NoSuchProcess {
        /// The id asked for.
        pid: i32,
    },
    /// `/proc` does not show the processes that this process can trace by their numbers.
    #[error("/proc {reason}")]
    OtherProc {
        /// What it shows instead, and what to do.
        reason: &'static str,
    },
    /// It has more of something than is looked at: what a look costs, in time and in memory, has a bound.
    #[error(
        "process {pid}: more than {limit} {what}, too many to look at: have it give some of them up first"
    )]
    TooMuch {
        /// The process asked for.
        pid: i32,
        /// Of what.
        what: &'static str,
        /// The bound that was met.
        limit: u64,
    },
    /// The kernel's ptrace rules do not let this process at the other.
    #[error("process {pid}: not permitted to {action}: {rule}")]
    NotPermitted {
        /// The process asked for.
        pid: i32,
        /// What was refused.
        action: &'static str,
        /// By which rule.
        rule: Rule,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Another tracer holds it: a process has at most one.
    #[error("process {pid}: already traced by process {tracer}")]
    AlreadyTraced {
        /// The process asked for.
        pid: i32,
        /// The thread that traces it.
        tracer: i32,
    },
    /// It has ended and only waits for its parent.
    #[error("process {pid}: a zombie: it has ended already")]
    Zombie {
        /// The process asked for.
        pid: i32,
    },
    /// It is a thread of the kernel's and has no memory of its own.
    #[error("process {pid}: a kernel thread")]
    KernelThread {
        /// The process asked for.
        pid: i32,
    },
    /// It runs 32-bit code.
    #[error("process {pid}: runs 32-bit code, and the blob is 64-bit")]
    Compat {
        /// The process asked for.
        pid: i32,
    },
    /// It is this very process, which cannot stop itself.
    #[error("process {pid}: this process itself; map the blob instead")]
    Oneself {
        /// This process.
        pid: i32,
    },
    /// It waits in the kernel for something that no signal interrupts, so that it would not stop.
    #[error("process {pid}: in uninterruptible sleep (state D): try again later")]
    Uninterruptible {
        /// The process asked for.
        pid: i32,
    },
    /// One of its threads waits in `vfork`, where nothing but a kill reaches it.
    #[error(
        "process {pid}: thread {tid} waits in vfork for {}: wait until that has executed a program or ended",
        Child(*.child)
    )]
    WaitsInVfork {
        /// The process asked for.
        pid: i32,
        /// The thread.
        tid: i32,
        /// For whom, where the kernel says so (`CONFIG_PROC_CHILDREN`, `CONFIG_KCMP`).
        child: Option<i32>,
    },
    /// It runs in the memory of its parent, as after `vfork` and before `execve`, or in this process's own: what is done to
    /// one is done to both.
    #[error(
        "process {pid}: runs in the memory of process {parent} (vfork, clone with CLONE_VM): wait until it has executed a \
         program"
    )]
    SharesMemory {
        /// The process asked for.
        pid: i32,
        /// Whose memory it is: its parent, or this process.
        parent: i32,
    },
    /// A thread did not stop in time. It is let go when the calling thread ends.
    #[error("thread {tid}: did not stop within {waited:?}")]
    DidNotStop {
        /// The thread.
        tid: i32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A seccomp filter could kill it for the system calls of an injection, and the filter could not be suspended.
    #[error("process {pid}: has a seccomp filter (mode {mode}), and {reason}")]
    Seccomp {
        /// The process asked for.
        pid: i32,
        /// 1: strict, 2: a filter program (`Seccomp` in `/proc/PID/status`).
        mode: u32,
        /// What stands in the way.
        reason: &'static str,
    },
    /// It cannot be injected so that it survives the death of this process, and that was required.
    #[error("process {pid}: not crash-safe: {}", Listed(.risks))]
    NotCrashSafe {
        /// The process asked for.
        pid: i32,
        /// Everything that stands in the way.
        risks: Vec<CrashRisk>,
    },
    /// It has no `syscall` instruction in executable memory.
    #[error("process {pid}: no system call instruction in its executable memory")]
    NoSystemCall {
        /// The process asked for.
        pid: i32,
    },
    /// Its memory cannot be looked through: a page of its code does not come when it is read.
    #[error(
        "process {pid}: its code could not be read within {waited:?}: it waits for a page of a file system \
         that hangs, or for one that another process is to supply (userfaultfd); try again when that answers"
    )]
    Unreadable {
        /// The process asked for.
        pid: i32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// It has become another program since it was looked at.
    #[error("process {pid}: its memory has changed since it was looked at (execve?): open it again")]
    Changed {
        /// The process asked for.
        pid: i32,
    },
    /// A thread that was to be adopted is not stopped by this thread, or stands at the entry of a system call.
    #[error("thread {tid}: cannot be adopted: {reason}")]
    NotAdoptable {
        /// The thread.
        tid: i32,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// The process has no thread with this id, or it has ended.
    #[error("process {pid}: no thread {tid} among those that are stopped")]
    NoSuchThread {
        /// The process.
        pid: i32,
        /// The id asked for.
        tid: i32,
    },
    /// The thread is a worker of the kernel's (`iou-wrk`, `iou-sqp`, vhost): it never runs code of the program.
    #[error("process {pid}: thread {tid} is a worker of the kernel's and runs no code: name another")]
    KernelWorker {
        /// The process.
        pid: i32,
        /// The thread.
        tid: i32,
    },
    /// An earlier host has died while a blob ran in this thread, and the thread is in a handler of its own on the way back from it.
    #[error(
        "process {pid}: thread {tid} is on its way back from the blob of a host that has died, and in a signal handler: let the \
         process run, and try again"
    )]
    StillLeaving {
        /// The process.
        pid: i32,
        /// The thread.
        tid: i32,
    },
    /// The thread has ended while the process goes on.
    #[error("process {pid}: thread {tid} has ended")]
    ThreadEnded {
        /// The process.
        pid: i32,
        /// The thread.
        tid: i32,
    },
    /// The process has every readable page executable as well (`READ_IMPLIES_EXEC` in its personality): the blob's data would
    /// be writable and executable.
    #[error(
        "process {pid}: its personality makes readable pages executable (READ_IMPLIES_EXEC): the blob's data would be writable and executable; start it without `setarch --read-implies-exec`, or link it with `-z noexecstack`"
    )]
    ReadImpliesExec {
        /// The process.
        pid: i32,
    },
    /// It ended while it was being worked on.
    #[error("process {pid}: died{}", How(*.status))]
    Died {
        /// The process.
        pid: i32,
        /// How it ended: by itself, or by which signal. `None` where the kernel does not say.
        status: Option<ExitStatus>,
    },
    /// This kernel call of the host's failed.
    #[error("process {pid}: {action}")]
    Kernel {
        /// What was being done.
        action: &'static str,
        /// To whom.
        pid: i32,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file of `/proc` could not be read or is not what it should be.
    #[error("{path}")]
    Proc {
        /// The file.
        path: String,
        /// The kernel's answer, or what was not understood.
        #[source]
        source: io::Error,
    },
    /// A system call that the victim was made to make failed there.
    #[error("process {pid}: {call} inside it")]
    Refused {
        /// The victim.
        pid: i32,
        /// The system call.
        call: &'static str,
        /// What the kernel answered the victim.
        #[source]
        source: io::Error,
    },
    /// It has no descriptor of this number.
    #[error("process {pid}: has no descriptor {descriptor}")]
    NoSuchDescriptor {
        /// The process asked.
        pid: i32,
        /// The number asked for.
        descriptor: i32,
    },
    /// It says that a descriptor is to be sent to a socket that is not the one that a blob makes for it: somebody else has
    /// written into its memory. Nothing was sent.
    #[error(
        "process {pid}: wants a descriptor sent to its descriptor {descriptor}, which {reason}: not what the blob has made; \
         nothing was sent"
    )]
    NotItsSocket {
        /// The process asked.
        pid: i32,
        /// The number that stands in its memory.
        descriptor: i32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The address space has no hole that the blob fits into.
    #[error("process {pid}: no room for {size} bytes in its address space")]
    NoRoom {
        /// The victim.
        pid: i32,
        /// Bytes needed.
        size: u64,
    },
    /// The blob cannot be run this way.
    #[error("blob {blob}: {reason}")]
    Unsuitable {
        /// The blob's name.
        blob: &'static str,
        /// What it lacks, and what to do.
        reason: &'static str,
    },
    /// The blob cannot be loaded.
    #[error("blob {blob}: cannot be loaded")]
    Load {
        /// The blob's name.
        blob: &'static str,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// The offset belongs to another blob than the one in the victim.
    #[error("the offset {offset:#x} does not belong to blob {blob}")]
    OtherBlob {
        /// The blob in the victim.
        blob: &'static str,
        /// The offset.
        offset: u32,
    },
    /// The arguments of a call do not fit into the room beside the blob.
    #[error(
        "the arguments take {needed} bytes and {room} are reserved: ask for more with `Target::arguments`"
    )]
    ArgumentsTooLarge {
        /// Bytes that they take.
        needed: u64,
        /// Bytes reserved.
        room: u64,
    },
    /// The blob's code raised a signal that ends programs: a wrong address, an illegal instruction, a division by zero.
    #[error(
        "blob {blob}: {} at {}, address {address:#x}",
        SignalName(*.signal),
        Fell(*.offset, *.called_from, .symbol)
    )]
    Fault {
        /// The blob's name.
        blob: &'static str,
        /// The signal.
        signal: i32,
        /// Where the code stood, from the start of the image; `None` when it was outside of it.
        offset: Option<u64>,
        /// Where it was called from when it was outside of the blob, as through a null pointer: the last byte of the call.
        /// Taken from the word that the stack pointer leads to, if that is an address in the blob's code.
        called_from: Option<u64>,
        /// The export that covers the offset, or else the call, and how far into it.
        symbol: Option<(String, u64)>,
        /// The address that was touched (`si_addr`).
        address: u64,
    },
    /// The blob panicked.
    #[error("blob {blob}: panicked at {file}:{line}:{column}: {message}")]
    Panicked {
        /// The blob's name.
        blob: &'static str,
        /// The source file.
        file: String,
        /// The line, from 1.
        line: u32,
        /// The column, from 1.
        column: u32,
        /// The message.
        message: String,
    },
    /// The export did not come back in time.
    #[error("blob {blob}: did not return within {waited:?}; it was at {}", At(*.offset, .symbol))]
    Deadline {
        /// The blob's name.
        blob: &'static str,
        /// The deadline.
        waited: Duration,
        /// Where the code stood, from the start of the image; `None` when it was outside of it.
        offset: Option<u64>,
        /// The export that covers it, and how far into it.
        symbol: Option<(String, u64)>,
    },
    /// An earlier call ended badly: what the blob holds can no longer be relied on.
    #[error("blob {blob}: an earlier call ended badly; only `cure` is left")]
    Broken {
        /// The blob's name.
        blob: &'static str,
    },
}

impl Error {
    /// The place in the blob that the error names, from the start of the image: where the code stood, or else where it was
    /// called from. `None` for errors that are not about such a place; a panic names its source line itself.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Fault { offset, called_from, .. } => offset.or(*called_from),
            Self::Deadline { offset, .. } => *offset,
            _ => None,
        }
    }

    /// Puts a failed request of the host's into words: a thread that is no longer there has died.
    pub(crate) fn kernel(action: &'static str, pid: i32) -> impl FnOnce(io::Error) -> Error {
        move |source| match source.raw_os_error() {
            Some(libc::ESRCH) => Error::died(pid, pid),
            _ => Error::Kernel { action, pid, source },
        }
    }

    /// A process whose thread `tid` has ended or is ending. To be made before that thread's end is taken: nobody says
    /// afterwards how it was.
    pub(crate) fn died(pid: i32, tid: i32) -> Error {
        Error::Died { pid, status: end::status(tid) }
    }
}
