//! Restartable sequences: a thread stopped inside one must continue at its abort handler.
//!
//! The kernel moves an interrupted thread there when it returns to user mode; a thread that returns to the
//! blob's code instead has its sequence forgotten and would later commit as if nothing had come between.

use std::io;

use super::registers::Registers;
use crate::machine::Machine;
use crate::sys::{memory, ptrace};

/// Where `rseq_cs` lies in `struct rseq`.
const SEQUENCE_AT: u64 = 8;

/// Where the thread must continue: its own place, or the abort handler of the sequence that it was stopped in.
pub(crate) fn resume_at(tid: i32, registers: &Registers) -> io::Result<u64> {
    // A sequence makes no system calls: a thread that is in one is in no sequence.
    if registers.system_call().is_some() {
        return Ok(registers.rip);
    }
    let configuration = ptrace::rseq_configuration(tid)?;
    if configuration.address == 0 {
        return Ok(registers.rip);
    }
    let mut sequence = [0; 8];
    memory::read(tid, &mut [(configuration.address.wrapping_add(SEQUENCE_AT), &mut sequence)])?;
    let sequence = u64::from_ne_bytes(sequence);
    if sequence == 0 {
        return Ok(registers.rip);
    }
    // struct rseq_cs: version and flags, then start, length and abort address.
    let mut words = [[0; 8]; 4];
    let mut bytes = [0; 32];
    if memory::read(tid, &mut [(sequence, &mut bytes)]).is_err() {
        // The kernel would find the same and end the thread; that is not for us to bring about.
        return Ok(registers.rip);
    }
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        word.copy_from_slice(chunk);
    }
    let [_, start, length, abort] = words.map(u64::from_ne_bytes);
    let inside = registers.rip.wrapping_sub(start) < length;
    Ok(if inside { abort } else { registers.rip })
}
