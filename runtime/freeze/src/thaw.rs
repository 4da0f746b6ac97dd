//! Thawing: a copy of this process stages everything in a hole that both address spaces have, and enters the restorer there.
//!
//! The copy has the ids of the frozen process from its start. What fails while it stages is an error here, and the copy ends;
//! what fails in the restorer is told through a pipe, and the copy ends too. Nothing half-restored ever runs. If this process
//! is killed meanwhile, the copy dies with it (`PR_SET_PDEATHSIG`), until it is done.
//!
//! Whether the image may run here is found out while the copy stages: it enters the restorer only when told to.

mod attend;
mod check;
mod consistent;
mod descriptors;
mod layout;
mod plan;
mod stage;
mod told;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::path::Path;
use std::process::ExitStatus;

use zerocopy::FromBytes;

use crate::error::Error;
use crate::state::State;
use crate::{folder, proc, sys};
use layout::Layout;
use told::Told;

/// Whether a thaw could lay the image out in its memory, as far as can be known here; else the reasons.
pub(crate) fn fits(state: &State) -> Result<(), Vec<String>> {
    let own = proc::own_areas().map_err(|error| vec![error.to_string()])?;
    match Layout::of(state, &own) {
        Ok(_) => Ok(()),
        Err(Error::Foreign { reasons }) => {
            Err(reasons.into_iter().map(|reason| format!("could not be thawed: {reason}")).collect())
        }
        Err(error) => Err(vec![format!("could not be thawed: {error}")]),
    }
}

/// A process that has been thawed: a child of this one.
#[derive(Debug)]
pub struct Thawed {
    pid: i32,
    /// Signals that were pending for this process when the other one came to be, as a mask.
    held: u64,
}

impl Thawed {
    /// Its id, the one that it had.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits until it ends.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where somebody else has waited for it.
    pub fn wait(self) -> Result<ExitStatus, Error> {
        use std::os::unix::process::ExitStatusExt;
        let status = sys::wait_for(self.pid, 0).map_err(Error::io("wait for the thawed process"))?;
        Ok(ExitStatus::from_raw(status))
    }

    /// Waits until it ends, and passes on to it every signal that comes to this process meanwhile.
    ///
    /// What a terminal sends goes to the whole process group: it is passed on only where the thawed process belongs to another
    /// one, as it does when it leads its session. Where a terminal stops the thawed process (Ctrl-Z), this one stops too, and
    /// both go on with a SIGCONT to this one or to the group. What somebody else sends to the whole group comes twice.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn attend(self) -> Result<ExitStatus, Error> {
        attend::attend(self.pid, self.held)
    }
}

/// Thaws the process that was frozen to a folder: [`thaw_telling`] without anyone to tell.
///
/// # Errors
///
/// As [`thaw_telling`].
pub fn thaw(folder: &Path) -> Result<Thawed, Error> {
    thaw_telling(folder, &mut |_, _| ())
}

/// Thaws the process that was frozen to a folder. The image stays as it is.
///
/// `progress` is told how many bytes of memory have been filled in, of how many: in the copy of this process that becomes
/// the thawed one, so that nothing that it remembers is seen here.
///
/// Where SIGCHLD is ignored, it gets its default action: ends of children would not be heard of.
///
/// # Errors
///
/// [`Error::Damaged`] where a byte of the image is not what was written, or it is not consistent; [`Error::Foreign`] with every
/// reason why it cannot run here, among them that its ids are in use or the original still lives; [`Error::Threads`];
/// [`Error::Io`] where the image or `/proc` cannot be read, or there is no pipe to the copy; [`Error::Restore`] where the
/// kernel refused something, or the copy was killed. No process is left behind in any case.
pub fn thaw_telling(folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Thawed, Error> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let threads = proc::numbers(own, "task")?.len();
    if threads != 1 {
        return Err(Error::Threads { threads });
    }
    let state = folder::read(folder)?;
    consistent::consistent(folder, &state)?;
    let in_use = check::ids_in_use(&state);
    if !in_use.is_empty() {
        check::welcome(&state, in_use)?;
    }
    let layout = Layout::of(&state, &proc::own_areas()?)?;
    let (mut from_child, to_parent) = pipe()?;
    let (from_parent, mut to_child) = pipe()?;
    let pid = state.process.pid;
    // Asked here: a copy whose parent has died already would be told another one's.
    let parent = std::process::id();
    sys::keep_ends().map_err(Error::io("have ends kept (SIGCHLD)"))?;
    // No signal may come to the copy before it is the program.
    let mask = sys::block_signals().map_err(Error::io("block signals"))?;
    let held = sys::held_signals().map_err(Error::io("look at pending signals"))?;
    // SAFETY: this process has one thread, as counted above.
    let child = unsafe { sys::copy_process(pid) };
    if let Ok(None) = child {
        drop((from_child, to_child));
        let report = to_parent.into_raw_fd();
        let error = become_it(folder, &state, &layout, (parent, from_parent), report, progress);
        // SAFETY: the descriptor is open: `become_it` closes all but this one.
        let mut report = unsafe { File::from_raw_fd(told::last(report)) };
        let _ = report.write_all(&Told::of(&error).bytes());
        // SAFETY: ends this process; nothing of the parent's that it copied may be torn down.
        unsafe { libc::_exit(70) };
    }
    drop(to_parent);
    // The parent keeps its copy of the other end: what it says to a copy that has died is lost, and no SIGPIPE.
    let _open = from_parent;
    let outcome = match child {
        Ok(_) => lead(&state, &mut to_child, &mut from_child),
        Err(source) => Err(Error::Restore { what: format!("create a process with the id {pid}"), source }),
    };
    sys::set_signal_mask(mask).map_err(Error::io("let signals through again"))?;
    outcome.map(|()| Thawed { pid, held })
}

/// What the copy is told when it may enter the restorer.
const GO: [u8; 1] = [0];

/// Tells the copy what it cannot find out, tells it to go on if it may, and hears how it fared.
fn lead(state: &State, to_child: &mut File, from_child: &mut File) -> Result<(), Error> {
    let pid = state.process.pid;
    let failed = |error| {
        let _ = sys::kill(pid, libc::SIGKILL);
        let _ = sys::wait_for(pid, 0);
        error
    };
    let rseq = sys::rseq_of_child(pid).map_err(Error::io("ask for restartable sequences")).map_err(failed)?;
    let words: Vec<u8> = rseq.iter().flat_map(|word| word.to_ne_bytes()).collect();
    // If it has died, the answer says so.
    let _ = to_child.write_all(&words);
    check::welcome(state, Vec::new()).map_err(failed)?;
    let _ = to_child.write_all(&GO);
    let mut answer = Vec::new();
    from_child.read_to_end(&mut answer).map_err(Error::io("hear of the new process")).map_err(failed)?;
    match Told::read(&answer) {
        Some(Told::Done) => Ok(()),
        Some(told) => Err(failed(told.into_error())),
        None => {
            let _ = sys::kill(pid, libc::SIGKILL);
            let status = sys::wait_for(pid, 0).unwrap_or(0);
            let what = format!("it ended unheard with the status {status:#x}");
            Err(Error::Restore { what, source: std::io::ErrorKind::UnexpectedEof.into() })
        }
    }
}

/// Becomes the frozen process; returns only why it could not.
fn become_it(
    folder: &Path,
    state: &State,
    layout: &Layout,
    (parent, mut from_parent): (u32, File),
    report: i32,
    progress: &mut dyn FnMut(u64, u64),
) -> Error {
    let staged = (|| {
        plan::die_with_parent(parent)?;
        let mut words = [0_u8; 24];
        from_parent.read_exact(&mut words).map_err(Error::io("hear from the parent"))?;
        let rseq = <[u64; 3]>::read_from_bytes(&words).unwrap_or_default();
        plan::attributes(state)?;
        let restorer = stage::reserve(layout)?;
        let files = stage::memory(folder, state, layout, progress)?;
        from_parent.read_exact(&mut [0]).map_err(Error::io("hear from the parent"))?;
        drop(from_parent);
        let kept = descriptors::restore(state, files, report)?;
        plan::write(state, layout, rseq, &kept)?;
        Ok(restorer)
    })();
    match staged {
        // SAFETY: the plan lies where it is told, everything that it names is staged, all signals are blocked, and this
        // copy has one thread and exists to be replaced.
        Ok(restorer) => unsafe { restorer.enter(layout.plan) },
        Err(error) => error,
    }
}

fn pipe() -> Result<(File, File), Error> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two ints.
    let made = sys::check(libc::c_long::from(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }));
    made.map_err(Error::io("make a pipe"))?;
    let [read, write] = ends;
    // SAFETY: the descriptor is new and nobody else's.
    let read = unsafe { File::from_raw_fd(read) };
    // SAFETY: as above.
    let write = unsafe { File::from_raw_fd(write) };
    Ok((read, write))
}
