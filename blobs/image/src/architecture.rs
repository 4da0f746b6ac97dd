//! What differs between instruction sets.

mod table;

use object::elf;

use crate::relocation::RelocationKind;
use table::ARCHITECTURES;

/// The instruction set of an image.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Architecture {
    /// AMD64, little-endian, 64-bit pointers.
    X86_64,
    /// i386 and its successors, little-endian, 32-bit pointers.
    X86,
    /// AArch64, little-endian, 64-bit pointers.
    Aarch64,
    /// 32-bit ARM and Thumb, little-endian. The address of a Thumb function has bit 0 set.
    Arm,
    /// RISC-V, little-endian, 64-bit pointers.
    Riscv64,
    /// z/Architecture, big-endian, 64-bit pointers.
    S390x,
    /// PowerPC, little-endian, 64-bit pointers, ABI version 2.
    PowerPc64,
    /// MIPS, little-endian, 64-bit pointers (N64).
    Mips64,
    /// MIPS, little-endian, 32-bit pointers (O32).
    Mips,
    /// LoongArch, little-endian, 64-bit pointers.
    LoongArch64,
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
    /// The one where there is a symbol, the other where there is none.
    AbsoluteOrRelative,
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

    /// What a base must be a multiple of, whatever the object says: where code is written in pages and what lies in them
    /// (`adrp`, `pcalau12i`), it is right at no other place.
    pub(crate) fn code_alignment(self) -> u64 {
        if matches!(self, Self::Aarch64 | Self::LoongArch64) { 0x1000 } else { 1 }
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

    /// Where code begins that a symbol or the entry of this value stands for.
    pub(crate) fn code_address(self, value: u64) -> u64 {
        // Bit 0 says that it is Thumb.
        if self == Self::Arm { value & !1 } else { value }
    }

    /// The type that `DT_RELR` stands for.
    pub(crate) fn relative_type(self) -> elf::RelocationType {
        let mut rows = self.description().relocations.iter();
        let relative = rows.find(|row| matches!(row.1, Action::Relative | Action::AbsoluteOrRelative));
        relative.map_or(elf::RelocationType(0), |row| row.0)
    }

    /// What a relocation type asks for; `None` for one that only a linker can resolve.
    pub(crate) fn action(self, kind: elf::RelocationType) -> Option<Action> {
        self.description().relocations.iter().find(|row| row.0 == kind).map(|row| row.1)
    }

    /// The psABI's name of a relocation type.
    pub(crate) fn relocation_name(self, kind: elf::RelocationType) -> String {
        let name =
            |kind: elf::RelocationType| match elf::machine_names(self.description().machine).r.name(kind) {
                Some(name) => name.to_owned(),
                None => format!("type {}", kind.0),
            };
        // Three types in one, of which the unused ones are 0.
        if self == Self::Mips64 && kind.0 > 0xff {
            let [first, rest @ ..] = kind.0.to_le_bytes().map(u32::from).map(elf::RelocationType);
            let rest = rest.into_iter().filter(|kind| kind.0 != 0);
            return rest.fold(name(first), |names, kind| names + "/" + &name(kind));
        }
        name(kind)
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
        assert_eq!(
            Architecture::Mips64.relocation_name(elf::RelocationType(0x1203)),
            "R_MIPS_REL32/R_MIPS_64"
        );
        assert_eq!(Architecture::Mips.relocation_name(elf::R_MIPS_REL32), "R_MIPS_REL32");
        assert_eq!(Architecture::S390x.relocation_name(elf::R_390_RELATIVE), "R_390_RELATIVE");
    }
}
