//! Looking through a process's memory for what remote calls borrow, by a thread of its own.
//!
//! Reading a page makes the kernel fetch it, from wherever it is: a file system that hangs (FUSE, a network) or another
//! process that is to supply it (`userfaultfd`). There is no such read with an end. So another thread reads, and this one
//! waits for it as long as it likes; a thread that is left behind ends with its page, or with this process. It reads so that
//! the process is not kept from mapping memory meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::areas::{self, Area};
use crate::machine::{Gadgets, Machine, Native};
use crate::sys::memory::Memory;
use crate::{Error, proc, sys};

/// What was looked through, and what was found in it.
pub(crate) struct Searched {
    pub(crate) memory: Memory,
    pub(crate) areas: Vec<Area>,
    pub(crate) gadgets: Option<Gadgets>,
}

/// Searches the code of the process `pid`. Waits for what that finds as long as the other thread has something to do, and
/// for a page `limit` long: on a busy machine it may get to run late.
///
/// `tid` is one of its threads that lives. No areas are found of a process that has ended.
pub(crate) fn search(pid: i32, tid: i32, memory: Memory, limit: Duration) -> Result<Searched, Error> {
    const LOOK: Duration = Duration::from_millis(20);
    /// How many looks in a row must have found it waiting.
    const LOOKS: u32 = 5;
    let begin = Instant::now();
    let (tell, told) = mpsc::sync_channel(1);
    let reader = Arc::new(AtomicI32::new(0));
    let own = Arc::clone(&reader);
    let search = move || {
        own.store(sys::gettid(), Ordering::Relaxed);
        let searched = areas::areas(tid).map(|areas| {
            let memory = memory.yielding(true);
            let gadgets = Native::gadgets(&memory, &areas);
            Searched { memory: memory.yielding(false), areas, gadgets }
        });
        // Where nobody waits any longer it is of no use.
        let _ = tell.send((searched, sys::calls()));
    };
    sys::count();
    let thread = std::thread::Builder::new().name("pie_blob search".to_owned()).spawn(search);
    let thread =
        thread.map_err(|source| Error::Kernel { action: "start a thread to read it", pid, source })?;
    let mut waiting = 0;
    let mut patience = limit;
    loop {
        match told.recv_timeout(patience) {
            Ok((searched, calls)) => {
                sys::count_more(calls);
                // It has nothing left to do: whoever makes a process next is alone again.
                let _ = thread.join();
                return searched;
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Error::NoSystemCall { pid }),
            Err(RecvTimeoutError::Timeout) => {}
        }
        patience = LOOK;
        let state: Option<char> = match reader.load(Ordering::Relaxed) {
            0 => Some('R'),
            tid => proc::stat_field(tid, 3),
        };
        waiting = if state == Some('R') { 0 } else { waiting + 1 };
        if waiting >= LOOKS || begin.elapsed() > limit * 60 {
            return Err(Error::Unreadable { pid, waited: begin.elapsed() });
        }
    }
}
