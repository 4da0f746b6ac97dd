//! The process and its threads: who traces it, what it belongs to, what its threads do not share.

use std::fs;

use super::refuse;
use crate::error::{Error, Refusal};
use crate::proc;
use crate::sys::{self, Shared};

/// What threads of one process may differ in, although the C library never lets them.
const ALIKE: [&str; 11] = [
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    SPECULATION[0],
    SPECULATION[1],
];
/// What a thaw hands on from itself and does not set (`PR_SET_SPECULATION_CONTROL`).
const SPECULATION: [&str; 2] = ["Speculation_Store_Bypass", "SpeculationIndirectBranch"];

pub(super) fn inspect(pid: i32, refusals: &mut Vec<Refusal>) -> Result<(), Error> {
    let status = proc::read(pid, "status")?;
    let status = proc::fields(&status);
    let field = |name: &str| status.get(name).copied().unwrap_or_default();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    if field("State").starts_with(['Z', 'X']) {
        let reason = "has ended while others go on".to_owned();
        return Err(Error::Unsupported { pid, refusals: vec![Refusal::Thread { tid: pid, reason }] });
    }
    // While it is looked at for the second time, this process traces it.
    if !matches!(field("TracerPid").parse(), Ok(tracer) if tracer == 0 || proc::numbers(own, "task")?.contains(&tracer))
    {
        refuse(refusals, format!("is traced by process {}", field("TracerPid")));
    }
    if !matches!(field("Seccomp"), "0" | "") {
        refuse(refusals, "has a seccomp filter, which cannot be read");
    }
    if field("x86_Thread_features").contains("shstk") {
        refuse(refusals, "has a user shadow stack");
    }
    if field("State").starts_with('T') {
        refuse(refusals, "is stopped by job control: continue it first");
    }
    let own_status = proc::read(own, "status")?;
    let own_status = proc::fields(&own_status);
    for name in SPECULATION {
        if status.get(name) != own_status.get(name) {
            refuse(refusals, format!("has another {name} than this one: {}", field(name)));
        }
    }
    // Where no security module gives one, it cannot be read.
    let label = |pid| proc::read(pid, "attr/current").ok();
    if label(pid) != label(own) {
        let label = label(pid).unwrap_or_default();
        refuse(
            refusals,
            format!("has another security label than this one: {}", label.trim_end_matches(['\0', '\n'])),
        );
    }
    namespaces(pid, refusals)?;
    if identity("/proc/self/root") != identity(&format!("/proc/{pid}/root")) {
        refuse(refusals, "has another root directory (chroot)");
    }
    let directory = proc::link(pid, "cwd")?;
    if identity(&directory) != identity(&format!("/proc/{pid}/cwd")) {
        refuse(refusals, format!("is in a directory that has been deleted or moved: {directory}"));
    }
    let tids = proc::numbers(pid, "task")?;
    for tid in tids {
        // A thread that has just ended is none.
        let Ok(text) = proc::read(pid, &format!("task/{tid}/status")) else { continue };
        let fields = proc::fields(&text);
        let mut refuse = |reason: &str| refusals.push(Refusal::Thread { tid, reason: reason.to_owned() });
        if fields.get("State").is_some_and(|state| state.starts_with(['Z', 'X'])) {
            refuse("has ended while others go on");
            continue;
        }
        for name in ALIKE {
            if fields.get(name) != status.get(name) {
                refuse(&format!("has another {name} than the first thread"));
            }
        }
        if fields.get("Seccomp") != status.get("Seccomp") {
            refuse("has a seccomp filter of its own");
        }
        for (what, words) in [
            (Shared::Files, "does not share its descriptors with the first thread"),
            (Shared::FileSystem, "does not share its working directory with the first thread"),
        ] {
            if tid != pid && !sys::share(pid, tid, what, 0, 0).map_err(Error::io("compare threads (kcmp)"))? {
                refuse(words);
            }
        }
        if sys::scheduling(tid).is_ok_and(|attributes| attributes.policy == 6) {
            refuse("is scheduled by deadline");
        }
        let children = proc::read(pid, &format!("task/{tid}/children")).unwrap_or_default();
        for child in children.split_ascii_whitespace() {
            refuse(&format!("has a child, process {child}"));
        }
    }
    Ok(())
}

/// Namespaces other than those of this process, in which it would be thawed.
fn namespaces(pid: i32, refusals: &mut Vec<Refusal>) -> Result<(), Error> {
    let folder = "/proc/self/ns";
    for entry in fs::read_dir(folder).map_err(Error::io(format!("read {folder}")))? {
        let name = entry.map_err(Error::io(format!("read {folder}")))?.file_name();
        let name = name.to_string_lossy();
        let own = fs::read_link(format!("{folder}/{name}")).ok();
        let its = proc::link(pid, &format!("ns/{name}"))?;
        if own.and_then(|own| own.into_os_string().into_string().ok()).is_none_or(|own| own != its) {
            refuse(refusals, format!("is in another {name} namespace ({its})"));
        }
    }
    Ok(())
}

/// Device and inode of what a path leads to.
pub(super) fn identity(path: &str) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
