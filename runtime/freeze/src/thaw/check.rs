//! Whether an image can run here, now.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::error::Error;
use crate::hex::Hex;
use crate::inspect::Fingerprints;
use crate::proc::{self, Stat};
use crate::state::{Machine, MappedFile, OpenFile, State};

/// The end of user addresses with four-level page tables.
pub(super) const END: u64 = 0x7fff_ffff_f000;

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
