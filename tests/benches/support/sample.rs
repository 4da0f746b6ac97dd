//! Objects of a chosen size, made by the build crate, and what other ways of embedding want of the same.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use pie_blob_build::Blob;

/// An object to embed.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) relocations: usize,
    /// What `pie_blob!` reads.
    pub(crate) object: PathBuf,
    /// The initialised bytes alone: what `include_bytes!` reads.
    pub(crate) bytes: PathBuf,
    /// The same words in assembler, with the head that compel asks for.
    pub(crate) for_compel: PathBuf,
}

impl Sample {
    /// An image of about `size` bytes with relocations spread evenly over it.
    pub(crate) fn new(
        name: &'static str,
        size: usize,
        relocations: usize,
        folder: &Path,
    ) -> io::Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let source = folder.join("sample.s");
        let for_compel = folder.join("compel.s");
        write(&source, HEAD, size, relocations)?;
        write(&for_compel, COMPEL_HEAD, size, relocations)?;
        let built = Blob::new("sample")
            .source(&source)
            .target(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
            .out_dir(&folder)
            .cargo_directives(false)
            .try_build()
            .map_err(io::Error::other)?;
        assert_eq!(built.image().relocations().len(), relocations);
        let bytes = folder.join("sample.bin");
        std::fs::write(&bytes, built.image().bytes())?;
        Ok(Self { name, relocations, object: built.object().to_owned(), bytes, for_compel })
    }
}

const HEAD: &str = ".text\n.globl start\nstart: lea words(%rip), %rax\nret\n";

/// The names that compel's header refers to.
const COMPEL_HEAD: &str = "\
.section .head.text, \"ax\"
.globl __export_parasite_head_start
__export_parasite_head_start: lea words(%rip), %rax
ret
.data
.globl __export_parasite_service_cmd, __export_parasite_service_args_ptr
.balign 8
__export_parasite_service_cmd: .quad 0
__export_parasite_service_args_ptr: .quad 0
";

/// Words that look like nothing, so that no way of embedding is at an advantage, and every so often an address.
fn write(path: &Path, head: &str, size: usize, relocations: usize) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(head.as_bytes())?;
    writeln!(file, ".data\n.balign 8\nwords:")?;
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for index in 0..relocations {
        write!(file, ".quad words + {}", index * 8 % size)?;
        for _ in 1..size / relocations / 8 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            write!(file, ", {noise:#x}")?;
        }
        writeln!(file)?;
    }
    file.flush()
}
