//! A process in a state that rules ask about, or one that is itself subject to them: for tests that start it as another
//! user, in another namespace, with a filter.
//!
//! As a victim it says one line when it is in its state and stays there until it is killed or its input ends. As a host it says one
//! line about what became of a cycle.

use std::io::{Read, Write};
use std::process::exit;
use std::time::Duration;

use pie_blob_inject::{CrashRisk, Error, MappingName, Target};
use pie_blob_parasite::parasite;
use pie_blob_tests::victim::Running;
use pie_blob_wild::wild;

fn main() {
    let mode: Vec<String> = std::env::args().skip(1).collect();
    let mode: Vec<&str> = mode.iter().map(String::as_str).collect();
    match *mode.as_slice() {
        ["plain"] => ready(),
        ["undumpable"] => {
            kernel(libc::SYS_prctl, [number(libc::PR_SET_DUMPABLE), 0, 0, 0, 0]);
            ready();
        }
        ["of-two-users"] => {
            of_two_users();
            ready();
        }
        ["filtered"] => {
            filter();
            ready();
        }
        ["vfork"] => vfork(),
        ["vfork-in-a-thread"] => {
            std::thread::spawn(vfork);
            until_the_input_ends();
        }
        ["uninterruptible"] => uninterruptible(),
        ["cycle", pid] => report(cycle(pid.parse().unwrap_or(0), MappingName::WhereSupported)),
        ["cycle-filtered", pid] => {
            filter();
            report(cycle(pid.parse().unwrap_or(0), MappingName::WhereSupported));
        }
        ["cycle-named", pid] => report(cycle(pid.parse().unwrap_or(0), MappingName::Required)),
        ["cycle-named-child", program] => {
            let mut victim = Running::start(program, &["nanosleep"]);
            report(cycle(victim.pid(), MappingName::Required));
            victim.end();
        }
        ["endless", pid] => report(endless(pid.parse().unwrap_or(0))),
        ["give-and-take", pid] => report(give_and_take(pid.parse().unwrap_or(0))),
        ["give-for-ever", pid] => report(give_for_ever(pid.parse().unwrap_or(0))),
        _ => {
            eprintln!("subject MODE: see the source");
            exit(2)
        }
    }
}

/// One cycle, with everything compared before and after: what an ordinary host does.
fn cycle(pid: i32, name: MappingName) -> Result<String, Error> {
    let target = Target::open(pid)?.mapping_name(name);
    let victim = target.prepare(&parasite::BLOB)?.seize()?;
    let before = victim.snapshot()?;
    let mut infected = victim.infect(&parasite::BLOB)?;
    let answer = infected.call(parasite::PING, ())?;
    let risks: Vec<CrashRisk> = infected.crash_risks().to_vec();
    let victim = infected.cure()?;
    let differences = before.differences(&victim.snapshot()?);
    victim.release()?;
    Ok(format!("{answer}, risks {risks:?}, differences {differences:?}"))
}

/// Acts for nobody, whose its files in `/proc` are then, and belongs to somebody whom nobody may send signals to.
fn of_two_users() {
    const SOMEBODY: i64 = 1;
    const NOBODY: i64 = 65534;
    kernel(libc::SYS_setresuid, [SOMEBODY, NOBODY, SOMEBODY, 0, 0]);
    kernel(libc::SYS_prctl, [number(libc::PR_SET_DUMPABLE), 1, 0, 0, 0]);
}

/// Calls what never comes back.
fn endless(pid: i32) -> Result<String, Error> {
    let target = Target::open(pid)?.deadline(Duration::from_millis(100));
    let mut infected = target.seize()?.infect(&wild::BLOB)?;
    let overdue = matches!(infected.call(wild::ENDLESS, ()), Err(Error::Deadline { .. }));
    infected.cure()?.release()?;
    Ok(format!("overdue {overdue}, and cured"))
}

/// Gives a pipe's end and takes it back: what is written into the other end arrives.
fn give_and_take(pid: i32) -> Result<String, Error> {
    let failed = |source| Error::Kernel { action: "use a pipe", pid, source };
    let (reader, mut writer) = std::io::pipe().map_err(failed)?;
    let mut infected = Target::open(pid)?.seize()?.infect(&parasite::BLOB)?;
    let number = infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, reader, true)?;
    let target = infected.cure()?.release()?;
    let mut taken = std::fs::File::from(target.take_descriptor(number)?);
    writer.write_all(b"the same").map_err(failed)?;
    drop(writer);
    let mut arrived = String::new();
    taken.read_to_string(&mut arrived).map_err(failed)?;
    Ok(arrived)
}

/// Gives one descriptor, says so before it does, and stays until it is killed.
fn give_for_ever(pid: i32) -> Result<String, Error> {
    let failed = |source| Error::Kernel { action: "open /dev/null", pid, source };
    let null = std::fs::File::open("/dev/null").map_err(failed)?;
    let mut infected = Target::open(pid)?.seize()?.infect(&parasite::BLOB)?;
    println!("ready");
    infected.give_descriptor(parasite::RECEIVE_DESCRIPTOR, &null, true)?;
    loop {
        std::thread::park();
    }
}

/// One line: what it was for a program, and for people behind it.
fn report(result: Result<String, Error>) {
    match result {
        Ok(said) => println!("{said}"),
        Err(error) => println!("{error:?}: {error}"),
    }
}

fn ready() {
    println!("ready");
    until_the_input_ends();
}

fn until_the_input_ends() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn number(int: i32) -> i64 {
    int.into()
}

/// Makes a system call.
fn kernel(call: i64, [a, b, c, d, e]: [i64; 5]) -> i64 {
    // SAFETY: every address among the arguments in this file is that of memory that lives as long as the program.
    unsafe { libc::syscall(call, a, b, c, d, e) }
}

/// Memory for ever, and its address.
fn at<T>(value: T) -> i64 {
    i64::try_from((&raw mut *Box::leak(Box::new(value))).expose_provenance()).unwrap_or(0)
}

/// A seccomp filter that kills for the system calls that receiving a descriptor takes.
fn filter() {
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number_of = |call: i64| u32::try_from(call).unwrap_or(0);
    let program = at([
        // BPF_LD | BPF_W | BPF_ABS: the number of the call.
        instruction(0x20, 0, 0, 0),
        // BPF_JMP | BPF_JEQ | BPF_K: to the last instruction, or to the next.
        instruction(0x15, 2, 0, number_of(libc::SYS_socketpair)),
        instruction(0x15, 1, 0, number_of(libc::SYS_recvmsg)),
        // BPF_RET | BPF_K: SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS.
        instruction(0x06, 0, 0, 0x7fff_0000),
        instruction(0x06, 0, 0, 0x8000_0000),
    ]);
    let program = at([5_u64, program.unsigned_abs()]);
    kernel(libc::SYS_prctl, [number(libc::PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0]);
    let set = kernel(libc::SYS_prctl, [number(libc::PR_SET_SECCOMP), 2, program, 0, 0]);
    assert_eq!(set, 0, "a filter is set");
}

/// Makes a child as `vfork` does and waits for it; the child says its id and does nothing, for ever.
fn vfork() {
    extern "C" fn wait(_: *mut libc::c_void) -> libc::c_int {
        kernel(libc::SYS_prctl, [number(libc::PR_SET_PDEATHSIG), number(libc::SIGKILL), 0, 0, 0]);
        println!("{}", std::process::id());
        loop {
            kernel(libc::SYS_pause, [0; 5]);
        }
    }
    let stack = Box::leak(vec![0_u128; 16384].into_boxed_slice()).as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child has a stack of its own, and this thread, which shares its thread-local storage, stands still meanwhile.
    unsafe { libc::clone(wait, stack.cast(), flags, std::ptr::null_mut()) };
}

/// Waits where nothing but a kill reaches it: in `execve`, for the end of another thread, which its tracer does not take.
fn uninterruptible() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = tell.send(kernel(libc::SYS_gettid, [0; 5]));
        loop {
            std::thread::park();
        }
    });
    let Ok(tid) = told.recv() else { return };
    // SAFETY: the child makes system calls only.
    if unsafe { libc::fork() } == 0 {
        kernel(libc::SYS_prctl, [number(libc::PR_SET_PDEATHSIG), number(libc::SIGKILL), 0, 0, 0]);
        kernel(libc::SYS_ptrace, [i64::from(libc::PTRACE_SEIZE), tid, 0, 0, 0]);
        println!("ready");
        loop {
            kernel(libc::SYS_pause, [0; 5]);
        }
    }
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    };
    while !traced() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let path = at(*b"/bin/true\0");
    let arguments = at([path, 0]);
    kernel(libc::SYS_execve, [path, arguments, at(0_i64), 0, 0]);
}
