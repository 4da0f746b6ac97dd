//! Assembler without a C compiler: rustc assembles it as module-level assembler of an empty crate.

use std::path::Path;

use super::{Compiled, rust};
use crate::context::Context;
use crate::symbols::Input;
use crate::{Error, tool};

/// Assembles `source`, which needs no preprocessor.
pub(crate) fn file(
    context: &Context,
    source: &Path,
    place: &Path,
    compiled: &mut Compiled,
) -> Result<(), Error> {
    // The syntax that every other assembler for ELF has by default; elsewhere there is only one.
    let options = if context.is_x86() { "att_syntax, raw" } else { "raw" };
    let name = rust::crate_name(source);
    let root = place.join("root.rs");
    let text = format!(
        "#![no_std]\ncore::arch::global_asm!(include_str!({:?}), options({options}));\n",
        source.display().to_string()
    );
    std::fs::write(&root, text).map_err(Error::io("write", &root))?;
    let mut command = rust::rustc(context, "1", place);
    command.args(["--crate-type=lib", "--emit=obj", "--crate-name", &name]).arg(&root);
    tool::compile(&mut command, source)?;
    compiled.inputs.push(Input::read(place.join(format!("{name}.o")), source)?);
    Ok(())
}

/// Whether a line is a directive of the C preprocessor, or a macro of C's could be meant: not one that the
/// assembler takes for a comment.
pub(crate) fn is_preprocessed(text: &[u8]) -> bool {
    const DIRECTIVES: [&str; 12] = [
        "include", "define", "undef", "if", "ifdef", "ifndef", "elif", "else", "endif", "error", "warning",
        "pragma",
    ];
    String::from_utf8_lossy(text).lines().any(|line| {
        line.trim_start().strip_prefix('#').is_some_and(|rest| {
            let rest = rest.trim_start();
            let end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
            DIRECTIVES.contains(&&rest[..end]) && is_directive(&rest[..end], rest[end..].trim())
        })
    })
}

/// Whether what follows a directive's name can follow it: `# if the stack is full` is a comment.
fn is_directive(name: &str, rest: &str) -> bool {
    let words = rest.split_whitespace().count();
    match name {
        "else" | "endif" => words == 0 || rest.starts_with("/*") || rest.starts_with("//"),
        "ifdef" | "ifndef" | "undef" => words == 1 || rest.contains("/*") || rest.contains("//"),
        "include" => rest.starts_with(['<', '"']),
        "if" | "elif" => {
            words == 1
                || rest.starts_with(['!', '('])
                || rest.contains(['=', '<', '>', '&', '|', '('])
                || rest.starts_with("defined")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_preprocessed;

    #[test]
    fn directives() {
        for text in [
            "#include <a.h>",
            "  # include \"a.h\"",
            "#define X 1",
            "nop\n#if defined(X)\nnop\n#endif",
            "#ifdef __x86_64__",
            "#ifndef X /* why */",
            "#if X > 3",
            "#else",
        ] {
            assert!(is_preprocessed(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn comments() {
        for text in [
            "# plain",
            "#",
            "# if the stack is full, stop",
            "# include the guard page",
            "nop # define nothing",
            "# else it is lost",
            "// #define",
        ] {
            assert!(!is_preprocessed(text.as_bytes()), "{text}");
        }
    }
}
