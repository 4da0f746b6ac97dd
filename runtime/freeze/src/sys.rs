//! The kernel interface that freezing and thawing want beyond the injector's: one function per request, nothing decided.

mod ends;

pub(crate) use ends::{ended, in_another_group, keep_ends, kill, open_process, wait_for, wait_for_end};

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{null_mut, without_provenance_mut};

use crate::numbers::{unsigned, word};

/// Turns an answer that says failure by -1 into a result.
pub(crate) fn check(result: libc::c_long) -> io::Result<u64> {
    u64::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The bytes of a kernel `siginfo_t`.
pub(crate) type SignalInformation = [u8; 128];

/// Signals pending for the process (`shared`) or for a thread that this thread traces and holds (`PTRACE_PEEKSIGINFO`).
pub(crate) fn pending(tid: i32, shared: bool) -> io::Result<Vec<SignalInformation>> {
    const BATCH: usize = 64;
    let mut found = Vec::new();
    loop {
        let mut batch: [SignalInformation; BATCH] = [[0; 128]; BATCH];
        let wanted = libc::ptrace_peeksiginfo_args {
            off: found.len() as u64,
            flags: u32::from(shared),
            nr: i32::try_from(BATCH).unwrap_or(0),
        };
        // SAFETY: the kernel reads one structure and writes at most 64 siginfo_t.
        let answer =
            unsafe { libc::ptrace(libc::PTRACE_PEEKSIGINFO, tid, &raw const wanted, batch.as_mut_ptr()) };
        let count = word(check(answer)?).min(BATCH);
        found.extend(batch.into_iter().take(count));
        if count < BATCH {
            return Ok(found);
        }
    }
}

/// Where a thread's `struct rseq` lies, its length and signature; zeros where it has none.
pub(crate) fn rseq(tid: i32) -> io::Result<[u64; 3]> {
    const PTRACE_GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;
    let mut configuration = [0_u64; 3];
    let size = without_provenance_mut::<libc::c_void>(size_of_val(&configuration));
    // SAFETY: the kernel writes at most as many bytes as the address says: address, then two 32-bit words, then two more.
    let answer =
        unsafe { libc::ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, size, configuration.as_mut_ptr()) };
    match check(answer) {
        Ok(_) => {
            let [address, sizes, _] = configuration;
            Ok([address, sizes & 0xffff_ffff, sizes >> 32])
        }
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok([0; 3]),
        Err(error) => Err(error),
    }
}

/// Seizes a thread, asks for its restartable sequences, and lets it go.
pub(crate) fn rseq_of_child(pid: i32) -> io::Result<[u64; 3]> {
    let request = |request| {
        // SAFETY: these requests take no address and a number or nothing in the data's place.
        check(unsafe { libc::ptrace(request, pid, null_mut::<libc::c_void>(), null_mut::<libc::c_void>()) })
    };
    request(libc::PTRACE_SEIZE)?;
    request(libc::PTRACE_INTERRUPT)?;
    let mut status = 0;
    // SAFETY: the kernel writes one int.
    check(libc::c_long::from(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }))?;
    let found = rseq(pid);
    request(libc::PTRACE_DETACH)?;
    found
}

/// The head of a thread's robust list and its length.
pub(crate) fn robust_list(tid: i32) -> io::Result<[u64; 2]> {
    let (mut head, mut len) = (0_u64, 0_u64);
    // SAFETY: the kernel writes one word to each.
    check(unsafe { libc::syscall(libc::SYS_get_robust_list, tid, &raw mut head, &raw mut len) })?;
    Ok([head, len])
}

/// What two threads may share (`kcmp(2)`).
#[derive(Clone, Copy)]
pub(crate) enum Shared {
    File = 0,
    Files = 2,
    FileSystem = 3,
}

/// Whether two threads share something; the last two are descriptors for [`Shared::File`].
pub(crate) fn share(one: i32, other: i32, what: Shared, first: i32, second: i32) -> io::Result<bool> {
    // SAFETY: takes five numbers.
    check(unsafe { libc::syscall(libc::SYS_kcmp, one, other, what as i32, first, second) })
        .map(|order| order == 0)
}

/// A copy of another process's descriptor: the same open file (`pidfd_getfd(2)`).
pub(crate) fn copy_descriptor(process: &OwnedFd, number: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes three numbers.
    let answer = check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })?;
    let descriptor = RawFd::try_from(answer).map_err(io::Error::other)?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Whether an open file signals somebody (`F_SETOWN`, `F_SETSIG`, `F_NOTIFY`); one that is only a path never does.
pub(crate) fn signals(file: &OwnedFd) -> bool {
    const F_GETSIG: i32 = 11;
    const F_GETOWN_EX: i32 = 16;
    let mut owner = [0_i32; 2];
    // SAFETY: the kernel writes two ints.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), F_GETOWN_EX, owner.as_mut_ptr()) };
    // SAFETY: takes numbers.
    let signal = unsafe { libc::fcntl(file.as_raw_fd(), F_GETSIG) };
    asked == 0 && owner[1] != 0 || signal > 0
}

/// The kind of file system that an open file lies on: its magic number.
pub(crate) fn file_system(file: &OwnedFd) -> io::Result<i64> {
    // SAFETY: the structure is plain numbers, for which zeros are a value.
    let mut answer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one structure.
    check(libc::c_long::from(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut answer) }))?;
    Ok(answer.f_type)
}

/// The processors that a thread may run on.
pub(crate) fn affinity(tid: i32) -> io::Result<Vec<u8>> {
    let mut set = vec![0_u8; 8192];
    // SAFETY: the kernel writes at most that many bytes and says how many.
    let len = check(unsafe { libc::syscall(libc::SYS_sched_getaffinity, tid, set.len(), set.as_mut_ptr()) })?;
    set.truncate(word(len));
    Ok(set)
}

/// Lets a thread (0: the calling one) run wherever the set allows, and nowhere else.
pub(crate) fn set_affinity(tid: i32, set: &[u8]) -> io::Result<()> {
    // SAFETY: the kernel reads that many bytes.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, tid, set.len(), set.as_ptr()) }).map(drop)
}

/// A set of processors without the one that the calling thread runs on.
pub(crate) fn others(set: &[u8]) -> Vec<u8> {
    // SAFETY: takes nothing.
    let here = usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0);
    let mut others = set.to_vec();
    if let Some(byte) = others.get_mut(here / 8) {
        *byte &= !(1 << (here % 8));
    }
    others
}

/// The kernel's `struct sched_attr` up to `sched_period`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Scheduling {
    pub(crate) size: u32,
    pub(crate) policy: u32,
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    pub(crate) deadline: [u64; 3],
}

/// How a thread is scheduled.
pub(crate) fn scheduling(tid: i32) -> io::Result<Scheduling> {
    let mut attributes = Scheduling::default();
    let size = size_of::<Scheduling>();
    // SAFETY: the kernel writes at most `size` bytes.
    check(unsafe { libc::syscall(libc::SYS_sched_getattr, tid, &raw mut attributes, size, 0) })?;
    Ok(attributes)
}

/// A thread's priority for its disk.
pub(crate) fn io_priority(tid: i32) -> io::Result<u32> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    // SAFETY: takes two numbers.
    let answer = check(unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid) })?;
    Ok(u32::try_from(answer).unwrap_or(0))
}

/// Reads ranges of a process's memory, one behind the other, into a buffer (`process_vm_readv(2)`); returns how many bytes.
pub(crate) fn read_memory(pid: i32, ranges: &[(u64, usize)], buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote: Vec<libc::iovec> = ranges
        .iter()
        .map(|(address, len)| libc::iovec { iov_base: without_provenance_mut(word(*address)), iov_len: *len })
        .collect();
    // SAFETY: the kernel writes at most the buffer's length to it; the remote ranges are numbers to us.
    let answer =
        unsafe { libc::process_vm_readv(pid, &raw const local, 1, remote.as_ptr(), remote.len() as u64, 0) };
    Ok(word(check(answer as libc::c_long)?))
}

/// One answer of [`scan_pages`]: the kernel's `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct PageRegion {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) categories: u64,
}

/// `PAGE_IS_FILE`: of a file or of shared memory.
const PAGE_IS_FILE: u64 = 1 << 2;
/// `PAGE_IS_PRESENT`.
const PAGE_IS_PRESENT: u64 = 1 << 3;
/// `PAGE_IS_SWAPPED`.
const PAGE_IS_SWAPPED: u64 = 1 << 4;
/// `PAGE_IS_PFNZERO`: the page of zeros that reading untouched memory maps.
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// `PAGE_IS_GUARD`: a guard page (`MADV_GUARD_INSTALL`), on kernels that have them.
const PAGE_IS_GUARD: u64 = 1 << 8;

/// Which pages are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Private pages with contents of their own.
    Contents,
    /// Guard pages.
    Guards,
}

/// Looks for pages in a range (`PAGEMAP_SCAN` on `/proc/PID/pagemap`). Returns how many regions there are, and where the
/// scan ended.
pub(crate) fn scan_pages(
    wanted: Wanted,
    pagemap: &std::fs::File,
    start: u64,
    end: u64,
    regions: &mut [PageRegion],
) -> io::Result<(usize, u64)> {
    /// The kernel's `struct pm_scan_arg` (`<linux/fs.h>`).
    #[repr(C)]
    #[derive(Default)]
    struct Arguments {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        regions: u64,
        regions_len: u64,
        max_pages: u64,
        inverted: u64,
        all_of: u64,
        any_of: u64,
        reported: u64,
    }
    /// `_IOWR('f', 16, struct pm_scan_arg)`.
    const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
    let (not, any_of) = match wanted {
        Wanted::Contents => (PAGE_IS_FILE | PAGE_IS_PFNZERO, PAGE_IS_PRESENT | PAGE_IS_SWAPPED),
        Wanted::Guards => (0, PAGE_IS_GUARD),
    };
    let mut arguments = Arguments {
        size: size_of::<Arguments>() as u64,
        start,
        end,
        regions: regions.as_mut_ptr().expose_provenance() as u64,
        regions_len: regions.len() as u64,
        inverted: not,
        all_of: not,
        any_of,
        reported: PAGE_IS_PRESENT,
        ..Arguments::default()
    };
    // SAFETY: the kernel reads and writes one structure of the size that it says, and at most `regions_len` regions.
    let answer = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arguments) };
    let found = word(check(libc::c_long::from(answer))?);
    Ok((found, arguments.walk_end))
}

/// Has the kernel begin to write a range of a file to its disk.
pub(crate) fn begin_writing(file: &std::fs::File, offset: u64, len: u64) {
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else { return };
    // SAFETY: takes numbers. What it cannot begin, fsync does.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Blocks every signal for the calling thread, those of the C library too, and returns what was blocked.
pub(crate) fn block_signals() -> io::Result<u64> {
    set_signal_mask(u64::MAX)
}

/// Sets the calling thread's signal mask and returns what it was.
pub(crate) fn set_signal_mask(mask: u64) -> io::Result<u64> {
    let mut before = 0_u64;
    // SAFETY: the kernel reads one word and writes another.
    let answer = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut before, 8)
    };
    check(answer)?;
    Ok(before)
}

/// The signals that are blocked and have come, as a mask.
pub(crate) fn held_signals() -> io::Result<u64> {
    let mut held = 0_u64;
    // SAFETY: the kernel writes one word.
    check(unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut held, 8) })?;
    Ok(held)
}

/// Takes a signal that is blocked and comes: its number and `si_code`.
pub(crate) fn take_signal() -> io::Result<(i32, i32)> {
    let mask = u64::MAX;
    let mut information: SignalInformation = [0; 128];
    // SAFETY: the kernel reads one word and writes one siginfo_t.
    let answer =
        unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const mask, information.as_mut_ptr(), 0, 8) };
    let signal = i32::try_from(check(answer)?).unwrap_or(0);
    let code =
        information.get(8..).and_then(|rest| rest.first_chunk()).map_or(0, |code| i32::from_ne_bytes(*code));
    Ok((signal, code))
}

/// Copies the calling process as one with the id `pid` (`clone3(2)` with `set_tid`): the child's answer is `None`.
///
/// # Safety
///
/// The calling process has one thread: any lock that another one held would never be released in the copy.
pub(crate) unsafe fn copy_process(pid: i32) -> io::Result<Option<i32>> {
    let mut arguments = [0_u64; 11];
    let [_, _, _, _, exit_signal, _, _, _, set_tid, set_tid_size, _] = &mut arguments;
    *exit_signal = unsigned(libc::SIGCHLD);
    *set_tid = (&raw const pid).expose_provenance() as u64;
    *set_tid_size = 1;
    // SAFETY: without CLONE_VM the child has its own copy of everything, this stack too; the kernel reads one
    // structure and one int.
    let answer = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    let child = check(answer)?;
    Ok(i32::try_from(child).ok().filter(|child| *child != 0))
}

/// Where `si_signo` and what follows it lies; the C library's structure is the kernel's.
const _: () =
    assert!(offset_of!(libc::siginfo_t, si_signo) == 0 && offset_of!(libc::siginfo_t, si_code) == 8);
