//! No path of `load` and `relocate` panics: the linker is asked, which sees every path and not only those that
//! some test takes.

use crate::package::Package;

/// Whether the program links, and what the linker says.
fn link(package: &Package, opt_level: &str, features: &str) -> (bool, String) {
    // The core library was compiled to unwind: its tables name a function that only `std` has. The C library is for
    // `memcpy`, behind whatever calls it.
    let arguments = ["-nostartfiles", "-Wl,--gc-sections,--defsym=rust_eh_personality=0", "-lc"];
    let arguments = arguments.map(|argument| format!("-Clink-arg={argument}"));
    let cargo = ["rustc", "--release", "--features", features, "--"];
    let cargo: Vec<&str> = cargo.into_iter().chain(arguments.iter().map(String::as_str)).collect();
    let output = package.cargo(&cargo, &[("CARGO_PROFILE_RELEASE_OPT_LEVEL", opt_level)]);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn loading_has_no_path_that_panics() {
    let package = Package::new("no_panic");
    for opt_level in ["3", "s"] {
        let (linked, said) = link(&package, opt_level, "");
        assert!(linked, "opt-level {opt_level}: {said}");
        let (linked, said) = link(&package, opt_level, "control");
        assert!(!linked && said.contains("this_code_can_panic"), "opt-level {opt_level}: {said}");
    }
}
