//! What differs between instruction sets, as one table: a new one is a new row.

use object::elf;

use crate::image::RelocationKind;

/// The instruction set of an image.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Architecture {
    /// AMD64, little-endian, 64-bit pointers.
    X86_64,
    /// i386 and its successors, little-endian, 32-bit pointers.
    X86,
}

/// What a relocation type of the psABI asks of this crate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Nothing: a hole that the linker left.
    Skip,
    /// The base plus the addend, in a word of pointer width.
    Relative,
    /// The symbol's address plus the addend, in a word of pointer width.
    Absolute,
    /// The symbol's address, in a word of pointer width: a GOT entry.
    Slot,
    /// The result of a resolver that would have to run first.
    Ifunc,
    /// Anything of thread-local storage.
    ThreadLocal,
    /// A copy of another object's data.
    Copy,
    /// An address in a word too narrow for every base.
    Narrow,
}

/// One row of the table.
struct Description {
    architecture: Architecture,
    /// As `target_arch` spells it.
    name: &'static str,
    machine: elf::Machine,
    pointer_width: u8,
    little_endian: bool,
    /// The smallest page size: what permissions can be told apart by.
    page_size: u64,
    /// The types that a linker may leave to the loader. Every other type belongs to link time.
    relocations: &'static [(elf::RelocationType, Action)],
}

const ARCHITECTURES: &[Description] = &[X86_64, X86];

const X86_64: Description = Description {
    architecture: Architecture::X86_64,
    name: "x86_64",
    machine: elf::EM_X86_64,
    pointer_width: 8,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_X86_64_NONE, Action::Skip),
        (elf::R_X86_64_RELATIVE, Action::Relative),
        (elf::R_X86_64_64, Action::Absolute),
        (elf::R_X86_64_GLOB_DAT, Action::Slot),
        (elf::R_X86_64_JUMP_SLOT, Action::Slot),
        (elf::R_X86_64_IRELATIVE, Action::Ifunc),
        (elf::R_X86_64_DTPMOD64, Action::ThreadLocal),
        (elf::R_X86_64_DTPOFF64, Action::ThreadLocal),
        (elf::R_X86_64_TPOFF64, Action::ThreadLocal),
        (elf::R_X86_64_TLSDESC, Action::ThreadLocal),
        (elf::R_X86_64_COPY, Action::Copy),
        (elf::R_X86_64_32, Action::Narrow),
        (elf::R_X86_64_32S, Action::Narrow),
        (elf::R_X86_64_16, Action::Narrow),
        (elf::R_X86_64_8, Action::Narrow),
    ],
};

const X86: Description = Description {
    architecture: Architecture::X86,
    name: "x86",
    machine: elf::EM_386,
    pointer_width: 4,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_386_NONE, Action::Skip),
        (elf::R_386_RELATIVE, Action::Relative),
        (elf::R_386_32, Action::Absolute),
        (elf::R_386_GLOB_DAT, Action::Slot),
        (elf::R_386_JMP_SLOT, Action::Slot),
        (elf::R_386_IRELATIVE, Action::Ifunc),
        (elf::R_386_TLS_DTPMOD32, Action::ThreadLocal),
        (elf::R_386_TLS_DTPOFF32, Action::ThreadLocal),
        (elf::R_386_TLS_TPOFF, Action::ThreadLocal),
        (elf::R_386_TLS_TPOFF32, Action::ThreadLocal),
        (elf::R_386_TLS_DESC, Action::ThreadLocal),
        (elf::R_386_COPY, Action::Copy),
        (elf::R_386_16, Action::Narrow),
        (elf::R_386_8, Action::Narrow),
    ],
};

/// The row used should an enumerator ever be without one; a test keeps that from happening.
const FALLBACK: &Description = &ARCHITECTURES[0];

impl Architecture {
    fn description(self) -> &'static Description {
        ARCHITECTURES.iter().find(|row| row.architecture == self).unwrap_or(FALLBACK)
    }

    /// The name, as `cfg(target_arch = "…")` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// The size of an address, in bytes.
    #[must_use]
    pub fn pointer_width(self) -> u8 {
        self.description().pointer_width
    }

    /// Whether the least significant byte of a word comes first.
    #[must_use]
    pub fn little_endian(self) -> bool {
        self.description().little_endian
    }

    /// The smallest page size that it runs with, in bytes.
    #[must_use]
    pub fn page_size(self) -> u64 {
        self.description().page_size
    }

    /// Every architecture that objects are read of.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ARCHITECTURES.iter().map(|row| row.architecture)
    }

    /// The architecture that `e_machine` names: the one with pointers of that width, else any, so that it can be
    /// said what the file should be.
    pub(crate) fn of(machine: elf::Machine, pointer_width: u8) -> Option<Self> {
        let named = || ARCHITECTURES.iter().filter(|row| row.machine == machine);
        let row = named().find(|row| row.pointer_width == pointer_width).or_else(|| named().next());
        row.map(|row| row.architecture)
    }

    /// The address of the last byte of memory.
    pub(crate) fn last_address(self) -> u64 {
        if self.pointer_width() == 4 { u64::from(u32::MAX) } else { u64::MAX }
    }

    /// How a word of pointer width is relocated.
    pub(crate) fn word(self) -> RelocationKind {
        match (self.pointer_width(), self.little_endian()) {
            (4, true) => RelocationKind::Relative32,
            (4, false) => RelocationKind::Relative32Be,
            (_, true) => RelocationKind::Relative64,
            (_, false) => RelocationKind::Relative64Be,
        }
    }

    /// How the address of an import is put into a word of pointer width.
    pub(crate) fn import(self, import: u32) -> RelocationKind {
        match (self.pointer_width(), self.little_endian()) {
            (4, true) => RelocationKind::Import32 { import },
            (4, false) => RelocationKind::Import32Be { import },
            (_, true) => RelocationKind::Import64 { import },
            (_, false) => RelocationKind::Import64Be { import },
        }
    }

    /// The type that `DT_RELR` stands for.
    pub(crate) fn relative_type(self) -> elf::RelocationType {
        let mut rows = self.description().relocations.iter();
        rows.find(|row| row.1 == Action::Relative).map_or(elf::RelocationType(0), |row| row.0)
    }

    /// What a relocation type asks for; `None` for one that only a linker can resolve.
    pub(crate) fn action(self, kind: elf::RelocationType) -> Option<Action> {
        self.description().relocations.iter().find(|row| row.0 == kind).map(|row| row.1)
    }

    /// The psABI's name of a relocation type.
    pub(crate) fn relocation_name(self, kind: elf::RelocationType) -> String {
        match elf::machine_names(self.description().machine).r.name(kind) {
            Some(name) => name.to_owned(),
            None => format!("type {}", kind.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_its_own_row() {
        for row in ARCHITECTURES {
            assert_eq!(row.architecture.name(), row.name);
            assert_eq!(Architecture::of(row.machine, row.pointer_width), Some(row.architecture));
            assert_eq!(row.architecture.word().width(), row.pointer_width);
            assert_ne!(row.architecture.relative_type(), elf::RelocationType(0));
            assert!(row.page_size.is_power_of_two());
        }
    }

    #[test]
    fn types_are_called_by_their_psabi_names() {
        assert_eq!(Architecture::X86_64.relocation_name(elf::R_X86_64_GLOB_DAT), "R_X86_64_GLOB_DAT");
        assert_eq!(Architecture::X86_64.relocation_name(elf::RelocationType(4711)), "type 4711");
    }
}
