//! Victims that cannot be injected: each with its own error, none touched.

use std::os::unix::process::CommandExt;
use std::process::Command;

use pie_blob_inject::{Error, Target, Victim};

use crate::start;

#[test]
fn no_such_process() {
    for pid in [i32::MAX, 0, -1] {
        let error = Victim::seize(pid).unwrap_err();
        assert!(matches!(error, Error::NoSuchProcess { .. }), "{error}");
    }
}

#[test]
fn oneself() {
    let error = Target::open(i32::try_from(std::process::id()).unwrap()).unwrap_err();
    assert!(matches!(error, Error::Oneself { .. }), "{error}");
}

#[test]
fn a_zombie() {
    // Its parent prints its id and leaves it unreaped.
    let mut parent = start(&["zombie"]);
    let error = Victim::seize(parent.first_line().parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Zombie { .. }), "{error}");
    parent.end();
}

#[test]
fn a_kernel_thread() {
    // Process 2 is the parent of all kernel threads wherever they can be seen.
    let Ok(status) = std::fs::read_to_string("/proc/2/status") else { return no_kernel_threads() };
    if !status.contains("kthreadd") {
        return no_kernel_threads();
    }
    let error = Victim::seize(2).unwrap_err();
    assert!(matches!(error, Error::KernelThread { pid: 2 }), "{error}");
}

/// In a container's own pid namespace there are none; then that is what must be true.
fn no_kernel_threads() {
    let own = std::fs::read_to_string("/proc/1/status").unwrap();
    assert!(!own.contains("Kthread:\t1"));
}

#[test]
fn a_process_that_another_traces() {
    let mut victim = start(&["nanosleep"]);
    let pid = victim.pid();
    let held = Victim::seize(pid).unwrap();
    let error = std::thread::spawn(move || Victim::seize(pid).map(drop).unwrap_err()).join().unwrap();
    let tracer = this_thread();
    assert!(matches!(error, Error::AlreadyTraced { tracer: found, .. } if found == tracer), "{error}");
    held.release().unwrap();
    victim.end();
}

/// This thread's id, from `/proc`: no system call that would want `unsafe`.
fn this_thread() -> i32 {
    let link = std::fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn another_users_process() {
    // Process 1 is root's; nobody may not trace it.
    let output = Command::new(env!("CARGO_BIN_EXE_victim")).args(["seize-as-nobody", "1"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("NotPermitted"), "{said}");
}

#[test]
fn thirty_two_bit_code() {
    // pause(2) in a loop, in an ELF file of one page that 32-bit Linux would run.
    let mut elf = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0];
    elf.extend(0x0804_8054_u32.to_le_bytes()); // e_entry
    elf.extend(52_u32.to_le_bytes()); // e_phoff
    elf.extend([0; 8]); // e_shoff, e_flags
    elf.extend([52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0]); // sizes and counts
    for word in [1_u32, 0, 0x0804_8000, 0x0804_8000, 93, 93, 5, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7]); // mov $29, %eax; int $0x80; jmp -9
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pause32");
    std::fs::write(&path, elf).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut child = Command::new(&path).process_group(0).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let pid = i32::try_from(child.id()).unwrap();
    let error = match Victim::seize(pid) {
        Ok(victim) => victim.infect(&pie_blob_parasite::parasite::BLOB).unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Compat { .. }), "{error}");
    assert_eq!(child.try_wait().unwrap(), None, "it goes on");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A blob that lacks what running in a victim takes is refused before the victim is touched.
#[test]
fn blobs_for_another_machine() {
    use pie_blob::__private::{Parts, blob};

    let parts = *pie_blob_parasite::parasite::BLOB.__parts();
    let foreign: &'static pie_blob::Blob =
        Box::leak(Box::new(blob(Parts { architecture: pie_blob::Architecture::Aarch64, ..parts })));
    let mut victim = start(&["nanosleep"]);
    let error = Victim::seize(victim.pid()).unwrap().infect(foreign).unwrap_err();
    assert!(matches!(error, Error::Unsuitable { .. }), "{error}");
    assert!(error.to_string().contains("another instruction set"), "{error}");
    victim.end();
}
