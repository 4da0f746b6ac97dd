//! The same link once more, for a base that the linker is told: the bytes that relocating must give.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::{Object as _, ObjectSegment as _};
use pie_blob_image::{Architecture, Image};

/// Stands in for a linker, to learn what it is given.
pub(crate) struct Recorder {
    folder: PathBuf,
    linker: PathBuf,
}

/// Every linker that links for the target here: the toolchain's lld, and GNU's of Debian's name for the target.
pub(crate) fn linkers(target: &str) -> Vec<PathBuf> {
    let rustc = |what| {
        let output = Command::new("rustc").args(["--print", what]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let shipped = format!("{}/lib/rustlib/{}/bin/gcc-ld/ld.lld", rustc("sysroot"), rustc("host-tuple"));
    let gnu = match target.split('-').next().unwrap() {
        "x86_64" | "i686" => "ld",
        "aarch64" => "aarch64-linux-gnu-ld",
        "armv7" | "thumbv7neon" => "arm-linux-gnueabihf-ld",
        "riscv64gc" => "riscv64-linux-gnu-ld",
        "s390x" => "s390x-linux-gnu-ld",
        "powerpc64le" => "powerpc64le-linux-gnu-ld",
        "mips64el" => "mips64el-linux-gnuabi64-ld",
        "mipsel" => "mipsel-linux-gnu-ld",
        // Debian 12 has no GNU linker for LoongArch.
        _ => return vec![shipped.into()],
    };
    vec![shipped.into(), gnu.into()]
}

impl Recorder {
    pub(crate) fn new(folder: &Path, linker: &Path) -> Self {
        let recorder = Self { folder: folder.to_owned(), linker: linker.to_owned() };
        // GNU's linkers make other instructions where they know the address, which would hide whether the words are the
        // same.
        let relax = if recorder.is_gnu() { " --no-relax" } else { "" };
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] || set -- \"$@\"{relax}\nprintf '%s\\n' \"$@\" >'{}'\nexec '{}' \"$@\"\n",
            folder.join("arguments").display(),
            linker.display(),
        );
        fs::write(recorder.path(), script).unwrap();
        fs::set_permissions(recorder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        recorder
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("recorder")
    }

    /// Whether this linker makes the same instructions of the same code, whether it knows the base or not.
    pub(crate) fn keeps_code(&self, image: &Image) -> bool {
        !self.is_gnu() || !matches!(image.architecture(), Architecture::S390x | Architecture::PowerPc64)
    }

    fn is_gnu(&self) -> bool {
        let output = Command::new(&self.linker).arg("--version").output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", self.linker.display()));
        String::from_utf8_lossy(&output.stdout).starts_with("GNU")
    }

    /// The first `length` bytes that the linker lays out for the base.
    pub(crate) fn fixed(&self, base: u64, length: usize) -> Vec<u8> {
        loaded(&self.link(base, false), base, length)
    }

    /// The executable that the linker makes for the base, with the relocations kept.
    pub(crate) fn executable(&self, base: u64) -> Vec<u8> {
        self.link(base, true)
    }

    fn link(&self, base: u64, keep: bool) -> Vec<u8> {
        let recorded = fs::read_to_string(self.folder.join("arguments")).unwrap();
        let output = self.folder.join("fixed");
        let mut command = Command::new(&self.linker);
        // For i386 GNU's linker makes other instructions of those that load from the GOT where the result is at a fixed
        // address. Its addends lie in the words: position-independent at a base, they are what they are to become.
        let independent = !keep && self.is_gnu() && recorded.lines().any(|argument| argument == "elf_i386");
        if !independent {
            command.arg("-static");
        }
        if keep {
            command.arg("--emit-relocs");
        }
        let mut arguments = recorded.lines();
        while let Some(argument) = arguments.next() {
            match argument {
                "-pie" | "--no-dynamic-linker" | "-Bsymbolic" if !independent => {}
                "-T" => {
                    let script = fs::read_to_string(arguments.next().unwrap()).unwrap();
                    let moved = script.replacen("  . = 0;\n", &format!("  . = {base:#x};\n"), 1);
                    assert_ne!(script, moved, "the script begins at 0");
                    let path = self.folder.join("fixed.ld");
                    fs::write(&path, moved).unwrap();
                    command.arg("-T").arg(path);
                }
                "-o" => {
                    arguments.next();
                    command.arg("-o").arg(&output);
                }
                other => {
                    command.arg(other);
                }
            }
        }
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
        fs::read(output).unwrap()
    }
}

/// The first `length` bytes that a program has at its base.
pub(crate) fn loaded(file: &[u8], base: u64, length: usize) -> Vec<u8> {
    let file = object::File::parse(file).unwrap();
    let mut bytes = vec![0; length];
    for segment in file.segments() {
        // What only the reader of an object needs may be empty, and then anywhere.
        let Some(start) = segment.address().checked_sub(base) else { continue };
        let data = segment.data().unwrap();
        let Some(room) = bytes.get_mut(usize::try_from(start).unwrap()..) else { continue };
        let count = room.len().min(data.len());
        room[..count].copy_from_slice(&data[..count]);
    }
    bytes
}

/// Where the relocated image differs from the linker's bytes: offset and both words, but for those that are not for code.
pub(crate) fn differences(
    image: &Image,
    base: u64,
    fixed: &[u8],
    keeps_code: bool,
) -> Vec<(usize, Vec<u8>, Vec<u8>)> {
    let relocated = image.relocated(base).unwrap();
    let code = if keeps_code { 0 } else { image.segments()[0].initialised };
    // No word of code is relocated.
    assert!(image.relocations().iter().all(|reloc| u64::from(reloc.offset()) >= code));
    let width = usize::from(image.architecture().pointer_width());
    let words = relocated.chunks(width).zip(fixed.chunks(width)).enumerate();
    let different = words.filter(|(_, (ours, theirs))| ours != theirs);
    let different = different.map(|(index, (ours, theirs))| (index * width, ours.to_vec(), theirs.to_vec()));
    let different = different.filter(|(offset, ..)| *offset as u64 >= code);
    different.filter(|word| !is_a_loaders_own(image, base, word, keeps_code)).collect()
}

/// Whether it is a word of the GOT that no code reads.
fn is_a_loaders_own(
    image: &Image,
    base: u64,
    (offset, ours, theirs): &(usize, Vec<u8>, Vec<u8>),
    keeps_code: bool,
) -> bool {
    let value = |bytes: &[u8]| {
        let append = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if image.architecture().little_endian() {
            bytes.iter().rev().fold(0, append)
        } else {
            bytes.iter().fold(0, append)
        }
    };
    let (ours, theirs) = (value(ours), value(theirs));
    let relocated = image.relocations().iter().any(|reloc| reloc.offset() as usize == *offset);
    match image.architecture() {
        // Reserved by the linker and not used: a loader adds the base to all entries.
        Architecture::Mips | Architecture::Mips64 if relocated => (ours, theirs) == (base, 0),
        // Where the base is known, the changed code does without the entry.
        Architecture::PowerPc64 | Architecture::S390x if relocated => theirs == 0 && !keeps_code,
        // The address in the middle of the GOT, at its beginning; GNU's linker rounds it down.
        Architecture::PowerPc64 => !relocated && ours / 0x100 == (*offset as u64 + 0x8000) / 0x100,
        // The address of the dynamic section, which only the position-independent link has.
        _ => !relocated && ours == image.size().next_multiple_of(image.align()),
    }
}
