//! An image in a few lines, for people.

use std::fmt::{self, Display, Formatter};

use crate::numbers::PAGE;
use crate::state::{Kind, OpenFile, State};

/// Displays an image: the process, its threads, areas, descriptors, timers.
#[derive(Clone, Copy, Debug)]
pub struct Show<'a>(pub &'a State);

impl Display for Show<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let state = self.0;
        let process = &state.process;
        let path = state.mapped.get(process.executable).map_or("", |file| file.path.as_str());
        writeln!(f, "process {}: {path}", process.pid)?;
        writeln!(f, "  in {}, frozen on Linux {}", process.directory, state.machine.kernel)?;
        writeln!(f, "  {} bytes of memory stored", state.pages.size)?;
        writeln!(f, "threads")?;
        for thread in &state.threads {
            write!(f, "  {} {} at {}", thread.tid, thread.name, thread.registers.rip)?;
            match thread.system_call {
                Some(call) => writeln!(f, " in system call {call}")?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "areas")?;
        for area in &state.memory.areas {
            let stored: u64 = area.stored.iter().map(|(_, pages)| pages * PAGE).sum();
            let (start, end) = (area.start.0, area.end.0);
            write!(f, "  {start:012x}-{end:012x} {} {stored:>11}", area.permissions)?;
            match &area.kind {
                Kind::Anonymous => writeln!(f)?,
                Kind::Stack => writeln!(f, " stack")?,
                Kind::Kernel(name) => writeln!(f, " {name}")?,
                Kind::File { file, offset, shared } => {
                    let path = state.mapped.get(*file).map_or("", |file| file.path.as_str());
                    let shared = if *shared { ", shared" } else { "" };
                    writeln!(f, " {path} from {offset}{shared}")?;
                }
            }
        }
        writeln!(f, "descriptors")?;
        for descriptor in &state.descriptors {
            match state.files.get(descriptor.file) {
                Some(OpenFile::Path { path, position, locks, .. }) => {
                    let locks = if locks.is_empty() { "" } else { ", locked" };
                    writeln!(f, "  {} {path} at {position}{locks}", descriptor.number)?;
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
