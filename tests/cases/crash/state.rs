//! What `/proc` says of a victim that goes on as before.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pie_blob_tests::victim::Running;

/// How long a victim may take to come back to what it was, on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn read(pid: i32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

fn fields<'a>(text: &'a str, names: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    let wanted = |line: &&str| names.iter().any(|name| line.starts_with(name));
    text.lines().filter(wanted).map(str::to_owned)
}

pub(crate) fn names(pid: i32, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/{folder}")).into_iter().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.to_owned())).collect();
    names.sort();
    names
}

/// What an untouched victim does not change: areas without the heap, dispositions, descriptors, every thread's
/// mask and pending signals.
fn state(pid: i32) -> Vec<String> {
    let mut state: Vec<String> = read(pid, "maps")
        .lines()
        .filter(|line| !line.ends_with("[heap]"))
        .map(|line| {
            line.split_whitespace().enumerate().filter(|(n, _)| matches!(n, 1 | 5)).map(|(_, s)| s).collect()
        })
        .collect();
    state.sort();
    state.extend(fields(&read(pid, "status"), &["SigIgn", "SigCgt", "TracerPid"]));
    // A set: Go starts threads as it needs them, and all of them block the same signals.
    let mut threads = BTreeSet::new();
    for tid in names(pid, "task") {
        let status = read(pid, &format!("task/{tid}/status"));
        // The kernel's own, of an io_uring: they come and go, and block everything.
        if status.starts_with("Name:\tiou-") {
            continue;
        }
        threads.extend(fields(&status, &["SigBlk", "SigPnd", "ShdPnd", "TracerPid"]));
    }
    state.extend(threads);
    state.extend(names(pid, "fd"));
    state
}

/// The state of a victim that has come to rest: the same twice, no signal on its way, no thread that blocks signals just
/// for a moment, as a runtime does that starts one, and no descriptor that is not always there, as of a connection that is closed
/// at once.
pub(crate) fn settled(pid: i32) -> Vec<String> {
    const LOOKS: usize = 4;
    let begin = Instant::now();
    let mut looks = vec![state(pid)];
    loop {
        std::thread::sleep(Duration::from_millis(5));
        let now = state(pid);
        let masks = now.iter().filter(|line| line.starts_with("SigBlk")).count();
        let pending = |line: &String| line.contains("Pnd:") && !line.ends_with("0000000000000000");
        let is_descriptor = |line: &String| line.parse::<u32>().is_ok();
        let always = |line: &String| !is_descriptor(line) || looks.iter().all(|look| look.contains(line));
        let rest: Vec<String> = now.iter().filter(|line| always(line)).cloned().collect();
        let same = looks.last().is_some_and(|last| {
            last.iter().filter(|line| !is_descriptor(line)).eq(now.iter().filter(|line| !is_descriptor(line)))
        });
        if looks.len() >= LOOKS && same && masks == 1 && !now.iter().any(pending) {
            return rest;
        }
        assert!(begin.elapsed() < SETTLED_WITHIN, "the victim does not settle");
        looks.push(now);
    }
}

/// The victim gets on, finds itself undamaged and is as it was.
pub(crate) fn check(victim: Running, before: &[String], moment: &str) {
    check_but_for(0, victim, before, moment);
}

/// Whether everything is there that was before, and no more than so much that is new.
fn is_as(before: &[String], after: &[String], new: usize) -> bool {
    let mut rest = after.to_vec();
    before.iter().all(|line| {
        let at = rest.iter().position(|other| other == line);
        at.map(|at| rest.swap_remove(at)).is_some()
    }) && rest.len() <= new
}

/// As [`check`]; `new` areas or descriptors may have stayed.
pub(crate) fn check_but_for(new: usize, mut victim: Running, before: &[String], moment: &str) {
    // The first line may be from before.
    victim.listen_anew();
    for _ in 0..3 {
        let line = victim.line();
        assert!(line.parse::<u64>().is_ok(), "{moment}: the victim says {line:?}");
    }
    let begin = Instant::now();
    loop {
        let after = state(victim.pid());
        if is_as(before, &after, new) {
            break;
        }
        assert!(begin.elapsed() < SETTLED_WITHIN, "{moment}: {before:#?}\nhas become\n{after:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    victim.end();
}
