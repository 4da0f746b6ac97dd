//! redis-server under redis-benchmark: every request is answered, and every one has counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cycles::{CYCLES, DEATHS, Working, all};
use crate::figures::{Change, Figures, traces};
use crate::program::{Server, output, wait_until};

const PORT: &str = "16379";
/// Of each kind, in one run of the benchmark.
const REQUESTS: u64 = 20_000;
const KINDS: u64 = 4;

fn ask(arguments: &[&str]) -> String {
    output("redis-cli", &[&["-p", PORT], arguments].concat()).trim().to_owned()
}

/// Fails when a request does: the benchmark ends with an error then.
fn load() {
    let requests = REQUESTS.to_string();
    let said = output(
        "redis-benchmark",
        &["-p", PORT, "-c", "20", "-n", &requests, "-q", "-t", "set,get,incr,lpush"],
    );
    let rates = said.split(['\r', '\n']).filter(|line| line.contains("requests per second,")).count();
    assert!(rates as u64 >= KINDS && !said.to_lowercase().contains("err"), "{said}");
}

#[test]
fn redis() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let folder = folder.path().to_str().unwrap();
    let arguments = ["--port", PORT, "--bind", "127.0.0.1", "--save", "", "--dir", folder];
    let server = Server::start("root", "redis-server", &arguments, &log);
    let answers = || {
        let ping = std::process::Command::new("redis-cli").args(["-p", PORT, "ping"]).output();
        ping.expect(".ci/soak installs redis-tools").stdout == b"PONG\n"
    };
    wait_until("redis-server answers", answers);
    load();
    let pid = server.pid();
    let before = Figures::of(pid);
    let ended = AtomicUsize::new(0);
    let runs = std::thread::scope(|scope| {
        scope.spawn(|| {
            let _working = Working(&ended);
            assert_eq!(all(|| Some(pid)), 0, "it blocks nothing");
        });
        let mut runs = 0;
        while ended.load(Ordering::Relaxed) == 0 {
            load();
            runs += 1;
        }
        runs
    });
    // One run came before.
    let counted = ((runs + 1) * REQUESTS).to_string();
    assert_eq!(ask(&["get", "counter:__rand_int__"]), counted, "increments are lost");
    assert_eq!(ask(&["llen", "mylist"]), counted, "items are lost");
    wait_until("the benchmark's connections are closed", || {
        Figures::of(pid).descriptors <= before.descriptors
    });
    let after = Figures::of(pid);
    before.assert_no_leak(after, CYCLES + DEATHS);
    assert_eq!(traces(pid), [""; 0]);
    assert!(server.stop("-TERM"), "redis-server ends badly: {}", std::fs::read_to_string(&log).unwrap());
    println!(
        "redis-server: {CYCLES} cycles, {DEATHS} dead hosts, {} requests, 0 failed; {}",
        runs * REQUESTS * KINDS,
        Change(before, after)
    );
}
