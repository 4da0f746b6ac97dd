//! What a process does between the look at it and the stop: it may map where the blob was to go, and use its stack.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use pie_blob_inject::Target;
use pie_blob_parasite::parasite;

use crate::start;

#[test]
fn where_something_has_been_mapped_the_blob_does_not_go() {
    let mut victim = start(&["fills"]);
    let target = Target::open(victim.pid()).unwrap().prepare(&parasite::BLOB).unwrap();
    victim.signal(libc::SIGUSR1);
    victim.line();
    let mut infected = target.require_crash_safe().seize().unwrap().infect(&parasite::BLOB).unwrap();
    assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
    infected.cure().unwrap().release().unwrap();
    victim.end();
}

/// The frames that lead it back lie on its stack, and stay there when the host dies.
#[test]
fn a_stack_that_has_grown_is_not_written_to() {
    let mut victim = start(&["deepens"]);
    let mut host = Command::new(env!("CARGO_BIN_EXE_killed"));
    let host = host.args([&victim.pid().to_string(), "late"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut host = host.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "opened\n");
    victim.signal(libc::SIGUSR1);
    victim.line();
    host.stdin.take().unwrap().write_all(b"x").unwrap();
    assert_eq!(host.wait().unwrap().signal(), Some(libc::SIGKILL));
    victim.listen_anew();
    for _ in 0..3 {
        let line = victim.line();
        assert!(line.parse::<u64>().is_ok(), "the victim says {line:?}");
    }
    victim.end();
}
