//! Mapping a blob into its victim, and taking it away again.

use std::io;

use super::Session;
use crate::Error;
use crate::borrowed::{Borrowed, Mapping};
use crate::options::MappingName;
use crate::sys::memory;
use crate::system_call::SystemCall;

/// Bytes from which on an image is written before it is executable.
const MUCH: usize = 256 * 1024;

impl Session {
    /// Maps the image at its base and fills it in.
    pub(super) fn map(&mut self) -> Result<(), Error> {
        const NO_FILE: u64 = u64::MAX;
        let (base, span) = (self.prepared.base, self.prepared.span);
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED_NOREPLACE;
        let pid = self.victim.pid;
        // Frames that do not note what has been mapped unmap this place if this host dies, whatever lies there.
        if !self.borrowed.notes_what_is_mapped() && !self.target.maps.is_free(&(base..base + span))? {
            let source = io::Error::from_raw_os_error(libc::EEXIST);
            return Err(Error::Refused { pid, call: "mmap", source });
        }
        let (file, flags) = match self.target.options.mapping_name {
            MappingName::Required => (self.named_file(span)?, flags),
            MappingName::WhereSupported => (NO_FILE, flags | libc::MAP_ANONYMOUS),
        };
        // Writing over permissions goes page by page, and much of it takes longer than two more calls.
        let much = self.prepared.image.len() >= MUCH;
        let permissions = if much { libc::PROT_READ | libc::PROT_WRITE } else { executable };
        let call = SystemCall::mmap(base, span, permissions, flags, file);
        // Unless it is refused: whatever else fails, it may have been made.
        self.mapped = true;
        let answer = self.borrowed.map(&mut self.victim, &self.target, &call);
        self.mapped = !matches!(answer, Err(Error::Refused { .. }));
        if file != NO_FILE {
            self.borrowed.system_call(&mut self.victim, &SystemCall::close(file))?;
        }
        let answer = answer?;
        if answer != base {
            // A kernel from before MAP_FIXED_NOREPLACE mapped it elsewhere.
            self.mapped = false;
            let elsewhere = SystemCall::munmap(answer, span);
            self.borrowed.system_call(&mut self.victim, &elsewhere)?;
            let source = io::Error::from_raw_os_error(libc::EEXIST);
            return Err(Error::Refused { pid, call: call.name, source });
        }
        if !much {
            if self.target.memory.write_over(base, &self.prepared.image).is_ok() {
                return Ok(());
            }
            // A kernel that does not let a tracer write over permissions: ask for them and give them up again.
            let writable = SystemCall::mprotect(base, span, libc::PROT_READ | libc::PROT_WRITE);
            self.borrowed.system_call(&mut self.victim, &writable)?;
        }
        memory::write(self.borrowed.tid(), &[(base, &self.prepared.image)])
            .map_err(Error::kernel("write the image", pid))?;
        let image = self.prepared.arguments.start - base;
        self.borrowed.system_call(&mut self.victim, &SystemCall::mprotect(base, image, executable))?;
        Ok(())
    }

    /// Opens a file in the victim that only its mapping will keep, and whose name that mapping shows.
    fn named_file(&mut self, span: u64) -> Result<u64, Error> {
        let Some(name) = self.borrowed.name() else {
            let reason = "its mapping must have a name, and the victim has no place to write it";
            return Err(Error::Unsuitable { blob: self.blob.name(), reason });
        };
        let file = match self.borrowed.system_call(&mut self.victim, &SystemCall::memfd_create(name, true)) {
            Err(Error::Refused { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
                self.borrowed.system_call(&mut self.victim, &SystemCall::memfd_create(name, false))?
            }
            answer => answer?,
        };
        let sized = self.borrowed.system_call(&mut self.victim, &SystemCall::ftruncate(file, span));
        if sized.is_err() {
            self.borrowed.system_call(&mut self.victim, &SystemCall::close(file))?;
        }
        sized.map(|_| file)
    }

    pub(super) fn cure(&mut self) -> Result<(), Error> {
        if self.borrowed.has_ended(self.victim.pid)? {
            return self.cure_by_another();
        }
        let unmapped = self.unmap();
        if matches!(unmapped, Err(Error::Kernel { .. })) && self.borrowed.unmaps_itself() {
            // This host can no longer do it: it leaves the thread as one that dies would, before the call that it could not
            // follow, and through its frames the thread takes all back by itself.
            let rest = SystemCall::munmap(self.prepared.base, self.unmapped_by_blob());
            if self.borrowed.stand_by(&self.victim, &rest).is_ok() {
                return unmapped;
            }
        }
        // Whatever became of the mapping, the thread gets its state back.
        self.borrowed.give_back(&mut self.victim, &self.target)?;
        unmapped
    }

    fn unmap(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.mapped) {
            return Ok(());
        }
        let by_itself = self.unmapped_by_blob() == self.prepared.span;
        let Self { borrowed, victim, target, prepared, .. } = self;
        let call = SystemCall::munmap(prepared.base, prepared.span);
        if self.at_end && by_itself && borrowed.unmaps_itself() {
            borrowed.unmap_itself(victim, target, &call)?;
        } else {
            borrowed.last_system_call(victim, target, &call)?;
        }
        Ok(())
    }

    /// Unmaps the blob in another thread, because the one that ran it has ended.
    fn cure_by_another(&mut self) -> Result<(), Error> {
        let Self { borrowed, victim, target, prepared, .. } = self;
        if std::mem::take(&mut self.mapped) {
            let tid = victim.another_thread()?;
            let mapping = Mapping { base: prepared.base, span: prepared.span, done: true };
            let mut other = Borrowed::take(victim, target, tid, &self.spot.other(), &mapping)?;
            let call = SystemCall::munmap(prepared.base, prepared.span);
            let unmapped = other.last_system_call(victim, target, &call);
            other.give_back(victim, target)?;
            unmapped?;
        }
        borrowed.uncover(victim, target)
    }
}
