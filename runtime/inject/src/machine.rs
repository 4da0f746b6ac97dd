//! What the injector asks of an instruction set: one trait.
//!
//! Everything outside of an implementation's folder speaks of registers, frames and borrowed code through it; another
//! instruction set is another folder beside `x86_64`, and another line for [`Native`].

use std::fmt::Debug;
use std::io;

use crate::areas::Area;
use crate::sys::memory::Memory;
use crate::system_call::SystemCall;

pub(crate) use crate::x86_64::chain::Chain;
pub(crate) use crate::x86_64::frame::Left;

/// The instruction set that this crate is compiled for.
pub(crate) type Native = crate::x86_64::registers::Registers;

/// The general registers of a stopped thread, and what can be done with them on this instruction set.
pub(crate) trait Machine: Copy + Debug + PartialEq {
    /// Everything that general registers do not hold: floating point, vectors, shadow stacks.
    type State: Clone + Debug + PartialEq;

    /// How many bytes an instruction that makes a system call has.
    const CALL_LENGTH: u64;

    /// Finds out before any thread is stopped what is the same for all of them and takes a while.
    fn ask_once();

    /// Reads them from a stopped thread; `None` when it runs code of another word size.
    fn of(tid: i32) -> io::Result<Option<Self>>;
    /// Gives them to a stopped thread.
    fn set(&self, tid: i32) -> io::Result<()>;

    /// Where the thread goes on.
    fn place(&self) -> u64;
    /// The same with another place to go on.
    fn going_on_at(self, place: u64) -> Self;
    /// The stack pointer.
    fn stack(&self) -> u64;
    /// Where the thread must go on: its own place, or the abort handler of the restartable sequence that it was stopped in.
    fn resume_at(&self, tid: i32) -> io::Result<u64>;

    /// The system call that the thread was stopped in.
    fn system_call(&self) -> Option<i64>;
    /// What that call answers: a value, a negated error number, or a restart code of the kernel's.
    fn answer(&self) -> i64;
    /// The same with another answer.
    fn answering(self, answer: i64) -> Self;
    /// The same before the instruction that made the call, which now makes call `number`.
    fn making_again(self, number: i64) -> Self;
    /// The same in no system call: nothing for the kernel to start again.
    fn in_no_call(self) -> Self;

    /// Before the system call instruction at `place`, which makes `call`.
    fn calling(&self, place: u64, stack: u64, call: &SystemCall) -> Self;
    /// Before the entry of a blob, as `pie_blob_std`'s head wants it.
    fn entering(&self, stack: u64, entry: &Entering) -> Self;
    /// What the head says at the end of a call: how it ended (`pie_blob_std::abi`), and with what.
    fn ended(&self) -> (u64, u64);

    /// Reads the rest of a stopped thread's state.
    fn state_of(tid: i32) -> io::Result<Self::State>;
    /// Gives that to a stopped thread.
    fn set_state(state: &Self::State, tid: i32) -> io::Result<()>;
    /// That state as a signal frame holds it; `None` where no frame can.
    fn state_in_frame(state: &Self::State) -> Option<Vec<u8>>;

    /// Searches a process's code for what remote calls borrow; `None` when it has no system call instruction at all.
    fn gadgets(memory: &Memory, areas: &[Area]) -> Option<Gadgets>;
    /// How many bytes the frames of a thread with `state` bytes of such state take.
    fn frame_space(state: usize) -> usize;
    /// Lays out the frames that lead a thread back, aligned to 64 bytes; `None` where its state is none that a frame can hold.
    fn frames(address: u64, original: &Original<'_, Self>, way: &Way, undo: &SystemCall) -> Option<Frames>;
    /// The most bytes that frames take: whole pages.
    const LONGEST_FRAMES: u64;
    /// Finds frames at `address`, where a process's memory begins with `bytes`.
    fn left(bytes: &[u8], address: u64) -> Option<Left>;
    /// Whether frames still lie in memory as they were written.
    fn frames_are_whole(memory: &Memory, frames: &Frames) -> bool;
    /// Whether code may end with a call: then what follows it is where a call comes back to.
    fn ends_with_call(code: &[u8]) -> bool;
}

/// What a blob is entered with.
#[derive(Debug)]
pub(crate) struct Entering {
    pub(crate) base: u64,
    /// Bytes that the blob unmaps where nobody else does.
    pub(crate) span: u64,
    pub(crate) function: u64,
    pub(crate) arguments: [u64; 6],
    /// Whether the segments still want their permissions.
    pub(crate) first: bool,
    /// Whether children of the victim's are to have no copy.
    pub(crate) keep_from_children: bool,
    /// The signal that ends the call, and who it is sent to: the process and the thread, as the victim counts them.
    pub(crate) end: i32,
    pub(crate) process: i32,
    pub(crate) thread: i32,
    /// Where it can make its last system call, and the frame that follows; 0 for none.
    pub(crate) call: u64,
    pub(crate) resume: u64,
    /// The extended state that it takes up before its last system call; 0 for none.
    pub(crate) state: u64,
    /// Where the thread's own stack is free.
    pub(crate) own_stack: u64,
}

/// A thread as it was stopped: what frames are made from.
pub(crate) struct Original<'a, M> {
    pub(crate) registers: &'a M,
    /// Where it continues: its own place, or an abort handler.
    pub(crate) resume_at: u64,
    pub(crate) mask: u64,
    /// The rest of its state, as a frame holds it.
    pub(crate) state: &'a [u8],
}

/// The code through which a thread goes back by itself, and who it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// The address of a system call instruction that is followed by a return.
    pub(crate) call: u64,
    /// The address of an `rt_sigreturn`.
    pub(crate) sigreturn: u64,
    /// The code by which a call's answer is noted and its thread stopped, where it may be used.
    pub(crate) chain: Option<Chain>,
    /// The process and the thread, as the victim counts them.
    pub(crate) process: i32,
    pub(crate) thread: i32,
    /// The signal that stops the thread; none where the victim would see it if it came once more.
    pub(crate) signal: Option<i32>,
    /// What is mapped for the blob, and how many bytes.
    pub(crate) mapping: (u64, u64),
}

/// Where the frames lie in the victim and what is in them.
#[derive(Debug)]
pub(crate) struct Frames {
    /// The stack pointer with which a remote call returns into the undo frame.
    pub(crate) undo: u64,
    /// The stack pointer with which a call returns into the resume frame.
    pub(crate) resume: u64,
    /// The same by way of the end signal, which stops the thread where it would return into the frame.
    pub(crate) undo_by_signal: Option<u64>,
    pub(crate) resume_by_signal: Option<u64>,
    /// The same for the undo frame where only the answer is noted, and nothing stops the thread.
    pub(crate) undo_noting: Option<u64>,
    /// Where a call's answer is kept that returns so. The undo frame unmaps what is found there.
    pub(crate) mapped: u64,
    pub(crate) unmapped: u64,
    /// Where the extended state lies.
    pub(crate) state: u64,
    /// Where `bytes` go.
    pub(crate) address: u64,
    /// The note, both frames, and the mapping's name behind them.
    pub(crate) bytes: Vec<u8>,
    /// Where the mapping's name lies.
    pub(crate) name: u64,
}

/// A piece of code: where it is and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gadget {
    pub(crate) address: u64,
    pub(crate) code: &'static [u8],
}

/// What was found in a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every program has the larger one")]
pub(crate) enum Gadgets {
    /// It can finish by itself.
    Pair {
        /// A system call instruction that is followed by a return.
        call: Gadget,
        /// `rt_sigreturn`.
        sigreturn: Gadget,
        /// What a call goes on with that stops its thread by a signal.
        chain: Option<Chain>,
    },
    /// System calls can be made while the tracer lives.
    CallOnly(Gadget),
}

impl Gadgets {
    /// Whether a call can note what it has answered.
    pub(crate) fn has_chain(&self) -> bool {
        matches!(self, Self::Pair { chain: Some(_), .. })
    }

    /// Where a system call is made.
    pub(crate) fn call(&self) -> Gadget {
        match self {
            Self::Pair { call, .. } | Self::CallOnly(call) => *call,
        }
    }
}
