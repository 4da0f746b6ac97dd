//! A victim with a blob in it: call, read, write, cure.

mod mapping;
mod threads;

use std::io;
use std::ops::Range;

use pie_blob::{Blob, Loadable, Offset};
use pie_blob_std::abi::{self, PanicNote};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::arguments::{Call, Room};
use crate::borrowed::{Borrowed, Entry, Mapping, Spot, Stopped};
use crate::machine::{Machine, Native};
use crate::sys::memory;
use crate::target::{Prepared, Target};
use crate::victim::Victim;
use crate::{CrashRisk, Error};

pub use threads::Others;

/// A victim in which a blob is mapped and ready to be called. Cured when dropped.
#[derive(Debug)]
pub struct Infected {
    /// `None` only once it has been cured.
    session: Option<Session>,
}

#[derive(Debug)]
struct Session {
    victim: Victim,
    target: Target,
    borrowed: Borrowed,
    /// Where its frames lie.
    spot: Spot,
    blob: &'static Blob,
    prepared: Prepared,
    /// Whether there is something to unmap.
    mapped: bool,
    /// Whether the next call is the first.
    first: bool,
    /// Whether the thread stands at the end of a call, from where the blob unmaps itself.
    at_end: bool,
    /// Whether a call has ended badly.
    broken: bool,
}

impl Infected {
    pub(crate) fn infect(victim: Victim, loadable: &impl Loadable) -> Result<Self, Error> {
        let mut infected = Self::begin(victim, loadable)?;
        match infected.session()?.map() {
            Err(Error::Refused { call: "mmap", source, .. })
                if source.raw_os_error() == Some(libc::EEXIST) =>
            {
                // Something has come to lie at the base since it was chosen.
                let mut victim = infected.cure()?;
                if let Some(target) = &mut victim.target {
                    target.look_at_areas_again()?;
                }
                let mut infected = Self::begin(victim, loadable)?;
                infected.session()?.map()?;
                Ok(infected)
            }
            mapped => mapped.map(|()| infected),
        }
    }

    /// Borrows a thread for a blob that is not mapped yet. Whatever fails from then on is cured when this is dropped.
    fn begin(mut victim: Victim, loadable: &impl Loadable) -> Result<Self, Error> {
        let Some(mut target) = victim.target.take() else {
            return Err(Error::NoSuchProcess { pid: victim.pid });
        };
        target.prepare_in_place(loadable)?;
        let Some(prepared) = target.prepared.take() else { return Err(Error::Changed { pid: victim.pid }) };
        let mapping = Mapping { base: prepared.base, span: prepared.span, done: false };
        let spot = Spot::Stack { second: false };
        let first = victim.first_thread()?;
        let borrowed = Borrowed::take(&mut victim, &target, first, &spot, &mapping)?.seized_just_now(&victim);
        let session = Session {
            victim,
            target,
            borrowed,
            spot,
            blob: loadable.__blob(),
            prepared,
            mapped: false,
            first: true,
            at_end: false,
            broken: false,
        };
        Ok(Self { session: Some(session) })
    }

    fn session(&mut self) -> Result<&mut Session, Error> {
        self.session.as_mut().ok_or(Error::NoSuchProcess { pid: 0 })
    }

    /// Runs an export in the victim and returns what it returned: in its first thread where that lives, with every other
    /// stopped ([`call_in`](Self::call_in) has a choice).
    ///
    /// Safe to call: nothing that the victim answers can break a rule of Rust here. What the blob does to the victim is
    /// the blob's affair.
    ///
    /// # Errors
    ///
    /// [`Error::OtherBlob`], [`Error::ArgumentsTooLarge`]; [`Error::Fault`], [`Error::Panicked`] and
    /// [`Error::Deadline`] when the export did not come back, after which only [`cure`](Self::cure) is left
    /// ([`Error::Broken`] for every further call); [`Error::Died`] when the victim was killed; [`Error::DidNotStop`] when it
    /// runs and cannot be stopped; [`Error::Kernel`]. Where another thread ran the blob before, also what
    /// [`call_in`](Self::call_in) says of moving.
    pub fn call<'a, F, A>(&mut self, export: Offset<F>, arguments: A) -> Result<F::Output, Error>
    where
        F: Call<'a, A>,
    {
        let session = self.session()?;
        let tid = session.victim.first_thread()?;
        session.move_to(tid, Others::Stopped)?;
        session.call_with(export, arguments)
    }

    /// Reads an exported static.
    ///
    /// # Errors
    ///
    /// [`Error::OtherBlob`]; [`Error::Kernel`] when the victim has died.
    pub fn read<T: FromBytes + IntoBytes>(&mut self, export: Offset<T>) -> Result<T, Error> {
        let session = self.session()?;
        let address = session.address(export)?;
        let mut value = T::new_zeroed();
        let mut ranges = [(address, value.as_mut_bytes())];
        memory::read(session.borrowed.tid(), &mut ranges)
            .map_err(Error::kernel("read a static", session.victim.pid))?;
        Ok(value)
    }

    /// Writes an exported static.
    ///
    /// # Errors
    ///
    /// [`Error::OtherBlob`]; [`Error::Kernel`] when the victim has died.
    pub fn write<T: IntoBytes + Immutable>(&mut self, export: Offset<T>, value: &T) -> Result<(), Error> {
        let session = self.session()?;
        let address = session.address(export)?;
        let pid = session.victim.pid;
        session.target.memory.write(address, value.as_bytes()).map_err(Error::kernel("write a static", pid))
    }

    pub(crate) fn target(&self) -> Option<&Target> {
        self.session.as_ref().map(|session| &session.target)
    }

    /// Where the arguments of calls go.
    pub(crate) fn room(&self) -> Option<Range<u64>> {
        self.session.as_ref().map(|session| session.prepared.arguments.clone())
    }

    /// Where the blob lies in the victim.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.session.as_ref().map_or(0, |session| session.prepared.base)
    }

    /// The thread that runs the blob: the first one, the one that was [chosen](crate::Stop), or the last that was
    /// [called in](Self::call_in).
    #[must_use]
    pub fn thread(&self) -> i32 {
        self.session.as_ref().map_or(0, |session| session.borrowed.tid())
    }

    /// Why the victim would not go on unharmed if this process were killed now; empty when it would.
    #[must_use]
    pub fn crash_risks(&self) -> &[CrashRisk] {
        self.session.as_ref().map_or(&[], |session| &session.victim.risks)
    }

    /// Unmaps the blob and makes the thread what it was; the victim is still stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Died`] when it was killed meanwhile, [`Error::Refused`] when it could not unmap the blob. Its threads
    /// go on in both cases.
    pub fn cure(mut self) -> Result<Victim, Error> {
        let Some(mut session) = self.session.take() else { return Err(Error::NoSuchProcess { pid: 0 }) };
        session.cure()?;
        let mut victim = session.victim;
        victim.target = Some(session.target);
        Ok(victim)
    }
}

impl Drop for Infected {
    fn drop(&mut self) {
        if let Some(mut session) = self.session.take() {
            // Nobody is left to hear of it: a victim that cannot be cured has died.
            let _ = session.cure();
        }
    }
}

impl Session {
    fn address<T: ?Sized>(&self, export: Offset<T>) -> Result<u64, Error> {
        if self.blob.owns(export) {
            Ok(export.at(self.prepared.base).address())
        } else {
            Err(Error::OtherBlob { blob: self.blob.name(), offset: export.get() })
        }
    }

    /// Passes the arguments, runs the export, and copies back what it was given to write.
    fn call_with<'a, F, A>(&mut self, export: Offset<F>, arguments: A) -> Result<F::Output, Error>
    where
        F: Call<'a, A>,
    {
        let mut room = Room::at(self.prepared.arguments.start);
        let registers = F::registers(arguments, &mut room);
        let result = self.call(export, registers, &room)?;
        let mut back = room.into_back();
        if !back.is_empty() {
            let pid = self.victim.pid;
            memory::read(self.borrowed.tid(), &mut back)
                .map_err(Error::kernel("copy the arguments back", pid))?;
        }
        Ok(F::output(result))
    }

    fn call<F: ?Sized>(
        &mut self,
        export: Offset<F>,
        arguments: [u64; 6],
        room: &Room<'_>,
    ) -> Result<u64, Error> {
        let (pid, blob) = (self.victim.pid, self.blob.name());
        let function = self.address(export)?;
        if self.broken {
            return Err(Error::Broken { blob });
        }
        let reserved = self.prepared.arguments.end - self.prepared.arguments.start;
        let needed = room.bytes().len() as u64;
        if needed > reserved {
            return Err(Error::ArgumentsTooLarge { needed, room: reserved });
        }
        if needed > 0 {
            let start = self.prepared.arguments.start;
            self.target
                .memory
                .write(start, room.bytes())
                .map_err(Error::kernel("copy the arguments", pid))?;
        }
        let deadline = self.target.options.deadline;
        let entry = Entry {
            base: self.prepared.base,
            span: self.unmapped_by_blob(),
            function,
            arguments,
            first: self.first,
            keep_from_children: self.victim.others_run() || self.victim.status.threads > 1,
            deadline,
        };
        let done = self.prepared.base + u64::from(self.blob.__parts().done.unwrap_or(0));
        self.at_end = false;
        self.broken = true;
        let stopped = self.borrowed.run(&mut self.victim, &entry, done)?;
        match stopped {
            Stopped::Done(registers) => self.ended(&registers),
            Stopped::Overdue(registers) => {
                // In a system call it stands behind the instruction.
                let behind = registers.system_call().map_or(0, |_| Native::CALL_LENGTH);
                let (offset, symbol) = self.place(registers.place().wrapping_sub(behind));
                Err(Error::Deadline { blob, waited: deadline, offset, symbol })
            }
            Stopped::Fault { signal, address, registers } => {
                let (offset, mut symbol) = self.place(registers.place());
                let mut called_from = None;
                if offset.is_none() {
                    (called_from, symbol) = self.caller(&registers);
                }
                Err(Error::Fault { blob, signal, offset, called_from, symbol, address })
            }
        }
    }

    /// What the registers say at the end of a call.
    fn ended(&mut self, registers: &Native) -> Result<u64, Error> {
        let (pid, blob) = (self.victim.pid, self.blob.name());
        self.at_end = true;
        let (how, value) = registers.ended();
        match how {
            abi::RETURNED => {
                self.first = false;
                self.broken = false;
                Ok(value)
            }
            abi::REFUSED => {
                // It has not noted what it needs to unmap itself.
                self.at_end = false;
                let errno = value.wrapping_neg();
                let source = io::Error::from_raw_os_error(i32::try_from(errno).unwrap_or(libc::EINVAL));
                Err(Error::Refused { pid, call: "mprotect", source })
            }
            _ => {
                let mut note = [0; size_of::<PanicNote>()];
                let at = self.prepared.base + u64::from(self.blob.__parts().panic.unwrap_or(0));
                memory::read(self.borrowed.tid(), &mut [(at, &mut note)])
                    .map_err(Error::kernel("read the panic note", pid))?;
                let note = PanicNote::parse(&note).unwrap_or(PanicNote::NONE);
                Err(Error::Panicked {
                    blob,
                    file: note.file().to_owned(),
                    line: note.line,
                    column: note.column,
                    message: note.message().to_owned(),
                })
            }
        }
    }

    /// Where in the blob an address lies, and in which export.
    fn place(&self, address: u64) -> (Option<u64>, Option<(String, u64)>) {
        let offset = address.checked_sub(self.prepared.base).filter(|offset| *offset < self.blob.size());
        let symbol = offset.and_then(|offset| self.blob.symbolise(offset));
        (offset, symbol.map(|(export, within)| (export.name.to_owned(), within)))
    }

    /// What has called where the registers are now, if a return address into the blob's code is on top of the stack.
    fn caller(&self, registers: &Native) -> (Option<u64>, Option<(String, u64)>) {
        let mut word = [0; 8];
        if memory::read(self.victim.pid, &mut [(registers.stack(), &mut word)]).is_err() {
            return (None, None);
        }
        let back = u64::from_le_bytes(word);
        let offset = back.checked_sub(self.prepared.base).and_then(|offset| usize::try_from(offset).ok());
        let before = offset.and_then(|offset| self.blob.bytes().get(..offset));
        if before.is_some_and(Native::ends_with_call) {
            self.place(back.wrapping_sub(1))
        } else {
            (None, None)
        }
    }
}
