//! Frozen and thawed at random moments, programs finish with the very result that they would have had.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::support::{Place, Victim, compile, random, text};

/// How often each program goes there and back.
const MOMENTS: usize = 20;

/// Runs a program to its end undisturbed: what it says and how long it takes once it is ready.
fn undisturbed(program: &[&str]) -> (String, Duration) {
    let place = Place::new();
    let victim = place.start(program);
    let begin = Instant::now();
    assert!(victim.bury().success(), "{}", place.said());
    (place.said(), begin.elapsed())
}

/// Starts a program, freezes it after a random while and thaws it, `MOMENTS` times, and has the place looked at.
fn at_random_moments(length: Duration, start: &dyn Fn(&Place) -> Victim, check: &dyn Fn(&Place, &str)) {
    assert!(length > Duration::from_millis(100), "too short to be frozen: {length:?}");
    let (mut done, mut late) = (0, 0);
    while done < MOMENTS {
        let place = Place::new();
        let mut victim = start(&place);
        let after = length.mul_f64(0.85 * random());
        let moment = format!("after {after:?} of {length:?}");
        std::thread::sleep(after);
        let frozen = place.freeze(victim.pid());
        if !frozen.status.success() {
            // It was faster than before, and had ended or was about to.
            std::thread::sleep(Duration::from_millis(50));
            let ended = victim.child.try_wait().unwrap();
            late += 1;
            assert!(
                ended.is_some_and(|status| status.success()) && late < 4 * MOMENTS,
                "{moment}: {}",
                text(&frozen)
            );
            continue;
        }
        assert!(!victim.bury().success(), "{moment}: it was to be ended");
        let thawed = place.thaw();
        assert!(thawed.status.success(), "{moment}: {} {}", text(&thawed), place.said());
        check(&place, &moment);
        done += 1;
    }
}

fn whatever_the_moment(program: &[&str]) {
    let _alone = alone();
    let (wanted, length) = undisturbed(program);
    let check = |place: &Place, moment: &str| assert_eq!(place.said(), wanted, "{program:?} {moment}");
    at_random_moments(length, &|place| place.start(program), &check);
}

/// One program at a time: how long it takes is what moments are parts of.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn vector_registers_and_the_floating_point_environment_static() {
    let program = compile("cc", "vectors.c", &["-static"]);
    whatever_the_moment(&[program.to_str().unwrap(), "5000000"]);
}

#[test]
fn vector_registers_and_the_floating_point_environment_dynamic() {
    let program = compile("cc", "vectors.c", &[]);
    whatever_the_moment(&[program.to_str().unwrap(), "5000000"]);
}

#[test]
fn musl_static_and_dynamic() {
    for flags in [&["-static"][..], &[]] {
        let program = compile("musl-gcc", "vectors.c", flags);
        whatever_the_moment(&[program.to_str().unwrap(), "5000000"]);
        let program = compile("musl-gcc", "threads.c", flags);
        whatever_the_moment(&[program.to_str().unwrap(), "20000"]);
    }
}

#[test]
fn eight_threads_with_mutexes_and_condition_variables() {
    for flags in [&[][..], &["-static"]] {
        let program = compile("cc", "threads.c", flags);
        whatever_the_moment(&[program.to_str().unwrap(), "20000"]);
    }
}

#[test]
fn timers_with_handlers_on_an_alternate_stack_and_pending_signals() {
    let program = compile("cc", "timers.c", &[]);
    whatever_the_moment(&[program.to_str().unwrap(), "25"]);
}

#[test]
fn a_handler_on_another_stack_and_many_threads() {
    let program = compile("cc", "elsewhere.c", &[]);
    whatever_the_moment(&[program.to_str().unwrap(), "300000000"]);
}

#[test]
fn python_hashes() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("victims/freeze/hashes.py");
    whatever_the_moment(&["/usr/bin/python3", script.to_str().unwrap(), "800000"]);
}

#[test]
fn a_rust_program_with_threads() {
    let program = env!("CARGO_BIN_EXE_hashes");
    whatever_the_moment(&[program, "20000"]);
}

#[test]
fn sqlite_inserts() {
    const ROWS: usize = 200;
    let insert = |place: &Place| {
        let mut script = String::from("create table t(n integer primary key, s text);\n.print ready\n");
        for n in 0..ROWS {
            script.push_str(&format!("begin; insert into t values({n}, hex(randomblob(2000)));\n"));
            script.push_str(&format!("update t set s = s || n where n > {n} - 20; commit;\n"));
        }
        script.push_str(".print done\n");
        std::fs::write(place.path("script"), script).unwrap();
        std::fs::write(place.path("run"), "exec /usr/bin/sqlite3 data < script\n").unwrap();
        place.start(&["/bin/sh", "run"])
    };
    let check = |place: &Place, moment: &str| {
        assert!(place.said().ends_with("done\n"), "{moment}: {}", place.said());
        let query = "pragma integrity_check; select count(*), sum(n) from t;";
        let output =
            std::process::Command::new("sqlite3").arg(place.path("data")).arg(query).output().unwrap();
        let sum = ROWS * (ROWS - 1) / 2;
        assert_eq!(text(&output), format!("ok\n{ROWS}|{sum}\n"), "{moment}");
    };
    let _alone = alone();
    let place = Place::new();
    let victim = insert(&place);
    let begin = Instant::now();
    assert!(victim.bury().success());
    let length = begin.elapsed();
    check(&place, "undisturbed");
    at_random_moments(length, &insert, &check);
}

/// One of everything, as root and as a user with groups and few rights.
#[test]
fn everything_is_as_it_was() {
    let _alone = alone();
    let program = compile("cc", "things.c", &[]);
    for who in ["root", "user"] {
        let place = Place::new();
        // Its working directory is reached by anyone who has it already.
        let victim = place.start(&[program.to_str().unwrap(), who]);
        let pid = victim.pid();
        let frozen = place.freeze(pid);
        assert!(frozen.status.success(), "{who}: {}", text(&frozen));
        victim.bury();
        let mut thawing = place.start_thawing(pid);
        std::thread::sleep(Duration::from_millis(100));
        // SAFETY: takes two numbers.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR1) }, 0);
        let status = thawing.wait().unwrap();
        assert!(status.success() && place.said() == "ready\n0 wrong\n", "{who}: {status}: {}", place.said());
    }
}

/// Enough for several threads to copy it and fill it in, in pieces of which many are not whole.
#[test]
fn a_lot_of_memory() {
    let _alone = alone();
    let program = compile("cc", "memory.c", &[]);
    let place = Place::new();
    let victim = place.start(&[program.to_str().unwrap(), "130", "2"]);
    let frozen = place.freeze(victim.pid());
    assert!(frozen.status.success(), "{}", text(&frozen));
    victim.bury();
    // One bit far inside is enough.
    let pages = std::fs::File::options().read(true).write(true).open(place.image().join("pages")).unwrap();
    let turn = || {
        let mut byte = [0];
        pages.read_exact_at(&mut byte, 99_999_999).unwrap();
        pages.write_all_at(&[byte[0] ^ 4], 99_999_999).unwrap();
    };
    turn();
    let refused = place.thaw();
    assert!(text(&refused).contains("have been changed since they were written"), "{}", text(&refused));
    turn();
    let thawed = place.thaw();
    assert!(
        thawed.status.success() && place.said() == "ready\n0 wrong\n",
        "{} {}",
        text(&thawed),
        place.said()
    );
}

#[test]
fn again_and_again() {
    let program = compile("cc", "threads.c", &[]);
    let program = [program.to_str().unwrap(), "100000"];
    let _alone = alone();
    let (wanted, length) = undisturbed(&program);
    let place = Place::new();
    let victim = place.start(&program);
    let pid = victim.pid();
    let areas = || {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        // Without the size of heap and stack, and adjoining areas of the same kind as one.
        let kind = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            format!("{} {}", fields[1], fields.get(5).unwrap_or(&""))
        };
        let mut lines: Vec<String> = maps.lines().map(kind).collect();
        lines.dedup();
        lines
    };
    let before = areas();
    assert!(place.freeze(pid).status.success());
    victim.bury();
    for round in 0..5 {
        let mut thawing = place.start_thawing(pid);
        std::thread::sleep(length / 20);
        assert_eq!(areas(), before, "round {round}");
        let next = place.path(&format!("image {round}"));
        let frozen = place.freezer(&["freeze", &pid.to_string(), next.to_str().unwrap()]);
        assert!(frozen.status.success(), "round {round}: {}", text(&frozen));
        assert!(!thawing.wait().unwrap().success());
        std::fs::remove_dir_all(place.image()).unwrap();
        std::fs::rename(next, place.image()).unwrap();
    }
    assert!(place.thaw().status.success());
    assert_eq!(place.said(), wanted);
}

#[test]
fn left_running_it_goes_on_and_its_image_can_be_thawed_once_it_has_ended() {
    let program = compile("cc", "vectors.c", &[]);
    // It says nothing before its end: its output is the same when the image is thawed.
    let program = [program.to_str().unwrap(), "5000000"];
    let (wanted, _) = undisturbed(&program);
    let place = Place::new();
    let victim = place.start(&program);
    let image = place.image();
    let frozen =
        place.freezer(&["freeze", "--leave-running", &victim.pid().to_string(), image.to_str().unwrap()]);
    assert!(frozen.status.success(), "{}", text(&frozen));
    let refused = place.freezer(&["thaw", image.to_str().unwrap()]);
    assert!(text(&refused).contains("still lives"), "{}", text(&refused));
    assert!(victim.bury().success());
    assert_eq!(place.said(), wanted);
    // What it wrote since then would be written over.
    let changed = place.thaw();
    assert!(text(&changed).contains("has been changed since"), "{}", text(&changed));
}
