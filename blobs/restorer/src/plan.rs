//! What the restorer is told: one area of plain data, written by the host for the very place where it lies.
//!
//! The host lays the area out as a relocatable block (see `pie_blob_freeze`): lists lie behind the [`Plan`], and their
//! addresses are fixed once the place is known. The restorer reads it in place: by then it has nothing else, no heap, no
//! files, no other memory of its own.
//!
//! All numbers are the kernel's, in its order; addresses are those of the process.

use core::sync::atomic::AtomicU32;

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Where a list lies and how many items it has.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct List {
    /// The address of the first item; any when there is none.
    pub address: u64,
    /// How many items there are.
    pub count: u64,
}

/// Pages that move: `len` bytes from one address to another.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Move {
    /// Where they lie.
    pub from: u64,
    /// Where they belong.
    pub to: u64,
    /// Bytes, whole pages.
    pub len: u64,
}

/// A restartable-sequence registration (`rseq(2)`); none when the address is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Rseq {
    /// The address of the `struct rseq`.
    pub address: u64,
    /// The length it was registered with.
    pub len: u32,
    /// The signature before abort handlers.
    pub signature: u32,
}

/// The kernel's `struct prctl_mm_map` (`<linux/prctl.h>`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct MemoryMap {
    /// Where the program's code begins, as `/proc/PID/stat` has it.
    pub start_code: u64,
    /// Where it ends.
    pub end_code: u64,
    /// Where its data begins.
    pub start_data: u64,
    /// Where it ends.
    pub end_data: u64,
    /// Where the heap begins.
    pub start_brk: u64,
    /// The program break.
    pub brk: u64,
    /// The bottom of the main stack.
    pub start_stack: u64,
    /// The command line.
    pub arg_start: u64,
    /// Its end.
    pub arg_end: u64,
    /// The environment.
    pub env_start: u64,
    /// Its end.
    pub env_end: u64,
    /// The auxiliary vector, to be copied.
    pub auxv: u64,
    /// Its length in bytes.
    pub auxv_size: u32,
    /// A descriptor of the program's file.
    pub exe_fd: u32,
}

/// The kernel's `struct sigaction` on x86-64.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Action {
    /// The handler's address, or `SIG_DFL` (0) or `SIG_IGN` (1).
    pub handler: u64,
    /// `SA_*` flags.
    pub flags: u64,
    /// What a handler returns to.
    pub restorer: u64,
    /// The signals blocked while the handler runs; bit 0 is signal 1.
    pub mask: u64,
}

/// The kernel's `struct itimerval`: seconds and microseconds of the period, and until the timer expires.
pub type IntervalTimer = [i64; 4];

/// A POSIX timer (`timer_create(2)`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct PosixTimer {
    /// The id that the program knows it by.
    pub id: i32,
    /// The clock, as `timer_create` takes it.
    pub clock: i32,
    /// `sigev_value`.
    pub value: u64,
    /// `sigev_signo`.
    pub signal: i32,
    /// `sigev_notify`.
    pub notify: i32,
    /// `sigev_notify_thread_id`.
    pub thread: i32,
    /// The thread whose time a clock of a thread counts; 0 for any other clock. The thread itself makes the timer.
    pub owner: i32,
    /// The period, seconds and nanoseconds; then the time until it expires: `struct itimerspec`.
    pub setting: [i64; 4],
}

/// A resource limit (`prlimit(2)`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Limit {
    /// `RLIMIT_*`.
    pub resource: u64,
    /// `rlim_cur`.
    pub soft: u64,
    /// `rlim_max`.
    pub hard: u64,
}

/// One pending signal: the kernel's `siginfo_t`, 128 bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Signal(pub [u8; 128]);

impl Signal {
    /// `si_signo`.
    #[must_use]
    pub fn number(&self) -> i32 {
        let [a, b, c, d, ..] = self.0;
        i32::from_ne_bytes([a, b, c, d])
    }
}

/// Who the process is; ids as in its own user namespace, capability sets with bit 0 for capability 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Credentials {
    /// Real, effective, saved and file-system user id.
    pub uids: [u32; 4],
    /// Real, effective, saved and file-system group id.
    pub gids: [u32; 4],
    /// The inheritable set.
    pub inheritable: u64,
    /// The permitted set.
    pub permitted: u64,
    /// The effective set.
    pub effective: u64,
    /// The bounding set.
    pub bounding: u64,
    /// The ambient set.
    pub ambient: u64,
    /// `PR_SET_SECUREBITS`.
    pub securebits: u32,
    /// Whether anything of this differs from what the process has.
    pub change: u32,
    /// Supplementary groups: a list of `u32`.
    pub groups: List,
}

/// How a thread is scheduled (`struct sched_attr` up to `sched_period`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Scheduling {
    /// The structure's size.
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// The nice value.
    pub nice: i32,
    /// The priority of real-time policies.
    pub priority: u32,
    /// For `SCHED_DEADLINE`, which is not supported: zeros.
    pub deadline: [u64; 3],
}

/// One thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Thread {
    /// Its id.
    pub tid: i32,
    /// `ioprio_set(2)`.
    pub io_priority: u32,
    /// The lowest address of the stack that it is created on.
    pub stack: u64,
    /// That stack's size.
    pub stack_size: u64,
    /// The base of `%fs`.
    pub fs_base: u64,
    /// The base of `%gs`.
    pub gs_base: u64,
    /// The head of its robust list and the head's length.
    pub robust: [u64; 2],
    /// The word that is cleared when it ends.
    pub clear_child_tid: u64,
    /// Its restartable sequences.
    pub rseq: Rseq,
    /// Its alternate stack: address, flags, size, as in `stack_t`.
    pub alternate_stack: [u64; 3],
    /// Its name, ended by a zero.
    pub name: [u8; 16],
    /// Signals pending for it alone: a list of [`Signal`].
    pub pending: List,
    /// The processors that it may run on: a list of bytes.
    pub affinity: List,
    /// How it is scheduled.
    pub scheduling: Scheduling,
    /// `PR_SET_TIMERSLACK`.
    pub timer_slack: u64,
    /// The stack pointer at its signal frame: what it continues with.
    pub frame: u64,
}

/// Everything.
#[repr(C)]
#[derive(Debug)]
pub struct Plan {
    /// All that is the restorer's: itself, this, the threads' stacks, staged memory; nothing of the program.
    pub hole: List,
    /// The first address that no program can use.
    pub end_of_addresses: u64,
    /// vDSO and its data, first moved into the hole: a list of [`Move`].
    pub parked: List,
    /// And from there to where the program had them: a list of [`Move`].
    pub unparked: List,
    /// Staged memory: a list of [`Move`].
    pub moves: List,
    /// What the host has registered for the first thread.
    pub host_rseq: Rseq,
    /// The kernel's notes of the memory map.
    pub memory: MemoryMap,
    /// The actions of all signals, from signal 1: a list of [`Action`].
    pub actions: List,
    /// `ITIMER_REAL`, `ITIMER_VIRTUAL`, `ITIMER_PROF`.
    pub interval_timers: [IntervalTimer; 3],
    /// A list of [`PosixTimer`].
    pub posix_timers: List,
    /// A list of [`Limit`].
    pub limits: List,
    /// Signals pending for the process: a list of [`Signal`].
    pub pending: List,
    /// Who it is.
    pub credentials: Credentials,
    /// `PR_SET_DUMPABLE`.
    pub dumpable: u32,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: u32,
    /// `PR_SET_PDEATHSIG`.
    pub parent_death_signal: u32,
    /// `PR_SET_CHILD_SUBREAPER`.
    pub child_subreaper: u32,
    /// Registrations of `membarrier(2)`: a bit for each command that registers, the command itself.
    pub barriers: u32,
    /// `mlockall(2)` for memory to come: `MCL_FUTURE` and perhaps `MCL_ONFAULT`, or 0.
    pub lock_future: u32,
    /// All threads, the first one first: a list of [`Thread`].
    pub threads: List,
    /// A `syscall; ret` of the program's.
    pub system_call: u64,
    /// Where the [`Report`] goes; closed at the end.
    pub report: i32,
    /// How many of the other threads have made themselves what they were.
    pub ready: AtomicU32,
    /// Not 0 when they may leave.
    pub go: AtomicU32,
    /// How many have left.
    pub gone: AtomicU32,
}

/// What the restorer says of itself, once: that it is done, or what it could not do.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
pub struct Report {
    /// Of [`Step`].
    pub step: u32,
    /// The kernel's answer, 0 for [`Step::Done`].
    pub errno: i32,
    /// What it was done to: an address, a thread's id, a signal, a resource; as the step says.
    pub subject: u64,
}

/// A step of the restorer, as it is written in a [`Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Step {
    /// All is restored.
    Done = 0,
    /// The host's restartable sequences.
    HostRseq,
    /// Moving the vDSO; the subject is its address.
    Vdso,
    /// Unmapping the host; the subject is the address from which.
    Unmap,
    /// Moving staged memory; the subject is its final address.
    Move,
    /// `PR_SET_MM_MAP`.
    MemoryMap,
    /// A signal's action; the subject is the signal.
    Action,
    /// Creating a thread; the subject is its id.
    Thread,
    /// A thread's base register; the subject is its id.
    Base,
    /// A thread's robust list; the subject is its id.
    RobustList,
    /// A thread's restartable sequences; the subject is its id.
    Rseq,
    /// A thread's alternate stack; the subject is its id.
    AlternateStack,
    /// A thread's processors; the subject is its id.
    Affinity,
    /// How a thread is scheduled; the subject is its id.
    Scheduling,
    /// A pending signal; the subject is the signal.
    Pending,
    /// An interval timer; the subject is which.
    IntervalTimer,
    /// A POSIX timer; the subject is its id.
    PosixTimer,
    /// A resource limit; the subject is the resource.
    Limit,
    /// Credentials; the subject is the thread's id.
    Credentials,
    /// A flag of `prctl(2)`; the subject is the option.
    Prctl,
    /// A registration of `membarrier(2)`; the subject is the command.
    Barrier,
    /// Locking of memory to come; the subject is `MCL_*`.
    LockFuture,
}

impl Step {
    /// Every step, at its own number.
    pub const ALL: [Self; 22] = [
        Self::Done,
        Self::HostRseq,
        Self::Vdso,
        Self::Unmap,
        Self::Move,
        Self::MemoryMap,
        Self::Action,
        Self::Thread,
        Self::Base,
        Self::RobustList,
        Self::Rseq,
        Self::AlternateStack,
        Self::Affinity,
        Self::Scheduling,
        Self::Pending,
        Self::IntervalTimer,
        Self::PosixTimer,
        Self::Limit,
        Self::Credentials,
        Self::Prctl,
        Self::Barrier,
        Self::LockFuture,
    ];

    /// The step of this number.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_at_their_numbers() {
        for (number, step) in (0..).zip(Step::ALL) {
            assert_eq!(step as u32, number);
            assert_eq!(Step::of(number), Some(step));
        }
        assert_eq!(Step::of(22), None);
    }

    #[test]
    fn the_kernels_structures_have_its_sizes() {
        assert_eq!(size_of::<MemoryMap>(), 104);
        assert_eq!(size_of::<Action>(), 32);
        assert_eq!(size_of::<Scheduling>(), 48);
        assert_eq!(size_of::<Signal>(), 128);
    }
}
