//! compel, the peer in C: its tool and its library, as Debian's package `criu` installs them.
//!
//! Nothing of it is part of this project. The programs in `peers/` are our own and call what is installed; where nothing
//! is, a bench measures without its peer and says how to get it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How to get it.
pub(crate) const MISSING: &str =
    "compel is not here: it comes with CRIU (Debian: `apt-get install criu gcc`); measured without it";

/// What `compel` says when it is asked, word by word; `None` when it is not installed.
pub(crate) fn says(question: &[&str]) -> Option<Vec<String>> {
    let output = Command::new("compel").args(question).output().ok()?;
    let words = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| words.split_whitespace().map(str::to_owned).collect())
}

/// Builds the program that injects by compel's library, with its parasite, into `folder`; `None` without compel.
pub(crate) fn injector(folder: &Path) -> Option<PathBuf> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    let headers = "-I/usr/include/compel";
    let (parasite, object, header) =
        (folder.join("parasite.o"), folder.join("parasite.po"), folder.join("parasite.h"));
    let program = folder.join("compel_cycle");
    let mut compile = Command::new("gcc");
    compile.args(["-O2", headers]).args(says(&["cflags"])?);
    compile.arg("-c").arg(peers.join("parasite.c")).arg("-o").arg(&parasite);
    let mut link = Command::new("ld");
    link.args(says(&["ldflags"])?).arg("-o").arg(&object).arg(&parasite);
    link.args(says(&["--static", "plugins"])?);
    let mut generate = Command::new("compel");
    generate.arg("hgen").arg("-f").arg(&object).arg("-o").arg(&header).args(["-p", "parasite"]);
    let mut build = Command::new("gcc");
    build.args(["-O2", headers]).arg("-I").arg(folder).arg(peers.join("compel_cycle.c"));
    build.arg("-o").arg(&program).args(says(&["--static", "libs"])?);
    for mut command in [compile, link, generate, build] {
        let status = command.status().ok()?;
        assert!(status.success(), "{command:?} failed");
    }
    Some(program)
}

/// The commands that embed an assembler source in C: to an object, to a header, through the compiler; the last two are
/// what embedding costs. `None` without compel.
pub(crate) fn embed(source: &Path, folder: &Path) -> Option<[Command; 2]> {
    let (object, packed, header) =
        (folder.join("compel.o"), folder.join("compel.po"), folder.join("sample.h"));
    let program = folder.join("sample.c");
    let text = "#include <compel/infect.h>\n#include \"sample.h\"\n\
        void setup(struct parasite_ctl *ctl) { sample_setup_c_header(ctl); }\n";
    std::fs::write(&program, text).ok()?;
    let mut assemble = Command::new("gcc");
    assemble.arg("-c").arg(source).arg("-o").arg(&object);
    let mut pack = Command::new("ld");
    pack.args(says(&["ldflags"])?).arg("-o").arg(&packed).arg(&object);
    for mut command in [assemble, pack] {
        let status = command.status().ok()?;
        assert!(status.success(), "{command:?} failed");
    }
    let mut generate = Command::new("compel");
    generate.arg("hgen").arg("-f").arg(&packed).arg("-o").arg(&header).args(["-p", "sample"]);
    let mut compile = Command::new("gcc");
    compile.args(["-O2", "-I/usr/include/compel", "-c"]).arg(&program);
    compile.arg("-o").arg(folder.join("sample.o"));
    Some([generate, compile])
}
