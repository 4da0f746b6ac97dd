//! What thawing relies on in an image, whoever has written it: what is said here is what is not looked at again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::check::END;
use crate::error::Error;
use crate::hex::Bytes;
use crate::numbers::PAGE;
use crate::state::{Area, KERNEL_AREAS, Kind, OpenFile, State};

/// Refuses an image that is not consistent in itself.
pub(super) fn consistent(folder: &Path, state: &State) -> Result<(), Error> {
    let damaged = |file: &str, reason: &str| Error::Damaged {
        path: folder.join(file).display().to_string(),
        reason: reason.to_owned(),
    };
    areas(state)
        .and_then(|stored| pages(state, stored))
        .and_then(|()| names(state))
        .and_then(|()| threads(state))
        .map_err(|reason| damaged("state.json", reason))?;
    let path = folder.join("pages");
    let metadata = fs::metadata(&path).map_err(Error::io(format!("look at {}", path.display())))?;
    let (size, wanted) = (metadata.size(), state.pages.size);
    if size != wanted {
        return Err(damaged("pages", &format!("it has {size} bytes and should have {wanted}")));
    }
    Ok(())
}

/// Areas are sorted and can be staged as they are. Returns how many bytes of them are stored.
fn areas(state: &State) -> Result<u64, &'static str> {
    let (mut end, mut stored, mut stacks) = (PAGE, 0_u64, 0);
    for area in &state.memory.areas {
        let (start, stop) = (area.start.0, area.end.0);
        if start < end || stop <= start || stop > END || start % PAGE != 0 || stop % PAGE != 0 {
            return Err("its areas overlap or are none");
        }
        end = stop;
        let letters = area.permissions.bytes().zip(*b"rwx");
        if area.permissions.len() != 3
            || letters.into_iter().any(|(has, letter)| has != letter && has != b'-')
        {
            return Err("an area has permissions that are none");
        }
        let mut within = start;
        for (from, pages) in &area.stored {
            let len = pages.checked_mul(PAGE).filter(|len| *len <= stop - start);
            let Some(len) = len.filter(|len| *len > 0 && from.0 >= within && from.0 <= stop - len) else {
                return Err("it has pages outside of their area");
            };
            if from.0 % PAGE != 0 {
                return Err("it has parts of pages");
            }
            within = from.0 + len;
            stored += len;
        }
        if !area.stored.is_empty() && !has_contents(area) {
            return Err("it has pages for an area whose contents are not its own");
        }
        match &area.kind {
            Kind::File { file, offset, .. } if *file >= state.mapped.len() || offset.0 % PAGE != 0 => {
                return Err("it maps a file that it does not name");
            }
            // Anything else of that name would be moved out of the thawing process.
            Kind::Kernel(name) if !KERNEL_AREAS.contains(&name.as_str()) => {
                return Err("it has an area that the kernel does not make");
            }
            Kind::Stack => {
                stacks += 1;
                // The threads' signal frames are written there and read from there.
                if stacks > 1 || !area.permissions.starts_with("rw") {
                    return Err("it has a stack that is none");
                }
            }
            _ => {}
        }
    }
    let executable = |at: u64| {
        state
            .memory
            .areas
            .iter()
            .any(|area| (area.start.0..area.end.0).contains(&at) && area.permissions.ends_with('x'))
    };
    if !state.memory.way_back.iter().all(|at| executable(at.0)) {
        return Err("its threads would continue where no code is");
    }
    Ok(stored)
}

/// Whether an area is filled: not the kernel's, not a file's that others see, and not what the kernel may drop.
fn has_contents(area: &Area) -> bool {
    let own = matches!(area.kind, Kind::Anonymous | Kind::Stack | Kind::File { shared: false, .. });
    own && !area.flags.iter().any(|flag| flag == "dp")
}

/// Every stored page belongs to a chunk, and every chunk has its checksum.
fn pages(state: &State, stored: u64) -> Result<(), &'static str> {
    const LARGEST: u64 = 1 << 26;
    let pages = &state.pages;
    let chunks =
        pages.size.checked_div(pages.chunk).map(|whole| whole + u64::from(pages.size % pages.chunk != 0));
    if pages.chunk > LARGEST {
        return Err("its chunks are too large");
    }
    if stored != pages.size || chunks != Some(pages.checksums.len() as u64) || pages.chunk % PAGE != 0 {
        return Err("its pages and their checksums are not as many");
    }
    Ok(())
}

/// Every index leads somewhere, and every number is one.
fn names(state: &State) -> Result<(), &'static str> {
    let numbers: Vec<i32> = state.descriptors.iter().map(|descriptor| descriptor.number).collect();
    let stream = |file: &OpenFile| match file {
        OpenFile::Inherited { stream } => (0..3).contains(stream),
        OpenFile::Path { .. } => true,
    };
    let whole = state.process.executable < state.mapped.len()
        && state.descriptors.iter().all(|descriptor| descriptor.file < state.files.len())
        && numbers.iter().all(|number| (0..1 << 24).contains(number))
        && numbers.is_sorted_by(|one, next| one < next)
        && state.files.iter().all(stream);
    if whole { Ok(()) } else { Err("it names what it does not have") }
}

/// The first thread is the process's, and what is pending can be made pending.
fn threads(state: &State) -> Result<(), &'static str> {
    let pid = state.process.pid;
    if state.threads.first().is_none_or(|first| first.tid != pid)
        || state.threads.iter().any(|thread| thread.tid < 1)
    {
        return Err("it names what it does not have");
    }
    let pending = state.threads.iter().flat_map(|thread| &thread.pending).chain(&state.process.pending);
    if pending.into_iter().all(can_be_pending) {
        Ok(())
    } else {
        Err("it has a pending signal that cannot be one")
    }
}

/// Whether it is the `siginfo_t` of a signal that stays pending until the end of the thaw. SIGKILL and SIGSTOP act at once,
/// whatever is blocked.
fn can_be_pending(signal: &Bytes) -> bool {
    let number = signal.0.first_chunk().map_or(0, |number| i32::from_ne_bytes(*number));
    signal.0.len() == 128 && (1..=64).contains(&number) && ![libc::SIGKILL, libc::SIGSTOP].contains(&number)
}
