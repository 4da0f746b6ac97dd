//! An image that was loaded, as a program: what a kernel maps is what the runtime wrote, and nothing beside it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, Writer};
use pie_blob_image::{Architecture, Image};

/// Where the image begins in the file: at a multiple of every page size.
const OFFSET: u64 = 0x1_0000;

/// Writes the program into the folder.
pub(crate) fn write(folder: &Path, image: &Image, loaded: &[u8], base: u64) -> PathBuf {
    let (machine, flags) = identity(image.architecture());
    let order = if image.architecture().little_endian() { Endianness::Little } else { Endianness::Big };
    let mut file = Vec::new();
    let mut writer = Writer::new(order, image.architecture().pointer_width() == 8, &mut file);
    writer.reserve_file_header();
    writer.reserve_program_headers(u32::try_from(image.segments().len()).unwrap());
    writer.reserve_until(OFFSET);
    writer.reserve(image.size(), 1);
    let start = image.symbol("start").expect("the guest has an entry").offset();
    writer
        .write_file_header(&FileHeader {
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            e_type: elf::ET_EXEC,
            e_machine: machine,
            e_entry: base + u64::from(start),
            e_flags: flags,
        })
        .unwrap();
    writer.write_align_program_headers();
    for segment in image.segments() {
        let permissions = segment.permissions;
        let flag = |set, flag: elf::ProgramFlags| if set { flag.0 } else { 0 };
        let flags = flag(permissions.read, elf::PF_R)
            | flag(permissions.write, elf::PF_W)
            | flag(permissions.execute, elf::PF_X);
        writer.write_program_header(&ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: elf::ProgramFlags(flags),
            p_offset: OFFSET + segment.offset,
            p_vaddr: base + segment.offset,
            p_paddr: base + segment.offset,
            p_filesz: segment.size,
            p_memsz: segment.size,
            p_align: OFFSET,
        });
    }
    writer.pad_until(OFFSET);
    writer.write(loaded);
    let path = folder.join("program");
    std::fs::write(&path, file).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// `e_machine` and `e_flags`.
fn identity(architecture: Architecture) -> (elf::Machine, elf::FileFlags) {
    let none = elf::FileFlags(0);
    match architecture {
        Architecture::X86_64 => (elf::EM_X86_64, none),
        Architecture::X86 => (elf::EM_386, none),
        Architecture::Aarch64 => (elf::EM_AARCH64, none),
        Architecture::Arm => (elf::EM_ARM, elf::EF_ARM_EABI_VER5),
        // Compressed instructions, floating point in registers.
        Architecture::Riscv64 => (elf::EM_RISCV, elf::FileFlags(5)),
        Architecture::S390x => (elf::EM_S390, none),
        Architecture::PowerPc64 => (elf::EM_PPC64, elf::FileFlags(2)),
        Architecture::Mips64 => (elf::EM_MIPS, elf::EF_MIPS_ARCH_64R2),
        Architecture::Mips => {
            (elf::EM_MIPS, elf::FileFlags(elf::EF_MIPS_ABI_O32.0 | elf::EF_MIPS_ARCH_32R2.0))
        }
        Architecture::LoongArch64 => (elf::EM_LOONGARCH, elf::FileFlags(0x43)),
        other => panic!("{other:?} has no program header"),
    }
}
