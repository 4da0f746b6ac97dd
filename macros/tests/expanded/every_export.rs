// Written by the macro's own test; the bytes of the image are left out.
#[doc = "The blob `golden` for x86_64: 4112 bytes in memory, 4112 of them initialised, 1 relocations.\n\n| offset | bytes | what |\n|---|---|---|\n| 0x0 | 21 | segment R-X |\n| 0x0 | 1 | `START` |\n| 0x10 | 5 | `ANSWER` |\n| 0x1000 | 16 | segment RW- |\n| 0x1000 | 8 | `CALLS` |\n"]
mod every_export {
    #[doc = r" The initialised bytes of the image."]
    pub static BYTES: ::pie_blob::Bytes<4112> = ::pie_blob::Bytes::new([0; 4112]);
    #[doc = r" The words to which an address is added, sorted by offset."]
    pub static RELOCS: &[::pie_blob::Reloc] = ::pie_blob::Reloc::slice(b"\x08\x10\0\0\x01\0\0\0");
    #[doc = r" Image, relocations and exports: what is loaded, mapped or injected."]
    pub static BLOB: ::pie_blob::Blob = ::pie_blob::__private::blob(::pie_blob::__private::Parts {
        name: "golden",
        id: 4711u64,
        architecture: ::pie_blob::Architecture::X86_64,
        bytes: BYTES.as_slice(),
        relocs: RELOCS,
        imports: &[],
        size: 4112u64,
        align: 4096u64,
        segments: &[
            ::pie_blob::Segment {
                offset: 0u64,
                size: 21u64,
                permissions: ::pie_blob::Permissions { read: true, write: false, execute: true },
            },
            ::pie_blob::Segment {
                offset: 4096u64,
                size: 16u64,
                permissions: ::pie_blob::Permissions { read: true, write: true, execute: false },
            },
        ],
        exports: &[
            ::pie_blob::Export {
                name: "start",
                offset: 0u32,
                size: 1u64,
                kind: ::pie_blob::ExportKind::Code,
            },
            ::pie_blob::Export {
                name: "answer",
                offset: 16u32,
                size: 5u64,
                kind: ::pie_blob::ExportKind::Code,
            },
            ::pie_blob::Export {
                name: "calls",
                offset: 4096u32,
                size: 8u64,
                kind: ::pie_blob::ExportKind::Data,
            },
        ],
        stack: ::core::option::Option::None,
        packed: false,
        base: ::core::option::Option::None,
        narrow: ::core::option::Option::None,
        done: ::core::option::Option::None,
        panic: ::core::option::Option::None,
    });
    #[doc = "The function `start` at offset 0x0, 1 bytes."]
    pub const START: ::pie_blob::Offset<::pie_blob::Code> = ::pie_blob::Offset::__new(0u32, 4711u64);
    #[doc = "The function `answer` at offset 0x10, 5 bytes."]
    pub const ANSWER: ::pie_blob::Offset<::pie_blob::Code> = ::pie_blob::Offset::__new(16u32, 4711u64);
    #[doc = "The static `calls` at offset 0x1000, 8 bytes."]
    pub const CALLS: ::pie_blob::Offset<::pie_blob::Data> = ::pie_blob::Offset::__new(4096u32, 4711u64);
    const _: () = if false {
        let _ = ::core::include_bytes!("every_export.rs");
    };
    #[cfg(not(all(target_arch = "x86_64", target_endian = "little")))]
    ::core::compile_error!(
        "the blob `golden` is for x86_64 and this crate is not: build the object for this target, or say `foreign` if the blob is to run on another machine"
    );
}
