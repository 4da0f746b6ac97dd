//! What a snapshot does not hold, and an injection must leave alone as well: limits, timers, alternate stacks, credentials, and
//! whatever else `/proc` shows.

use std::collections::BTreeMap;

use pie_blob_inject::{Others, Victim};
use pie_blob_parasite::{IntervalTimer, Misc, TIMERS, parasite};
use pie_blob_tests::victim::Running;

/// What `/proc` says of a process and of each of its threads that does not change by itself while it is stopped, and that
/// nobody else on the machine changes either: mounts are those of a namespace, queued signals those of a user.
fn told(pid: i32) -> BTreeMap<String, String> {
    let whole = [
        "auxv",
        "cgroup",
        "cmdline",
        "comm",
        "coredump_filter",
        "cwd",
        "environ",
        "exe",
        "limits",
        "loginuid",
        "ns/mnt",
        "ns/net",
        "ns/pid",
        "ns/user",
        "oom_score_adj",
        "personality",
        "root",
        "setgroups",
        "timers",
        "timerslack_ns",
        "uid_map",
    ];
    let read = |path: String| {
        let link = std::fs::read_link(&path).map(|link| link.display().to_string());
        let text = || std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        link.or_else(|_| text()).unwrap_or_else(|error| error.kind().to_string())
    };
    let mut told: BTreeMap<String, String> =
        whole.iter().map(|name| ((*name).to_owned(), read(format!("/proc/{pid}/{name}")))).collect();
    // What stopping and looking count up, what a timer makes pending meanwhile, and what is counted for a user (SigQ).
    let counted = [
        "voluntary_ctxt",
        "nonvoluntary_ctxt",
        "VmRSS",
        "VmHWM",
        "VmPTE",
        "RssAnon",
        "RssFile",
        "VmPeak",
        // The main stack may be longer than it was, as after a push.
        "VmSize",
        "VmStk",
        "State",
        "SigQ",
        "SigPnd",
        "ShdPnd",
        "TracerPid",
    ];
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let tid = entry.unwrap().file_name().to_str().unwrap().to_owned();
        for line in read(format!("/proc/{tid}/status")).lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            if !counted.iter().any(|counted| name.starts_with(counted)) {
                told.insert(format!("{tid} {name}"), value.trim().to_owned());
            }
        }
    }
    told
}

fn unchanged(victim: &Running) {
    let pid = victim.pid();
    let mut answers = Vec::new();
    let mut held = Victim::seize(pid).unwrap();
    for _ in 0..2 {
        let before = told(pid);
        assert!(before.len() > 60, "{before:#?}");
        let threads = held.threads().to_vec();
        let mut infected = held.infect(&parasite::BLOB).unwrap();
        let mut answer = Vec::new();
        for tid in threads {
            let mut misc = Misc::default();
            infected.call_in(tid, Others::Stopped, parasite::DUMP_MISC, (&mut misc,)).unwrap();
            answer.push(format!("{misc:?}"));
        }
        let mut timers = [IntervalTimer::default(); TIMERS];
        assert_eq!(infected.call(parasite::DUMP_TIMERS, (&mut timers,)).unwrap(), 0);
        // How much is left of a period is another matter.
        answer
            .push(format!("{:?}", timers.map(|timer| (timer.interval_seconds, timer.interval_microseconds))));
        answers.push(answer);
        held = infected.cure().unwrap();
        let after = told(pid);
        for (name, value) in &before {
            assert_eq!(Some(value), after.get(name), "{name}");
        }
        assert_eq!(before.len(), after.len());
    }
    // What the victim sees of itself is the same the second time.
    assert_eq!(answers[0], answers[1]);
    held.release().unwrap();
}

#[test]
fn limits_timers_and_stacks_are_as_before() {
    for mode in ["numbered", "ticks"] {
        let mut victim = Running::start(env!("CARGO_BIN_EXE_signals"), &[mode]);
        for _ in 0..20 {
            unchanged(&victim);
            victim.line();
        }
        victim.end();
    }
    let mut victim = crate::start(&["read"]);
    unchanged(&victim);
    victim.end();
}
