//! Chromium's renderer with its sandbox: an unprivileged process in namespaces of its own and under a seccomp filter, whose
//! page and worker compute.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pie_blob_inject::{CrashRisk, Error, Target};
use pie_blob_parasite::{Misc, parasite};

use crate::cycles::{CYCLES, between};
use crate::figures::{Change, Figures, traces};
use crate::program::{Server, wait_until};

/// One of those that every Debian has: who started it as root would have no sandbox.
const USER: &str = "www-data";

/// A page and a worker that compute the same again and again, make garbage, and say so.
const PAGE: &str = r#"<!doctype html><title>pie_blob</title><script>
function work() {
  let bits = 12345 | 0, sum = 0, garbage = [];
  for (let n = 0; n < 300000; n++) {
    bits = (Math.imul(bits, 1103515245) + 12345) | 0;
    sum += Math.sqrt(n) * (bits & 255);
    if ((n & 63) === 0) garbage.push({ n, text: "round " + n });
  }
  return sum.toFixed(6) + JSON.stringify(garbage).length;
}
const wanted = work();
let round = 0;
function turn() {
  console.log(work() === wanted ? "page " + ++round : "DAMAGED page");
  setTimeout(turn, 1);
}
turn();
const source = work.toString() +
  "const wanted = work(); for (let n = 1;; n++) postMessage(work() === wanted ? 'worker ' + n : 'DAMAGED worker');";
new Worker(URL.createObjectURL(new Blob([source]))).onmessage = (message) => console.log(message.data);
</script>"#;

/// How many rounds somebody says to have done; neither has another result than its first.
fn rounds(log: &Path, who: &str) -> u64 {
    let log = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    let complaint = log.lines().find(|line| line.contains("DAMAGED"));
    assert_eq!(complaint, None);
    let said = log.rsplit_once(&format!("\"{who} ")).map(|(_, rest)| rest);
    said.and_then(|rest| rest.split('"').next()?.parse().ok()).unwrap_or(0)
}

/// A line of `/proc/PID/status`.
fn status(pid: i32, field: &str) -> Vec<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn comes_from(mut pid: i32, ancestor: i32) -> bool {
    while pid > 1 && pid != ancestor {
        pid = status(pid, "PPid").first().and_then(|parent| parent.parse().ok()).unwrap_or(0);
    }
    pid == ancestor
}

/// The renderers of this browser, and the processor time that each has taken, in ticks.
fn renderers(browser: i32) -> BTreeMap<i32, u64> {
    let mut times = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains("--type=renderer") && comes_from(pid, browser) {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let rest = stat.rsplit(')').next().unwrap_or_default();
            let time = rest.split_whitespace().nth(11).and_then(|time| time.parse().ok());
            times.insert(pid, time.unwrap_or(0));
        }
    }
    times
}

/// The renderer that computes: the page's. Others wait for pages to come.
fn renderer(browser: i32) -> Option<i32> {
    let before = renderers(browser);
    std::thread::sleep(Duration::from_secs(1));
    let since = |(pid, time): (i32, u64)| (time - before.get(&pid).copied().unwrap_or(time), pid);
    renderers(browser).into_iter().map(since).max().map(|(_, pid)| pid)
}

/// One cycle; the process says which number it has in its own namespace.
fn cycle(target: Target, own: i32) -> Result<Target, Error> {
    let mut infected = target.prepare(&parasite::BLOB)?.seize()?.infect(&parasite::BLOB)?;
    assert!(infected.crash_risks().contains(&CrashRisk::Seccomp), "{:?}", infected.crash_risks());
    assert_eq!(infected.call(parasite::PING, ())?, 42);
    let mut misc = Misc::default();
    infected.call(parasite::DUMP_MISC, (&mut misc,))?;
    assert_eq!(misc.pid, own, "another process has answered");
    infected.cure()?.release()
}

#[test]
fn chromium() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("page.html"), PAGE).unwrap();
    std::fs::create_dir(path("data")).unwrap();
    let given = Command::new("chown").args(["-R", USER]).arg(folder.path()).status().unwrap();
    assert!(given.success());
    let log = folder.path().join("log");
    let (home, data) = (format!("HOME={}", path("data")), format!("--user-data-dir={}", path("data")));
    let page = format!("file://{}", path("page.html"));
    let quiet =
        ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
    let arguments =
        [&[&*home, "chromium", "--headless", "--disable-gpu", "--disable-quic"], &quiet[..]].concat();
    let arguments = [&arguments[..], &["--enable-logging=stderr", &data, &page]].concat();
    let server = Server::start(USER, "env", &arguments, &log);
    wait_until("the page and its worker compute", || rounds(&log, "page").min(rounds(&log, "worker")) >= 50);

    let pid = renderer(server.pid()).expect("a renderer");
    let numbers = status(pid, "NSpid");
    assert!(numbers.len() > 1, "its sandbox has a namespace of its own");
    assert_eq!(status(pid, "Seccomp"), ["2"], "its sandbox has a filter");
    let own = numbers.last().unwrap().parse().unwrap();
    let before = (Figures::of(pid), rounds(&log, "page"), rounds(&log, "worker"));
    let mut target = Target::open(pid).unwrap();
    for done in 0..CYCLES {
        target = cycle(target, own).unwrap_or_else(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            panic!("renderer {pid}, cycle {done}: {error} ({cause:?})")
        });
        between();
    }
    let (page, worker) = (rounds(&log, "page"), rounds(&log, "worker"));
    wait_until("both go on", || rounds(&log, "page") > page + 5 && rounds(&log, "worker") > worker + 5);
    assert_eq!(renderer(server.pid()), Some(pid), "another renderer computes");
    let after = Figures::of(pid);
    before.0.assert_no_leak(after, CYCLES);
    assert_eq!(traces(pid), [""; 0]);
    println!(
        "Chromium: {CYCLES} cycles in a renderer under its sandbox, {} rounds of the page and {} of its worker, 0 changed; {}",
        page - before.1,
        worker - before.2,
        Change(before.0, after)
    );
    assert!(server.stop("-TERM"), "Chromium ends badly");
}
