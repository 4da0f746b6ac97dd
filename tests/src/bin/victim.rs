//! A victim: does one thing again and again, checks that it was done right, prints a line a round.
//!
//! `victim MODE` runs until its input ends (or for ever where that is no terminal and no pipe of a test's), ends with 3
//! when it finds itself damaged. The modes named after system calls wait in that call for 20 ms a round and are
//! damaged by an early return, by `EINTR` and by any other answer than the one that time passing gives. `victim MODE
//! host-dies` allows what is promised then and nothing else: one `EINTR`, of a call that a mere stop ends as well.

#[path = "victim/busy.rs"]
mod busy;
#[path = "victim/deep.rs"]
mod deep;
#[path = "victim/hostile.rs"]
mod hostile;
#[path = "victim/others.rs"]
mod others;
#[path = "victim/risks.rs"]
mod risks;
#[path = "victim/tiles.rs"]
mod tiles;

use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::exit;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pie_blob_tests::raw::{at, kernel, leak};
use pie_blob_tests::registers::best_round;

/// How long every call waits.
const WAIT: Duration = Duration::from_millis(20);
const WAIT_MS: i32 = 20;

fn main() {
    let mode: Vec<String> = std::env::args().skip(1).collect();
    let mode: Vec<&str> = mode.iter().map(String::as_str).collect();
    let (mode, host_dies) = match mode.split_last() {
        Some((&"host-dies", mode)) => (mode, true),
        _ => (mode.as_slice(), false),
    };
    match *mode {
        ["registers"] => {
            let (_, round) = best_round();
            rounds(|| if round() { Ok(()) } else { Err("a register".to_owned()) });
        }
        ["tiles"] => match tiles::loaded() {
            Ok(round) => rounds(round),
            Err(what) => {
                println!("{what}");
                exit(2)
            }
        },
        ["busy", count] => rounds(busy::threads(count.parse().unwrap_or(1))),
        ["filtered"] => rounds(risks::filtered()),
        ["catching"] => rounds(risks::catching()),
        ["blocking"] => rounds(risks::blocking()),
        ["latch"] => rounds(risks::latch()),
        ["deepens"] => deep::when_told(),
        ["many-areas", folder, count] => hostile::many_areas(folder, count.parse().unwrap_or(0)),
        ["page-never-comes", folder] => hostile::page_never_comes(folder),
        ["many-descriptors", count] => hostile::many_descriptors(count.parse().unwrap_or(0)),
        ["elsewhere"] => deep::elsewhere(),
        ["others", what] => others::when_told(what),
        ["walled", wall] => deep::walled(wall),
        ["fills"] => deep::fills_when_told(),
        ["faults"] => rounds(risks::faults()),
        ["notes"] => rounds(risks::notes()),
        ["filtered-thread"] => rounds(risks::filtered_thread()),
        ["at-the-low-end"] => rounds(risks::at_the_low_end()),
        ["threads", count] => threads(count.parse().unwrap_or(1)),
        ["first-thread-ends"] => first_thread_ends(),
        ["forever"] => forever(),
        ["shares-memory"] => shares_memory(),
        ["zombie"] => zombie(),
        ["seize-as-nobody", pid] => seize_as_nobody(pid.parse().unwrap_or(0)),
        [call] => match waiting(call, host_dies) {
            Some(wait) => rounds(wait),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("victim MODE: see the source");
    exit(2)
}

/// One round after the other until the input ends.
fn rounds(mut round: impl FnMut() -> Result<(), String>) -> ! {
    let mut count = 0_u64;
    let mut out = std::io::stdout();
    let input = leak(libc::pollfd { fd: 0, events: 0, revents: 0 });
    while !input_ended(input) {
        if let Err(what) = round() {
            println!("DAMAGED in round {count}: {what}");
            exit(3);
        }
        count += 1;
        // A reader that is gone ends it as well.
        if writeln!(out, "{count}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    // What the system would keep.
    let _ = kernel(libc::SYS_semctl, [SEMAPHORES.load(Ordering::Relaxed), 0, libc::IPC_RMID.into(), 0, 0, 0]);
    exit(0)
}

/// The set of semaphores that one mode waits on; none in the others.
static SEMAPHORES: AtomicI64 = AtomicI64::new(-1);

fn input_ended(input: &mut libc::pollfd) -> bool {
    let (ready, _) = kernel(libc::SYS_poll, [at(input), 1, 0, 0, 0, 0]);
    ready > 0 && input.revents & libc::POLLHUP != 0
}

/// The time to wait.
const TIME: [i64; 2] = [0, WAIT_MS as i64 * 1_000_000];

/// A wait of 20 ms in the named system call, and a check that time has passed and nothing else has happened.
fn waiting(call: &str, host_dies: bool) -> Option<impl FnMut() -> Result<(), String> + use<>> {
    let number = number_of(call)?;
    // `select` says what is left of it.
    let time = leak([0_i64; 2]);
    let arguments = arguments_of(number, descriptor_for(call), at(time));
    let mut interruptions_left = u32::from(host_dies && ENDED_BY_A_STOP.contains(&call));
    Some(move || {
        *time = if number == libc::SYS_select { [0, TIME[1] / 1000] } else { TIME };
        let begin = Instant::now();
        let (answer, errno) = kernel(number, arguments);
        let passed = begin.elapsed();
        if errno == libc::EINTR && interruptions_left > 0 {
            interruptions_left -= 1;
            return Ok(());
        }
        let timed_out = answer == 0 || errno == libc::ETIMEDOUT || errno == libc::EAGAIN;
        // A socket's time-out counts ticks of up to 10 ms, the running one as a whole one.
        let early = match number {
            libc::SYS_accept | libc::SYS_recvfrom => Duration::from_millis(10),
            _ => Duration::from_micros(500),
        };
        let came = match number {
            libc::SYS_read => answer == 1,
            libc::SYS_accept => answer > 0 && kernel(libc::SYS_close, [answer, 0, 0, 0, 0, 0]).0 == 0,
            _ => false,
        };
        if came || timed_out && passed + early >= WAIT {
            Ok(())
        } else {
            Err(format!("answer {answer}, error {errno}, after {passed:?}"))
        }
    })
}

/// The modes whose call answers `EINTR` after SIGSTOP and SIGCONT, or when a tracer dies: signal(7).
const ENDED_BY_A_STOP: [&str; 5] = ["epoll_wait", "sigtimedwait", "semtimedop", "recv", "accept-timeout"];

fn number_of(call: &str) -> Option<i64> {
    Some(match call {
        "nanosleep" => libc::SYS_nanosleep,
        "poll" => libc::SYS_poll,
        "ppoll" => libc::SYS_ppoll,
        "select" => libc::SYS_select,
        "epoll_wait" => libc::SYS_epoll_wait,
        "futex" => libc::SYS_futex,
        "sigtimedwait" => libc::SYS_rt_sigtimedwait,
        "semtimedop" => libc::SYS_semtimedop,
        "recv" => libc::SYS_recvfrom,
        "read" => libc::SYS_read,
        "accept" | "accept-timeout" => libc::SYS_accept,
        _ => return None,
    })
}

fn arguments_of(number: i64, descriptor: i64, time: i64) -> [i64; 6] {
    let wait = i64::from(libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG);
    match number {
        libc::SYS_nanosleep => [time, 0, 0, 0, 0, 0],
        libc::SYS_poll => [0, 0, i64::from(WAIT_MS), 0, 0, 0],
        libc::SYS_ppoll => [0, 0, time, at(leak(0_u64)), 8, 0],
        libc::SYS_select => [0, 0, 0, 0, time, 0],
        libc::SYS_epoll_wait => [descriptor, at(leak([0_u8; 12])), 1, i64::from(WAIT_MS), 0, 0],
        libc::SYS_futex => [at(leak(0_u32)), wait, 0, time, 0, 0],
        libc::SYS_rt_sigtimedwait => [at(leak(1_u64 << (libc::SIGUSR1 - 1))), 0, time, 8, 0, 0],
        libc::SYS_semtimedop => [descriptor, at(leak([0_i16, -1, 0])), 1, time, 0, 0],
        libc::SYS_recvfrom | libc::SYS_read => [descriptor, at(leak(0_u8)), 1, 0, 0, 0],
        libc::SYS_accept => [descriptor, 0, 0, 0, 0, 0],
        other => unreachable!("no mode makes call {other}"),
    }
}

/// What the call waits on.
fn descriptor_for(call: &str) -> i64 {
    match call {
        "epoll_wait" => kernel(libc::SYS_epoll_create1, [0; 6]).0,
        "semtimedop" => {
            SEMAPHORES.store(kernel(libc::SYS_semget, [0, 1, 0o600, 0, 0, 0]).0, Ordering::Relaxed);
            SEMAPHORES.load(Ordering::Relaxed)
        }
        "recv" => {
            let pair = leak([0_i32; 2]);
            kernel(libc::SYS_socketpair, [libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, at(pair), 0, 0]);
            limit(pair[0].into());
            pair[0].into()
        }
        "accept" | "accept-timeout" => {
            let (listener, address) = listen();
            if call == "accept-timeout" {
                limit(listener);
            } else {
                std::thread::spawn(move || {
                    // Until the program ends; a connection that nobody takes any more is not missed.
                    while UnixStream::connect_addr(&address).is_ok() {
                        std::thread::sleep(WAIT * 2);
                    }
                });
            }
            listener
        }
        "read" => {
            let ends = leak([0_i32; 2]);
            kernel(libc::SYS_pipe2, [at(ends), 0, 0, 0, 0, 0]);
            let writing = ends[1].into();
            std::thread::spawn(move || {
                loop {
                    std::thread::sleep(WAIT * 2);
                    kernel(libc::SYS_write, [writing, at(leak(b'x')), 1, 0, 0, 0]);
                }
            });
            ends[0].into()
        }
        _ => -1,
    }
}

/// Gives a socket's calls a time-out.
fn limit(socket: i64) {
    let limit = at(leak([0, TIME[1] / 1000]));
    let (level, option) = (libc::SOL_SOCKET.into(), libc::SO_RCVTIMEO.into());
    kernel(libc::SYS_setsockopt, [socket, level, option, limit, 16, 0]);
}

/// A socket that listens for as long as the program runs, and its address.
fn listen() -> (i64, SocketAddr) {
    let name = format!("pie_blob victim {}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).expect("a short name");
    let listener = UnixListener::bind_addr(&address).expect("a name of its own");
    (std::os::fd::IntoRawFd::into_raw_fd(listener).into(), address)
}

/// Threads that come and go while others compute; every line says that each computing one has got further.
fn threads(count: usize) -> ! {
    let turns: &'static [AtomicU64] = Box::leak((0..count).map(|_| AtomicU64::new(0)).collect());
    for turn in turns {
        std::thread::spawn(move || {
            loop {
                let ended = std::thread::spawn(|| 40 + 2).join();
                assert_eq!(ended.ok(), Some(42));
                turn.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut before = vec![0; count];
    rounds(move || {
        let begin = Instant::now();
        for (turn, before) in turns.iter().zip(&mut before) {
            while turn.load(Ordering::Relaxed) == *before {
                if begin.elapsed() > Duration::from_secs(10) {
                    return Err("a thread does not get on".to_owned());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            *before = turn.load(Ordering::Relaxed);
        }
        Ok(())
    })
}

/// Ends its first thread while another goes on.
fn first_thread_ends() -> ! {
    std::thread::spawn(|| {
        rounds(|| {
            std::thread::sleep(WAIT);
            Ok(())
        })
    });
    loop {
        kernel(libc::SYS_exit, [0; 6]);
    }
}

/// Says so and sleeps in one call until it is killed.
fn forever() -> ! {
    println!("sleeping");
    kernel(libc::SYS_pause, [0; 6]);
    println!("DAMAGED: pause has returned");
    exit(3)
}

/// Leaves a child unreaped and prints its id.
fn zombie() -> ! {
    // SAFETY: the child makes one call and nothing else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }
    std::thread::sleep(Duration::from_millis(50));
    println!("{child}");
    rounds(|| {
        std::thread::sleep(WAIT);
        Ok(())
    })
}

/// Prints the id of a child that runs in this process's memory.
fn shares_memory() -> ! {
    extern "C" fn wait(_: *mut libc::c_void) -> libc::c_int {
        // It must not outlive its parent: it holds its output.
        kernel(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG.into(), libc::SIGKILL.into(), 0, 0, 0, 0]);
        kernel(libc::SYS_pause, [0; 6]);
        0
    }
    let stack = Box::leak(vec![0_u128; 4096].into_boxed_slice()).as_mut_ptr_range().end;
    // SAFETY: the child has a stack of its own that lives as long as the program, and does nothing but one system call.
    let child =
        unsafe { libc::clone(wait, stack.cast(), libc::CLONE_VM | libc::SIGCHLD, std::ptr::null_mut()) };
    println!("{child}");
    rounds(move || {
        std::thread::sleep(WAIT);
        // SAFETY: takes two numbers.
        let lives = unsafe { libc::kill(child, 0) } == 0;
        if lives { Ok(()) } else { Err("the child has ended".to_owned()) }
    })
}

/// Becomes nobody and says what becomes of a try to seize `pid`.
fn seize_as_nobody(pid: i32) -> ! {
    const NOBODY: i64 = 65534;
    kernel(libc::SYS_setgroups, [0; 6]);
    kernel(libc::SYS_setuid, [NOBODY, 0, 0, 0, 0, 0]);
    match pie_blob_inject::Victim::seize(pid) {
        Ok(_) => println!("seized"),
        Err(error) => println!("{error:?}"),
    }
    exit(0)
}
