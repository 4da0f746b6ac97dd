//! Victims in states that programs are seldom in: on an alternate stack, between a fault and its handler, in code of 32 bits.
//! Each is injected again and again, its hosts are killed, and it is stopped by job control while hosts die.
//!
//! The victims are in `tests/victims/states`. Each checks what only it can know and says so when it is hurt. A hundred cycles and
//! some twenty dead hosts for each; two thousand, and a kill at every call, with `PIE_BLOB_CRASH=all`. Wants strace, Debian's
//! golang, compilers for C and C++.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "crash/kills.rs"]
mod kills;
#[path = "states/program.rs"]
mod program;
#[path = "crash/state.rs"]
mod state;
#[path = "states/tried.rs"]
mod tried;
#[path = "states/waiting.rs"]
mod waiting;

use pie_blob_inject::{CrashRisk, Error};

use tried::Tried;

/// A module for each victim, with a test for everything that is done to it.
macro_rules! victims {
    ($($(#[$documentation:meta])* $name:ident: $victim:expr, [$($test:ident),*];)*) => {$(
        $(#[$documentation])*
        mod $name {
            use super::*;

            $(
                #[test]
                fn $test() {
                    $victim.$test();
                }
            )*
        }
    )*};
}

victims! {
    /// The stack looks unused where it is not.
    altstack_above_zeros: Tried::new("altstack.c", &["zeros"]), [injected, hosts_killed, hosts_of_one_thread_killed, stopped];
    altstack_above_data: Tried::new("altstack.c", &["filled"]), [injected, hosts_killed, stopped];
    altstack_within_the_stack: Tried::new("altstack.c", &["within"]), [injected, hosts_killed, stopped];
    altstack_disarmed: Tried::new("altstack.c", &["disarmed"]), [injected, hosts_killed, stopped];
    coroutines_on_the_heap: Tried::new("coroutines.c", &["heap"]), [injected, hosts_killed, hosts_of_one_thread_killed, stopped];
    coroutines_within_the_stack: Tried::new("coroutines.c", &["within"]), [injected, hosts_killed, stopped];

    breakpoint: Tried::new("faults.c", &["breakpoint"]), [injected, hosts_killed, stopped];
    breakpoint_alternate: Tried::new("faults.c", &["breakpoint", "alternate"]), [injected, hosts_killed, stopped];
    breakpoint_in_a_thread: Tried::new("faults.c", &["breakpoint", "thread"]), [injected, hosts_killed, hosts_of_one_thread_killed, stopped];
    memory: Tried::new("faults.c", &["memory"]), [injected, hosts_killed, stopped];
    memory_alternate: Tried::new("faults.c", &["memory", "alternate"]), [injected, hosts_killed, stopped];
    memory_in_a_thread: Tried::new("faults.c", &["memory", "alternate", "thread"]), [injected, hosts_killed, hosts_of_one_thread_killed, stopped];
    division: Tried::new("faults.c", &["division"]), [injected, hosts_killed, stopped];
    division_alternate: Tried::new("faults.c", &["division", "alternate"]), [injected, hosts_killed, stopped];
    division_in_a_thread: Tried::new("faults.c", &["division", "thread"]), [injected, hosts_killed, hosts_of_one_thread_killed, stopped];
    single_steps: Tried::new("steps.c", &[]), [injected, hosts_killed, stopped];
    exceptions: Tried::new("exceptions.cpp", &[]), [injected, hosts_killed, stopped];
    exceptions_alternate: Tried::new("exceptions.cpp", &["alternate"]), [injected, hosts_killed, stopped];
    /// Go's handler of SIGURG takes one that nobody has sent as a reason to look around.
    go_that_recovers: Tried { risks: &[CrashRisk::SignalsCaught], ..Tried::new("recovers.go", &[]) },
        [injected, hosts_killed, hosts_of_one_thread_killed, stopped];

    /// The filter judges the blob's own calls when the host is dead.
    emulated_call: Tried { risks: &[CrashRisk::Seccomp], ..Tried::new("faults.c", &["emulated"]) }, [injected];
    emulated_call_alternate: Tried { risks: &[CrashRisk::Seccomp], ..Tried::new("faults.c", &["emulated", "alternate"]) },
        [injected];
    emulated_call_in_a_thread: Tried { risks: &[CrashRisk::Seccomp], ..Tried::new("faults.c", &["emulated", "thread"]) },
        [injected];
    /// The selector is in memory that a dead host has not set back.
    dispatch_by_selector: Tried { any_risk: true, ..Tried::new("dispatch.c", &["selector"]) }, [injected];
    dispatch_by_range: Tried { any_risk: true, ..Tried::new("dispatch.c", &["range"]) }, [injected];

    epoll_wait: Tried { told: true, ..Tried::new("waiting.c", &["epoll_wait"]) }, [injected, hosts_killed, stopped];
    sigtimedwait: Tried { told: true, ..Tried::new("waiting.c", &["sigtimedwait"]) }, [injected, hosts_killed, stopped];
    semtimedop: Tried { told: true, ..Tried::new("waiting.c", &["semtimedop"]) }, [injected, hosts_killed, stopped];
    ring: Tried { told: true, ..Tried::new("ring.c", &[]) }, [injected, hosts_killed, hosts_of_one_thread_killed, stopped];
    /// A worker of the kernel's that was stopped would end its wait.
    worker: Tried::new("worker.c", &[]), [injected, hosts_killed];
    compat_nanosleep: Tried::new("compat.c", &["nanosleep"]), [injected, hosts_killed, stopped];
    compat_poll: Tried::new("compat.c", &["poll"]), [injected, hosts_killed, stopped];
    compat_futex: Tried::new("compat.c", &["futex"]), [injected, hosts_killed, stopped];

    /// Refused as it is: no page of a blob's may be writable and executable.
    read_implies_exec: Tried {
        refused: |error| matches!(error, Error::ReadImpliesExec { .. }),
        ..Tried::new("executable.c", &[])
    }, [injected];
    direction_flag: Tried::new("flags.c", &["direction"]), [injected, hosts_killed, stopped];
    alignment_flag: Tried::new("flags.c", &["alignment"]), [injected, hosts_killed, stopped];
    floating_exceptions: Tried::new("flags.c", &["floating"]), [injected, hosts_killed, stopped];

    neighbour_below_the_stack: Tried::new("neighbour.c", &["data"]), [injected, hosts_killed, stopped];
    hidden_neighbour_below_the_stack: Tried::new("neighbour.c", &["hidden"]), [injected, hosts_killed, stopped];
    /// There is no place for frames.
    no_main_stack: Tried { any_risk: true, ..Tried::new("neighbour.c", &["gone"]) }, [injected];
    debugger: Tried::new("traces.c", &[]), [injected, hosts_killed, stopped];

    /// Refused while it is in code of 32 bits, as processes of 32 bits are.
    segments: Tried { refused: |error| matches!(error, Error::Compat { .. }), ..Tried::new("segments.c", &["global"]) },
        [injected];
    local_segments: Tried { refused: |error| matches!(error, Error::Compat { .. }), ..Tried::new("segments.c", &["local"]) },
        [injected];
    /// Nothing that was mapped otherwise may become executable.
    no_new_code: Tried::new("sealed.c", &[]), [injected, hosts_killed, stopped];
    /// Refused while it waits in vfork, or while it blocks every signal around that.
    spawns: Tried {
        any_risk: true,
        refused: |error| matches!(error, Error::WaitsInVfork { .. }),
        ..Tried::new("spawns.c", &[])
    }, [injected];
    executes: Tried { refused: |_| true, ..Tried::new("executes.c", &[]) }, [injected];
}
