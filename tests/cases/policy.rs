//! Who may inject into whom, where it takes privileges to try it: other groups, capabilities, filters, namespaces. Each
//! refusal names its rule, and nothing has been touched.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::os::unix::process::CommandExt;
use std::process::Command;

use pie_blob_inject::{CrashRisk, Error, Target};
use pie_blob_tests::subject::{Programs, Subject, said};

/// The programs that another user starts.
fn programs() -> Programs {
    Programs::copy(&[env!("CARGO_BIN_EXE_subject"), env!("CARGO_BIN_EXE_victim")])
}

#[test]
fn another_group_is_named() {
    let programs = programs();
    let victim = Subject::start(programs.as_nobody(&["plain"]).gid(100));
    let said = programs.cycle_as_nobody(victim.pid());
    assert!(said.contains("rule: OtherGroup { theirs: [100, 100, 100], ours: 65534 }"), "{said}");
    victim.end();
}

#[test]
fn an_undumpable_process_is_named() {
    let programs = programs();
    let victim = Subject::start(&mut programs.as_nobody(&["undumpable"]));
    let said = programs.cycle_as_nobody(victim.pid());
    assert!(said.starts_with("NotPermitted") && said.contains("rule: NotDumpable"), "{said}");
    // Who has CAP_SYS_PTRACE may.
    let said = self::said(&mut programs.subject(&["cycle", &victim.pid().to_string()]));
    assert_eq!(said, "42, risks [], differences []\n");
    victim.end();
}

#[test]
fn a_process_with_more_capabilities_is_named() {
    let programs = programs();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]);
    let victim = Subject::start(command.arg(programs.path("subject")).arg("plain"));
    let said = programs.cycle_as_nobody(victim.pid());
    // CAP_NET_BIND_SERVICE is number 10.
    assert!(said.contains("rule: MoreCapabilities { missing: 1024 }"), "{said}");
    victim.end();
}

/// `CAP_SYS_PTRACE` is not `CAP_KILL`: a call that does not end is ended without a signal.
#[test]
fn who_may_trace_and_not_send_signals_ends_calls_all_the_same() {
    let programs = programs();
    let victim = Subject::start(&mut programs.subject(&["of-two-users"]));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["--inh-caps=+sys_ptrace", "--ambient-caps=+sys_ptrace"]);
    command.arg(programs.path("subject")).args(["endless", &victim.pid().to_string()]);
    assert_eq!(said(&mut command), "overdue true, and cured\n");
    victim.end();
}

/// A mount of `/proc` that hides other users' processes is not taken for their absence.
#[test]
fn a_hidden_process_is_named() {
    let programs = programs();
    let victim = Subject::start(&mut programs.subject(&["plain"]));
    let script = "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(programs.path("subject"));
    let said = said(command.args(["cycle", &victim.pid().to_string()]));
    assert!(said.contains("rule: Hidden") && said.contains("hidepid"), "{said}");
    victim.end();
}

/// Its numbers are those of other processes: what is looked at there is not what is traced here.
#[test]
fn a_proc_of_another_pid_namespace_is_refused() {
    let programs = programs();
    let victim = Subject::start(&mut programs.subject(&["plain"]));
    // In a new namespace with the old /proc.
    let mut below = Command::new("unshare");
    below.args(["--pid", "--fork"]).arg(programs.path("subject"));
    let said = said(below.args(["cycle", &victim.pid().to_string()]));
    assert!(said.starts_with("OtherProc") && said.contains("mount -t proc"), "{said}");
    // In the old namespace with the /proc of a new one, which does not even show this process.
    let mut inside = Command::new("unshare");
    inside.args(["--pid", "--fork", "--mount-proc"]);
    let inside = Subject::start(inside.arg(programs.path("subject")).arg("plain"));
    let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", inside.pid())).unwrap();
    let mut above = Command::new("nsenter");
    above.args(["--mount", "--target", child.trim()]).arg(programs.path("subject"));
    let said = self::said(above.args(["cycle", "1"]));
    assert!(said.starts_with("OtherProc") && said.contains("mount -t proc"), "{said}");
    inside.end();
    victim.end();
}

#[test]
fn a_filter_that_cannot_be_put_to_sleep_is_refused_before_the_stop() {
    let programs = programs();
    let victim = Subject::start(&mut programs.as_nobody(&["filtered"]));
    let said = programs.cycle_as_nobody(victim.pid());
    assert!(
        said.starts_with("Seccomp") && said.contains("mode: 2") && said.contains("CAP_SYS_ADMIN"),
        "{said}"
    );
    // Who has a filter himself may not put others to sleep, whatever his capabilities.
    let said = self::said(&mut programs.subject(&["cycle-filtered", &victim.pid().to_string()]));
    assert!(said.starts_with("Seccomp") && said.contains("has a filter itself"), "{said}");
    victim.end();
}

#[test]
fn a_filter_that_is_put_to_sleep_is_a_risk() {
    let programs = programs();
    let victim = Subject::start(&mut programs.subject(&["filtered"]));
    let said = said(&mut programs.subject(&["cycle", &victim.pid().to_string()]));
    assert_eq!(said, "42, risks [Seccomp], differences []\n");
    let error = Target::open(victim.pid()).unwrap().require_crash_safe().seize().unwrap_err();
    assert!(matches!(&error, Error::NotCrashSafe { risks, .. } if *risks == [CrashRisk::Seccomp]), "{error}");
    victim.end();
}

/// A shell in a new pid namespace in which memory files must not be programs.
fn without_executable_memory_files() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]);
    let script =
        "echo 2 > /proc/sys/vm/memfd_noexec && test $(cat /proc/sys/vm/memfd_noexec) = 2 && exec \"$@\"";
    command.args(["sh", "-c", script, "sh"]);
    command
}

/// `vm.memfd_noexec` is 2: the named mapping is one that this allows.
#[test]
fn a_mapping_has_its_name_where_memory_files_must_not_be_programs() {
    let programs = programs();
    let mut command = without_executable_memory_files();
    command.arg(programs.path("subject")).arg("cycle-named-child").arg(programs.path("victim"));
    assert_eq!(said(&mut command), "42, risks [Descriptor], differences []\n");
    // The rule is that of the victim's namespace, whatever that of the host's.
    let inside = Subject::start(without_executable_memory_files().arg(programs.path("subject")).arg("plain"));
    let children = format!("/proc/{0}/task/{0}/children", inside.pid());
    let victim = std::fs::read_to_string(children).unwrap().trim().to_owned();
    let said = said(&mut programs.subject(&["cycle-named", &victim]));
    assert_eq!(said, "42, risks [Descriptor], differences []\n");
    inside.end();
}

/// What a descriptor takes to be given has no name, so that no namespace hides it, and a filter sleeps meanwhile.
#[test]
fn a_descriptor_crosses_namespaces_and_filters() {
    let programs = programs();
    let mut inside = Command::new("unshare");
    inside.args(["--pid", "--fork", "--mount-proc", "--net", "--ipc", "--uts", "--cgroup"]);
    let shell = Subject::start(inside.arg(programs.path("subject")).arg("plain"));
    let children = format!("/proc/{0}/task/{0}/children", shell.pid());
    let victim = std::fs::read_to_string(children).unwrap().trim().to_owned();
    assert_eq!(said(&mut programs.subject(&["give-and-take", &victim])), "the same\n");
    shell.end();

    let filtered = Subject::start(&mut programs.subject(&["filtered"]));
    assert_eq!(said(&mut programs.subject(&["give-and-take", &filtered.pid().to_string()])), "the same\n");
    filtered.end();
}

/// Taking asks for what seizing asks for.
#[test]
fn descriptors_of_others_are_not_taken() {
    let programs = programs();
    let victim = Subject::start(&mut programs.subject(&["plain"]));
    let said = said(&mut programs.as_nobody(&["give-and-take", &victim.pid().to_string()]));
    assert!(said.contains("rule: OtherUser"), "{said}");
    victim.end();
}
