//! An image in a few lines, for people.

use std::fmt::{self, Display, Formatter};

use crate::numbers::PAGE;
use crate::state::{Kind, OpenFile, State};

/// Displays text that others have written, a name or a path, without letting it speak to the terminal: what cannot be seen is
/// escaped.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '"' | '\'' | '\\' => write!(f, "{letter}"),
            _ => write!(f, "{}", letter.escape_debug()),
        })
    }
}

/// Displays an image: the process, its threads, areas, descriptors, timers.
#[derive(Clone, Copy, Debug)]
pub struct Show<'a>(pub &'a State);

impl Display for Show<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let state = self.0;
        let process = &state.process;
        let path = state.mapped.get(process.executable).map_or("", |file| file.path.as_str());
        writeln!(f, "process {}: {}", process.pid, Plain(path))?;
        let (directory, kernel) = (Plain(&process.directory), Plain(&state.machine.kernel));
        writeln!(f, "  in {directory}, frozen on Linux {kernel}")?;
        writeln!(f, "  {} bytes of memory stored", state.pages.size)?;
        writeln!(f, "threads")?;
        for thread in &state.threads {
            write!(f, "  {} {} at {}", thread.tid, Plain(&thread.name), thread.registers.rip)?;
            match thread.system_call {
                Some(call) => writeln!(f, " in system call {call}")?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "areas")?;
        for area in &state.memory.areas {
            let stored = area
                .stored
                .iter()
                .fold(0, |sum: u64, (_, pages)| sum.saturating_add(pages.saturating_mul(PAGE)));
            let (start, end) = (area.start.0, area.end.0);
            write!(f, "  {start:012x}-{end:012x} {} {stored:>11}", Plain(&area.permissions))?;
            match &area.kind {
                Kind::Anonymous => writeln!(f)?,
                Kind::Stack => writeln!(f, " stack")?,
                Kind::Kernel(name) => writeln!(f, " {}", Plain(name))?,
                Kind::File { file, offset, shared } => {
                    let path = state.mapped.get(*file).map_or("", |file| file.path.as_str());
                    let shared = if *shared { ", shared" } else { "" };
                    writeln!(f, " {} from {offset}{shared}", Plain(path))?;
                }
            }
        }
        writeln!(f, "descriptors")?;
        for descriptor in &state.descriptors {
            match state.files.get(descriptor.file) {
                Some(OpenFile::Path { path, position, locks, .. }) => {
                    let locks = if locks.is_empty() { "" } else { ", locked" };
                    writeln!(f, "  {} {} at {position}{locks}", descriptor.number, Plain(path))?;
                }
                Some(OpenFile::Inherited { stream }) => {
                    writeln!(f, "  {} standard stream {stream} of `thaw`", descriptor.number)?;
                }
                None => {}
            }
        }
        let pending =
            process.pending.len() + state.threads.iter().map(|thread| thread.pending.len()).sum::<usize>();
        writeln!(f, "signals: {} actions, {pending} pending", process.actions.len())?;
        let running = process.interval_timers.iter().filter(|timer| **timer != [0; 4]).count();
        writeln!(f, "timers: {running} interval, {} POSIX", process.posix_timers.len())
    }
}
