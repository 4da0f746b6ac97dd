//! The smallest virtual machine that starts in 64-bit mode: one processor, some memory, no devices.

use std::error::Error;
use std::fmt;
use std::io;

use kvm_bindings::{kvm_regs, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};

const PAGE: usize = 4096;
/// One large page: all that the page tables map.
const MEMORY: usize = 2 << 20;

/// Where the page tables lie, one of each level.
const LEVEL_4: usize = 0x1000;
const LEVEL_3: usize = 0x2000;
const LEVEL_2: usize = 0x3000;

/// A machine that has not been started. Its fields are dropped in this order: the memory goes last.
pub(crate) struct Machine {
    processor: VcpuFd,
    _machine: VmFd,
    memory: Memory,
}

/// Whole pages, aligned to pages.
struct Memory {
    bytes: Vec<u8>,
    start: usize,
}

/// Why there is no machine.
pub(crate) enum Missing {
    /// `/dev/kvm` cannot be opened.
    Kvm(io::Error),
    /// It can, but makes no machine.
    Machine(io::Error),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kvm(error) => write!(f, "no KVM here ({error})"),
            Self::Machine(error) => write!(f, "KVM is here but makes no virtual machine ({error})"),
        }
    }
}

impl Memory {
    fn new() -> Self {
        let bytes = vec![0; MEMORY + PAGE];
        Self { start: bytes.as_ptr().align_offset(PAGE), bytes }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..MEMORY]
    }

    /// Maps every address to itself.
    fn map(&mut self) {
        /// Present and writable.
        const TABLE: u64 = 0b11;
        /// The same, and not a table but a page.
        const LARGE: u64 = TABLE | 1 << 7;
        for (at, entry) in
            [(LEVEL_4, LEVEL_3 as u64 | TABLE), (LEVEL_3, LEVEL_2 as u64 | TABLE), (LEVEL_2, LARGE)]
        {
            self.bytes()[at..][..8].copy_from_slice(&entry.to_le_bytes());
        }
    }
}

impl Machine {
    pub(crate) fn new() -> Result<Self, Missing> {
        let kvm = Kvm::new().map_err(|error| Missing::Kvm(error.into()))?;
        Self::with(&kvm).map_err(|error| Missing::Machine(error.into()))
    }

    fn with(kvm: &Kvm) -> Result<Self, kvm_ioctls::Error> {
        let machine = kvm.create_vm()?;
        let mut memory = Memory::new();
        memory.map();
        let region = kvm_userspace_memory_region {
            memory_size: MEMORY as u64,
            userspace_addr: memory.bytes().as_mut_ptr().expose_provenance() as u64,
            ..Default::default()
        };
        // SAFETY: the region is this machine's alone, `Machine` keeps it until the machine is gone, and nobody looks at
        // it while the processor runs: that borrows the whole `Machine`.
        unsafe { machine.set_user_memory_region(region) }?;

        let processor = machine.create_vcpu(0)?;
        let mut registers = processor.get_sregs()?;
        let data = kvm_segment {
            limit: u32::MAX,
            selector: 16,
            type_: 0b0011, // readable, writable
            present: 1,
            s: 1,
            db: 1,
            g: 1,
            ..Default::default()
        };
        // Executable, 64-bit.
        registers.cs = kvm_segment { selector: 8, type_: 0b1011, db: 0, l: 1, ..data };
        (registers.ds, registers.es, registers.ss) = (data, data, data);
        registers.cr0 = 1 << 31 | 1 << 5 | 1 << 4 | 1 << 1 | 1; // PG, NE, ET, MP, PE
        registers.cr3 = LEVEL_4 as u64;
        registers.cr4 = 1 << 10 | 1 << 9 | 1 << 5; // OSXMMEXCPT, OSFXSR, PAE
        registers.efer = 1 << 10 | 1 << 8; // LMA, LME
        processor.set_sregs(&registers)?;
        Ok(Self { processor, _machine: machine, memory })
    }

    /// The memory, from address 0.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        self.memory.bytes()
    }

    /// Runs from an address until the processor halts. Returns what was written to a port.
    pub(crate) fn run(&mut self, from: u64, port: u16) -> Result<Vec<u8>, Box<dyn Error>> {
        // Bit 1 of the flags is always set.
        self.processor.set_regs(&kvm_regs { rip: from, rflags: 1 << 1, ..Default::default() })?;
        let mut written = Vec::new();
        loop {
            match self.processor.run() {
                Ok(VcpuExit::IoOut(to, bytes)) if to == port => written.extend_from_slice(bytes),
                Ok(VcpuExit::Hlt) => return Ok(written),
                Ok(other) => return Err(format!("the guest has ended otherwise: {other:?}").into()),
                // A signal of the host's.
                Err(error) if io::Error::from(error).kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
