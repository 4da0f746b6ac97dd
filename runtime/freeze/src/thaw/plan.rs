//! The restorer's plan: one block of plain data whose lists lie at offsets from its start, its addresses fixed for where
//! it lies.

use pie_blob_inject::ThreadState;
use pie_blob_restorer::plan::{
    Action, Credentials, Limit, List, MemoryMap, Move, Plan, PosixTimer, Rseq, Scheduling, Signal, Thread,
};
use zerocopy::{Immutable, IntoBytes};

use super::check::END;
use super::descriptors::Kept;
use super::layout::{Layout, STACK, extent};
use super::stage;
use crate::collect;
use crate::error::Error;
use crate::hex::Bytes;
use crate::numbers::{PAGE, id, word};
use crate::state::{self, State};
use crate::sys::check;

/// A block in the making: what has been put into it, from `base` on.
struct Block {
    base: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// Puts items into it and says where they will lie.
    fn put<T: IntoBytes + Immutable>(&mut self, items: &[T]) -> List {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let address = self.base + self.bytes.len() as u64;
        self.bytes.extend_from_slice(items.as_bytes());
        List { address, count: items.len() as u64 }
    }
}

/// How large the block will be.
pub(super) fn size(state: &State) -> u64 {
    let nowhere = Layout {
        start: 0,
        len: 0,
        plan: 0,
        plan_len: 0,
        stacks: 0,
        parked: vec![[0; 4]; state.memory.areas.len()],
        staged: vec![Some(0); state.memory.areas.len()],
        frames: 0,
        longer: 0,
    };
    let (_, block) = build(state, &nowhere, [0; 3], Kept { report: 0, executable: 0 });
    block.bytes.len() as u64
}

/// Writes the plan and the signal frames where they belong.
pub(super) fn write(state: &State, layout: &Layout, host_rseq: [u64; 3], kept: &Kept) -> Result<(), Error> {
    stage::plain(layout.plan, layout.plan_len)?;
    for number in 1..state.threads.len() as u64 {
        stage::plain(stack_of(layout, number), STACK)?;
    }
    let (plan, block) = build(state, layout, host_rseq, *kept);
    let place = std::ptr::with_exposed_provenance_mut::<u8>(word(layout.plan));
    // SAFETY: `plain` has mapped at least as many bytes there as `size` said, and nothing refers to them.
    unsafe { std::ptr::copy_nonoverlapping(block.bytes.as_ptr(), place, block.bytes.len()) };
    // SAFETY: the block begins with room for the plan, on a page border.
    unsafe { place.cast::<Plan>().write(plan) };
    let staged = state.memory.areas.iter().zip(&layout.staged);
    let stack = staged
        .filter(|(area, _)| area.kind == state::Kind::Stack)
        .find_map(|(area, staged)| Some((area, (*staged)?)));
    let Some((area, staged)) = stack else { return Ok(()) };
    let (start, _) = extent(area, layout.longer);
    let [_, sigreturn] = state.memory.way_back;
    for (thread, at) in state.threads.iter().zip(frames(state, layout)) {
        let frame = thread_state(thread).signal_frame(at, sigreturn.0);
        let place = std::ptr::with_exposed_provenance_mut::<u8>(word(staged + (at - start)));
        // SAFETY: the frames lie in the staged main stack (`Layout`), which may be written and which nothing refers to.
        unsafe { std::ptr::copy_nonoverlapping(frame.as_ptr(), place, frame.len()) };
    }
    Ok(())
}

/// Where the frame of each thread lies.
fn frames(state: &State, layout: &Layout) -> Vec<u64> {
    let mut at = layout.frames;
    let place = |thread| {
        let frame = at;
        at = (at + thread_state(thread).frame_size() as u64).next_multiple_of(64);
        frame
    };
    state.threads.iter().map(place).collect()
}

fn stack_of(layout: &Layout, number: u64) -> u64 {
    layout.stacks + number * (STACK + PAGE) + PAGE
}

/// What a thread continues with, in the injector's words.
pub(super) fn thread_state(thread: &state::Thread) -> ThreadState {
    let r = &thread.registers;
    ThreadState {
        registers: libc::user_regs_struct {
            r15: r.r15.0,
            r14: r.r14.0,
            r13: r.r13.0,
            r12: r.r12.0,
            rbp: r.rbp.0,
            rbx: r.rbx.0,
            r11: r.r11.0,
            r10: r.r10.0,
            r9: r.r9.0,
            r8: r.r8.0,
            rax: r.rax.0,
            rcx: r.rcx.0,
            rdx: r.rdx.0,
            rsi: r.rsi.0,
            rdi: r.rdi.0,
            orig_rax: u64::MAX,
            rip: r.rip.0,
            cs: r.cs.0,
            eflags: r.eflags.0,
            rsp: r.rsp.0,
            ss: r.ss.0,
            fs_base: r.fs_base.0,
            gs_base: r.gs_base.0,
            ds: 0,
            es: 0,
            fs: 0,
            gs: 0,
        },
        extended: thread.extended.0.clone(),
        mask: thread.mask.0,
        system_call: thread.system_call,
    }
}

fn build(state: &State, layout: &Layout, host_rseq: [u64; 3], kept: Kept) -> (Plan, Block) {
    let mut block = Block { base: layout.plan, bytes: vec![0; size_of::<Plan>()] };
    let parked: Vec<Move> =
        layout.parked.iter().map(|[from, park, len, _]| Move { from: *from, to: *park, len: *len }).collect();
    let unparked: Vec<Move> =
        layout.parked.iter().map(|[_, park, len, to]| Move { from: *park, to: *to, len: *len }).collect();
    let areas = state.memory.areas.iter().zip(&layout.staged);
    let moves: Vec<Move> = areas
        .filter_map(|(area, staged)| {
            let (to, len) = extent(area, layout.longer);
            Some(Move { from: (*staged)?, to, len })
        })
        .collect();
    let process = &state.process;
    let [
        start_code,
        end_code,
        start_data,
        end_data,
        start_brk,
        brk,
        start_stack,
        arg_start,
        arg_end,
        env_start,
        env_end,
    ] = state.memory.notes.map(|address| address.0);
    let auxv = block.put(&state.memory.auxiliary_vector.0);
    let memory = MemoryMap {
        start_code,
        end_code,
        start_data,
        end_data,
        start_brk,
        brk,
        start_stack,
        arg_start,
        arg_end,
        env_start,
        env_end,
        auxv: auxv.address,
        auxv_size: u32::try_from(auxv.count).unwrap_or(0),
        exe_fd: id(kept.executable),
    };
    let mut actions = [Action::default(); 64];
    for action in &process.actions {
        let at = usize::try_from(action.signal).ok().and_then(|signal| signal.checked_sub(1));
        if let Some(place) = at.and_then(|at| actions.get_mut(at)) {
            let (handler, flags) = (action.handler.0, action.flags.0);
            *place = Action { handler, flags, restorer: action.restorer.0, mask: action.mask.0 };
        }
    }
    let limits: Vec<Limit> = process
        .limits
        .iter()
        .map(|[resource, soft, hard]| Limit { resource: *resource, soft: *soft, hard: *hard })
        .collect();
    let posix_timers: Vec<PosixTimer> =
        process.posix_timers.iter().filter_map(|timer| posix_timer(timer, process.pid)).collect();
    let threads = threads(state, layout, &mut block);
    let plan = Plan {
        hole: List { address: layout.start, count: layout.len },
        end_of_addresses: END,
        parked: block.put(&parked),
        unparked: block.put(&unparked),
        moves: block.put(&moves),
        host_rseq: rseq(host_rseq),
        memory,
        actions: block.put(&actions),
        interval_timers: process.interval_timers,
        posix_timers: block.put(&posix_timers),
        limits: block.put(&limits),
        pending: signals(&process.pending, &mut block),
        credentials: credentials(&process.credentials, &mut block),
        dumpable: process.dumpable,
        no_new_privs: u32::from(process.no_new_privs),
        parent_death_signal: process.parent_death_signal,
        child_subreaper: u32::from(process.child_subreaper),
        barriers: process.barriers,
        lock_future: process.lock_future,
        threads: block.put(&threads),
        system_call: state.memory.way_back[0].0,
        report: kept.report,
        ready: 0.into(),
        go: 0.into(),
        gone: 0.into(),
    };
    (plan, block)
}

fn rseq([address, len, signature]: [u64; 3]) -> Rseq {
    let half = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap_or(0);
    Rseq { address, len: half(len), signature: half(signature) }
}

fn signals(pending: &[Bytes], block: &mut Block) -> List {
    let signals: Vec<Signal> =
        pending.iter().filter_map(|signal| Some(Signal(*signal.0.first_chunk()?))).collect();
    block.put(&signals)
}

fn posix_timer(timer: &state::PosixTimer, pid: i32) -> Option<PosixTimer> {
    let (clock, of_a_thread) = collect::clock(timer.clock)?;
    Some(PosixTimer {
        id: timer.id,
        clock,
        value: timer.value.0,
        signal: timer.signal,
        notify: timer.notify,
        thread: timer.thread,
        owner: if of_a_thread { pid } else { 0 },
        setting: timer.setting,
    })
}

/// The credentials, and whether this process has others.
fn credentials(wanted: &state::Credentials, block: &mut Block) -> Credentials {
    let own = pie_blob_parasite::credentials::credentials();
    let mut groups = vec![0; usize::try_from(own.groups).unwrap_or(0)];
    // SAFETY: there is room for as many groups as it is told.
    let _ = unsafe { pie_blob_parasite::dump_groups(groups.as_mut_ptr(), groups.len()) };
    let [inheritable, permitted, effective, bounding, ambient] = wanted.capabilities.map(|set| set.0);
    let same = own.uids == wanted.uids
        && own.gids == wanted.gids
        && groups == wanted.groups
        && own.securebits == wanted.securebits
        && [own.inheritable, own.permitted, own.effective, own.bounding, own.ambient]
            == [inheritable, permitted, effective, bounding, ambient];
    Credentials {
        uids: wanted.uids,
        gids: wanted.gids,
        inheritable,
        permitted,
        effective,
        bounding,
        ambient,
        securebits: wanted.securebits,
        change: u32::from(!same),
        groups: block.put(&wanted.groups),
    }
}

fn threads(state: &State, layout: &Layout, block: &mut Block) -> Vec<Thread> {
    let mut threads = Vec::new();
    for ((number, thread), frame) in (0_u64..).zip(&state.threads).zip(frames(state, layout)) {
        let mut name = [0; 16];
        let bytes = thread.name.as_bytes();
        let len = bytes.len().min(15);
        for (place, byte) in name.iter_mut().zip(bytes.iter().take(len)) {
            *place = *byte;
        }
        let [policy, flags, priority] = thread.scheduling;
        let half = |value: u64| u32::try_from(value).unwrap_or(0);
        // Of the flags only the one that children start afresh can be set.
        const RESET_ON_FORK: u64 = 1;
        threads.push(Thread {
            tid: thread.tid,
            io_priority: thread.io_priority,
            stack: if number == 0 { 0 } else { stack_of(layout, number) },
            stack_size: STACK,
            fs_base: thread.registers.fs_base.0,
            gs_base: thread.registers.gs_base.0,
            robust: thread.robust_list.map(|word| word.0),
            clear_child_tid: thread.clear_child_tid.0,
            rseq: rseq(thread.rseq.map(|word| word.0)),
            alternate_stack: thread.alternate_stack.map(|word| word.0),
            name,
            pending: signals(&thread.pending, block),
            affinity: block.put(&thread.affinity.0),
            scheduling: Scheduling {
                size: u32::try_from(size_of::<Scheduling>()).unwrap_or(0),
                policy: half(policy),
                flags: flags & RESET_ON_FORK,
                nice: thread.nice,
                priority: half(priority),
                deadline: [0; 3],
            },
            timer_slack: thread.timer_slack,
            frame,
        });
    }
    threads
}

/// The copy ends with its parent, until the restorer says otherwise.
pub(super) fn die_with_parent(parent: u32) -> Result<(), Error> {
    // SAFETY: takes numbers.
    let set =
        check(libc::c_long::from(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }));
    set.map_err(Error::io("tie the copy to its parent"))?;
    if std::os::unix::process::parent_id() == parent {
        return Ok(());
    }
    Err(Error::io("tie the copy to its parent")(std::io::ErrorKind::NotFound.into()))
}

/// What a process can do to itself before it is another one.
pub(super) fn attributes(state: &State) -> Result<(), Error> {
    let process = &state.process;
    let directory = &process.directory;
    std::env::set_current_dir(directory).map_err(Error::io(format!("change to {directory}")))?;
    // SAFETY: takes a number and cannot fail.
    unsafe { libc::umask(process.umask) };
    // SAFETY: takes a number.
    let set = check(libc::c_long::from(unsafe { libc::personality(process.personality.0) }));
    set.map_err(Error::io("set the personality"))?;
    if process.session_leader {
        // SAFETY: takes nothing.
        let session = check(libc::c_long::from(unsafe { libc::setsid() }));
        session.map_err(Error::io("begin a session"))?;
    }
    if let Some(filter) = process.core_filter {
        let path = "/proc/self/coredump_filter";
        std::fs::write(path, filter.to_string()).map_err(Error::io(format!("write {path}")))?;
    }
    let path = "/proc/self/oom_score_adj";
    let adjustment = process.oom_score_adj.to_string();
    let now = std::fs::read_to_string(path).unwrap_or_default();
    if now.trim() != adjustment {
        std::fs::write(path, adjustment).map_err(Error::io(format!("write {path}")))?;
    }
    Ok(())
}
