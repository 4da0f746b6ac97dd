//! compel's own tool and library, asked what they make of an object. Debian's package `criu` has them.
//!
//! Nothing of it is part of this project: the program that calls its library is our own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::flat::{Bench, run};

/// What compel's header says of an object.
pub(crate) struct Header {
    /// How long its image is, without the slots that its library adds behind.
    pub(crate) size: usize,
    /// Names that begin with `__export`, without that, and where they lie.
    pub(crate) exports: Vec<(String, u64)>,
    pub(crate) relocs: Vec<Reloc>,
    flatten: PathBuf,
}

/// One entry of its list.
#[derive(Clone, Debug)]
pub(crate) struct Reloc {
    pub(crate) offset: usize,
    /// 8 or 4.
    pub(crate) width: usize,
    pub(crate) got: bool,
    pub(crate) value: u64,
}

/// What `compel` answers, word by word.
fn says(question: &[&str]) -> Vec<String> {
    let output = Command::new("compel").args(question).output().expect("compel: apt-get install criu");
    assert!(output.status.success(), "{question:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

/// Packs objects as compel wants it, with the archives of its plugins.
pub(crate) fn pack(bench: &Bench, objects: &[PathBuf], plugins: &[&str]) -> PathBuf {
    let packed = bench.path("packed.po");
    let mut link = Command::new("ld");
    link.args(says(&["ldflags"])).arg("-o").arg(&packed).args(objects);
    if !plugins.is_empty() {
        let question: Vec<&str> = ["plugins"].iter().chain(plugins).copied().collect();
        link.args(says(&question));
    }
    run(&mut link);
    packed
}

/// Compiles a source in C as compel wants it.
pub(crate) fn compile(bench: &Bench, source: &Path) -> PathBuf {
    let object = bench.path("compiled.o");
    let mut cc = Command::new("gcc");
    cc.args(["-O2", "-I/usr/include/compel"]).args(says(&["cflags"])).arg("-c").arg(source);
    run(cc.arg("-o").arg(&object));
    object
}

impl Header {
    pub(crate) fn of(bench: &Bench, object: &Path) -> Self {
        let (header, flatten) = (bench.path("blob.h"), bench.path("flatten"));
        run(Command::new("compel").args(["-p", "blob", "hgen", "-f"]).arg(object).arg("-o").arg(&header));
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/support/compel_flatten.c");
        let mut cc = Command::new("gcc");
        cc.args(["-w", "-I/usr/include/compel"]).arg("-I").arg(bench.folder.path()).arg(program);
        run(cc.arg("-o").arg(&flatten).args(says(&["--static", "libs"])));
        let text = std::fs::read_to_string(header).unwrap();
        Self::parse(&text, flatten)
    }

    fn parse(text: &str, flatten: PathBuf) -> Self {
        let hexadecimal = |text: &str| u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).unwrap();
        let export = |line: &str| {
            let (name, offset) = line.strip_prefix("#define blob_sym__export_")?.split_once(' ')?;
            Some((name.to_owned(), hexadecimal(offset)))
        };
        let field = |line: &str, name: &str| {
            let rest = line.split_once(&format!(".{name} = ")).unwrap().1;
            rest.split([',', ' ', '}']).next().unwrap().to_owned()
        };
        let reloc = |line: &str| {
            line.contains(".offset = ").then(|| Reloc {
                offset: usize::try_from(hexadecimal(&field(line, "offset"))).unwrap(),
                width: if line.contains("COMPEL_TYPE_INT") { 4 } else { 8 },
                got: line.contains("COMPEL_TYPE_GOTPCREL"),
                value: hexadecimal(&field(line, "value")),
            })
        };
        let bytes = text.split_once("blob_blob[] = {").unwrap().1.split_once('}').unwrap().0;
        Self {
            size: bytes.matches("0x").count(),
            exports: text.lines().filter_map(export).collect(),
            relocs: text.lines().filter_map(reloc).collect(),
            flatten,
        }
    }

    /// What its library makes of it at a base.
    pub(crate) fn at(&self, base: u64) -> Vec<u8> {
        let output = Command::new(&self.flatten).arg(format!("{base:x}")).output().unwrap();
        assert!(output.status.success());
        output.stdout
    }
}
