//! nginx under wrk, which looks at every answer: the workers that serve, and the master that waits for signals.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cycles::{CYCLES, DEATHS, Working, all};
use crate::figures::{Change, Figures, traces};
use crate::program::{Server, children, output, wait_until};

const PORT: &str = "18080";

/// Counts the answers that are not the page, in every thread.
const LOOK: &str = r#"
local page = io.open("PAGE"):read("*a")
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0 end
function response(status, _, body) if status ~= 200 or body ~= page then wrong = wrong + 1 end end
function done(summary)
  local sum = 0
  for _, thread in ipairs(threads) do sum = sum + thread:get("wrong") end
  local e = summary.errors
  print("answers", summary.requests, "wrong", sum + e.connect + e.read + e.write + e.status + e.timeout)
end
"#;

/// How many answers came; all were the page.
fn load(script: &str) -> u64 {
    let said = output("wrk", &["-t2", "-c16", "-d5s", "-s", script, &format!("http://127.0.0.1:{PORT}/")]);
    let line = said.lines().find(|line| line.starts_with("answers")).unwrap_or_else(|| panic!("{said}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[2..], ["wrong", "0"], "{said}");
    words[1].parse().unwrap()
}

#[test]
fn nginx() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let root = path("");
    let page: String = (0..2000).map(|n| format!("{n} bottles\n")).collect();
    std::fs::write(path("index.html"), page).unwrap();
    std::fs::write(path("look.lua"), LOOK.replace("PAGE", &path("index.html"))).unwrap();
    let configuration = format!(
        "user root; daemon off; worker_processes 2; pid {root}pid; error_log {root}errors;
         events {{ worker_connections 128; }}
         http {{ access_log off; client_body_temp_path {root}body; proxy_temp_path {root}proxy;
         fastcgi_temp_path {root}fastcgi; uwsgi_temp_path {root}uwsgi; scgi_temp_path {root}scgi;
         server {{ listen 127.0.0.1:{PORT}; root {root}; }} }}"
    );
    std::fs::write(path("nginx.conf"), configuration).unwrap();
    let log = folder.path().join("log");
    let server = Server::start(
        "root",
        "nginx",
        &["-p", &root, "-c", &path("nginx.conf"), "-e", &path("errors")],
        &log,
    );
    wait_until("nginx serves", || std::net::TcpStream::connect(format!("127.0.0.1:{PORT}")).is_ok());
    let script = path("look.lua");
    load(&script);
    let mut victims = children(server.pid());
    assert_eq!(victims.len(), 2, "two workers");
    victims.push(server.pid());
    let before: Vec<Figures> = victims.iter().copied().map(Figures::of).collect();
    let ended = AtomicUsize::new(0);
    let answers = std::thread::scope(|scope| {
        for pid in victims.iter().copied() {
            let ended = &ended;
            scope.spawn(move || {
                let _working = Working(ended);
                assert_eq!(all(|| Some(pid)), 0, "they leave SIGURG alone");
            });
        }
        let mut answers = 0;
        while ended.load(Ordering::Relaxed) < victims.len() {
            answers += load(&script);
        }
        answers
    });
    assert_eq!(children(server.pid()), victims[..2], "a worker has died");
    for ((pid, before), name) in victims.iter().copied().zip(before).zip(["worker", "worker", "master"]) {
        wait_until("wrk's connections are closed", || Figures::of(pid).descriptors <= before.descriptors);
        let after = Figures::of(pid);
        before.assert_no_leak(after, CYCLES + DEATHS);
        assert_eq!(traces(pid), [""; 0]);
        println!(
            "nginx, {name}: {CYCLES} cycles, {DEATHS} dead hosts, {answers} requests of all, 0 failed; {}",
            Change(before, after)
        );
    }
    let errors = std::fs::read_to_string(path("errors")).unwrap_or_default();
    let alarming =
        |line: &&str| ["[alert]", "[emerg]", "[crit]", "[error]"].iter().any(|level| line.contains(level));
    assert_eq!(errors.lines().find(alarming), None);
    assert!(server.stop("-QUIT"), "nginx ends badly");
}
