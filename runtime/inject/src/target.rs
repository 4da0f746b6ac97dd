//! A process looked at, not yet touched: everything that can be done before it is stopped is done here.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pie_blob::{Blob, Loadable};

use crate::areas::{Area, MapsFile};
use crate::machine::{Gadgets, Machine, Native};
use crate::options::{MappingName, Options, Stop};
use crate::policy::{self, Vfork};
use crate::proc::{self, Personality, RunsFile, Status, StatusFile};
use crate::search::{self, Searched};
use crate::stack::Stack;
use crate::sys::cpu;
use crate::sys::memory::Memory;
use crate::{CrashRisk, Error, Victim, place, sys};

/// The kernel's page size on x86-64, and the same as a length.
pub(crate) const PAGE: u64 = 4096;
pub(crate) const PAGE_LEN: usize = 4096;

/// Pages behind the arguments in which signal frames can lie; they cost nothing until then.
pub(crate) const SPARE: u64 = 4 * PAGE;

/// How long a process may take to get out of a wait for its disk, and one that has just been started to be mapped.
const SETTLED_WITHIN: Duration = Duration::from_secs(1);

/// How long reading its code may take.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// A process that may be injected.
///
/// Opening reads `/proc` and touches nothing. One target serves any number of cycles: a profiler that asks the same
/// process again and again keeps it ([`Victim::release`] gives it back).
///
/// ```no_run
/// # static BLOB: pie_blob::Blob = pie_blob::__private::blob(pie_blob::__private::Parts {
/// #     name: "", id: 0, architecture: pie_blob::Architecture::X86_64, bytes: &[], relocs: &[], imports: &[], size: 0, align: 1,
/// #     segments: &[], exports: &[], stack: None, packed: false, base: None, narrow: None, done: None, panic: None });
/// use pie_blob_inject::Target;
///
/// let target = Target::open(4711)?.require_crash_safe();
/// let victim = target.prepare(&BLOB)?.seize()?;
/// let infected = victim.infect(&BLOB)?;
/// let victim = infected.cure()?;
/// let _target = victim.release()?;
/// # Ok::<(), pie_blob_inject::Error>(())
/// ```
#[derive(Debug)]
pub struct Target {
    pub(crate) pid: i32,
    pub(crate) memory: Memory,
    pub(crate) status: Arc<StatusFile>,
    pub(crate) runs: Arc<RunsFile>,
    pub(crate) personality: Personality,
    /// As they were when they were looked at last, while the process ran.
    pub(crate) areas: Vec<Area>,
    pub(crate) maps: MapsFile,
    /// Its main stack, where that can be looked at.
    pub(crate) stack: Option<Stack>,
    pub(crate) gadgets: Gadgets,
    pub(crate) options: Options,
    pub(crate) prepared: Option<Prepared>,
    /// The processor that this thread may run on, where it is only one: it cannot move to the victim's.
    pub(crate) only_processor: Option<usize>,
    /// Whether this process may put seccomp filters to sleep; assumed until the kernel says otherwise.
    pub(crate) suspends_filters: bool,
}

/// A blob as it will stand in this target.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Of the blob, and of what was supplied to it.
    pub(crate) id: u64,
    pub(crate) base: u64,
    /// Bytes mapped: the image, room for arguments behind it, and the spare pages.
    pub(crate) span: u64,
    /// Where the arguments go; the spare pages follow.
    pub(crate) arguments: Range<u64>,
    /// The image as far as it is not zero.
    pub(crate) image: Vec<u8>,
}

impl Target {
    /// Looks at the process `pid` and finds out whether it can be injected. What a host has left in it that died is
    /// [finished first](Self::heal).
    ///
    /// # Errors
    ///
    /// Typed by what stands in the way: no such process, not permitted (with the rule), already traced, zombie, kernel thread,
    /// this process itself, uninterruptible sleep, waiting in `vfork`, in the memory of its parent or of this process, a seccomp
    /// filter that this process cannot put to sleep, no system call instruction anywhere, code that cannot be read, more areas
    /// of memory than can be looked at; and a `/proc` that is another pid namespace's.
    pub fn open(pid: i32) -> Result<Self, Error> {
        Self::look(pid)?.healed().map(|(target, _)| target)
    }

    /// Looks at a process as it is.
    pub(crate) fn look(pid: i32) -> Result<Self, Error> {
        if pid <= 0 {
            return Err(Error::NoSuchProcess { pid });
        }
        policy::check_proc()?;
        let mut status_file = StatusFile::open(pid)?;
        let begin = Instant::now();
        let mut status = status_file.read(pid)?;
        if status.process != pid {
            // That is one of its threads, whose status would be its own.
            status_file = StatusFile::open(status.process)?;
            status = status_file.read(status.process)?;
        }
        let mut vfork = waiting(&status)?;
        while ((status.state == b'D' && status.memory) || vfork.is_some()) && begin.elapsed() < SETTLED_WITHIN
        {
            std::thread::sleep(Duration::from_micros(100));
            status = status_file.read(pid)?;
            vfork = waiting(&status)?;
        }
        let pid = status.process;
        if let Some(Vfork { tid, child }) = vfork {
            return Err(Error::WaitsInVfork { pid, tid, child });
        }
        Self::admit(pid, &status)?;
        let living = living_thread(pid, &status)?;
        proc::wait_until_loaded(living, status.parent, SETTLED_WITHIN)?;
        let memory = Memory::open(living).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::NoSuchProcess { pid },
            _ if source.raw_os_error() == Some(libc::ESRCH) => Error::NoSuchProcess { pid },
            _ => policy::not_permitted(pid, "open its memory", source),
        })?;
        let maps = MapsFile::open(living)?;
        Native::ask_once();
        let Searched { memory, areas, gadgets } = search::search(pid, living, memory, READ_WITHIN)?;
        if areas.is_empty() {
            // It has ended since, and has no memory any more.
            return Err(Error::NoSuchProcess { pid });
        }
        let stack = Stack::among(&areas, living);
        let Some(gadgets) = gadgets else {
            // What is ending has nothing to be read.
            let lives = status_file.read(pid).is_ok_and(|status| !status.has_ended());
            return Err(if lives { Error::NoSystemCall { pid } } else { Error::NoSuchProcess { pid } });
        };
        let options = Options {
            require_crash_safe: false,
            arguments: 64 * 1024,
            deadline: Duration::from_secs(5),
            stop_within: Duration::from_secs(5),
            mapping_name: MappingName::WhereSupported,
            stop: Stop::All,
        };
        Ok(Self {
            pid,
            memory,
            status: Arc::new(status_file),
            runs: Arc::new(RunsFile::open(pid)),
            personality: Personality::open(living),
            areas,
            maps,
            stack,
            gadgets,
            options,
            prepared: None,
            only_processor: cpu::only_one(),
            suspends_filters: true,
        })
    }

    /// What its status already forbids.
    fn admit(pid: i32, status: &Status) -> Result<(), Error> {
        if u32::try_from(pid) == Ok(std::process::id()) {
            return Err(Error::Oneself { pid });
        }
        if status.tracer != 0 && status.tracer != sys::gettid() {
            return Err(Error::AlreadyTraced { pid, tracer: status.tracer });
        }
        // What is ending has no memory either.
        if !status.memory && status.kernel_thread.unwrap_or_else(|| proc::is_kernel_thread(pid)) {
            return Err(Error::KernelThread { pid });
        }
        match status.state {
            // The first thread may have ended before the others.
            _ if status.has_ended() && status.threads <= 1 => Err(Error::Zombie { pid }),
            b'D' if status.memory => Err(Error::Uninterruptible { pid }),
            _ => policy::check_seccomp(pid, status.seccomp),
        }
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What is known before the stop to stand in the way of a victim that survives this process; the stack and the
    /// extended state are only known later.
    #[must_use]
    pub(crate) fn risks(&self, status: &Status) -> Vec<CrashRisk> {
        let mut risks = Vec::new();
        let mut add = |is, risk| {
            if is {
                risks.push(risk);
            }
        };
        add(status.seccomp != 0, CrashRisk::Seccomp);
        add(matches!(self.gadgets, Gadgets::CallOnly(_)), CrashRisk::NoWayBack);
        add(status.shadow_stack, CrashRisk::ShadowStack);
        add(self.options.mapping_name == MappingName::Required, CrashRisk::Descriptor);
        risks
    }

    /// Chooses a base for the blob and relocates it, so that nothing of that is left to do once the victim is stopped.
    ///
    /// Without it, [`Victim::infect`] does the same while the victim waits.
    ///
    /// # Errors
    ///
    /// [`Error::Unsuitable`] for a blob that cannot run in a victim, [`Error::NoRoom`], [`Error::Load`].
    pub fn prepare(mut self, blob: impl Loadable) -> Result<Self, Error> {
        self.prepare_in_place(&blob)?;
        Ok(self)
    }

    pub(crate) fn prepare_in_place(&mut self, loadable: &impl Loadable) -> Result<(), Error> {
        if self.prepared.as_ref().is_some_and(|prepared| prepared.id == loadable.__id()) {
            return Ok(());
        }
        let blob = loadable.__blob();
        suitable(blob)?;
        let reserved = self.options.arguments.div_ceil(PAGE).checked_mul(PAGE);
        let image = blob.size().div_ceil(PAGE).checked_mul(PAGE);
        let span =
            image.zip(reserved).and_then(|(image, reserved)| Some((image, image.checked_add(reserved)?)));
        let span = span.and_then(|(image, used)| Some((image, used, used.checked_add(SPARE)?)));
        let room = Error::NoRoom { pid: self.pid, size: blob.size() };
        let Some((image, used, span)) = span else { return Err(room) };
        let base = match blob.fixed_base() {
            Some(base) => base,
            None => place::choose(&self.areas, span, blob.align().max(PAGE)).ok_or(room)?,
        };
        let end = base.checked_add(span);
        let taken = |end| self.areas.iter().any(|area| area.range.start < end && base < area.range.end);
        if end.is_none_or(taken) {
            return Err(Error::NoRoom { pid: self.pid, size: blob.size() });
        }
        let mut bytes = match usize::try_from(blob.size()) {
            Ok(size) => vec![0; size],
            Err(_) => return Err(Error::NoRoom { pid: self.pid, size: blob.size() }),
        };
        loadable.__load(&mut bytes, base).map_err(|source| Error::Load { blob: blob.name(), source })?;
        bytes.truncate(blob.bytes().len());
        let arguments = base + image..base + used;
        self.prepared = Some(Prepared { id: loadable.__id(), base, span, arguments, image: bytes });
        Ok(())
    }

    /// Looks at the areas of the process as they are now, so that another base is chosen among them.
    pub(crate) fn look_at_areas_again(&mut self) -> Result<(), Error> {
        self.areas = self.maps.all()?;
        self.prepared = None;
        Ok(())
    }

    /// The processor that a thread ran on last, the first unless one is named.
    pub(crate) fn processor_of(&self, tid: Option<i32>) -> Option<usize> {
        proc::processor(tid.unwrap_or(self.pid))
    }

    /// Stops every thread of the process, or [the one](Self::stop) that was asked for.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::DidNotStop`]; with
    /// [`require_crash_safe`](Self::require_crash_safe) also [`Error::NotCrashSafe`]. Threads stopped so far go on.
    pub fn seize(self) -> Result<Victim, Error> {
        Victim::stop(self)
    }
}

/// A thread whose files in `/proc` serve for the process: those of the first are empty when it has ended before the others.
fn living_thread(pid: i32, status: &Status) -> Result<i32, Error> {
    if !status.has_ended() {
        return Ok(pid);
    }
    let lives = |tid: &i32| {
        let status = StatusFile::open(*tid).and_then(|file| file.read(*tid));
        status.is_ok_and(|status| !status.has_ended())
    };
    proc::threads(pid)?.into_iter().find(lives).ok_or(Error::Zombie { pid })
}

/// The thread that waits in `vfork`, if there is one; looked for where it can be.
fn waiting(status: &Status) -> Result<Option<Vfork>, Error> {
    if status.memory && (status.state == b'D' || status.threads > 1) {
        policy::waiting_in_vfork(status.process, status.threads)
    } else {
        Ok(None)
    }
}

/// Whether a blob has what running in a victim takes.
fn suitable(blob: &Blob) -> Result<(), Error> {
    let unsuitable = |reason| Err(Error::Unsuitable { blob: blob.name(), reason });
    if blob.architecture() != pie_blob::Architecture::X86_64 {
        return unsuitable("its code is for another instruction set: build it for x86_64");
    }
    if blob.is_packed() {
        return unsuitable(
            "it is packed: its pages would be writable and executable; build it without `packed`",
        );
    }
    if blob.__parts().done.is_none() {
        return unsuitable(
            "it has no entry that calls can be made through: use pie_blob_std with its feature `call`",
        );
    }
    if blob.stack().is_none_or(|stack| stack.is_empty()) {
        return unsuitable("it has no stack: build it with one");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its memory goes before the rest of it: closing many files takes a while.
    #[test]
    fn what_is_ending_is_no_kernel_thread() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        let ending = |kernel_thread| Status {
            state: b'R',
            process: parent,
            threads: 1,
            kernel_thread,
            ..Status::default()
        };
        for kernel_thread in [Some(false), None] {
            for state in [b'R', b'D', b'S', b'Z'] {
                let error = Target::admit(parent, &Status { state, ..ending(kernel_thread) }).unwrap_err();
                assert!(matches!(error, Error::Zombie { .. }), "{error}");
            }
        }
        let error = Target::admit(parent, &ending(Some(true))).unwrap_err();
        assert!(matches!(error, Error::KernelThread { .. }), "{error}");
        // Another of its threads may live.
        let status = Status { process: pid, threads: 2, state: b'R', ..Status::default() };
        assert_eq!(living_thread(pid, &status).unwrap(), pid);
    }
}
