//! Sources of relocatable objects with their directives, and linkers that lay such an object out as the image is.

use std::path::{Path, PathBuf};
use std::process::Command;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader};
use pie_blob_image::{Abs32, Faults, Image, Limits};

/// A source and what its directives say.
pub(crate) struct Source {
    path: PathBuf,
    pub(crate) bases: Vec<u64>,
    abs32: Option<Abs32>,
    pages: Vec<String>,
    linkers: Option<String>,
    flags: Vec<String>,
    pie: bool,
    table: bool,
    retype: Option<(u32, u32)>,
}

impl Source {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut source = Self {
            path: path.to_owned(),
            bases: Vec::new(),
            abs32: None,
            pages: Vec::new(),
            linkers: None,
            flags: Vec::new(),
            pie: false,
            table: false,
            retype: None,
        };
        for line in text.lines().filter_map(|line| line.strip_prefix("#! ")) {
            let (name, values) = line.split_once(": ").unwrap_or((line, ""));
            let values: Vec<String> = values.split_whitespace().map(str::to_owned).collect();
            match name {
                "bases" => {
                    let base = |text: &String| u64::from_str_radix(&text[2..], 16).unwrap();
                    source.bases = values.iter().map(base).collect();
                }
                "abs32" if values == ["checked"] => source.abs32 = Some(Abs32::Checked),
                "page" => source.pages = values,
                "linkers" => source.linkers = Some(values[0].clone()),
                "flags" => source.flags = values,
                "pie" => source.pie = true,
                "retype" => source.retype = Some((values[0].parse().unwrap(), values[1].parse().unwrap())),
                "table" => source.table = true,
                _ => panic!("{}: no directive {line}", path.display()),
            }
        }
        assert!(!source.bases.is_empty(), "{}: no bases", path.display());
        source
    }

    fn is_x86(&self) -> bool {
        self.path.file_name().unwrap().to_str().unwrap().starts_with("x86_")
    }

    /// Whether a linker is asked about it.
    pub(crate) fn asks(&self, linker: &Path) -> bool {
        let family = if linker.ends_with("ld.lld") { "lld" } else { "gnu" };
        self.linkers.as_deref().is_none_or(|only| only == family)
    }

    pub(crate) fn only_gnu(&self) -> bool {
        self.linkers.as_deref() == Some("gnu")
    }

    pub(crate) fn image(&self, object: &Path) -> Result<Image, Faults> {
        let limits = Limits::default();
        let limits = self.abs32.map_or(limits, |abs32| limits.with_abs32(abs32));
        Image::parse(&std::fs::read(object).unwrap(), &limits)
    }
}

/// The toolchain's own linker, and GNU's where it is.
pub(crate) fn linkers() -> Vec<PathBuf> {
    let rustc = |what| {
        let output = Command::new("rustc").args(["--print", what]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let shipped = format!("{}/lib/rustlib/{}/bin/gcc-ld/ld.lld", rustc("sysroot"), rustc("host-tuple"));
    let works =
        |linker: &PathBuf| Command::new(linker).arg("--version").output().is_ok_and(|o| o.status.success());
    // A toolchain of a distribution has no linker of its own.
    let lld = [&shipped, "ld.lld"].map(PathBuf::from).into_iter().find(works);
    let found: Vec<_> = lld.into_iter().chain([PathBuf::from("ld")].into_iter().filter(works)).collect();
    assert!(!found.is_empty(), "every toolchain has a linker");
    found
}

/// A folder for objects.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn assemble(&self, source: &Source) -> PathBuf {
        let object = self.path("source.o");
        let width = if source.is_x86() { "-m32" } else { "-m64" };
        run(Command::new("cc").args([width, "-c"]).arg(&source.path).arg("-o").arg(&object));
        if let Some((from, to)) = source.retype {
            retype(&object, from, to);
        }
        object
    }

    /// The bytes that a linker writes for a base: the sections of the object in the order of their headers, and the
    /// global offset table behind them.
    pub(crate) fn link(
        &self,
        linker: &Path,
        source: &Source,
        object: &Path,
        base: u64,
    ) -> Result<Vec<u8>, String> {
        let (script, output) = (self.path("blob.ld"), self.path("output"));
        std::fs::write(&script, layout(source, &std::fs::read(object).unwrap(), base)).unwrap();
        let mut command = Command::new(linker);
        command.args(["-z", "norelro", "-z", "noexecstack", "--build-id=none"]);
        if source.pie {
            command.args(["-pie", "--no-dynamic-linker", "-Bsymbolic", "-z", "text", "--hash-style=sysv"]);
            if linker.ends_with("ld.lld") {
                command.arg("--apply-dynamic-relocs");
            }
        } else {
            command.arg("-static");
        }
        if source.is_x86() {
            command.args(["-m", "elf_i386"]);
        }
        command.args(&source.flags).args(["-e", "0"]);
        let result = command.arg("-T").arg(script).arg("-o").arg(&output).arg(object).output().unwrap();
        if !result.status.success() {
            return Err(format!("{command:?}: {}", String::from_utf8_lossy(&result.stderr)));
        }
        let output = std::fs::read(output).unwrap();
        Ok(if source.is_x86() {
            contents::<elf::FileHeader32<Endianness>>(&output)
        } else {
            contents::<elf::FileHeader64<Endianness>>(&output)
        })
    }
}

/// A linker script that is what the image's rule says.
fn layout(source: &Source, object: &[u8], base: u64) -> String {
    let names = if source.is_x86() {
        sections::<elf::FileHeader32<Endianness>>(object)
    } else {
        sections::<elf::FileHeader64<Endianness>>(object)
    };
    let width = if source.is_x86() { 4 } else { 8 };
    let mut script = format!("SECTIONS {{\n. = {base:#x};\n.image : {{\n");
    let page =
        |name: &str| if source.pages.iter().any(|page| page == name) { ". = ALIGN(4096);\n" } else { "" };
    for name in names {
        script += &format!("{}*({name})\n", page(&name));
    }
    // The table begins with reserved slots where something reaches the table itself; linkers write them always.
    let (table, elsewhere) =
        if source.table { ("*(.got.plt) ", "") } else { ("", ".got.plt : { *(.got.plt) }\n") };
    script +=
        &format!(". = ALIGN({width});\n{table}*(.got)\n{}*(COMMON)\n}} =0\n{elsewhere}", page("COMMON"));
    for name in ["dynamic", "dynsym", "dynstr", "hash", "rela.dyn", "rela.plt"] {
        script += &format!(".{name} : {{ *(.{name}) }}\n");
    }
    script + "/DISCARD/ : { *(.debug*) *(.comment) *(.note*) }\n}\n"
}

/// The names of the allocated sections.
fn sections<Elf: FileHeader<Endian = Endianness>>(object: &[u8]) -> Vec<String> {
    let header = Elf::parse(object).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, object).unwrap();
    let allocated = sections.iter().filter(|section| section.sh_flags(endian).0 & elf::SHF_ALLOC.0 != 0);
    let name = |section| String::from_utf8(sections.section_name(endian, section).unwrap().to_vec()).unwrap();
    allocated.map(name).collect()
}

/// What a linker has put into the image.
fn contents<Elf: FileHeader<Endian = Endianness>>(output: &[u8]) -> Vec<u8> {
    let header = Elf::parse(output).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, output).unwrap();
    let (_, image) = sections.section_by_name(endian, b".image").unwrap();
    let mut bytes = image.data(endian, output).unwrap().to_vec();
    // The first slot of a static-PIE's table is the address of its dynamic section, which an image has not.
    if let Some((_, dynamic)) = sections.section_by_name(endian, b".dynamic") {
        let address = dynamic.sh_addr(endian).into().to_le_bytes();
        let word = if header.is_class_64() { 8 } else { 4 };
        let slot = bytes.chunks_exact_mut(word).find(|slot| *slot == &address[..word]);
        slot.unwrap_or_default().fill(0);
    }
    bytes
}

/// Changes the type of relocations (RELA, 64 bits).
fn retype(path: &Path, from: u32, to: u32) {
    let mut object = std::fs::read(path).unwrap();
    let header = elf::FileHeader64::<Endianness>::parse(&*object).unwrap();
    let sections = header.sections(Endianness::Little, &*object).unwrap();
    let tables = sections.iter().filter(|section| section.sh_type(Endianness::Little) == elf::SHT_RELA);
    let ranges: Vec<_> = tables.map(|table| table.sh_offset.get(Endianness::Little)..).collect();
    let sizes: Vec<u64> = sections
        .iter()
        .filter(|section| section.sh_type(Endianness::Little) == elf::SHT_RELA)
        .map(|section| section.sh_size.get(Endianness::Little))
        .collect();
    let mut changed = 0;
    for (range, size) in ranges.into_iter().zip(sizes) {
        let start = usize::try_from(range.start).unwrap();
        for entry in object[start..start + usize::try_from(size).unwrap()].chunks_exact_mut(24) {
            if entry[8..12] == from.to_le_bytes() {
                entry[8..12].copy_from_slice(&to.to_le_bytes());
                changed += 1;
            }
        }
    }
    assert!(changed > 0, "no relocation of type {from}");
    std::fs::write(path, object).unwrap();
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
