//! What `state.json` says: everything of a process but the contents of its pages.
//!
//! The file is `{"format": "pie_blob_freeze", "version": 1, "checksum": "0x…", "state": {…}}`, the checksum being XXH3 (64
//! bits) of the text of `state`. The names are the kernel's, documented in proc(5) and the pages of the system calls named
//! below. A reader refuses a version that it does not know.

use serde::{Deserialize, Serialize};

use crate::hex::{Bytes, Hex};

/// The version of the folder's format.
pub const VERSION: u32 = 1;

/// A frozen process.
#[non_exhaustive]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Where it was frozen, and what it must find again.
    pub machine: Machine,
    /// What it has once.
    pub process: Process,
    /// Its threads, the first one first.
    pub threads: Vec<Thread>,
    /// Its address space.
    pub memory: Memory,
    /// Files that are mapped.
    pub mapped: Vec<MappedFile>,
    /// Open file descriptions.
    pub files: Vec<OpenFile>,
    /// Descriptors that refer to them.
    pub descriptors: Vec<Descriptor>,
    /// What the file `pages` must be.
    pub pages: Pages,
}

/// The machine.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// `/proc/sys/kernel/osrelease`.
    pub kernel: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `flags` of the first processor in `/proc/cpuinfo`.
    pub cpu_flags: String,
    /// Where XSAVE's standard form has each feature: number, offset, size (CPUID leaf 0xD).
    pub xsave: Vec<[u32; 3]>,
    /// Checksum of the vDSO: a thread may have been stopped in it.
    pub vdso: Hex,
}

/// What a process has once, whatever its threads.
#[non_exhaustive]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// When it was started, in ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
    /// The file of its program: an index into `mapped`.
    pub executable: usize,
    /// Its working directory.
    pub directory: String,
    /// `umask(2)`.
    pub umask: u32,
    /// `personality(2)`.
    pub personality: Hex,
    /// Whether it leads its session.
    pub session_leader: bool,
    /// `PR_GET_DUMPABLE`.
    pub dumpable: u32,
    /// `PR_GET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// `PR_GET_PDEATHSIG`.
    pub parent_death_signal: u32,
    /// `PR_GET_CHILD_SUBREAPER`.
    pub child_subreaper: bool,
    /// Registrations of `membarrier(2)`: a bit for each command that registers, the command itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub barriers: u32,
    /// `mlockall(2)` for memory to come: `MCL_*`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lock_future: u32,
    /// `/proc/PID/coredump_filter`; none where the kernel writes no cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_filter: Option<Hex>,
    /// `/proc/PID/oom_score_adj`.
    pub oom_score_adj: i32,
    /// Who it is.
    pub credentials: Credentials,
    /// Resource limits: `RLIMIT_*`, soft, hard.
    pub limits: Vec<[u64; 3]>,
    /// Signal actions that are not the default.
    pub actions: Vec<Action>,
    /// Signals pending for the process: `siginfo_t`.
    pub pending: Vec<Bytes>,
    /// `ITIMER_REAL`, `ITIMER_VIRTUAL`, `ITIMER_PROF`: seconds and microseconds of the period, and until it expires.
    pub interval_timers: [[i64; 4]; 3],
    /// POSIX timers.
    pub posix_timers: Vec<PosixTimer>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// User and group ids, capabilities.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Real, effective, saved, file-system.
    pub uids: [u32; 4],
    /// Real, effective, saved, file-system.
    pub gids: [u32; 4],
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The capability sets: inheritable, permitted, effective, bounding, ambient.
    pub capabilities: [Hex; 5],
    /// `PR_GET_SECUREBITS`.
    pub securebits: u32,
}

/// A signal's action (`sigaction(2)`).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The signal.
    pub signal: u32,
    /// The handler, or 1 where it is ignored.
    pub handler: Hex,
    /// `SA_*`.
    pub flags: Hex,
    /// What the handler returns to.
    pub restorer: Hex,
    /// Signals blocked meanwhile.
    pub mask: Hex,
}

/// A POSIX timer (`timer_create(2)`).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PosixTimer {
    /// Its id.
    pub id: i32,
    /// Its clock.
    pub clock: i32,
    /// The signal.
    pub signal: i32,
    /// `sigev_value`.
    pub value: Hex,
    /// `sigev_notify`.
    pub notify: i32,
    /// The thread that is notified, or 0.
    pub thread: i32,
    /// Period, and time until it expires: seconds and nanoseconds.
    pub setting: [i64; 4],
}

/// A thread.
#[non_exhaustive]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// Its id.
    pub tid: i32,
    /// `/proc/PID/task/TID/comm`.
    pub name: String,
    /// The number of the system call that it was stopped in, and makes again.
    pub system_call: Option<u64>,
    /// General registers.
    pub registers: Registers,
    /// The XSAVE area, as a signal frame holds it.
    pub extended: Bytes,
    /// Blocked signals.
    pub mask: Hex,
    /// Signals pending for it alone: `siginfo_t`.
    pub pending: Vec<Bytes>,
    /// `get_robust_list(2)`: head and length.
    pub robust_list: [Hex; 2],
    /// The word that is cleared when it ends.
    pub clear_child_tid: Hex,
    /// `rseq(2)`: address, length, signature; the address is 0 where there is none.
    pub rseq: [Hex; 3],
    /// `sigaltstack(2)`: address, flags, size.
    pub alternate_stack: [Hex; 3],
    /// `sched_getaffinity(2)`.
    pub affinity: Bytes,
    /// `sched_getattr(2)`: policy, flags, priority.
    pub scheduling: [u64; 3],
    /// The nice value.
    pub nice: i32,
    /// `ioprio_get(2)`.
    pub io_priority: u32,
    /// Nanoseconds.
    pub timer_slack: u64,
}

/// General registers of x86-64, as they will be.
#[expect(missing_docs, reason = "the processor's names")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registers {
    pub rip: Hex,
    pub rsp: Hex,
    pub eflags: Hex,
    pub rax: Hex,
    pub rbx: Hex,
    pub rcx: Hex,
    pub rdx: Hex,
    pub rsi: Hex,
    pub rdi: Hex,
    pub rbp: Hex,
    pub r8: Hex,
    pub r9: Hex,
    pub r10: Hex,
    pub r11: Hex,
    pub r12: Hex,
    pub r13: Hex,
    pub r14: Hex,
    pub r15: Hex,
    pub cs: Hex,
    pub ss: Hex,
    pub fs_base: Hex,
    pub gs_base: Hex,
}

/// An address space.
#[non_exhaustive]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// What the kernel notes of it (`struct prctl_mm_map`): code, data, heap, stack, arguments, environment, in its order.
    pub notes: [Hex; 11],
    /// `/proc/PID/auxv`.
    pub auxiliary_vector: Bytes,
    /// A `syscall; ret` of the program's and its `rt_sigreturn`.
    pub way_back: [Hex; 2],
    /// Its areas, sorted by address.
    pub areas: Vec<Area>,
}

/// A range of addresses.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// The first address.
    pub start: Hex,
    /// The address behind it.
    pub end: Hex,
    /// `rwx`, each `-` where it is not permitted.
    pub permissions: String,
    /// What lies there.
    pub kind: Kind,
    /// `VmFlags` of `/proc/PID/smaps` that are to be restored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Pages whose contents are in `pages`, in this order: address and how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<(Hex, u64)>,
}

/// What an area is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// Memory of its own.
    Anonymous,
    /// The main stack.
    Stack,
    /// A file.
    File {
        /// An index into `mapped`.
        file: usize,
        /// Where in the file it begins, in bytes.
        offset: Hex,
        /// Whether it is `MAP_SHARED`.
        shared: bool,
    },
    /// What the kernel maps into every process, by its name in `/proc/PID/maps`.
    Kernel(String),
}

/// The areas that the kernel maps into every process.
pub(crate) const KERNEL_AREAS: [&str; 3] = ["[vdso]", "[vvar]", "[vvar_vclock]"];

/// A mapped file.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappedFile {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last modified: seconds and nanoseconds.
    pub modified: [i64; 2],
    /// Its checksum; none where it is written through a mapping or very large, and the time counts.
    pub checksum: Option<Hex>,
    /// Whether a mapping of it may be written through.
    pub writable: bool,
}

/// An open file description: what descriptors that were duplicated share.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OpenFile {
    /// A file, a directory or a device that is opened again.
    Path {
        /// Its path.
        path: String,
        /// `O_*` flags, as in `/proc/PID/fdinfo`.
        flags: u32,
        /// The position.
        position: u64,
        /// Size and time of modification of a regular file: bytes, seconds, nanoseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        regular: Option<[i64; 3]>,
        /// Locks on it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        locks: Vec<Lock>,
    },
    /// A standard stream that is no file: the one of `thaw` takes its place.
    Inherited {
        /// 0, 1 or 2.
        stream: i32,
    },
}

/// A lock on a file.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// `POSIX`, `FLOCK` or `OFDLCK`, as in `/proc/PID/fdinfo`.
    pub kind: String,
    /// Whether it excludes everyone.
    pub write: bool,
    /// The first byte.
    pub start: u64,
    /// The last byte; none up to the end of the file.
    pub end: Option<u64>,
}

/// A file descriptor.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// Its number.
    pub number: i32,
    /// An index into `files`.
    pub file: usize,
    /// `FD_CLOEXEC`.
    pub close_on_exec: bool,
}

/// What the file `pages` must be: the stored pages of all areas, one behind the other.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// Its size in bytes.
    pub size: u64,
    /// The bytes that each checksum is of; the last may be fewer.
    pub chunk: u64,
    /// XXH3 (64 bits) of each chunk.
    pub checksums: Vec<Hex>,
}
