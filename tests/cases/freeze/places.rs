//! Places where an image cannot be written: a clear error, nothing left behind, and the process goes on.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{FREEZER, Place, Victim, compile, text};

/// A victim that computes and says what it has computed in the end.
fn computing(place: &Place) -> Victim {
    let program = compile("cc", "threads.c", &[]);
    place.start(&[program.to_str().unwrap(), "30000"])
}

/// It finishes as if nothing had been.
fn finishes(place: &Place, victim: Victim) {
    let undisturbed = Place::new();
    assert!(computing(&undisturbed).bury().success());
    assert!(victim.bury().success(), "{}", place.said());
    assert_eq!(place.said(), undisturbed.said());
}

#[test]
fn a_full_disk() {
    let place = Place::new();
    let small = place.path("small");
    std::fs::create_dir(&small).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "none"]).arg(&small).status().unwrap();
    assert!(mounted.success(), "mounting takes CAP_SYS_ADMIN");
    let victim = computing(&place);
    let image = small.join("image");
    let output = place.freezer(&["freeze", &victim.pid().to_string(), image.to_str().unwrap()]);
    let left = std::fs::read_dir(&small).unwrap().count();
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("No space left on device"), "{}", text(&output));
    assert!(text(&output).contains("small/image"), "{}", text(&output));
    assert_eq!(left, 0, "something was left behind");
    finishes(&place, victim);
}

#[test]
fn a_folder_that_may_not_be_written_or_is_not_there() {
    let place = Place::new();
    let victim = computing(&place);
    let pid = victim.pid().to_string();
    // Not even root may write there.
    for (folder, words) in [("/proc/image", ""), ("/nowhere/at/all/image", "No such file"), ("/", "")] {
        let output = place.freezer(&["freeze", &pid, folder]);
        assert_eq!(output.status.code(), Some(1), "{folder}: {}", text(&output));
        assert!(
            text(&output).contains(folder) && text(&output).contains(words),
            "{folder}: {}",
            text(&output)
        );
    }
    let file = place.path("file");
    std::fs::write(&file, "some").unwrap();
    let output = place.freezer(&["freeze", &pid, file.to_str().unwrap()]);
    assert!(text(&output).contains("Not a directory"), "{}", text(&output));
    finishes(&place, victim);
}

#[test]
fn a_folder_that_has_something_in_it() {
    let place = Place::new();
    let victim = computing(&place);
    std::fs::create_dir(place.image()).unwrap();
    std::fs::write(place.image().join("treasure"), "mine").unwrap();
    let output = place.freeze(victim.pid());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("is there already and not empty"), "{}", text(&output));
    assert_eq!(std::fs::read_to_string(place.image().join("treasure")).unwrap(), "mine");
    // An empty one is as good as none.
    std::fs::remove_file(place.image().join("treasure")).unwrap();
    assert!(place.freeze(victim.pid()).status.success());
    victim.bury();
    assert!(place.thaw().status.success());
}

#[test]
fn the_command_shows_an_image_and_passes_signals_and_the_end_on() {
    let program = compile("cc", "ends.c", &[]);
    // Its handler counts SIGUSR1; SIGINT makes it exit with the count, SIGTERM kills it.
    for (last, status) in [(libc::SIGINT, "exit status: 43"), (libc::SIGTERM, "signal: 15 (SIGTERM)")] {
        let place = Place::new();
        let victim = place.start(&[program.to_str().unwrap()]);
        let pid = victim.pid();
        let frozen = place.freeze(pid);
        assert!(frozen.status.success() && text(&frozen).contains(": 1 thread, "), "{}", text(&frozen));
        victim.bury();
        let shown = text(&place.freezer(&["show", place.image().to_str().unwrap()]));
        for word in [format!("process {pid}: "), "/said at 6".to_owned(), " stack".to_owned()] {
            assert!(shown.contains(&word), "no {word} in {shown}");
        }
        let mut thawing = place.start_thawing(pid);
        let id = i32::try_from(thawing.id()).unwrap();
        for signal in [libc::SIGUSR1, last] {
            // SAFETY: takes two numbers.
            assert_eq!(unsafe { libc::kill(id, signal) }, 0);
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(thawing.wait().unwrap().to_string().starts_with(status));
    }
}

#[test]
fn standard_streams_are_those_of_thaw() {
    let place = Place::new();
    let program = compile("cc", "ends.c", &[]);
    let mut command = Command::new(&program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // The descriptors that this test has inherited itself are none of the victim's.
    let script = format!(
        "for d in /proc/self/fd/*; do d=${{d##*/}}; [ $d -gt 2 ] && eval \"exec $d>&-\"; done; exec {}",
        program.display()
    );
    let mut shell = Command::new("/bin/bash");
    shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut victim = shell.spawn().unwrap();
    let mut said = [0; 6];
    std::io::Read::read_exact(victim.stdout.as_mut().unwrap(), &mut said).unwrap();
    let pid = i32::try_from(victim.id()).unwrap();
    let frozen = place.freeze(pid);
    assert!(frozen.status.success(), "{}", text(&frozen));
    victim.wait().unwrap();
    let thawing = Command::new(FREEZER)
        .args(["thaw", place.image().to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while std::fs::read_link(format!("/proc/{pid}/exe")).ok().as_deref() != Some(Path::new(&program)) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    // SAFETY: takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
    let output = thawing.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(text(&output), "ended\n");
}

#[test]
fn a_bar_is_drawn_on_a_terminal_when_it_takes_long() {
    // Every write of pages takes a tenth of a second: more than one in all.
    let slowly = |place: &Place, pid: i32| {
        format!(
            "strace -f -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:delay_enter=100000 {FREEZER} freeze {pid} {}",
            place.image().display()
        )
    };
    let program = compile("cc", "memory.c", &[]);
    for terminal in [true, false] {
        let place = Place::new();
        let victim = place.start(&[program.to_str().unwrap(), "16", "3600"]);
        let command = slowly(&place, victim.pid());
        let mut shell = Command::new(if terminal { "script" } else { "sh" });
        // `script` (of bsdutils, which every Debian has) runs it on a terminal of its own.
        let arguments = if terminal { vec!["-qec", &command, "/dev/null"] } else { vec!["-c", &command] };
        shell.args(arguments);
        let output = shell.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let said = text(&output);
        assert!(said.contains("stopped for"), "{said}");
        assert_eq!(said.contains("[#"), terminal, "{said:?}");
        assert_eq!(said.contains(" of 16 MiB"), terminal, "{said:?}");
    }
}
