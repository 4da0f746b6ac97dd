//! Searching a process's code for what remote calls borrow, by a thread of its own.
//!
//! Reading a page makes the kernel fetch it, from wherever it is: a file system that hangs (FUSE, a network) or another
//! process that is to supply it (`userfaultfd`). There is no such read with an end. So another thread reads, and this one
//! waits for it as long as it likes; a thread that is left behind ends with its page, or with this process.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::areas::Area;
use crate::machine::{Gadgets, Machine, Native};
use crate::sys::memory::Memory;
use crate::{Error, sys};

/// What was searched, given back, and what was found in it.
pub(crate) struct Searched {
    pub(crate) memory: Memory,
    pub(crate) areas: Vec<Area>,
    pub(crate) gadgets: Option<Gadgets>,
}

/// Searches the code of the process `pid`, and waits for what that finds no longer than `limit`.
pub(crate) fn search(pid: i32, memory: Memory, areas: Vec<Area>, limit: Duration) -> Result<Searched, Error> {
    let (tell, told) = mpsc::sync_channel(1);
    let search = move || {
        let gadgets = Native::gadgets(&memory, &areas);
        // Where nobody waits any longer it is of no use.
        let _ = tell.send((Searched { memory, areas, gadgets }, sys::calls()));
    };
    sys::count();
    let thread = std::thread::Builder::new().name("pie_blob search".to_owned()).spawn(search);
    let thread =
        thread.map_err(|source| Error::Kernel { action: "start a thread to read it", pid, source })?;
    match told.recv_timeout(limit) {
        Ok((searched, calls)) => {
            sys::count_more(calls);
            // It has nothing left to do: whoever makes a process next is alone again.
            let _ = thread.join();
            Ok(searched)
        }
        Err(RecvTimeoutError::Timeout) => Err(Error::Unreadable { pid, waited: limit }),
        Err(RecvTimeoutError::Disconnected) => Err(Error::NoSystemCall { pid }),
    }
}
