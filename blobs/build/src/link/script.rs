//! The linker script: where everything in an object lies, and the symbols that say so.
//!
//! One script for LLVM's and GNU's linker. Segments are written down as `PHDRS`, so that no linker chooses permissions
//! of its own; every section is named, so that the linker refuses what would otherwise end up anywhere.

use std::fmt::Write as _;

/// What differs between the objects of two blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Alignment of segments: the largest page of the architecture.
    pub(crate) page: u64,
    /// Bytes of the stack, whole pages; without one there is no guard either.
    pub(crate) stack: u64,
    /// One segment instead of three.
    pub(crate) packed: bool,
    /// Whether the linker must be told where `_gp` is, which MIPS code reaches its GOT from.
    pub(crate) global_pointer: bool,
}

/// Code. `.l*` belongs to the medium and large code model, `.plt` and what ARM, MIPS and PowerPC have like it to linkers
/// that want to see it.
const TEXT: &str = "\
  .text : {
    KEEP(*(.pie_blob.head .pie_blob.head.*))
    *(.text .text.* .ltext .ltext.* .stub .gnu.linkonce.t.* .glue_7 .glue_7t .vfp11_veneer .v4_bx)
  } :TEXT
  .plt : { *(.plt .plt.* .iplt .MIPS.stubs .sfpr .glink) } :TEXT
  .init : { KEEP(*(.init)) } :TEXT
  .fini : { KEEP(*(.fini)) } :TEXT
";

/// Constants, then those that hold addresses, then the GOT: the part for `.plt` first, because on z/Architecture no entry may
/// lie in front of it. PowerPC calls it `.toc`, and keeps the targets of far jumps beside it.
const RODATA: &str = "\
  .rodata : { *(.rodata .rodata.* .rodata1 .lrodata .lrodata.* .srodata .srodata.* .sdata2 .sdata2.* .gnu.linkonce.r.*) } :RODATA
  .data.rel.ro : { *(.data.rel.ro .data.rel.ro.* .ldata.rel.ro .ldata.rel.ro.* .gnu.linkonce.d.rel.ro.*) } :RODATA
  .branch_lt : { *(.branch_lt) } :RODATA
  .got : { *(.got.plt .igot.plt) *(.got .igot .toc) } :RODATA
";

/// What changes. Constructors and thread-local storage have their place here because they must not be lost before
/// the object is verified: that refuses them by name.
const DATA: &str = "\
  .preinit_array : { KEEP(*(.preinit_array .preinit_array.*)) } :DATA
  .init_array : { KEEP(*(.init_array .init_array.*)) } :DATA
  .fini_array : { KEEP(*(.fini_array .fini_array.*)) } :DATA
  .ctors : { KEEP(*(.ctors .ctors.*)) } :DATA
  .dtors : { KEEP(*(.dtors .dtors.*)) } :DATA
  .tdata : { *(.tdata .tdata.* .gnu.linkonce.td.*) } :DATA
  .tbss : { *(.tbss .tbss.* .gnu.linkonce.tb.*) } :DATA
  .data : { *(.data .data.* .data1 .ldata .ldata.* .sdata .sdata.* .gnu.linkonce.d.*) } :DATA
  .bss (NOLOAD) : { *(.dynbss .bss .bss.* .lbss .lbss.* .sbss .sbss.* .scommon .gnu.linkonce.b.* COMMON) } :DATA
";

/// What only the reader of the object needs, and a word that MIPS has for debuggers.
const READER: &str = "\
  .dynamic : { *(.dynamic) } :reader :dynamic
  .dynsym : { *(.dynsym) } :reader
  .dynstr : { *(.dynstr) } :reader
  .hash : { *(.hash) } :reader
  .gnu.hash : { *(.gnu.hash) } :reader
  .rel.dyn : { *(.rel.*) } :reader
  .rela.dyn : { *(.rela.*) } :reader
  .relr.dyn : { *(.relr.dyn) } :reader
  .rld_map : { *(.rld_map) } :reader
";

/// What unwinding tables name, in some builds of the compiler's runtime; the tables themselves are discarded.
const PERSONALITY: &str = "PROVIDE_HIDDEN(rust_eh_personality = 0);\n";

/// Debug information: in the object, never in the image.
const DEBUG: [&str; 21] = [
    ".debug_abbrev",
    ".debug_addr",
    ".debug_aranges",
    ".debug_frame",
    ".debug_info",
    ".debug_line",
    ".debug_line_str",
    ".debug_loc",
    ".debug_loclists",
    ".debug_macinfo",
    ".debug_macro",
    ".debug_names",
    ".debug_pubnames",
    ".debug_pubtypes",
    ".debug_ranges",
    ".debug_rnglists",
    ".debug_str",
    ".debug_str_offsets",
    ".debug_types",
    ".debug_gnu_pubnames",
    ".debug_gnu_pubtypes",
];

/// The linker's own tables.
const TABLES: [&str; 4] = [".symtab", ".symtab_shndx", ".strtab", ".shstrtab"];

/// What no blob needs: unwinding, notes, symbol versions, and what compilers leave for themselves.
const DISCARDED: &str = "\
  /DISCARD/ : {
    *(.comment .note .note.* .interp .eh_frame .eh_frame_hdr .sframe .gcc_except_table .gcc_except_table.*)
    *(.ARM.exidx .ARM.exidx.* .ARM.extab .ARM.extab.*)
    *(.gnu.version .gnu.version_d .gnu.version_r .gnu.attributes .gnu.build.attributes .gnu.build.attributes.*)
    *(.ARM.attributes .riscv.attributes .MIPS.abiflags .reginfo .MIPS.options .pdr .mdebug.*)
    *(.gnu.warning .gnu.warning.* .gnu_debuglink .gnu.lto_* .llvmbc .llvmcmd .llvm_addrsig .llvm.*)
    *(.debug_gdb_scripts .stab .stabstr .stab.*)
  }
";

impl Layout {
    /// The script as text.
    pub(crate) fn script(&self) -> String {
        let mut script = String::from("ENTRY(__pie_blob_start)\n");
        script.push_str(&self.segments());
        script.push_str(PERSONALITY);
        script.push_str("SECTIONS\n{\n  . = 0;\n  HIDDEN(__pie_blob_start = .);\n");
        if self.packed {
            script.push_str("  HIDDEN(__pie_blob_packed = .);\n");
            self.part(&mut script, TEXT, None);
            self.part(&mut script, RODATA, Some("rodata"));
            self.part(&mut script, DATA, Some("data"));
            script.push_str("  HIDDEN(__pie_blob_end = .);\n");
            self.align(&mut script);
        } else {
            self.part(&mut script, TEXT, None);
            self.align(&mut script);
            self.part(&mut script, RODATA, Some("rodata"));
            self.align(&mut script);
            self.part(&mut script, DATA, Some("data"));
            self.align(&mut script);
            self.stack(&mut script);
            script.push_str("  HIDDEN(__pie_blob_end = .);\n");
        }
        script.push_str(READER);
        for section in DEBUG.iter().chain(&TABLES) {
            // Writing into a string cannot fail.
            let _ = writeln!(script, "  {section} 0 : {{ *({section}) }}");
        }
        script.push_str(DISCARDED);
        script.push_str("}\n");
        script
    }

    /// The program headers.
    fn segments(&self) -> String {
        let mut segments = String::from("PHDRS\n{\n");
        if self.packed {
            segments.push_str("  image PT_LOAD FLAGS(7);\n");
        } else {
            segments
                .push_str("  text PT_LOAD FLAGS(5);\n  rodata PT_LOAD FLAGS(4);\n  data PT_LOAD FLAGS(6);\n");
            if self.stack > 0 {
                segments.push_str("  guard PT_LOAD FLAGS(0);\n  stack PT_LOAD FLAGS(6);\n");
            }
        }
        segments.push_str("  reader PT_LOAD FLAGS(6);\n  dynamic PT_DYNAMIC FLAGS(6);\n}\n");
        segments
    }

    /// Sections of one kind, with a symbol before and one behind them.
    fn part(&self, script: &mut String, sections: &str, name: Option<&str>) {
        let segment = |own| if self.packed { ":image" } else { own };
        let sections = sections
            .replace(":TEXT", segment(":text"))
            .replace(":RODATA", segment(":rodata"))
            .replace(":DATA", segment(":data"));
        let sections = if self.global_pointer {
            sections.replace("  .got : ", "  HIDDEN(_gp = ALIGN(16) + 0x7ff0);\n  .got : ")
        } else {
            sections
        };
        match name {
            None => script.push_str(&sections),
            Some(name) => {
                let _ = write!(
                    script,
                    "  HIDDEN(__pie_blob_{name} = .);\n{sections}  HIDDEN(__pie_blob_{name}_end = .);\n"
                );
            }
        }
    }

    /// Room for the stack and the page that catches its overflow, without a byte in the file.
    fn stack(&self, script: &mut String) {
        if self.stack == 0 {
            return;
        }
        let _ = write!(
            script,
            "  HIDDEN(__pie_blob_guard = .);
  .pie_blob.guard (NOLOAD) : {{ . += {}; }} :guard
  HIDDEN(__pie_blob_stack = .);
  .pie_blob.stack (NOLOAD) : {{ . += {}; }} :stack
  HIDDEN(__pie_blob_stack_top = .);
",
            self.page, self.stack
        );
    }

    fn align(&self, script: &mut String) {
        let _ = writeln!(script, "  . = ALIGN({});", self.page);
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;

    #[test]
    fn without_a_stack_there_is_no_guard() {
        let script = Layout { page: 4096, stack: 0, packed: false, global_pointer: false }.script();
        assert!(!script.contains("guard") && !script.contains("_stack"), "{script}");
    }

    #[test]
    fn packed_has_one_segment_of_the_image() {
        let script = Layout { page: 4096, stack: 0, packed: true, global_pointer: false }.script();
        assert!(script.contains("__pie_blob_packed"));
        assert_eq!(script.matches("PT_LOAD").count(), 2, "the image and what only the reader needs");
        assert!(!script.contains(":text") && !script.contains(":data"), "{script}");
    }
}
