//! What the GOT of MIPS, which has no relocations, cannot say. No assembler for it is at hand, so the object is written here.

use object::write::{Object, Relocation, StandardSection, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, FileFlags, RelocationFlags, SymbolFlags, SymbolKind, SymbolScope,
    elf,
};

use super::support::{Target, lld, script};

//# fault: SymbolFault::AbsentInGot
#[test]
fn a_weak_symbol_that_is_absent() {
    let Some(lld) = lld() else { return };
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Mips, Endianness::Little);
    let e_flags = elf::FileFlags(elf::EF_MIPS_ABI_O32.0 | elf::EF_MIPS_ARCH_32R2.0);
    object.flags = FileFlags::Elf { os_abi: elf::ELFOSABI_NONE, abi_version: 0, e_flags };
    let text = object.section_id(StandardSection::Text);
    object.append_section_data(text, &[0; 16], 16);
    let mut symbol = |name: &[u8], weak, section| {
        object.add_symbol(Symbol {
            name: name.to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak,
            section,
            flags: SymbolFlags::None,
        })
    };
    symbol(b"start", false, SymbolSection::Section(text));
    let absent = symbol(b"absent", true, SymbolSection::Undefined);
    let flags = RelocationFlags::Elf { r_type: elf::R_MIPS_GOT16 };
    object.add_relocation(text, Relocation { offset: 0, symbol: absent, addend: 0, flags }).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("source.o"), object.write().unwrap()).unwrap();
    let script = script(Target::Pie).replace(".eh_frame)", ".eh_frame .reginfo .MIPS.abiflags)");
    std::fs::write(path("blob.ld"), script).unwrap();
    let mut link = std::process::Command::new(lld);
    link.args(["-pie", "--no-dynamic-linker", "--hash-style=sysv", "-z", "norelro", "-T"])
        .arg(path("blob.ld"));
    let linked = link.arg("-o").arg(path("blob.po")).arg(path("source.o")).output().unwrap();
    assert!(linked.status.success(), "{}", String::from_utf8_lossy(&linked.stderr));
    let expected = ["symbol `absent`: weak and absent", "define it, or link with GNU `ld`"];
    super::expect(&std::fs::read(path("blob.po")).unwrap(), &expected, "mips");
}
