//! What is printed, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::cycle::{Measured, Spread};
use crate::seen::Seen;
use crate::victim::Account;

/// What `spy` found.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Report {
    Seen(Box<Seen>),
    Measured(Box<Measured>),
}

impl Report {
    /// Adds what a victim of our own says of itself.
    pub(crate) fn add_own_account(&mut self, account: Account) {
        let (unharmed, own) = match self {
            Self::Seen(seen) => (&mut seen.unharmed, &mut seen.own_account),
            Self::Measured(measured) => (&mut measured.unharmed, &mut measured.own_account),
        };
        *unharmed &= account.damaged == 0 && account.rounds > 0;
        *own = Some(account);
    }

    pub(crate) fn unharmed(&self) -> bool {
        match self {
            Self::Seen(seen) => seen.unharmed,
            Self::Measured(measured) => measured.unharmed,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = match self {
            Self::Seen(seen) => {
                write_seen(f, seen)?;
                &seen.own_account
            }
            Self::Measured(measured) => {
                write_measured(f, measured)?;
                &measured.own_account
            }
        };
        if let Some(account) = account {
            writeln!(
                f,
                "the victim's own account: {} rounds with {} loaded, {} damaged, largest gap {} us",
                account.rounds, account.registers, account.damaged, account.largest_gap_us
            )?;
        }
        writeln!(f, "{}", if self.unharmed() { "victim unharmed" } else { "VICTIM HARMED" })
    }
}

fn write_seen(f: &mut fmt::Formatter<'_>, seen: &Seen) -> fmt::Result {
    let (blob, process, identity) = (&seen.blob, &seen.process, &seen.credentials);
    writeln!(f, "process {}, from inside of thread {} ({} stopped):", seen.pid, seen.thread, seen.threads)?;
    writeln!(
        f,
        "  ids              pid {}, tid {}, group {}, session {}",
        process.pid, process.tid, process.process_group, process.session
    )?;
    writeln!(
        f,
        "  user, group      {:?}, {:?}, supplementary {:?}",
        identity.uids, identity.gids, identity.groups
    )?;
    writeln!(
        f,
        "  capabilities     effective {:#x}, permitted {:#x}, bounding {:#x}, securebits {:#x}",
        identity.capabilities_effective,
        identity.capabilities_permitted,
        identity.capabilities_bounding,
        identity.securebits
    )?;
    writeln!(
        f,
        "  flags            dumpable {}, no_new_privs {}, umask {:04o}, timer slack {} ns",
        process.dumpable, process.no_new_privs, process.umask, process.timer_slack_ns
    )?;
    writeln!(f, "  program break    {:#x}", process.program_break)?;
    match process.alternate_stack {
        Some((start, size)) => writeln!(f, "  alternate stack  {start:#x}, {size} bytes")?,
        None => writeln!(f, "  alternate stack  none")?,
    }
    writeln!(
        f,
        "  thread pointer   {:#x}, cleared at exit {:#x}",
        process.thread_pointer, process.clear_child_tid
    )?;
    for action in &seen.signal_actions {
        writeln!(f, "  signal {:<9} {}, flags {:#x}", action.signal, action.handler, action.flags)?;
    }
    for (name, timer) in ["real", "virtual", "profiling"].iter().zip(&seen.interval_timers) {
        if let Some(seconds) = timer {
            writeln!(f, "  {name} timer expires in {seconds:.3} s")?;
        }
    }
    if let Some(magic) = &seen.elf_magic {
        writeln!(f, "  program begins   {magic}")?;
    }
    writeln!(
        f,
        "blob {}: {} bytes, {} in memory, {} relocations, mapped at {:#x}",
        blob.name, blob.initialised_bytes, blob.bytes_in_memory, blob.relocations, blob.base
    )?;
    for (offset, size, permissions) in &blob.segments {
        writeln!(f, "  {offset:#8x} {size:>8} bytes  {permissions}")?;
    }
    for risk in &seen.crash_risks {
        writeln!(f, "not crash-safe: {risk}")?;
    }
    writeln!(f, "stopped for {:.0} us, six calls and two snapshots included", seen.victim_stopped_us)?;
    for difference in &seen.differences {
        writeln!(f, "CHANGED: {difference}")?;
    }
    if seen.differences.is_empty() {
        let shared =
            if seen.whole { ", dispositions, memory map, descriptors" } else { " (other threads ran)" };
        writeln!(
            f,
            "compared: registers, extended state, signal mask of each stopped thread{shared}: equal"
        )?;
    }
    Ok(())
}

fn write_measured(f: &mut fmt::Formatter<'_>, measured: &Measured) -> fmt::Result {
    writeln!(
        f,
        "{} cycles, {} thread(s) stopped, the last in thread {}",
        measured.cycles, measured.threads, measured.thread
    )?;
    writeln!(f, "{:<20} {:>9} {:>9} {:>9}", "", "median", "p90", "max")?;
    let mut row = |name: &str, spread: &Spread| {
        writeln!(f, "{name:<20} {:>9.1} {:>9.1} {:>9.1}", spread.median, spread.p90, spread.max)
    };
    row("victim stopped, us", &measured.victim_stopped_us)?;
    row("prepare, us", &measured.prepare_us)?;
    row("stop, us", &measured.stop_us)?;
    row("infect, us", &measured.infect_us)?;
    row("call, us", &measured.call_us)?;
    row("cure, us", &measured.cure_us)?;
    row("resume, us", &measured.resume_us)?;
    row("tracer calls", &measured.tracer_calls)
}
