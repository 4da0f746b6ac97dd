//! What `/proc` says of a process: its state, its signals, its threads.
//!
//! Read by hand, not by a library: `status` is read while the victim is stopped, into a buffer that is
//! there already, and only a few of its fields are looked at.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io;
use std::os::unix::fs::FileExt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::Error;
use crate::{policy, sys};

/// Waits until a process has the memory that it will run with.
///
/// The child of `vfork` runs in its parent's memory, and is called spawned a moment before `execve` gives it its own;
/// `execve` replaces the memory first and maps the program after that. A host that has just spawned its victim can
/// come into either gap. The auxiliary vector is the last thing that `execve` writes.
///
/// A child of a child of this process can be in this process's memory as well, whoever its parent is by now: stopped, it
/// would have this process's own code changed under it.
pub(crate) fn wait_until_loaded(pid: i32, parent: i32, limit: Duration) -> Result<(), Error> {
    let path = format!("/proc/{pid}/auxv");
    let own = i32::try_from(std::process::id()).unwrap_or(parent);
    let begin = Instant::now();
    loop {
        let shared = [parent, own].into_iter().find(|other| sys::share_memory(pid, *other));
        // Empty: it has no memory any more, and there is nothing to wait for.
        if shared.is_none() && read(&path, pid)?.first_chunk::<8>() != Some(&[0; 8]) {
            return Ok(());
        }
        if begin.elapsed() > limit {
            return Err(match shared {
                Some(parent) => Error::SharesMemory { pid, parent },
                None => Error::DidNotStop { tid: pid, waited: limit },
            });
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// The few fields of `/proc/PID/status` that an injection asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The letter of `State`.
    pub(crate) state: u8,
    pub(crate) process: i32,
    /// The ids of process and thread in the pid namespace that they live in.
    pub(crate) inner_process: i32,
    pub(crate) inner_thread: i32,
    pub(crate) parent: i32,
    pub(crate) tracer: i32,
    pub(crate) threads: usize,
    /// Whether it is a thread of the kernel's, where the kernel says so here (Linux 6.8).
    pub(crate) kernel_thread: Option<bool>,
    /// Signals pending for the thread or the process; bit 0 is signal 1.
    pub(crate) pending: u64,
    pub(crate) ignored: u64,
    pub(crate) caught: u64,
    pub(crate) blocked: u64,
    pub(crate) seccomp: u32,
    pub(crate) shadow_stack: bool,
    /// How often the thread has given its processor up by itself.
    pub(crate) switches: Option<u64>,
    /// Whether it has memory of its own.
    pub(crate) memory: bool,
}

impl Status {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut status = Self::default();
        let mut thread = 0;
        for line in text.split(|byte| *byte == b'\n') {
            // Compared as bytes: this runs while the victim is stopped.
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (field, value) = line.split_at(colon);
            let value = || std::str::from_utf8(value.get(1..)?).ok().map(str::trim);
            let number = || value()?.parse::<i32>().ok();
            let innermost = || value()?.split_ascii_whitespace().next_back()?.parse::<i32>().ok();
            let mask = || u64::from_str_radix(value()?, 16).ok();
            match field {
                b"State" => status.state = *value()?.as_bytes().first()?,
                b"Tgid" => status.process = number()?,
                b"Pid" => thread = number()?,
                b"NStgid" => status.inner_process = innermost()?,
                b"NSpid" => status.inner_thread = innermost()?,
                b"PPid" => status.parent = number()?,
                b"TracerPid" => status.tracer = number()?,
                b"Threads" => status.threads = usize::try_from(number()?).ok()?,
                b"Kthread" => status.kernel_thread = Some(number()? == 1),
                b"VmSize" => status.memory = true,
                b"SigPnd" | b"ShdPnd" => status.pending |= mask()?,
                b"SigIgn" => status.ignored = mask()?,
                b"SigCgt" => status.caught = mask()?,
                b"SigBlk" => status.blocked = mask()?,
                b"Seccomp" => status.seccomp = number()?.unsigned_abs(),
                b"voluntary_ctxt_switches" => status.switches = value().and_then(|value| value.parse().ok()),
                b"x86_Thread_features" => status.shadow_stack = value()?.contains("shstk"),
                _ => {}
            }
        }
        // A kernel without pid namespaces has one number for each.
        if status.inner_thread == 0 {
            (status.inner_process, status.inner_thread) = (status.process, thread);
        }
        (status.process != 0).then_some(status)
    }

    /// Whether the thread has ended, or is ending and has given its memory up already: nothing can be asked of it any more.
    /// A thread of the kernel's looks the same.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X') || !self.memory
    }
}

/// `/proc/PID/status`, kept open so that it can be read again in one call.
#[derive(Debug)]
pub(crate) struct StatusFile {
    path: String,
    file: File,
}

impl StatusFile {
    pub(crate) fn open(pid: i32) -> Result<Self, Error> {
        let path = format!("/proc/{pid}/status");
        sys::count();
        let file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => policy::not_shown(pid, source),
            _ => failed(&path, pid, source),
        })?;
        Ok(Self { path, file })
    }

    pub(crate) fn read(&self, pid: i32) -> Result<Status, Error> {
        // The longest lines are the groups (up to 65,536 of them) and the processors and memory nodes allowed; what is
        // wanted here would lie behind them, so the buffer grows until the whole file fits.
        let mut buffer = vec![0; 4096];
        loop {
            sys::count();
            let len = self.file.read_at(&mut buffer, 0).map_err(|source| failed(&self.path, pid, source))?;
            if len < buffer.len() {
                let text = buffer.get(..len).unwrap_or_default();
                return Status::parse(text).ok_or_else(|| malformed(self.path.clone()));
            }
            buffer.resize(buffer.len() * 4, 0);
        }
    }
}

/// Whether a process is a child of this one: its end is then this program's own to take, wherever it waits for it.
pub(crate) fn is_own_child(tid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<i32>().ok());
    field("PPid:") == i32::try_from(std::process::id()).ok() && field("Tgid:") == Some(tid)
}

/// The ids of all threads of a process.
pub(crate) fn threads(pid: i32) -> Result<Vec<i32>, Error> {
    let path = format!("/proc/{pid}/task");
    // open, two reads and a close, whatever the standard library makes of them.
    (0..4).for_each(|_| sys::count());
    let entries = std::fs::read_dir(&path).map_err(|source| failed(&path, pid, source))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// Whether a thread has ended, or is a zombie until the others of its process have.
pub(crate) fn has_ended(tid: i32) -> bool {
    stat_field(tid, 3).is_none_or(|state: char| matches!(state, 'Z' | 'X'))
}

/// The thread that traces a thread.
pub(crate) fn tracer_of(tid: i32) -> Option<i32> {
    Some(StatusFile::open(tid).ok()?.read(tid).ok()?.tracer)
}

/// Whether the first thread of a process has ended while another goes on.
pub(crate) fn first_has_ended_alone(pid: i32) -> bool {
    let another_lives =
        || threads(pid).is_ok_and(|tids| tids.into_iter().any(|tid| tid != pid && !has_ended(tid)));
    has_ended(pid) && another_lives()
}

/// `/proc/PID/personality`, kept open.
#[derive(Debug)]
pub(crate) struct Personality(Option<File>);

impl Personality {
    /// One that says nothing where the kernel does not.
    pub(crate) fn open(tid: i32) -> Self {
        sys::count();
        Self(File::open(format!("/proc/{tid}/personality")).ok())
    }

    /// Whether readable pages that are mapped become executable.
    pub(crate) fn read_implies_exec(&self) -> bool {
        const READ_IMPLIES_EXEC: u64 = 0x0040_0000;
        let mut buffer = [0; 16];
        sys::count();
        let len = self.0.as_ref().and_then(|file| file.read_at(&mut buffer, 0).ok()).unwrap_or(0);
        let text = buffer.get(..len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        u64::from_str_radix(text.trim(), 16).is_ok_and(|personality| personality & READ_IMPLIES_EXEC != 0)
    }
}

/// The open descriptors of a process, each with a number that says what it refers to: the same number, the same link in
/// `/proc`. The links themselves may have thousands of bytes each.
pub(crate) fn descriptors(pid: i32) -> Result<BTreeMap<i32, u64>, Error> {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    const MOST: usize = 1 << 18;
    let path = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(&path).map_err(|source| failed(&path, pid, source))?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let Ok(entry) = entry else { continue };
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has been closed meanwhile leads nowhere.
        let Ok(link) = std::fs::read_link(entry.path()) else { continue };
        if found.len() >= MOST {
            return Err(Error::TooMuch { pid, what: "descriptors", limit: MOST as u64 });
        }
        found.insert(number, KEYS.hash_one(link));
    }
    Ok(found)
}

/// The signals that every thread of a process blocks; bit 0 is signal 1.
pub(crate) fn blocked_by_all(pid: i32) -> u64 {
    let threads = threads(pid).unwrap_or_default();
    let statuses = threads.into_iter().filter_map(|tid| StatusFile::open(tid).ok()?.read(tid).ok());
    statuses.fold(u64::MAX, |blocked, status| blocked & status.blocked)
}

/// How often a stopped thread has given its processor up by itself since it began; `None` where the kernel does not say.
pub(crate) fn voluntary_switches(tid: i32) -> Option<u64> {
    let text = read(&format!("/proc/{tid}/status"), tid).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
}

/// `/proc/PID/schedstat`, kept open: how often a thread has been given a processor.
#[derive(Debug)]
pub(crate) struct RunsFile(Option<File>);

impl RunsFile {
    /// One that says nothing where the kernel does not count.
    pub(crate) fn open(tid: i32) -> Self {
        sys::count();
        Self(File::open(format!("/proc/{tid}/schedstat")).ok())
    }

    pub(crate) fn read(&self) -> Option<u64> {
        let mut buffer = [0; 80];
        sys::count();
        let len = self.0.as_ref()?.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(buffer.get(..len)?).ok()?;
        text.split_ascii_whitespace().nth(2)?.parse().ok().filter(|runs| *runs > 0)
    }
}

/// A field of `/proc/TID/stat` by its number in proc(5), from 3 on.
pub(crate) fn stat_field<T: FromStr>(tid: i32, number: usize) -> Option<T> {
    let text = read(&format!("/proc/{tid}/stat"), tid).ok()?;
    field_of_stat(&String::from_utf8_lossy(&text), number)?.parse().ok()
}

/// The name in parentheses may hold anything; behind it field 3 is the first.
fn field_of_stat(text: &str, number: usize) -> Option<&str> {
    text.rsplit_once(')')?.1.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

/// The flags of a thread (`PF_*` of `<linux/sched.h>`).
fn flags(tid: i32) -> Option<u64> {
    stat_field(tid, 9)
}

/// Whether a thread is one of the kernel's own, which has no memory of a process's.
pub(crate) fn is_kernel_thread(tid: i32) -> bool {
    const PF_KTHREAD: u64 = 0x0020_0000;
    flags(tid).is_some_and(|flags| flags & PF_KTHREAD != 0)
}

/// Whether a thread of a process is a worker that the kernel runs in its name: `io_uring`'s and `vhost`'s are listed among
/// its threads. It never runs code of the process's, has no registers of its own and no way back to give it.
pub(crate) fn is_worker(tid: i32) -> bool {
    const PF_IO_WORKER: u64 = 0x10;
    const PF_USER_WORKER: u64 = 0x4000;
    // Nearly every other thread has a list of robust locks, which is asked for ten times as fast.
    if sys::has_robust_list(tid) {
        return false;
    }
    flags(tid).is_some_and(|flags| flags & (PF_IO_WORKER | PF_USER_WORKER) != 0)
}

/// The processor that a thread ran on last, unless it has a real-time priority.
pub(crate) fn processor(pid: i32) -> Option<usize> {
    let text = read(&format!("/proc/{pid}/stat"), pid).ok()?;
    let text = String::from_utf8_lossy(&text);
    // Its real-time priority.
    (field_of_stat(&text, 40) == Some("0")).then(|| field_of_stat(&text, 39)?.parse().ok())?
}

pub(crate) fn read(path: &str, pid: i32) -> Result<Vec<u8>, Error> {
    // open, reads until the end and a close: at least four.
    (0..4).for_each(|_| sys::count());
    std::fs::read(path).map_err(|source| failed(path, pid, source))
}

pub(crate) fn failed(path: &str, pid: i32, source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => Error::NoSuchProcess { pid },
        Some(libc::EACCES | libc::EPERM) => policy::not_permitted(pid, "read /proc", source),
        _ => Error::Proc { path: path.to_owned(), source },
    }
}

pub(crate) fn malformed(path: String) -> Error {
    let source = io::Error::new(io::ErrorKind::InvalidData, "not what this version of the crate understands");
    Error::Proc { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_status_is_understood() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let status = StatusFile::open(pid).unwrap().read(pid).unwrap();
        assert_eq!(status.process, pid);
        assert!(status.memory && status.kernel_thread != Some(true) && status.threads >= 1);
        assert_ne!(status.caught & (1 << (libc::SIGSEGV - 1)), 0, "the standard library catches SIGSEGV");
    }

    #[test]
    fn a_status_that_lies_is_refused() {
        assert_eq!(Status::parse(b""), None);
        assert_eq!(Status::parse(b"Tgid:\tx\n"), None);
        assert_eq!(Status::parse(b"Tgid:\t1\nSigPnd:\tzz\n"), None);
    }

    #[test]
    fn processors_are_those_of_the_kernel() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let cpu = processor(pid).unwrap();
        assert!(cpu < 4096);
    }

    /// A ring whose queue the kernel looks after has a thread of its own from its start on.
    #[test]
    fn a_worker_of_a_ring_is_one_and_other_threads_are_none() {
        const SQPOLL: u32 = 1 << 1;
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(!is_worker(sys::gettid()) && !is_worker(pid) && !is_kernel_thread(pid));
        // `struct io_uring_params`: the flags are its third number.
        let mut parameters = [0_u32; 30];
        parameters[2] = SQPOLL;
        // SAFETY: the kernel reads and writes one structure of 120 bytes.
        let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) };
        let Ok(ring @ 0..) = i32::try_from(ring) else { return println!("no rings here") };
        let named = |tid: &i32| {
            let name = std::fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
            name.starts_with("iou-sqp")
        };
        // It gives itself its name when it first runs.
        let begin = Instant::now();
        let tid = loop {
            match threads(pid).unwrap().into_iter().find(named) {
                Some(tid) => break tid,
                None => assert!(begin.elapsed() < Duration::from_secs(10), "no thread for the ring"),
            }
        };
        assert!(is_worker(tid) && !is_kernel_thread(tid));
        // SAFETY: it was made here, and nobody else knows it.
        assert_eq!(unsafe { libc::close(ring) }, 0);
    }

    #[test]
    fn fields_behind_a_name_that_lies() {
        assert_eq!(field_of_stat("7 (a) b) S 1 7 7 0 -1 4194560 1", 3), Some("S"));
        assert_eq!(field_of_stat("7 (a) b) S 1 7 7 0 -1 4194560 1", 9), Some("4194560"));
        assert_eq!(field_of_stat("7 (a) S", 9), None);
        assert_eq!(field_of_stat("", 3), None);
    }
}
