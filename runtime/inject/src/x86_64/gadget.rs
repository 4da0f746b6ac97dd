//! Code of the victim's own that a remote call borrows: nothing of its code is ever changed.
//!
//! `syscall; ret` makes a system call and goes on with what the stack says; the `rt_sigreturn` that every
//! libc has for its signal handlers takes up the state that a signal frame holds. Together they let a
//! victim finish by itself what its tracer began. Where there are a few returns more, they make a [`Chain`].
//!
//! [`Chain`]: super::chain::Chain

use super::chain;
use crate::areas::Area;
use crate::machine::{Gadget, Gadgets};
use crate::sys::memory::Memory;

/// `syscall; ret`.
const SYSCALL_RET: &[u8] = &[0x0f, 0x05, 0xc3];
/// `mov $15, %rax; syscall` as glibc, musl and Go have it.
const SIGRETURN: &[u8] = &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
/// `mov $15, %eax; syscall`, the shorter form.
const SIGRETURN_SHORT: &[u8] = &[0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05];
/// `ret`.
const RET: u8 = 0xc3;
/// `syscall`, which is in the vDSO if nowhere else.
const SYSCALL: &[u8] = &[0x0f, 0x05];

/// Searches the executable areas, mapped files first; `None` when there is no system call instruction at all.
pub(crate) fn search(memory: &Memory, areas: &[Area]) -> Option<Gadgets> {
    let (mut call, mut sigreturn, mut plain) = (None, None, None);
    let mut returns = chain::Search::default();
    let executable = || areas.iter().filter(|area| area.executable && area.readable);
    // A file's code stays where it is as long as the program; made code may move. libc has both, so it comes first.
    let mut order: Vec<&Area> = executable().filter(|area| area.is_file()).collect();
    order.sort_by_key(|area| !area.is_libc());
    for area in order {
        scan(memory, area, |address, code| {
            let found = |gadget: &mut Option<Gadget>, wanted: &'static [u8]| {
                if gadget.is_none() {
                    *gadget =
                        find(code, wanted).map(|at| Gadget { address: address + at as u64, code: wanted });
                }
            };
            found(&mut call, SYSCALL_RET);
            found(&mut sigreturn, SIGRETURN);
            found(&mut sigreturn, SIGRETURN_SHORT);
            let mut from = 0;
            while let Some(at) = code.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == RET)) {
                returns.look(code, from + at, address + (from + at) as u64);
                from += at + 1;
            }
            call.is_some() && sigreturn.is_some() && returns.chain().is_some()
        });
        if let (Some(call), Some(sigreturn)) = (call, sigreturn) {
            return Some(Gadgets::Pair { call, sigreturn, chain: returns.chain() });
        }
    }
    for area in executable() {
        scan(memory, area, |address, code| {
            plain = plain
                .or(find(code, SYSCALL).map(|at| Gadget { address: address + at as u64, code: SYSCALL }));
            plain.is_some()
        });
    }
    plain.map(Gadgets::CallOnly)
}

/// Reads an area piece by piece, each with the end of the one before, until `enough` says so or it cannot be read.
fn scan(memory: &Memory, area: &Area, mut enough: impl FnMut(u64, &[u8]) -> bool) {
    const PIECE: usize = 128 * 1024;
    const OVERLAP: u64 = 16;
    let mut buffer = vec![0; PIECE];
    let mut at = area.range.start;
    while at < area.range.end {
        let wanted = usize::try_from(area.range.end - at).unwrap_or(PIECE).min(PIECE);
        let Some(piece) = buffer.get_mut(..wanted) else { return };
        if memory.read(at, piece).is_err() || enough(at, piece) {
            return;
        }
        at += wanted as u64;
        if at < area.range.end {
            at -= OVERLAP;
        }
    }
}

fn find(code: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let rest = code.get(from..)?;
        let at = from + rest.iter().position(|byte| *byte == first)?;
        if code.get(at..at + wanted.len())? == wanted {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_has_both() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let memory = Memory::open(pid).unwrap();
        let areas = crate::areas::areas(pid).unwrap();
        let Some(Gadgets::Pair { call, sigreturn, .. }) = search(&memory, &areas) else { panic!("no pair") };
        for gadget in [call, sigreturn] {
            let mut code = vec![0; gadget.code.len()];
            memory.read(gadget.address, &mut code).unwrap();
            assert_eq!(code, gadget.code);
            let area = areas.iter().find(|area| area.range.contains(&gadget.address)).unwrap();
            assert!(area.executable && area.is_file());
        }
    }

    #[test]
    fn code_is_found_at_the_start_and_the_end_and_not_beyond() {
        assert_eq!(find(b"\x0f\x05\xc3", SYSCALL_RET), Some(0));
        assert_eq!(find(b"\x0f\x0f\x05\xc3", SYSCALL_RET), Some(1));
        assert_eq!(find(b"\x0f\x05", SYSCALL_RET), None);
        assert_eq!(find(b"", SYSCALL_RET), None);
    }
}
