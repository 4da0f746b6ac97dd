//! Whether an image is whole, and whether it can run here, now.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::Error;
use crate::hex::Hex;
use crate::inspect::Fingerprints;
use crate::numbers::PAGE;
use crate::proc::{self, Stat};
use crate::state::{Kind, Machine, MappedFile, OpenFile, State};

/// The end of user addresses with four-level page tables.
pub(super) const END: u64 = 0x7fff_ffff_f000;

/// What the rest relies on: sorted areas, indices that lead somewhere, as many pages as checksums.
pub(super) fn consistent(folder: &Path, state: &State) -> Result<(), Error> {
    let damaged = |file: &str, reason: &str| {
        Err(Error::Damaged { path: folder.join(file).display().to_string(), reason: reason.to_owned() })
    };
    let (mut end, mut stored) = (PAGE, 0_u64);
    for area in &state.memory.areas {
        let (start, stop) = (area.start.0, area.end.0);
        if start < end || stop <= start || stop > END || start % PAGE != 0 || stop % PAGE != 0 {
            return damaged("state.json", "its areas overlap or are none");
        }
        end = stop;
        let mut within = start;
        for (from, pages) in &area.stored {
            let len = pages.checked_mul(PAGE).filter(|len| *len <= stop - start);
            let Some(len) = len.filter(|len| *len > 0 && from.0 >= within && from.0 <= stop - len) else {
                return damaged("state.json", "it has pages outside of their area");
            };
            within = from.0 + len;
            stored += len;
        }
        if let Kind::File { file, offset, .. } = area.kind {
            if file >= state.mapped.len() || offset.0 % PAGE != 0 {
                return damaged("state.json", "it maps a file that it does not name");
            }
        }
    }
    let pages = &state.pages;
    let chunks =
        pages.size.checked_div(pages.chunk).map(|whole| whole + u64::from(pages.size % pages.chunk != 0));
    let largest = 1 << 26;
    if pages.chunk > largest {
        return damaged("state.json", "its chunks are too large");
    }
    if stored != pages.size || chunks != Some(pages.checksums.len() as u64) || pages.chunk % PAGE != 0 {
        return damaged("state.json", "its pages and their checksums are not as many");
    }
    if state.threads.first().is_none_or(|first| first.tid != state.process.pid)
        || state.process.executable >= state.mapped.len()
        || state.descriptors.iter().any(|descriptor| {
            descriptor.file >= state.files.len() || !(0..1 << 24).contains(&descriptor.number)
        })
        || state.threads.iter().any(|thread| thread.pending.iter().any(|signal| signal.0.len() != 128))
        || state.process.pending.iter().any(|signal| signal.0.len() != 128)
    {
        return damaged("state.json", "it names what it does not have");
    }
    let path = folder.join("pages");
    let size = fs::metadata(&path).map_err(Error::io(format!("look at {}", path.display())))?.size();
    if size != pages.size {
        return damaged("pages", &format!("it has {size} bytes and should have {}", pages.size));
    }
    Ok(())
}

/// Everything that keeps the image from running here, after `reasons` that are known already.
pub(super) fn welcome(state: &State, mut reasons: Vec<String>) -> Result<(), Error> {
    reasons.extend(Machine::here()?.refuses(&state.machine));
    let mut fingerprints = Fingerprints::default();
    for file in &state.mapped {
        if let Err(reason) = mapped(file, &mut fingerprints) {
            reasons.push(format!("{}: {reason}", file.path));
        }
    }
    for file in &state.files {
        if let OpenFile::Path { path, regular: Some(before), .. } = file {
            match fs::metadata(path) {
                Err(error) => reasons.push(format!("{path}: {error}")),
                Ok(metadata) if proc::size_and_time(&metadata) != *before => {
                    reasons.push(format!("{path}: has been changed since the process was frozen"));
                }
                Ok(_) => {}
            }
        }
    }
    if fs::metadata(&state.process.directory).is_err() {
        reasons.push(format!("{}: the directory that it was in is no longer there", state.process.directory));
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::Foreign { reasons }) }
}

/// Ids that are in use, by the original or by others.
pub(super) fn ids_in_use(state: &State) -> Vec<String> {
    let pid = state.process.pid;
    if let Ok(stat) = Stat::of(pid) {
        let ended = stat.text(3).starts_with(['Z', 'X']);
        return vec![if stat.number(22) != state.process.start_time {
            format!("the id {pid} is in use by another process")
        } else if ended {
            format!("process {pid} has ended, but its parent has not yet waited for it")
        } else {
            format!("process {pid} still lives")
        }];
    }
    // A thread's folder is there, although no list of processes shows it.
    let in_use = state.threads.iter().filter(|thread| fs::metadata(format!("/proc/{}", thread.tid)).is_ok());
    in_use.map(|thread| format!("the id {} of a thread is in use", thread.tid)).collect()
}

/// Whether a mapped file is what it was.
fn mapped(file: &MappedFile, fingerprints: &mut Fingerprints) -> Result<(), String> {
    let metadata = fs::metadata(&file.path).map_err(|error| error.to_string())?;
    let [_, seconds, nanoseconds] = proc::size_and_time(&metadata);
    if metadata.size() != file.size {
        return Err(format!("has another size than when the process was frozen ({} bytes)", file.size));
    }
    let same = match file.checksum {
        None => [seconds, nanoseconds] == file.modified,
        Some(Hex(sum)) => {
            fingerprints.of(&file.path, &metadata).map_err(|error| error.to_string())? == Hex(sum)
        }
    };
    if same { Ok(()) } else { Err("is another file than when the process was frozen".to_owned()) }
}
