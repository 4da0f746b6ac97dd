// Written by the macro's own test; the bytes of the image are left out.
#[doc = " Declared."]
#[doc = "\n\nThe blob `golden` for x86_64: 4112 bytes in memory, 4112 of them initialised, 1 relocations.\n\n| offset | bytes | what |\n|---|---|---|\n| 0x0 | 21 | segment R-X |\n| 0x10 | 5 | `ANSWER` |\n| 0x1000 | 16 | segment RW- |\n| 0x1000 | 8 | `CALLS` |\n"]
pub mod declared {
    #[doc = r" The initialised bytes of the image."]
    pub static BYTES: ::pie_blob::Bytes<4112> = ::pie_blob::Bytes::new([0; 4112]);
    #[doc = r" The words to which an address is added, sorted by offset."]
    pub static RELOCS: &[::pie_blob::Reloc] = ::pie_blob::Reloc::slice(b"");
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
        base: ::core::option::Option::Some(32768u64),
        narrow: ::core::option::Option::None,
        done: ::core::option::Option::None,
        panic: ::core::option::Option::None,
    });
    #[doc = " Answers."]
    #[doc = ""]
    #[doc = "The function `answer` at offset 0x10, 5 bytes."]
    pub const ANSWER: ::pie_blob::Offset<<__ANSWER as ::pie_blob::__private::Typed>::T> =
        ::pie_blob::Offset::__new(16u32, 4711u64);
    #[doc(hidden)]
    pub(super) enum __ANSWER {}
    #[doc = "The static `calls` at offset 0x1000, 8 bytes."]
    pub(crate) const CALLS: ::pie_blob::Offset<<__CALLS as ::pie_blob::__private::Typed>::T> =
        ::pie_blob::Offset::__new(4096u32, 4711u64);
    #[doc(hidden)]
    pub(super) enum __CALLS {}
    const _: () = if false {
        let _ = ::core::include_bytes!("declared.rs");
    };
    #[cfg(not(all(target_arch = "x86_64", target_endian = "little")))]
    ::core::compile_error!(
        "the blob `golden` is for x86_64 and this crate is not: build the object for this target, or say `foreign` if the blob is to run on another machine"
    );
}
impl ::pie_blob::__private::Typed for declared::__ANSWER {
    type T = unsafe extern "C" fn(u64) -> u64;
}
impl ::pie_blob::__private::Typed for declared::__CALLS {
    type T = Number;
}
const _: () = if ::core::mem::size_of::<Number>() as ::core::primitive::u64 != 8u64 {
    ::core::panic!(
        "{}",
        "the type's size is not that of `calls` in the object: 8 bytes; declare the type that it has there"
    )
};
const _: () = {
    let align = ::core::mem::align_of::<Number>() as ::core::primitive::u64;
    if (4096u32 as ::core::primitive::u64) % align != 0 || 4096u64 % align != 0 {
        ::core::panic!(
            "{}",
            "`calls` lies at offset 0x1000 of an image aligned to 0x1000, too little for the type's alignment: align it in the blob"
        )
    }
};
