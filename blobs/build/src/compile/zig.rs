//! `zig cc`: a C compiler that has every target in it, for machines without a cross compiler for this one.

use std::process::Command;

use crate::context::Context;
use crate::{Blob, tool};

/// Whether the user has named a C compiler for the target, in one of the variables that the crate `cc` reads.
pub(crate) fn is_named(context: &Context) -> bool {
    let target = &context.target;
    [format!("CC_{target}"), format!("CC_{}", target.replace('-', "_")), "TARGET_CC".into(), "CC".into()]
        .iter()
        .any(|variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty()))
}

/// The compiler with the flags that choose the target, if zig is there: as a program, or as the Python package.
pub(crate) fn compiler(blob: &Blob, context: &Context) -> Option<Command> {
    let mut command =
        if tool::run(Command::new("zig").arg("version")).is_ok_and(|ended| ended.status.success()) {
            Command::new("zig")
        } else {
            let module = ["-m", "ziglang"];
            let python = ["python3", "python"].into_iter().find(|python| {
                let answer = tool::run(Command::new(python).args(module).arg("version"));
                answer.is_ok_and(|ended| ended.status.success())
            })?;
            let mut command = Command::new(python);
            command.args(module);
            command
        };
    command.args(["cc", "-target", &name(&context.target)]);
    command.arg(format!("-O{}", blob.opt_level)).args(["-Wall", "-Wextra"]);
    // Unlike other compilers it has the checks on, which end in a trap or call a library.
    command.arg("-fno-sanitize=undefined");
    Some(command)
}

/// The triple as zig spells it: instruction set, system, ABI.
fn name(target: &str) -> String {
    let mut parts = target.split('-');
    let first = parts.next().unwrap_or_default();
    let architecture = match first {
        "i386" | "i586" | "i686" => "x86",
        "riscv64gc" | "riscv64a23" => "riscv64",
        arm if arm.starts_with("armv") => "arm",
        thumb if thumb.starts_with("thumbv") => "thumb",
        other => other,
    };
    let rest: Vec<&str> = parts.collect();
    if !rest.contains(&"linux") {
        return format!("{architecture}-freestanding-none");
    }
    let abi = match (architecture, rest.last().copied().unwrap_or_default()) {
        // What other compilers do where nothing is said: numbers with a point in registers of their own.
        ("mips" | "mipsel", abi @ ("gnu" | "musl")) => format!("{abi}eabihf"),
        (_, abi) => abi.to_owned(),
    };
    format!("{architecture}-linux-{abi}")
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_of_targets() {
        for (target, expected) in [
            ("x86_64-unknown-linux-gnu", "x86_64-linux-gnu"),
            ("i686-unknown-linux-gnu", "x86-linux-gnu"),
            ("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf"),
            ("thumbv7neon-unknown-linux-gnueabihf", "thumb-linux-gnueabihf"),
            ("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu"),
            ("mips64el-unknown-linux-gnuabi64", "mips64el-linux-gnuabi64"),
            ("mipsel-unknown-linux-gnu", "mipsel-linux-gnueabihf"),
            ("aarch64-unknown-none", "aarch64-freestanding-none"),
        ] {
            assert_eq!(name(target), expected);
        }
    }
}
