//! The extended state: x87, SSE, AVX, AVX-512, AMX, as XSAVE lays it out in its standard form.

use std::arch::x86_64::__cpuid_count;
use std::io::{self, Read};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sys::ptrace::{self, RegisterSet};

/// Where the kernel puts XCR0 into what it hands out (`sw_reserved` of the legacy area).
const XCR0_AT: usize = 464;
/// Where the XSAVE header begins: the legacy area is 512 bytes.
const HEADER_AT: usize = 512;
/// Legacy area and header: the least that an area can have.
const MINIMUM: usize = HEADER_AT + 64;
/// Features that a process must ask for, and whose state is only there once it did (`XFD`): AMX tile data.
const DYNAMIC: u64 = 1 << 18;

const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;

/// The extended state of one stopped thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtendedState {
    area: Vec<u8>,
    /// Where the user shadow stack ends, for a thread that has one. It is no part of what XSAVE hands out to tracers, and a
    /// blob that does not return leaves its calls on it.
    shadow: Option<[u8; 8]>,
}

impl ExtendedState {
    /// Reads it from a stopped thread.
    pub(crate) fn of(tid: i32) -> io::Result<Self> {
        // It has the same size on all of a machine's processors: a word more says that it fits.
        const WORD: usize = 8;
        static LEN: AtomicUsize = AtomicUsize::new(4 * 1024);
        loop {
            let mut buffer = vec![0; LEN.load(Ordering::Relaxed)];
            let len = ptrace::get_registers(tid, RegisterSet::ExtendedState, &mut buffer)?;
            if len < buffer.len() {
                LEN.store(len + WORD, Ordering::Relaxed);
                buffer.truncate(len);
                return Ok(Self { area: buffer, shadow: shadow_stack(tid)? });
            }
            LEN.store(buffer.len() * 2, Ordering::Relaxed);
        }
    }

    /// Gives it back to a stopped thread.
    pub(crate) fn set(&self, tid: i32) -> io::Result<()> {
        ptrace::set_registers(tid, RegisterSet::ExtendedState, &self.area)?;
        match &self.shadow {
            Some(pointer) => ptrace::set_registers(tid, RegisterSet::ShadowStack, pointer),
            None => Ok(()),
        }
    }

    /// The area as a signal frame holds it: with both magics and its true size, without which the kernel restores
    /// x87 and SSE only and everything wider is lost.
    ///
    /// `None` where the bytes are no XSAVE area that a frame can hold.
    pub(crate) fn in_frame(&self) -> Option<Vec<u8>> {
        let header = self.word(HEADER_AT)?;
        // A dynamic feature in its initial state must not be named: a thread that never asked for it has a smaller
        // area, and the kernel would not take one that is larger.
        let features = self.word(XCR0_AT)? & !(DYNAMIC & !header);
        let size = size_of_features(features).max(MINIMUM);
        let mut area = self.area.get(..size)?.to_vec();
        let total = u32::try_from(size).ok()?;
        put(&mut area, XCR0_AT, &MAGIC1.to_ne_bytes())?;
        put(&mut area, XCR0_AT + 4, &(total + 4).to_ne_bytes())?;
        put(&mut area, XCR0_AT + 8, &features.to_ne_bytes())?;
        put(&mut area, XCR0_AT + 16, &total.to_ne_bytes())?;
        area.extend_from_slice(&MAGIC2.to_ne_bytes());
        Some(area)
    }

    fn word(&self, at: usize) -> Option<u64> {
        self.area.get(at..)?.first_chunk().map(|word| u64::from_ne_bytes(*word))
    }
}

/// Whether the kernel has shadow stacks for users at all. Asked once, and before a victim is stopped: the file takes a while to
/// be written.
pub(crate) fn has_shadow_stacks() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        // Every processor has the same flags, and the first one's are at the beginning.
        let mut text = [0; 8192];
        let read = std::fs::File::open("/proc/cpuinfo").and_then(|mut file| file.read(&mut text));
        text.get(..read.unwrap_or(0)).is_some_and(|text| text.windows(10).any(|flag| flag == b"user_shstk"))
    })
}

/// The shadow stack's pointer; `None` for a thread that has none.
fn shadow_stack(tid: i32) -> io::Result<Option<[u8; 8]>> {
    if !has_shadow_stacks() {
        return Ok(None);
    }
    let mut pointer = [0; 8];
    match ptrace::get_registers(tid, RegisterSet::ShadowStack, &mut pointer) {
        Ok(len) => Ok((len == pointer.len()).then_some(pointer)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

fn put(area: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    area.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// The end of the last feature's area.
fn size_of_features(features: u64) -> usize {
    let ends = ENDS.get_or_init(ends_of_features);
    let named = ends.iter().enumerate().filter(|(feature, _)| features >> feature & 1 == 1);
    named.map(|(_, end)| *end).max().unwrap_or(MINIMUM)
}

/// Where each feature's area ends: asked once, because a hypervisor makes CPUID as slow as a system call.
static ENDS: OnceLock<[usize; 64]> = OnceLock::new();

/// From CPUID leaf 0xD; x87 and SSE lie in the legacy area.
fn ends_of_features() -> [usize; 64] {
    let mut ends = [MINIMUM; 64];
    for (feature, end) in (0..).zip(&mut ends).skip(2) {
        #[allow(unused_unsafe, reason = "newer compilers know it to be safe")]
        // SAFETY: every processor that runs 64-bit code has CPUID; a leaf that it does not know answers zeros.
        let leaf = unsafe { __cpuid_count(0xd, feature) };
        *end = leaf.eax.saturating_add(leaf.ebx) as usize;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bytes(len: usize) -> ExtendedState {
        ExtendedState { area: vec![0; len], shadow: None }
    }

    #[test]
    fn a_frame_leaves_out_tiles_that_are_not_live() {
        let mut state = of_bytes(11_008);
        let xcr0 = 0x7_u64 | DYNAMIC;
        put(&mut state.area, XCR0_AT, &xcr0.to_ne_bytes()).unwrap();
        put(&mut state.area, HEADER_AT, &3_u64.to_ne_bytes()).unwrap();
        let area = state.in_frame().unwrap();
        // x87, SSE, AVX: 576 + 256 bytes in the standard form, and the closing magic.
        assert_eq!(area.len(), 832 + 4);
        assert_eq!(area[XCR0_AT..][..4], MAGIC1.to_ne_bytes());
        assert_eq!(area[XCR0_AT + 4..][..4], 836_u32.to_ne_bytes());
        assert_eq!(area[XCR0_AT + 8..][..8], 7_u64.to_ne_bytes());
        assert_eq!(area[XCR0_AT + 16..][..4], 832_u32.to_ne_bytes());
        assert_eq!(area[832..], MAGIC2.to_ne_bytes());
    }

    #[test]
    fn bytes_that_are_no_area_make_no_frame() {
        assert_eq!(of_bytes(100).in_frame(), None);
        let mut short = of_bytes(600);
        put(&mut short.area, XCR0_AT, &7_u64.to_ne_bytes()).unwrap();
        assert_eq!(short.in_frame(), None);
    }
}
