//! One look into a process: everything the parasite can say, and a comparison of before and after.

use pie_blob_inject::{Infected, Stop, Target};
use pie_blob_parasite::{Credentials, IntervalTimer, Misc, SIGNALS, SignalAction, TIMERS, parasite};
use serde::Serialize;

use crate::Result;
use crate::cycle::micros;
use crate::victim::Account;

/// What one look found.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    pub(crate) pid: i32,
    /// How many threads were stopped.
    pub(crate) threads: usize,
    /// The one that ran the blob.
    pub(crate) thread: i32,
    pub(crate) blob: BlobLayout,
    pub(crate) process: Process,
    pub(crate) signal_actions: Vec<Action>,
    /// Seconds until `ITIMER_REAL`, `ITIMER_VIRTUAL` and `ITIMER_PROF` expire; none for one that does not run.
    pub(crate) interval_timers: Vec<Option<f64>>,
    pub(crate) credentials: Identity,
    /// The first bytes of the program as the process itself copied them.
    pub(crate) elf_magic: Option<String>,
    pub(crate) crash_risks: Vec<String>,
    pub(crate) victim_stopped_us: f64,
    /// Whether what threads share was compared: not while some of them ran.
    pub(crate) whole: bool,
    pub(crate) differences: Vec<String>,
    pub(crate) unharmed: bool,
    pub(crate) own_account: Option<Account>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BlobLayout {
    pub(crate) name: &'static str,
    pub(crate) initialised_bytes: usize,
    pub(crate) bytes_in_memory: u64,
    pub(crate) relocations: usize,
    pub(crate) base: u64,
    pub(crate) segments: Vec<(u64, u64, String)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) process_group: i32,
    pub(crate) session: i32,
    pub(crate) dumpable: i32,
    pub(crate) no_new_privs: i32,
    pub(crate) parent_death_signal: i32,
    pub(crate) umask: u32,
    pub(crate) timer_slack_ns: u64,
    pub(crate) program_break: u64,
    pub(crate) alternate_stack: Option<(u64, u64)>,
    pub(crate) thread_pointer: u64,
    pub(crate) clear_child_tid: u64,
}

/// A signal whose action is not the default.
#[derive(Debug, Serialize)]
pub(crate) struct Action {
    pub(crate) signal: usize,
    /// `ignored` or the handler's address.
    pub(crate) handler: String,
    pub(crate) flags: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Identity {
    pub(crate) uids: [u32; 4],
    pub(crate) gids: [u32; 4],
    pub(crate) groups: Vec<u32>,
    pub(crate) capabilities_effective: u64,
    pub(crate) capabilities_permitted: u64,
    pub(crate) capabilities_bounding: u64,
    pub(crate) securebits: u32,
}

/// Infects, asks, cures, compares.
pub(crate) fn look(pid: i32, stop: Stop) -> Result<Seen> {
    let victim = Target::open(pid)?.stop(stop).prepare(&parasite::BLOB)?.seize()?;
    let (stopped_since, threads) = (victim.stopped_since(), victim.threads().len());
    let before = victim.snapshot()?;
    let mut spy = victim.infect(&parasite::BLOB)?;
    let (base, thread) = (spy.base(), spy.thread());
    let crash_risks = spy.crash_risks().iter().map(ToString::to_string).collect();

    let mut misc = Misc::default();
    check("dump_misc", spy.call(parasite::DUMP_MISC, (&mut misc,))?)?;
    let mut actions = [SignalAction::default(); SIGNALS];
    check("dump_signals", spy.call(parasite::DUMP_SIGNALS, (&mut actions,))?)?;
    let mut timers = [IntervalTimer::default(); TIMERS];
    check("dump_timers", spy.call(parasite::DUMP_TIMERS, (&mut timers,))?)?;
    let credentials = identity(&mut spy)?;
    let elf_magic = elf_magic(&mut spy, pid)?;

    let victim = spy.cure()?;
    let after = victim.snapshot()?;
    victim.release()?;
    let released = std::time::Instant::now();
    // The victim need not wait for it.
    let differences: Vec<String> = before.differences(&after).iter().map(ToString::to_string).collect();
    Ok(Seen {
        pid,
        threads,
        thread,
        blob: layout(base),
        process: process(&misc),
        signal_actions: actions.iter().enumerate().filter_map(action).collect(),
        interval_timers: timers.iter().map(seconds).collect(),
        credentials,
        elf_magic,
        crash_risks,
        victim_stopped_us: micros(stopped_since, released),
        whole: before.is_whole() && after.is_whole(),
        unharmed: differences.is_empty(),
        differences,
        own_account: None,
    })
}

fn check(what: &str, answer: i32) -> Result<()> {
    if answer < 0 {
        return Err(format!("{what}: {}", std::io::Error::from_raw_os_error(-answer)).into());
    }
    Ok(())
}

fn identity(spy: &mut Infected) -> Result<Identity> {
    let mut credentials = Credentials::default();
    check("dump_credentials", spy.call(parasite::DUMP_CREDENTIALS, (&mut credentials,))?)?;
    let mut groups = vec![0; usize::try_from(credentials.groups)?];
    let capacity = groups.len();
    check("dump_groups", spy.call(parasite::DUMP_GROUPS, (&mut groups[..], capacity))?)?;
    Ok(Identity {
        uids: credentials.uids,
        gids: credentials.gids,
        groups,
        capabilities_effective: credentials.effective,
        capabilities_permitted: credentials.permitted,
        capabilities_bounding: credentials.bounding,
        securebits: credentials.securebits,
    })
}

/// The first bytes of the program, copied by the process itself.
fn elf_magic(spy: &mut Infected, pid: i32) -> Result<Option<String>> {
    let program = std::fs::read_link(format!("/proc/{pid}/exe"))?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let first = maps.lines().find(|line| line.ends_with(&*program.to_string_lossy()));
    let address = first.and_then(|line| u64::from_str_radix(line.split('-').next()?, 16).ok());
    let Some(address) = address else { return Ok(None) };
    let mut bytes = [0_u8; 4];
    let copied = spy.call(parasite::COPY_MEMORY, (&mut bytes, pie_blob::Remote::new(address), 4))?;
    Ok((copied == 4).then(|| bytes.escape_ascii().to_string()))
}

fn process(misc: &Misc) -> Process {
    const SS_DISABLE: u64 = 2;
    Process {
        pid: misc.pid,
        tid: misc.tid,
        process_group: misc.pgid,
        session: misc.sid,
        dumpable: misc.dumpable,
        no_new_privs: misc.no_new_privs,
        parent_death_signal: misc.parent_death_signal,
        umask: misc.umask,
        timer_slack_ns: misc.timer_slack,
        program_break: misc.program_break,
        alternate_stack: (misc.alternate_stack_flags & SS_DISABLE == 0)
            .then_some((misc.alternate_stack, misc.alternate_stack_size)),
        thread_pointer: misc.thread_pointer,
        clear_child_tid: misc.clear_child_tid,
    }
}

fn action((at, action): (usize, &SignalAction)) -> Option<Action> {
    let handler = match action.handler {
        0 => return None,
        1 => "ignored".to_owned(),
        address => format!("{address:#x}"),
    };
    Some(Action { signal: at + 1, handler, flags: action.flags })
}

fn seconds(timer: &IntervalTimer) -> Option<f64> {
    let runs = timer.value_seconds != 0 || timer.value_microseconds != 0;
    runs.then(|| timer.value_seconds as f64 + timer.value_microseconds as f64 / 1e6)
}

fn layout(base: u64) -> BlobLayout {
    let blob = &parasite::BLOB;
    let segment = |s: &pie_blob::Segment| (s.offset, s.size, s.permissions.to_string());
    BlobLayout {
        name: blob.name(),
        initialised_bytes: blob.bytes().len(),
        bytes_in_memory: blob.size(),
        relocations: blob.relocs().len(),
        base,
        segments: blob.segments().iter().map(segment).collect(),
    }
}
