//! What comes back from a blob: results, copied arguments, statics, and every way to end badly.

use std::time::{Duration, Instant};

use pie_blob::Remote;
use pie_blob_inject::{Error, Target, Victim};
use pie_blob_parasite::{Credentials, Misc, SIGNALS, SignalAction, parasite};
use pie_blob_wild::wild;

use crate::{cycle, start, with_blob};

#[test]
fn arguments_arrive_and_results_come_back() {
    let mut victim = start(&["nanosleep"]);
    with_blob(&victim, &wild::BLOB, |infected| {
        let weighed = infected.call(wild::SIX, (1_u8, -2_i16, 3_u32, -4_i64, 5_usize, 6_u64)).unwrap();
        assert_eq!(weighed, 1 - 20 + 300 - 4000 + 50_000 + 600_000);
        let mut reversed = [0_u8; 5];
        assert_eq!(infected.call(wild::REVERSE, (&mut reversed, b"blobs", 5)).unwrap(), 5);
        assert_eq!(&reversed, b"sbolb");
        let (from, mut to) = (vec![7_u8; 40_000], vec![0_u8; 20_000]);
        assert_eq!(infected.call(wild::REVERSE, (&mut to[..], &from[..], 20_000)).unwrap(), 20_000);
        assert_eq!(to, from[..20_000]);
        assert_eq!(
            (0..5).map(|n| infected.call(wild::TABLE, (n,)).unwrap()).collect::<Vec<_>>(),
            [7, 5, 3, 2, 0]
        );
        let third = f64::from_bits(infected.call(wild::FLOAT, (2.0_f64.to_bits(),)).unwrap());
        assert_eq!(third.to_bits(), (2.0 * (1.0 / 3.0_f64)).to_bits());
    });
    victim.end();
}

#[test]
fn statics_are_read_and_written_before_and_after_the_first_call() {
    let mut victim = start(&["nanosleep"]);
    with_blob(&victim, &wild::BLOB, |infected| {
        assert_eq!(infected.read(wild::WORD).unwrap(), 0x1122_3344_5566_7788);
        infected.write(wild::WORD, &7).unwrap();
        infected.call(wild::TABLE, (0,)).unwrap();
        assert_eq!(infected.read(wild::WORD).unwrap(), 7);
        infected.write(wild::WORD, &8).unwrap();
        assert_eq!(infected.read(wild::WORD).unwrap(), 8);
    });
    with_blob(&victim, &parasite::BLOB, |infected| {
        for _ in 0..3 {
            infected.call(parasite::PING, ()).unwrap();
        }
        assert_eq!(infected.read(parasite::PINGS).unwrap(), 3);
    });
    victim.end();
}

#[test]
fn the_parasite_sees_what_proc_shows() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| -> Vec<String> {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    with_blob(&victim, &parasite::BLOB, |infected| {
        let mut misc = Misc::default();
        assert_eq!(infected.call(parasite::DUMP_MISC, (&mut misc,)).unwrap(), 0);
        assert_eq!((misc.pid, misc.tid), (pid, pid));
        assert_eq!(field("Umask"), [format!("{:04o}", misc.umask)]);
        let mut credentials = Credentials::default();
        assert_eq!(infected.call(parasite::DUMP_CREDENTIALS, (&mut credentials,)).unwrap(), 0);
        assert_eq!(field("Uid:"), credentials.uids.map(|id| id.to_string()));
        assert_eq!(field("CapEff"), [format!("{:016x}", credentials.effective)]);
        let mut actions = [SignalAction::default(); SIGNALS];
        assert_eq!(infected.call(parasite::DUMP_SIGNALS, (&mut actions,)).unwrap(), 0);
        let caught = (0..SIGNALS).filter(|n| actions[*n].handler > 1).fold(0_u64, |mask, n| mask | 1 << n);
        assert_eq!(field("SigCgt"), [format!("{caught:016x}")]);

        // Its own stack pointer's area, copied by itself and read from outside.
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let end = u64::from_str_radix(stack.split(['-', ' ']).nth(1).unwrap(), 16).unwrap();
        let mut copied = vec![0_u8; 4096];
        let from = Remote::new(end - 4096);
        assert_eq!(infected.call(parasite::COPY_MEMORY, (&mut copied[..], from, 4096)).unwrap(), 4096);
        let mut read = vec![0_u8; 4096];
        let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut read, end - 4096).unwrap();
        assert_eq!(copied, read);
        let hole = infected.call(parasite::COPY_MEMORY, (&mut copied[..], Remote::new(16), 4096)).unwrap();
        assert_eq!(hole, -14);
    });
    victim.end();
}

#[test]
fn what_the_host_gets_wrong_is_refused_before_anything_runs() {
    let mut victim = start(&["nanosleep"]);
    with_blob(&victim, &wild::BLOB, |infected| {
        let error = infected.call(parasite::PING, ()).unwrap_err();
        assert!(matches!(error, Error::OtherBlob { blob: "wild", .. }), "{error}");
        let mut large = vec![0_u8; 70_000];
        let error = infected.call(wild::REVERSE, (&mut large[..], b"", 0)).unwrap_err();
        assert!(matches!(error, Error::ArgumentsTooLarge { needed: 70_000.., room: 65_536 }), "{error}");
        assert_eq!(infected.call(wild::TABLE, (0,)).unwrap(), 7);
    });
    victim.end();
}

/// Infects, makes a call that must fail, and has the victim cured and going on.
fn fails(call: impl Fn(&mut pie_blob_inject::Infected) -> Error) -> Error {
    let mut victim = start(&["registers"]);
    let error = with_blob(&victim, &wild::BLOB, |infected| {
        let error = call(infected);
        let broken = infected.call(wild::TABLE, (0,)).unwrap_err();
        assert!(matches!(broken, Error::Broken { .. }), "{broken}");
        error
    });
    cycle(Target::open(victim.pid()).unwrap());
    victim.end();
    error
}

#[test]
fn faults_are_named_with_signal_and_export() {
    let fault = |error: Error| match error {
        Error::Fault { signal, symbol, address, offset, .. } => {
            (signal, symbol.map(|(name, _)| name), address, offset.is_some())
        }
        other => panic!("{other}"),
    };
    let name = |name: &str| Some(name.to_owned());
    let read = fault(fails(|infected| infected.call(wild::READ_NOTHING, ()).unwrap_err()));
    assert_eq!(read, (libc::SIGSEGV, name("read_nothing"), 0x10, true));
    let (signal, symbol, ..) = fault(fails(|infected| infected.call(wild::DIVIDE, ()).unwrap_err()));
    assert_eq!((signal, symbol), (libc::SIGFPE, name("divide")));
    let nowhere = fault(fails(|infected| infected.call(wild::NOWHERE, ()).unwrap_err()));
    assert_eq!(nowhere, (libc::SIGSEGV, None, 0x20, false));
    // The guard page, not the page that happens to lie below.
    let (signal, symbol, address, _) =
        fault(fails(|infected| infected.call(wild::OVERFLOW, (0,)).unwrap_err()));
    assert_eq!((signal, symbol), (libc::SIGSEGV, name("overflow")));
    assert_ne!(address, 0);
}

#[test]
fn panics_bring_message_and_place() {
    let error = fails(|infected| infected.call(wild::PANICS, (13,)).unwrap_err());
    let Error::Panicked { message, file, line, .. } = error else { panic!("{error}") };
    assert_eq!(message, "number 13 is not to my taste");
    assert!(file.ends_with("lib.rs") && line > 1, "{file}:{line}");
}

#[test]
fn an_export_that_never_returns_meets_its_deadline() {
    for sleeps in [false, true] {
        let mut victim = start(&["nanosleep"]);
        let target = Target::open(victim.pid()).unwrap().deadline(Duration::from_millis(200));
        let begin = Instant::now();
        let mut infected = target.seize().unwrap().infect(&wild::BLOB).unwrap();
        let error = if sleeps {
            infected.call(wild::SLEEPS, (60_000,)).map(|_| ()).unwrap_err()
        } else {
            infected.call(wild::ENDLESS, ()).map(|_| ()).unwrap_err()
        };
        let Error::Deadline { symbol, .. } = error else { panic!("{error}") };
        assert_eq!(symbol.unwrap().0, if sleeps { "sleeps" } else { "endless" });
        assert!((Duration::from_millis(200)..Duration::from_secs(3)).contains(&begin.elapsed()));
        cycle(infected.cure().unwrap().release().unwrap());
        victim.end();
    }
}

#[test]
fn an_export_that_cannot_even_be_stopped_is_left_to_itself() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    // What cannot be stopped goes on when its tracer's thread has ended.
    let tracer = std::thread::spawn(move || {
        let (deadline, grace) = (Duration::from_millis(100), Duration::from_millis(200));
        let target = Target::open(pid).unwrap().deadline(deadline).stop_within(grace);
        let mut infected = target.seize().unwrap().infect(&wild::BLOB).unwrap();
        let begin = Instant::now();
        let error = infected.call(wild::HANGS, (3000,)).unwrap_err();
        assert!(
            matches!(error, Error::DidNotStop { tid, waited } if (tid, waited) == (pid, grace)),
            "{error}"
        );
        let error = infected.cure().unwrap_err();
        assert!(matches!(error, Error::DidNotStop { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_millis(2900), "every wait is bounded");
    });
    let areas = || std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines().count();
    let before = areas();
    tracer.join().unwrap();
    assert!(areas() > before);
    let rounds: Vec<String> = (0..10).map(|_| victim.line()).collect();
    assert!(rounds.iter().all(|round| round.parse::<u64>().is_ok()), "{rounds:?}");
    assert_eq!(areas(), before);
    cycle(Target::open(pid).unwrap());
    victim.end();
}

#[test]
fn a_blob_that_ends_the_process_is_an_error() {
    let mut victim = start(&["nanosleep"]);
    let mut infected = Target::open(victim.pid()).unwrap().seize().unwrap().infect(&wild::BLOB).unwrap();
    // The type says that it does not return; as a function that does, the call compiles.
    let exit = wild::EXIT.cast::<unsafe extern "C" fn(i32) -> i32>();
    let error = infected.call(exit, (7,)).unwrap_err();
    assert!(
        matches!(&error, Error::Died { status: Some(status), .. } if status.code() == Some(7)),
        "{error}"
    );
    assert!(error.to_string().ends_with("died (exit status: 7)"), "{error}");
    assert!(matches!(infected.cure(), Err(Error::Died { .. })));
    assert_eq!(victim.status().code(), Some(7));
}

/// Pending, its SIGPIPE would end the victim once the blob is gone.
#[test]
fn a_blob_that_writes_where_nobody_reads() {
    let mut victim = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pid = i32::try_from(victim.id()).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut infected = Victim::seize(pid).unwrap().infect(&parasite::BLOB).unwrap();
    let number = infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, &writer, true).unwrap();
    let mut infected = infected.cure().unwrap().infect(&wild::BLOB).unwrap();
    assert_eq!(infected.call(wild::WRITES, (number,)).unwrap(), -libc::EPIPE);
    assert_eq!(infected.call(wild::CLOSE, (number,)).unwrap(), 0);
    infected.cure().unwrap().release().unwrap();
    // Were one pending, it would be delivered before the first instruction.
    let mut infected = Victim::seize(pid).unwrap().infect(&parasite::BLOB).unwrap();
    assert_eq!(infected.call(parasite::PING, ()).unwrap(), 42);
    infected.cure().unwrap().release().unwrap();
    assert_eq!(victim.try_wait().unwrap(), None);
    victim.kill().unwrap();
    victim.wait().unwrap();
}
