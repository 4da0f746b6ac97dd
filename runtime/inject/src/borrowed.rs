//! One stopped thread, borrowed to run code in its process, and given back as it was.
//!
//! The order of every step here is what makes a tracer's death harmless: frames first, then registers, then the mask;
//! back the other way round. At every moment in between, a thread that is suddenly on its own
//! runs into the frames and from there into its own state.

use std::io::ErrorKind;

use pie_blob_std::abi;

use crate::sys::ptrace::{self, Resume};
use crate::sys::wait::{self, Change};
use crate::target::Target;
use crate::victim::{Held, Victim};
use crate::x86_64::frame::{Frames, Original};
use crate::x86_64::gadget::Gadgets;
use crate::x86_64::registers::{self, Registers, SystemCall};
use crate::x86_64::rseq;
use crate::x86_64::xstate::ExtendedState;
use crate::{CrashRisk, Error, restart};

/// Left free below the frames: where a handler would run if the tracer died before signals were blocked.
const BELOW: u64 = 16 * 1024;
/// What the ABI lets a thread use below its stack pointer.
const RED_ZONE: u64 = 128;

/// A thread whose registers are somebody else's for a while.
#[derive(Debug)]
pub(crate) struct Borrowed {
    tid: i32,
    original: Registers,
    /// Where it continues: its own place, or the abort handler of a restartable sequence.
    resume_at: u64,
    state: ExtendedState,
    mask: u64,
    /// The signal that ends calls.
    end: i32,
    gadgets: Gadgets,
    frames: Option<Frames>,
    /// The bytes that the frames lie on.
    covered: Vec<u8>,
    /// Whether anything has been changed that must be given back.
    changed: bool,
    /// Whether the blob was interrupted in a wait of its own: the kernel has one place to note how a wait goes on, and
    /// it no longer holds the victim's.
    wait_forgotten: bool,
}

/// How the thread came to stand still again.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// At the end of the call.
    Done(Registers),
    /// The end signal came before the end: the deadline.
    Overdue(Registers),
    /// A signal that its own code raised.
    Fault { signal: i32, address: u64, registers: Registers },
}

impl Borrowed {
    /// Saves the state of a thread and writes the frames that lead back to it, the first of which makes the system call
    /// `undo`.
    pub(crate) fn take(victim: &mut Victim, target: &Target, undo: &SystemCall) -> Result<Self, Error> {
        let pid = victim.pid;
        // The first thread if it lives: the main stack is its own.
        let first = victim.threads.iter().find(|tid| **tid == pid).or_else(|| victim.threads.first());
        let Some(tid) = first.copied() else { return Err(Error::Zombie { pid }) };
        let kernel = |action| Error::kernel(action, pid);
        let Some(original) = Registers::of(tid).map_err(kernel("read registers"))? else {
            return Err(Error::Compat { pid });
        };
        let state = ExtendedState::of(tid).map_err(kernel("read the extended state"))?;
        let mask = ptrace::get_signal_mask(tid).map_err(kernel("read the signal mask"))?;
        let resume_at =
            rseq::resume_at(pid, tid, &original).map_err(kernel("read the restartable sequence"))?;
        let (end, _) = victim.end_signal();
        let mut borrowed = Self {
            tid,
            original,
            resume_at,
            state,
            mask,
            end,
            gadgets: target.gadgets,
            frames: None,
            covered: Vec::new(),
            changed: false,
            wait_forgotten: false,
        };
        borrowed.lay_frames(victim, target, undo)?;
        Ok(borrowed)
    }

    /// Checks that the program is still the one that was looked at, finds room for the frames and writes them.
    fn lay_frames(&mut self, victim: &mut Victim, target: &Target, undo: &SystemCall) -> Result<(), Error> {
        let pid = victim.pid;
        let area = self.state.in_frame();
        let place = match (&area, self.gadgets) {
            (Some(area), Gadgets::Pair { .. }) => self.room(victim, target, Frames::space(area.len()) as u64),
            _ => None,
        };
        let call = self.gadgets.call();
        let sigreturn = match self.gadgets {
            Gadgets::Pair { sigreturn, .. } => sigreturn,
            Gadgets::CallOnly(call) => call,
        };
        // What the frames will lie on; with no place for them, the borrowed code, to see that it is still there.
        let (address, space) = place.unwrap_or((call.address, call.code.len() as u64));
        self.covered = vec![0; usize::try_from(space).unwrap_or(0)];
        target.memory.read(address, &mut self.covered).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => Error::Changed { pid },
            _ => Error::kernel("read its memory", pid)(source),
        })?;
        let (Some((address, _)), Some(area)) = (place, area) else {
            if matches!(self.gadgets, Gadgets::Pair { .. }) {
                victim.risks.push(CrashRisk::NoRoomForFrames);
            }
            return victim.check_risks();
        };
        let original = Original { registers: &self.original, resume_at: self.resume_at, mask: self.mask };
        let Some(frames) = Frames::at(address, &original, &area, sigreturn.address, call.address, undo)
        else {
            victim.risks.push(CrashRisk::NoRoomForFrames);
            return victim.check_risks();
        };
        self.covered.truncate(frames.bytes.len());
        target.memory.write(frames.address, &frames.bytes).map_err(Error::kernel("write the frames", pid))?;
        self.frames = Some(frames);
        Ok(())
    }

    /// Finds pages at the low end of the main stack that no thread uses; never below a stack pointer's own page, and
    /// never on a stack that a program has made for itself.
    fn room(&self, victim: &Victim, target: &Target, space: u64) -> Option<(u64, u64)> {
        let stack = target.areas.iter().find(|area| area.name == "[stack]" && area.writable)?.range.clone();
        let below = if stack.end - stack.start > 4 * BELOW { BELOW } else { 0 };
        let address = stack.start.checked_add(below)?.next_multiple_of(64);
        let end = address.checked_add(space)?.checked_add(RED_ZONE)?;
        let mut pointers = vec![self.original.rsp];
        for tid in victim.threads.iter().copied().filter(|tid| *tid != self.tid) {
            pointers.push(Registers::of(tid).ok()??.rsp);
        }
        let clear = |pointer: &u64| !stack.contains(pointer) || *pointer >= end;
        (end <= stack.end && pointers.iter().all(clear)).then_some((address, space))
    }

    /// Makes one system call in the victim's name and returns what it answered.
    pub(crate) fn system_call(&mut self, victim: &mut Victim, call: &SystemCall) -> Result<u64, Error> {
        self.start_system_call(victim, call, self.undo_or_own())?;
        self.finish_system_call(victim, call)
    }

    /// Makes a system call after which nothing is left to undo.
    pub(crate) fn last_system_call(&mut self, victim: &mut Victim, call: &SystemCall) -> Result<u64, Error> {
        self.start_system_call(victim, call, self.resume_or_own())?;
        self.finish_system_call(victim, call)
    }

    fn start_system_call(&mut self, victim: &Victim, call: &SystemCall, rsp: u64) -> Result<(), Error> {
        let registers = self.original.calling(self.gadgets.call().address, rsp, call);
        self.go_to(victim, &registers)
    }

    /// Sets registers, and the mask where it is still the thread's own: in this order.
    fn go_to(&mut self, victim: &Victim, registers: &Registers) -> Result<(), Error> {
        registers.set(self.tid).map_err(Error::kernel("set registers", victim.pid))?;
        if !self.changed {
            self.changed = true;
            ptrace::set_signal_mask(self.tid, self.running_mask())
                .map_err(Error::kernel("set the signal mask", victim.pid))?;
        }
        Ok(())
    }

    /// Everything is blocked while code is borrowed but the end signal and what code raises by itself: a blocked fault
    /// would delete the victim's handler.
    fn running_mask(&self) -> u64 {
        let raised = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
        raised.iter().chain([&self.end]).fold(u64::MAX, |mask, signal| mask & !(1 << (signal - 1)))
    }

    /// Lets the system call at hand run from its entry to its exit.
    pub(crate) fn finish_system_call(
        &mut self,
        victim: &mut Victim,
        call: &SystemCall,
    ) -> Result<u64, Error> {
        let pid = victim.pid;
        for _ in ["entry", "exit"] {
            self.resume(victim, Resume::ToSystemCall)?;
            loop {
                match self.wait(victim)? {
                    Change::SystemCall => break,
                    Change::Signal(signal) => {
                        self.put_off(victim, signal);
                        self.resume(victim, Resume::ToSystemCall)?;
                    }
                    Change::Event(_) | Change::Gone(_) => self.resume(victim, Resume::ToSystemCall)?,
                }
            }
        }
        let Some(registers) = Registers::of(self.tid).map_err(Error::kernel("read registers", pid))? else {
            return Err(Error::Compat { pid });
        };
        registers::answer(registers.rax).map_err(|source| Error::Refused { pid, call: call.name, source })
    }

    /// Runs the blob from its entry until the call ends, however it ends. `done` is where a call stands then.
    pub(crate) fn run(
        &mut self,
        victim: &mut Victim,
        entry: &Entry<'_>,
        done: u64,
    ) -> Result<Stopped, Error> {
        let pid = victim.pid;
        let registers = self.entering(entry);
        self.go_to(victim, &registers)?;
        self.resume(victim, Resume::Continue)?;
        loop {
            let signal = match self.wait(victim)? {
                Change::Signal(signal) => signal,
                Change::SystemCall | Change::Event(_) | Change::Gone(_) => {
                    self.resume(victim, Resume::Continue)?;
                    continue;
                }
            };
            let read = Registers::of(self.tid).map_err(Error::kernel("read registers", pid))?;
            let Some(registers) = read else { return Err(Error::Compat { pid }) };
            if signal == self.end && registers.rip == done {
                return Ok(Stopped::Done(registers));
            }
            self.wait_forgotten |= restart::notes_a_wait(&registers);
            if signal == self.end && entry.overdue() {
                return Ok(Stopped::Overdue(registers));
            }
            if matches!(
                signal,
                libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP | libc::SIGSYS
            ) {
                let information =
                    ptrace::signal_information(self.tid).map_err(Error::kernel("read the signal", pid))?;
                // From the kernel, for what the code did; others can only send it.
                if information.si_code > 0 {
                    // SAFETY: for these signals the kernel fills in the address.
                    let address = unsafe { information.si_addr() }.addr() as u64;
                    return Ok(Stopped::Fault { signal, address, registers });
                }
            }
            // Not the end: somebody else's, or one that was pending before.
            victim.deferred.push(signal);
            self.resume(victim, Resume::Continue)?;
        }
    }

    fn entering(&self, entry: &Entry<'_>) -> Registers {
        let [rdi, rsi, rdx, rcx, r8, r9] = entry.arguments;
        let gadget = match (self.gadgets, &self.frames) {
            (Gadgets::Pair { call, .. }, Some(_)) => call.address,
            _ => 0,
        };
        Registers {
            rax: entry.function,
            rbx: if entry.first { abi::FIRST_CALL } else { 0 },
            rdi,
            rsi,
            rdx,
            rcx,
            r8,
            r9,
            r12: u64::from(self.end.unsigned_abs()),
            r13: gadget,
            r14: self.frames.as_ref().map_or(0, |frames| frames.resume),
            r15: entry.span,
            ..self.original.going_to(entry.base, self.undo_or_own())
        }
    }

    /// A signal that came while the thread was not its own: sent again at the end, but for the end signal, which means
    /// nothing to the victim.
    fn put_off(&self, victim: &mut Victim, signal: i32) {
        if signal != self.end {
            victim.deferred.push(signal);
        }
    }

    fn resume(&self, victim: &Victim, how: Resume) -> Result<(), Error> {
        ptrace::resume(self.tid, how, 0).map_err(Error::kernel("resume it", victim.pid))
    }

    fn wait(&mut self, victim: &mut Victim) -> Result<Change, Error> {
        match wait::change(self.tid).map_err(Error::kernel("wait for it", victim.pid))? {
            Change::Gone(status) => {
                wait::take_end(self.tid);
                self.changed = false;
                victim.threads.retain(|tid| *tid != self.tid);
                Err(Error::Died { pid: victim.pid, status })
            }
            change => Ok(change),
        }
    }

    fn undo_or_own(&self) -> u64 {
        self.frames.as_ref().map_or(self.own_stack(), |frames| frames.undo)
    }

    fn resume_or_own(&self) -> u64 {
        self.frames.as_ref().map_or(self.own_stack(), |frames| frames.resume)
    }

    fn own_stack(&self) -> u64 {
        self.original.rsp.wrapping_sub(RED_ZONE) & !15
    }

    /// The thread's id.
    pub(crate) fn tid(&self) -> i32 {
        self.tid
    }

    /// The signal that ends calls.
    pub(crate) fn end(&self) -> i32 {
        self.end
    }

    /// Where the mapping's name lies in the victim, if there is a place for it.
    pub(crate) fn name(&self) -> Option<u64> {
        self.frames.as_ref().map(|frames| frames.name)
    }

    /// Whether the blob unmaps itself when it is resumed at the end of a call.
    pub(crate) fn unmaps_itself(&self) -> bool {
        self.frames.is_some()
    }

    /// Gives the thread its mask, its extended state, its registers and the covered bytes back, in this order.
    pub(crate) fn give_back(&mut self, victim: &mut Victim, target: &Target) -> Result<(), Error> {
        let pid = victim.pid;
        if self.changed {
            ptrace::set_signal_mask(self.tid, self.mask)
                .map_err(Error::kernel("set the signal mask", pid))?;
            self.state.set(self.tid).map_err(Error::kernel("set the extended state", pid))?;
            let again = self.wait_forgotten && restart::notes_a_wait(&self.original);
            let registers = if again {
                restart::after_death(&self.original)
            } else {
                Registers { rip: self.resume_at, ..restart::cured(&self.original) }
            };
            registers.set(self.tid).map_err(Error::kernel("set registers", pid))?;
            self.changed = false;
            if victim.held != Held::Seized {
                self.stop_anew(victim)?;
            }
        }
        if let Some(frames) = self.frames.take() {
            target
                .memory
                .write(frames.address, &self.covered)
                .map_err(Error::kernel("put back what the frames lay on", pid))?;
        }
        Ok(())
    }

    /// An adopted thread stays stopped, and its tracer will resume it in a way that does not pass where the kernel
    /// starts system calls again: so it is led past there into a stop of its own.
    fn stop_anew(&mut self, victim: &mut Victim) -> Result<(), Error> {
        let pid = victim.pid;
        if ptrace::interrupt(self.tid).is_ok() {
            self.resume(victim, Resume::Continue)?;
            self.wait(victim)?;
            return Ok(());
        }
        // Attached, not seized: such a thread cannot be interrupted, so its call is started again by hand.
        let mut registers = if self.wait_forgotten {
            restart::after_death(&self.original)
        } else {
            restart::by_hand(&self.original)
        };
        if registers.rip == self.original.rip {
            registers.rip = self.resume_at;
        }
        registers.set(self.tid).map_err(Error::kernel("set registers", pid))
    }
}

/// Where and with what the blob is entered.
pub(crate) struct Entry<'a> {
    pub(crate) base: u64,
    pub(crate) span: u64,
    pub(crate) function: u64,
    pub(crate) arguments: [u64; 6],
    /// Whether the segments still want their permissions.
    pub(crate) first: bool,
    /// Says whether the call's time is over.
    pub(crate) watch: &'a crate::watchdog::Watch,
}

impl Entry<'_> {
    fn overdue(&self) -> bool {
        self.watch.fired()
    }
}
