//! A blob in the own process: mapped, relocated, each segment with its permissions, never writable and
//! executable together.

use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use crate::imports::Supply;
use crate::{Architecture, Blob, LoadError, Loadable, Offset, Permissions, Supplied};

/// Why a blob cannot be mapped, or an offset not be used with a mapping.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// The image cannot stand there.
    Load(LoadError),
    /// The kernel refused a mapping of the image or its permissions.
    Kernel {
        /// The system call that failed: `mmap` or `mprotect`.
        call: &'static str,
        /// The address it was asked for; 0 for any.
        address: u64,
        /// What the kernel answered.
        errno: i32,
    },
    /// A packed blob has pages that are writable and executable together; such pages are not made here.
    Packed,
    /// The code is for another instruction set than this process runs.
    Foreign,
    /// The offset belongs to another blob.
    OtherBlob,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(_) => f.write_str("the image cannot be loaded there"),
            Self::Kernel { call, address, errno } => {
                write!(f, "{call} at {address:#x}: {}", Errno::from_raw_os_error(*errno))
            }
            Self::Packed => f.write_str(
                "the blob is packed: its pages would be writable and executable together; build it without `packed`",
            ),
            Self::Foreign => f.write_str("the blob's code is for another instruction set"),
            Self::OtherBlob => f.write_str("the offset belongs to another blob"),
        }
    }
}

impl core::error::Error for MapError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Load(error) => Some(error),
            _ => None,
        }
    }
}

impl From<LoadError> for MapError {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

/// A type that an export can be called as: an `unsafe extern "C" fn` of up to six parameters.
///
/// Sealed: an implementation promises that the type is a bare function pointer.
pub trait Function: Copy + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! functions {
    ($($($parameter:ident)*;)*) => {$(
        impl<R $(, $parameter)*> sealed::Sealed for unsafe extern "C" fn($($parameter),*) -> R {}
        impl<R $(, $parameter)*> Function for unsafe extern "C" fn($($parameter),*) -> R {}
    )*};
}
functions! { ; A; A B; A B C; A B C D; A B C D E; A B C D E F; }

/// A blob that lies in this process, ready to run. Unmapped when dropped.
#[derive(Debug)]
pub struct Mapped {
    base: NonNull<c_void>,
    len: usize,
    blob: &'static Blob,
}

// SAFETY: a mapping belongs to the process, not to a thread; `Mapped` only hands out addresses in it.
unsafe impl Send for Mapped {}
// SAFETY: as above: shared references give addresses, and whoever uses those answers for it in `unsafe` code.
unsafe impl Sync for Mapped {}

impl Blob {
    /// Maps the blob where the kernel has room, relocates it and gives each segment its permissions.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing stays mapped.
    pub fn map(&'static self) -> Result<Mapped, MapError> {
        map(&self, None)
    }

    /// Maps the blob at `base`, where nothing may lie yet (`MAP_FIXED_NOREPLACE`).
    ///
    /// # Errors
    ///
    /// [`MapError`]; what lay there lies there still.
    pub fn map_at(&'static self, base: u64) -> Result<Mapped, MapError> {
        map(&self, Some(base))
    }
}

impl<I: Supply> Supplied<I> {
    /// As [`Blob::map`].
    ///
    /// # Errors
    ///
    /// As [`Blob::map`].
    pub fn map(&self) -> Result<Mapped, MapError> {
        map(self, None)
    }

    /// As [`Blob::map_at`].
    ///
    /// # Errors
    ///
    /// As [`Blob::map_at`].
    pub fn map_at(&self, base: u64) -> Result<Mapped, MapError> {
        map(self, Some(base))
    }
}

fn map(loadable: &impl Loadable, at: Option<u64>) -> Result<Mapped, MapError> {
    let blob = loadable.__blob();
    if blob.is_packed() {
        return Err(MapError::Packed);
    }
    if !cfg!(target_arch = "x86_64") || blob.architecture() != Architecture::X86_64 {
        return Err(MapError::Foreign);
    }
    let failed =
        |call, address, errno: Errno| MapError::Kernel { call, address, errno: errno.raw_os_error() };
    let too_large = MapError::Kernel { call: "mmap", address: 0, errno: Errno::NOMEM.raw_os_error() };
    let len = usize::try_from(blob.size()).map_err(|_| too_large)?;
    let at = at.or(blob.fixed_base());
    let address = usize::try_from(at.unwrap_or(0)).map_err(|_| too_large)?;
    let flags = match at {
        Some(_) => MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE,
        None => MapFlags::PRIVATE,
    };
    let hint = core::ptr::without_provenance_mut(address);
    // SAFETY: without MAP_FIXED (NOREPLACE fails instead of replacing) a new anonymous mapping touches no
    // memory that exists.
    let base = unsafe { rustix::mm::mmap_anonymous(hint, len, ProtFlags::READ | ProtFlags::WRITE, flags) };
    let base = base.map_err(|errno| failed("mmap", address as u64, errno))?;
    // From here on the mapping is unmapped when anything fails. An address of 0 is not one that mmap gives.
    let Some(base) = NonNull::new(base) else { return Err(too_large) };
    let mapped = Mapped { base, len, blob };
    if at.is_some_and(|at| at != mapped.base()) {
        // Kernels before 4.17 take the address for a hint.
        return Err(failed("mmap", address as u64, Errno::EXIST));
    }
    // SAFETY: `mmap` gave `len` bytes, readable and writable, zeroed, that nothing else in this process knows
    // of; they live until `mapped` is dropped, which this borrow does not outlast.
    let image = unsafe { core::slice::from_raw_parts_mut(base.as_ptr().cast::<u8>(), len) };
    loadable.__load(image, mapped.base())?;
    for segment in blob.segments() {
        let (Ok(offset), Ok(size)) = (usize::try_from(segment.offset), usize::try_from(segment.size)) else {
            return Err(too_large);
        };
        if size == 0 {
            continue;
        }
        let start = base.as_ptr().wrapping_byte_add(offset);
        // SAFETY: the segments of a blob lie within its image (the macro refuses others), so these pages are ours,
        // and no reference into them is alive any more.
        let result = unsafe { rustix::mm::mprotect(start, size, protection(segment.permissions)) };
        result.map_err(|errno| failed("mprotect", start.addr() as u64, errno))?;
    }
    Ok(mapped)
}

fn protection(permissions: Permissions) -> MprotectFlags {
    let mut flags = MprotectFlags::empty();
    flags.set(MprotectFlags::READ, permissions.read);
    flags.set(MprotectFlags::WRITE, permissions.write);
    flags.set(MprotectFlags::EXEC, permissions.execute);
    flags
}

impl Mapped {
    /// Where the image lies.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base.addr().get() as u64
    }

    /// An export as the function that it is.
    ///
    /// ```no_run
    /// # static BLOB: pie_blob::Blob = pie_blob::__private::blob(pie_blob::__private::Parts {
    /// #     name: "", id: 0, architecture: pie_blob::Architecture::X86_64, bytes: &[], relocs: &[], imports: &[],
    /// #     size: 0, align: 1, segments: &[], exports: &[], stack: None, packed: false, base: None, narrow: None, done: None,
    /// #     panic: None });
    /// # const PING: pie_blob::Offset<unsafe extern "C" fn() -> i32> = pie_blob::Offset::__new(0, 0);
    /// let mapped = BLOB.map()?;
    /// // SAFETY: `ping` takes nothing, and `mapped` outlives the call.
    /// let answer = unsafe { mapped.function(PING)?() };
    /// # Ok::<(), pie_blob::MapError>(())
    /// ```
    ///
    /// A panic of the blob's ends this process: `pie_blob_std` writes message and place to standard error and aborts.
    ///
    /// # Errors
    ///
    /// [`MapError::OtherBlob`] when the offset is none of this blob's.
    ///
    /// # Safety
    ///
    /// `F` is the export's ABI, and the function is not called after the mapping is dropped.
    pub unsafe fn function<F: Function>(&self, offset: Offset<F>) -> Result<F, MapError> {
        if !self.blob.owns(offset) {
            return Err(MapError::OtherBlob);
        }
        let address = self.base.as_ptr().wrapping_byte_add(offset.get() as usize);
        // SAFETY: `F` is a bare function pointer (`Function` is sealed), the size of a data pointer on every target of
        // Linux, and `address` is not null: it lies in a mapping.
        Ok(unsafe { core::mem::transmute_copy::<*mut c_void, F>(&address) })
    }

    /// The address of an exported static.
    ///
    /// # Errors
    ///
    /// [`MapError::OtherBlob`] when the offset is none of this blob's.
    pub fn data<T>(&self, offset: Offset<T>) -> Result<*mut T, MapError> {
        if !self.blob.owns(offset) {
            return Err(MapError::OtherBlob);
        }
        Ok(self.base.as_ptr().wrapping_byte_add(offset.get() as usize).cast())
    }

    /// Jumps to the blob's entry at offset 0 and never comes back.
    ///
    /// The entry gets `arg` as its first argument (in `rdi`); the stack pointer still points to the caller's stack,
    /// aligned as at a call, and the entry moves to the blob's own. The mapping stays.
    ///
    /// # Safety
    ///
    /// The blob's entry takes such a jump, and whatever it does to this process is meant.
    #[cfg(target_arch = "x86_64")]
    pub unsafe fn enter(self, arg: u64) -> ! {
        let entry = self.base.as_ptr();
        core::mem::forget(self);
        // SAFETY: `entry` is the first byte of a mapping that is never unmapped now; the caller answers for what
        // lies there. The stack is aligned to 16 bytes and a zero return address ends every backtrace.
        unsafe {
            core::arch::asm!(
                "and rsp, -16",
                "push 0",
                "xor ebp, ebp",
                "cld",
                "jmp {entry}",
                entry = in(reg) entry,
                in("rdi") arg,
                options(noreturn),
            )
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the pages are ours since `map` made them, and whoever took an address from here promised not to use it
        // any longer. A failure would leave them mapped, which harms nobody.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr(), self.len) };
    }
}
