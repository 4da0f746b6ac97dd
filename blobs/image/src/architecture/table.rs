//! The table of instruction sets: a new one is a new row.

use object::elf;

use super::{Action, Architecture, Description};

pub(super) const ARCHITECTURES: &[Description] =
    &[X86_64, X86, AARCH64, ARM, RISCV64, S390X, POWERPC64, MIPS64, MIPS, LOONGARCH64];

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

const AARCH64: Description = Description {
    architecture: Architecture::Aarch64,
    name: "aarch64",
    machine: elf::EM_AARCH64,
    pointer_width: 8,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_AARCH64_NONE, Action::Skip),
        (elf::R_AARCH64_RELATIVE, Action::Relative),
        (elf::R_AARCH64_ABS64, Action::Absolute),
        (elf::R_AARCH64_GLOB_DAT, Action::Slot),
        (elf::R_AARCH64_JUMP_SLOT, Action::Slot),
        (elf::R_AARCH64_IRELATIVE, Action::Ifunc),
        (elf::R_AARCH64_TLS_DTPMOD, Action::ThreadLocal),
        (elf::R_AARCH64_TLS_DTPREL, Action::ThreadLocal),
        (elf::R_AARCH64_TLS_TPREL, Action::ThreadLocal),
        (elf::R_AARCH64_TLSDESC, Action::ThreadLocal),
        (elf::R_AARCH64_COPY, Action::Copy),
        (elf::R_AARCH64_ABS32, Action::Narrow),
        (elf::R_AARCH64_ABS16, Action::Narrow),
    ],
};

const ARM: Description = Description {
    architecture: Architecture::Arm,
    name: "arm",
    machine: elf::EM_ARM,
    pointer_width: 4,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_ARM_NONE, Action::Skip),
        (elf::R_ARM_RELATIVE, Action::Relative),
        (elf::R_ARM_ABS32, Action::Absolute),
        (elf::R_ARM_GLOB_DAT, Action::Slot),
        (elf::R_ARM_JUMP_SLOT, Action::Slot),
        (elf::R_ARM_IRELATIVE, Action::Ifunc),
        (elf::R_ARM_TLS_DTPMOD32, Action::ThreadLocal),
        (elf::R_ARM_TLS_DTPOFF32, Action::ThreadLocal),
        (elf::R_ARM_TLS_TPOFF32, Action::ThreadLocal),
        (elf::R_ARM_TLS_DESC, Action::ThreadLocal),
        (elf::R_ARM_COPY, Action::Copy),
        (elf::R_ARM_ABS16, Action::Narrow),
        (elf::R_ARM_ABS8, Action::Narrow),
    ],
};

const RISCV64: Description = Description {
    architecture: Architecture::Riscv64,
    name: "riscv64",
    machine: elf::EM_RISCV,
    pointer_width: 8,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_RISCV_NONE, Action::Skip),
        (elf::R_RISCV_RELATIVE, Action::Relative),
        (elf::R_RISCV_64, Action::Absolute),
        (elf::R_RISCV_JUMP_SLOT, Action::Slot),
        (elf::R_RISCV_IRELATIVE, Action::Ifunc),
        (elf::R_RISCV_TLS_DTPMOD64, Action::ThreadLocal),
        (elf::R_RISCV_TLS_DTPREL64, Action::ThreadLocal),
        (elf::R_RISCV_TLS_TPREL64, Action::ThreadLocal),
        (elf::R_RISCV_TLSDESC, Action::ThreadLocal),
        (elf::R_RISCV_COPY, Action::Copy),
        (elf::R_RISCV_32, Action::Narrow),
    ],
};

const S390X: Description = Description {
    architecture: Architecture::S390x,
    name: "s390x",
    machine: elf::EM_S390,
    pointer_width: 8,
    little_endian: false,
    page_size: 4096,
    relocations: &[
        (elf::R_390_NONE, Action::Skip),
        (elf::R_390_RELATIVE, Action::Relative),
        (elf::R_390_64, Action::Absolute),
        (elf::R_390_GLOB_DAT, Action::Slot),
        (elf::R_390_JMP_SLOT, Action::Slot),
        (elf::R_390_IRELATIVE, Action::Ifunc),
        (elf::R_390_TLS_DTPMOD, Action::ThreadLocal),
        (elf::R_390_TLS_DTPOFF, Action::ThreadLocal),
        (elf::R_390_TLS_TPOFF, Action::ThreadLocal),
        (elf::R_390_COPY, Action::Copy),
        (elf::R_390_32, Action::Narrow),
        (elf::R_390_16, Action::Narrow),
        (elf::R_390_8, Action::Narrow),
    ],
};

const POWERPC64: Description = Description {
    architecture: Architecture::PowerPc64,
    name: "powerpc64",
    machine: elf::EM_PPC64,
    pointer_width: 8,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_PPC64_NONE, Action::Skip),
        (elf::R_PPC64_RELATIVE, Action::Relative),
        (elf::R_PPC64_ADDR64, Action::Absolute),
        (elf::R_PPC64_UADDR64, Action::Absolute),
        (elf::R_PPC64_GLOB_DAT, Action::Slot),
        (elf::R_PPC64_JMP_SLOT, Action::Slot),
        (elf::R_PPC64_IRELATIVE, Action::Ifunc),
        (elf::R_PPC64_JMP_IREL, Action::Ifunc),
        (elf::R_PPC64_DTPMOD64, Action::ThreadLocal),
        (elf::R_PPC64_DTPREL64, Action::ThreadLocal),
        (elf::R_PPC64_TPREL64, Action::ThreadLocal),
        (elf::R_PPC64_COPY, Action::Copy),
        (elf::R_PPC64_ADDR32, Action::Narrow),
        (elf::R_PPC64_UADDR32, Action::Narrow),
        (elf::R_PPC64_ADDR16, Action::Narrow),
        (elf::R_PPC64_UADDR16, Action::Narrow),
    ],
};

/// Three types in one entry, each applied to what the one before gave: the lowest byte comes first.
const fn composed(first: elf::RelocationType, second: elf::RelocationType) -> elf::RelocationType {
    elf::RelocationType(first.0 | second.0 << 8)
}

/// The N64 ABI. Its loaders know one type for relative and absolute words, composed with the one that says how wide they are.
const MIPS64: Description = Description {
    architecture: Architecture::Mips64,
    name: "mips64",
    machine: elf::EM_MIPS,
    pointer_width: 8,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_MIPS_NONE, Action::Skip),
        (composed(elf::R_MIPS_REL32, elf::R_MIPS_64), Action::AbsoluteOrRelative),
        (elf::R_MIPS_GLOB_DAT, Action::Slot),
        (elf::R_MIPS_JUMP_SLOT, Action::Slot),
        (elf::R_MIPS_TLS_DTPMOD64, Action::ThreadLocal),
        (elf::R_MIPS_TLS_DTPREL64, Action::ThreadLocal),
        (elf::R_MIPS_TLS_TPREL64, Action::ThreadLocal),
        (elf::R_MIPS_COPY, Action::Copy),
        (elf::R_MIPS_REL32, Action::Narrow),
        (elf::R_MIPS_32, Action::Narrow),
        (elf::R_MIPS_16, Action::Narrow),
    ],
};

/// The O32 ABI.
const MIPS: Description = Description {
    architecture: Architecture::Mips,
    name: "mips",
    machine: elf::EM_MIPS,
    pointer_width: 4,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_MIPS_NONE, Action::Skip),
        (elf::R_MIPS_REL32, Action::AbsoluteOrRelative),
        (elf::R_MIPS_GLOB_DAT, Action::Slot),
        (elf::R_MIPS_JUMP_SLOT, Action::Slot),
        (elf::R_MIPS_TLS_DTPMOD32, Action::ThreadLocal),
        (elf::R_MIPS_TLS_DTPREL32, Action::ThreadLocal),
        (elf::R_MIPS_TLS_TPREL32, Action::ThreadLocal),
        (elf::R_MIPS_COPY, Action::Copy),
        (elf::R_MIPS_16, Action::Narrow),
    ],
};

const LOONGARCH64: Description = Description {
    architecture: Architecture::LoongArch64,
    name: "loongarch64",
    machine: elf::EM_LOONGARCH,
    pointer_width: 8,
    little_endian: true,
    page_size: 4096,
    relocations: &[
        (elf::R_LARCH_NONE, Action::Skip),
        (elf::R_LARCH_RELATIVE, Action::Relative),
        (elf::R_LARCH_64, Action::Absolute),
        (elf::R_LARCH_JUMP_SLOT, Action::Slot),
        (elf::R_LARCH_IRELATIVE, Action::Ifunc),
        (elf::R_LARCH_TLS_DTPMOD64, Action::ThreadLocal),
        (elf::R_LARCH_TLS_DTPREL64, Action::ThreadLocal),
        (elf::R_LARCH_TLS_TPREL64, Action::ThreadLocal),
        (elf::R_LARCH_TLS_DESC64, Action::ThreadLocal),
        (elf::R_LARCH_COPY, Action::Copy),
        (elf::R_LARCH_32, Action::Narrow),
    ],
};
