//! What is only known of a stopped process, and what only the process itself knows: asked through the parasite.

mod timers;

pub(crate) use timers::clock;

use std::fs;
use std::io;
use std::path::Path;

use pie_blob_inject::{Infected, Others, ThreadState, Victim};
use pie_blob_parasite as parasite;
use pie_blob_parasite::parasite as blob;

use crate::error::{Error, Refusal};
use crate::hex::{Bytes, Hex};
use crate::proc::{self, Stat};
use crate::state::{Action, Credentials, PosixTimer, Process, Registers, Thread};
use crate::sys;

/// What the parasite was told.
#[derive(Debug)]
pub(crate) struct Answers {
    misc: parasite::Misc,
    flags: parasite::Flags,
    requests: parasite::Requests,
    credentials: Credentials,
    actions: Vec<Action>,
    /// What each thread says of itself.
    pub(crate) threads: Vec<(i32, parasite::Misc)>,
    pending: Vec<Bytes>,
    interval_timers: [[i64; 4]; 3],
    posix_timers: Vec<PosixTimer>,
}

/// An answer of an export: 0, a number, or a negated error.
fn answered(pid: i32, question: &'static str, answer: i32) -> Result<i32, Error> {
    if answer >= 0 {
        return Ok(answer);
    }
    Err(Error::Answer { pid, question, source: io::Error::from_raw_os_error(-answer) })
}

/// Asks everything that must be asked inside. The victim is cured afterwards by the caller.
pub(crate) fn ask(infected: &mut Infected, pid: i32, threads: &[i32]) -> Result<Answers, Error> {
    let mut misc = parasite::Misc::default();
    let answer = infected.call(blob::DUMP_MISC, (&mut misc,))?;
    answered(pid, "ids and flags", answer)?;
    let mut flags = parasite::Flags::default();
    let answer = infected.call(blob::DUMP_FLAGS, (&mut flags,))?;
    answered(pid, "flags", answer)?;
    let mut requests = parasite::Requests::default();
    let answer = infected.call(blob::DUMP_REQUESTS, (&mut requests,))?;
    answered(pid, "what it has asked the kernel for", answer)?;
    let credentials = credentials(infected, pid)?;
    let actions = actions(infected, pid)?;
    let mut inside = vec![(pid, misc)];
    for tid in threads.iter().copied().filter(|tid| *tid != pid) {
        let mut misc = parasite::Misc::default();
        let answer = infected.call_in(tid, Others::Stopped, blob::DUMP_MISC, (&mut misc,))?;
        answered(pid, "ids and flags of a thread", answer)?;
        inside.push((tid, misc));
    }
    let (interval_timers, posix_timers, pending) = timers::timers(infected, pid)?;
    let threads = inside;
    Ok(Answers {
        misc,
        flags,
        requests,
        credentials,
        actions,
        threads,
        pending,
        interval_timers,
        posix_timers,
    })
}

fn credentials(infected: &mut Infected, pid: i32) -> Result<Credentials, Error> {
    let mut dumped = parasite::Credentials::default();
    let answer = infected.call(blob::DUMP_CREDENTIALS, (&mut dumped,))?;
    answered(pid, "credentials", answer)?;
    let mut groups = vec![0; usize::try_from(dumped.groups).unwrap_or(0)];
    let room = groups.len();
    let answer = infected.call(blob::DUMP_GROUPS, (groups.as_mut_slice(), room))?;
    answered(pid, "groups", answer)?;
    let sets = [dumped.inheritable, dumped.permitted, dumped.effective, dumped.bounding, dumped.ambient];
    Ok(Credentials {
        uids: dumped.uids,
        gids: dumped.gids,
        groups,
        capabilities: sets.map(Hex),
        securebits: dumped.securebits,
    })
}

fn actions(infected: &mut Infected, pid: i32) -> Result<Vec<Action>, Error> {
    let mut dumped = [parasite::SignalAction::default(); parasite::SIGNALS];
    let answer = infected.call(blob::DUMP_SIGNALS, (dumped.as_mut_slice(),))?;
    answered(pid, "signal actions", answer)?;
    let set = (1..).zip(dumped).filter(|(_, action)| *action != parasite::SignalAction::default());
    Ok(set
        .map(|(signal, action)| Action {
            signal,
            handler: Hex(action.handler),
            flags: Hex(action.flags),
            restorer: Hex(action.restorer),
            mask: Hex(action.mask),
        })
        .collect())
}

/// The lines of `/proc/PID/limits`, which are in the order of the numbers of the resources. The kernel lets more people
/// read them there than ask for them.
fn parse_limits(text: &str) -> Option<Vec<[u64; 3]>> {
    /// Where the first value begins: names have spaces in them.
    const VALUES_AT: usize = 26;
    let number = |word: &str| if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() };
    let mut limits = Vec::new();
    for (resource, line) in (0..).zip(text.lines().skip(1)) {
        let mut words = line.get(VALUES_AT..)?.split_ascii_whitespace();
        limits.push([resource, number(words.next()?)?, number(words.next()?)?]);
    }
    (limits.len() == 16).then_some(limits)
}

impl Answers {
    /// What the process has once.
    pub(crate) fn process(&self, pid: i32, executable: usize) -> Result<Process, Error> {
        let stat = Stat::of(pid)?;
        let personality = proc::read(pid, "personality")?;
        let personality = u64::from_str_radix(personality.trim(), 16);
        let oom = proc::read(pid, "oom_score_adj")?;
        let core_filter = proc::read(pid, "coredump_filter").ok();
        let core_filter = core_filter.and_then(|filter| u64::from_str_radix(filter.trim(), 16).ok()).map(Hex);
        let limits =
            parse_limits(&proc::read(pid, "limits")?).ok_or_else(|| proc::malformed(pid, "limits"))?;
        let [mut real, virtual_, profiling] = self.interval_timers;
        // While its signal is pending the real timer rests; it is started again when the signal is taken.
        if let [seconds, fraction, 0, 0] = real {
            if [seconds, fraction] != [0, 0] {
                real = [seconds, fraction, seconds, fraction];
            }
        }
        Ok(Process {
            pid,
            start_time: stat.number(22),
            executable,
            directory: proc::link(pid, "cwd")?,
            umask: self.misc.umask,
            personality: Hex(personality.map_err(|_| proc::malformed(pid, "personality"))?),
            session_leader: self.misc.sid == self.misc.pid,
            dumpable: self.misc.dumpable.unsigned_abs(),
            no_new_privs: self.misc.no_new_privs == 1,
            parent_death_signal: self.misc.parent_death_signal.unsigned_abs(),
            child_subreaper: self.flags.child_subreaper == 1,
            barriers: self.requests.barriers,
            lock_future: self.requests.lock,
            core_filter,
            oom_score_adj: oom.trim().parse().map_err(|_| proc::malformed(pid, "oom_score_adj"))?,
            credentials: self.credentials.clone(),
            limits,
            actions: self.actions.clone(),
            pending: self.pending.clone(),
            interval_timers: [real, virtual_, profiling],
            posix_timers: self.posix_timers.clone(),
        })
    }

    /// What only shows from inside and no image can hold.
    pub(crate) fn refusals(&self, threads: &[i32]) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut refuse = |is: bool, reason: &str| {
            if is {
                refusals.push(Refusal::Process { reason: reason.to_owned() });
            }
        };
        let flags = &self.flags;
        refuse(self.misc.dumpable > 1, "may dump its core for root only (fs.suid_dumpable)");
        refuse(flags.no_huge_pages != 0, "has asked for no huge pages (PR_SET_THP_DISABLE)");
        refuse(flags.deny_write_execute != 0, "denies itself executable memory (PR_SET_MDWE)");
        refuse(flags.io_flusher != 0, "is an IO flusher (PR_SET_IO_FLUSHER)");
        refuse(flags.time_stamp_counter != 1, "may not read the time-stamp counter (PR_SET_TSC)");
        refuse(flags.machine_check != 2, "has asked for other machine checks (PR_MCE_KILL)");
        // What is not given to everyone (AMX): its registers are in no image.
        const GIVEN: u64 = 1 << 18;
        refuse(self.requests.features & GIVEN != 0, "may use AMX (ARCH_REQ_XCOMP_PERM)");
        for timer in &self.posix_timers {
            // Which thread's own time it is does not show.
            if clock(timer.clock).is_none_or(|(_, of_a_thread)| of_a_thread && threads.len() > 1) {
                let words = format!(
                    "has a timer {} with clock {}, which cannot be made again",
                    timer.id, timer.clock
                );
                refuse(true, &words);
            }
            let gone = timer.notify & libc::SIGEV_THREAD_ID != 0 && !threads.contains(&timer.thread);
            refuse(gone, &format!("has a timer {} for a thread that has ended", timer.id));
        }
        refusals
    }

    /// The program break.
    pub(crate) fn program_break(&self) -> u64 {
        self.misc.program_break
    }
}

/// A thread, as it will go on.
pub(crate) fn thread(victim: &Victim, pid: i32, tid: i32, said: &parasite::Misc) -> Result<Thread, Error> {
    let state: ThreadState = victim.thread_state(tid)?;
    let of = |file: &str| format!("task/{tid}/{file}");
    let scheduling = sys::scheduling(tid).map_err(Error::io("ask how a thread is scheduled"))?;
    let pending = sys::pending(tid, false).map_err(Error::io("look at pending signals"))?;
    // Readable by the owner and root only, and not on every kernel.
    let slack =
        Path::new("/proc").join(pid.to_string()).join("task").join(tid.to_string()).join("timerslack_ns");
    let slack = fs::read_to_string(slack).ok().and_then(|text| text.trim().parse().ok());
    // Whether it stands on the stack is the kernel's own finding.
    let flags = said.alternate_stack_flags & !u64::from(libc::SS_ONSTACK.unsigned_abs());
    let r = &state.registers;
    Ok(Thread {
        tid,
        name: proc::read(pid, &of("comm"))?.trim_end_matches('\n').to_owned(),
        system_call: state.system_call,
        registers: Registers {
            rip: Hex(r.rip),
            rsp: Hex(r.rsp),
            eflags: Hex(r.eflags),
            rax: Hex(r.rax),
            rbx: Hex(r.rbx),
            rcx: Hex(r.rcx),
            rdx: Hex(r.rdx),
            rsi: Hex(r.rsi),
            rdi: Hex(r.rdi),
            rbp: Hex(r.rbp),
            r8: Hex(r.r8),
            r9: Hex(r.r9),
            r10: Hex(r.r10),
            r11: Hex(r.r11),
            r12: Hex(r.r12),
            r13: Hex(r.r13),
            r14: Hex(r.r14),
            r15: Hex(r.r15),
            cs: Hex(r.cs),
            ss: Hex(r.ss),
            fs_base: Hex(r.fs_base),
            gs_base: Hex(r.gs_base),
        },
        extended: Bytes(state.extended),
        mask: Hex(state.mask),
        pending: pending.into_iter().map(|signal| Bytes(signal.to_vec())).collect(),
        robust_list: sys::robust_list(tid).map_err(Error::io("ask for a robust list"))?.map(Hex),
        clear_child_tid: Hex(said.clear_child_tid),
        rseq: sys::rseq(tid).map_err(Error::io("ask for restartable sequences"))?.map(Hex),
        alternate_stack: [Hex(said.alternate_stack), Hex(flags), Hex(said.alternate_stack_size)],
        affinity: Bytes(sys::affinity(tid).map_err(Error::io("ask for a thread's processors"))?),
        scheduling: [scheduling.policy.into(), scheduling.flags, scheduling.priority.into()],
        nice: scheduling.nice,
        io_priority: sys::io_priority(tid).map_err(Error::io("ask for a thread's priority"))?,
        timer_slack: slack.unwrap_or(said.timer_slack),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_that_the_kernel_answers() {
        let own = i32::try_from(std::process::id()).unwrap();
        for [resource, soft, hard] in parse_limits(&proc::read(own, "limits").unwrap()).unwrap() {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the kernel writes one structure.
            let answer = unsafe { libc::getrlimit(u32::try_from(resource).unwrap(), &raw mut limit) };
            assert_eq!((answer, limit.rlim_cur, limit.rlim_max), (0, soft, hard), "{resource}");
        }
        assert_eq!(parse_limits("Limit\nMax cpu time              x y seconds\n"), None);
    }
}
