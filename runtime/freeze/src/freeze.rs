//! Freezing: look, stop, ask and copy, make safe, and only then end.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use pie_blob_inject::{CrashRisk, Target, Victim, WayBack};
use pie_blob_parasite::parasite;

use crate::collect::{self, Answers};
use crate::error::{Error, Refusal};
use crate::folder::Draft;
use crate::hex::{Bytes, Hex};
use crate::inspect::{self, Fingerprints, Inspection};
use crate::late::Late;
use crate::proc::{self, Stat};
use crate::state::{Machine, MappedFile, Memory, OpenFile, Pages, State};
use crate::{files, folder, late, pages, sys, thaw};

/// How often the image of a process to which signals come and come is written anew.
const MOST_LATE: usize = 8;

/// What a caller may choose.
#[derive(Default)]
pub struct Options<'a> {
    leave_running: bool,
    progress: Option<&'a mut dyn FnMut(u64, u64)>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("leave_running", &self.leave_running).finish_non_exhaustive()
    }
}

impl<'a> Options<'a> {
    /// Ends the process when the image is safe, and tells nobody how far it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the process go on when it has been copied.
    #[must_use]
    pub fn leave_running(mut self, yes: bool) -> Self {
        self.leave_running = yes;
        self
    }

    /// Is told how many bytes have been copied, of how many.
    #[must_use]
    pub fn progress(mut self, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        self.progress = Some(progress);
        self
    }
}

/// What freezing took.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub struct Frozen {
    /// The process's id.
    pub pid: i32,
    /// Bytes of memory that were stored.
    pub bytes: u64,
    /// Threads.
    pub threads: usize,
    /// For how long the process stood still; until its end if it was ended.
    pub stopped: Duration,
}

/// Freezes the process `pid` (or the one that the thread `pid` belongs to) to a folder, which must not be there yet or be
/// empty.
///
/// It is ended when the image is safe on the disk, or goes on if that was asked for. Whatever fails before it is ended, it
/// goes on as if nothing had been; so it does if this process is killed before the image is complete. Signals that come
/// while it stands still are in the image, but for a SIGSTOP while it is being asked: that one ends with the process.
///
/// # Errors
///
/// [`Error::Unsupported`], before anything is touched with every reason that shows from outside; when it is stopped and has been
/// asked, with every reason that shows only then. [`Error::Exists`] and [`Error::Io`] for the folder; [`Error::Io`] where
/// `/proc`, memory or a file of the process's cannot be read or written to its disk; [`Error::Inject`] where it may not
/// be stopped or entered; [`Error::Answer`] where it cannot say of itself what it is asked.
///
/// An [`Error::Io`] that comes when the image is complete leaves it in its place: the folder around it could not be made safe,
/// late signals could not be added to it (the process goes on, and the image cannot be thawed while it does), or the process
/// has not ended within ten seconds.
pub fn freeze(pid: i32, folder: &Path, options: Options<'_>) -> Result<Frozen, Error> {
    let mut silent = |_, _| ();
    let progress = options.progress.unwrap_or(&mut silent);
    let mut fingerprints = Fingerprints::default();
    let pid = proc::process_of(pid);
    let (target, machine) = look(pid, &mut fingerprints)?;
    let Some(way_back) = target.way_back() else {
        let reason = "has no `syscall; ret` or no `rt_sigreturn` in its code to continue through: \
                      it is linked statically and handles no signal";
        return Err(Error::Unsupported {
            pid,
            refusals: vec![Refusal::Process { reason: reason.to_owned() }],
        });
    };
    let draft = Draft::new(folder)?;
    let pages_file = draft.create("pages")?;
    let pages_path = draft.path("pages").display().to_string();

    let target = target.arguments(512 * 1024).prepare(&parasite::BLOB)?;
    // Seizing moves this thread to the process's processor.
    let processors = sys::affinity(0).map_err(Error::io("ask for this thread's processors"))?;
    let victim = target.seize()?;
    let begin = victim.stopped_since();
    let mut inspection = inspect::inspect(pid, &mut fingerprints)?;
    let total = pages::find(pid, &mut inspection.areas)?;
    let to = pages::To { file: &pages_file, path: &pages_path, processors: &processors };
    let copy = pages::Copy::of(pid, &inspection.areas);
    let (stored, (victim, mut state)) = copy.write(&to, progress, || {
        let (victim, answers) = ask(victim, pid)?;
        let state = state(&victim, inspection, &answers, machine, way_back)?;
        late::refuse_stop(pid, &state)?;
        thaw::fits(&state).map_err(|reasons| Error::Unsupported {
            pid,
            refusals: reasons.into_iter().map(|reason| Refusal::Process { reason }).collect(),
        })?;
        sync_files(pid, &state)?;
        Ok((victim, state))
    })?;
    state.pages = stored;
    let threads = state.threads.len();
    let frozen = |stopped| Frozen { pid, bytes: total, threads, stopped };
    if options.leave_running {
        victim.release()?;
        let stopped = begin.elapsed();
        draft.finish(&state, &pages_file)?;
        return Ok(frozen(stopped));
    }
    if Late::add(&mut state)?.stop {
        return Err(late::stopped(pid));
    }
    draft.finish(&state, &pages_file)?;
    // The disk took its time. A stop that comes only now has the same effect as if it came to a dead process.
    for _ in 0..MOST_LATE {
        if !Late::add(&mut state)?.changed {
            break;
        }
        folder::rewrite(folder, &state)?;
    }
    end(victim, pid)?;
    Ok(frozen(begin.elapsed()))
}

/// Looks at a process that still runs, for whatever stands in the way, and at this machine.
fn look(pid: i32, fingerprints: &mut Fingerprints) -> Result<(Target, Machine), Error> {
    let mut look = || inspect::inspect(pid, fingerprints).map(drop);
    let (target, machine, seen) = std::thread::scope(|scope| {
        let seen = scope.spawn(&mut look);
        // If there is no such process, that is the reason.
        let target = Target::open(pid)?;
        let machine = Machine::here()?;
        Ok::<_, Error>((target, machine, seen.join()))
    })?;
    // One that had only just been started is loaded by now.
    if !matches!(seen, Ok(Ok(()))) {
        look()?;
    }
    Ok((target, machine))
}

/// Puts the parasite in, asks it, takes it out.
fn ask(victim: Victim, pid: i32) -> Result<(Victim, Answers), Error> {
    let threads = victim.threads().to_vec();
    let mut infected = victim.infect(&parasite::BLOB)?;
    // A quiet signal too many is all that some risk, and nothing that ends them; the rest is not taken.
    let risky = |risk: &&CrashRisk| **risk != CrashRisk::SignalsCaught;
    if let Some(risk) = infected.crash_risks().iter().find(risky) {
        let reason = format!("would not survive the death of this one: {risk}");
        return Err(Error::Unsupported { pid, refusals: vec![Refusal::Process { reason }] });
    }
    let answers = collect::ask(&mut infected, pid, &threads);
    // Cured whatever it said.
    let victim = infected.cure()?;
    let answers = answers?;
    let refusals = answers.refusals(&threads);
    if refusals.is_empty() { Ok((victim, answers)) } else { Err(Error::Unsupported { pid, refusals }) }
}

/// Puts everything together.
fn state(
    victim: &Victim,
    inspection: Inspection,
    answers: &Answers,
    machine: Machine,
    way_back: WayBack,
) -> Result<State, Error> {
    let pid = victim.pid();
    let Inspection { areas, mapped, executable, files, descriptors } = inspection;
    let mut threads = Vec::new();
    for (tid, said) in &answers.threads {
        threads.push(collect::thread(victim, pid, *tid, said)?);
    }
    let stat = Stat::of(pid)?;
    let of = |field| Hex(stat.number(field));
    // The order of the kernel's structure: code, data, heap, stack, arguments, environment.
    let program_break = Hex(answers.program_break());
    let notes =
        [of(26), of(27), of(45), of(46), of(47), program_break, of(28), of(48), of(49), of(50), of(51)];
    let way_back = [Hex(way_back.system_call), Hex(way_back.sigreturn)];
    let auxiliary_vector = Bytes(proc::bytes(pid, "auxv")?);
    Ok(State {
        machine,
        process: answers.process(pid, executable)?,
        threads,
        memory: Memory { notes, auxiliary_vector, way_back, areas },
        mapped,
        files,
        descriptors,
        pages: Pages::default(),
    })
}

/// What the process has written to its files is on the disk before the image is.
fn sync_files(pid: i32, state: &State) -> Result<(), Error> {
    for (at, file) in state.files.iter().enumerate() {
        let OpenFile::Path { path, flags, regular: Some(_), .. } = file else { continue };
        let Some(descriptor) = state.descriptors.iter().find(|descriptor| descriptor.file == at) else {
            continue;
        };
        if flags & libc::O_ACCMODE.unsigned_abs() != libc::O_RDONLY.unsigned_abs() {
            let file = std::fs::File::open(format!("/proc/{pid}/fd/{}", descriptor.number));
            file.and_then(|file| file.sync_all()).map_err(Error::io(format!("write {path} to its disk")))?;
        }
    }
    // What it has written to mapped memory too, whether a descriptor is still open or not.
    for MappedFile { path, .. } in state.mapped.iter().filter(|file| file.writable) {
        let file = files::regular(path, false);
        file.and_then(|file| file.sync_all()).map_err(Error::io(format!("write {path} to its disk")))?;
    }
    Ok(())
}

/// Ends the process and waits until it has ended.
fn end(victim: Victim, pid: i32) -> Result<(), Error> {
    const LONG: Duration = Duration::from_secs(10);
    const MOMENT: Duration = Duration::from_micros(50);
    let failed = || Error::io(format!("end process {pid}"));
    let begin = Instant::now();
    let late = || {
        if begin.elapsed() < LONG { Ok(()) } else { Err(failed()(io::ErrorKind::TimedOut.into())) }
    };
    let process = sys::open_process(pid).map_err(failed())?;
    sys::kill(pid, libc::SIGKILL).map_err(failed())?;
    // Its end is this tracer's to take first, and everyone else's afterwards; that of the first thread comes last.
    for tid in victim.threads().iter().copied().filter(|tid| *tid != pid) {
        // One that ended before has been taken already. One that waits for a disk may take its time.
        while let Ok(None) = sys::ended(tid, libc::__WALL) {
            late()?;
            std::thread::sleep(MOMENT);
        }
    }
    // Giving its memory back takes the kernel a while.
    sys::wait_for_end(&process, LONG.saturating_sub(begin.elapsed())).map_err(failed())?;
    drop(victim);
    while proc::read(pid, "stat").is_ok_and(|stat| {
        !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
    }) {
        late()?;
        std::thread::sleep(MOMENT * 4);
    }
    Ok(())
}
