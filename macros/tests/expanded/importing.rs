// Written by the macro's own test; the bytes of the image are left out.
#[doc = "The blob `golden` for x86_64: 4120 bytes in memory, 4120 of them initialised, 2 relocations.\n\n| offset | bytes | what |\n|---|---|---|\n| 0x0 | 21 | segment R-X |\n| 0x0 | 1 | `START` |\n| 0x1000 | 24 | segment RW- |\n"]
pub(crate) mod importing {
    #[doc = r" The initialised bytes of the image."]
    pub static BYTES: crate::again::Bytes<4120> = crate::again::Bytes::new([0; 4120]);
    #[doc = r" The words to which an address is added, sorted by offset."]
    pub static RELOCS: &[crate::again::Reloc] =
        crate::again::Reloc::slice(b"\x08\x10\0\0\x01\0\0\0\x10\x10\0\0\x02\0\0\0");
    #[doc = r" Image, relocations and exports: what is loaded, mapped or injected, with the addresses that it wants."]
    pub static BLOB: crate::again::Importing<Imports> =
        crate::again::Importing::__new(crate::again::__private::blob(crate::again::__private::Parts {
            name: "golden",
            id: 4711u64,
            architecture: crate::again::Architecture::X86_64,
            bytes: BYTES.as_slice(),
            relocs: RELOCS,
            imports: &["getpid"],
            size: 4120u64,
            align: 4096u64,
            segments: &[
                crate::again::Segment {
                    offset: 0u64,
                    size: 21u64,
                    permissions: crate::again::Permissions { read: true, write: false, execute: true },
                },
                crate::again::Segment {
                    offset: 4096u64,
                    size: 24u64,
                    permissions: crate::again::Permissions { read: true, write: true, execute: false },
                },
            ],
            exports: &[
                crate::again::Export {
                    name: "start",
                    offset: 0u32,
                    size: 1u64,
                    kind: crate::again::ExportKind::Code,
                },
                crate::again::Export {
                    name: "answer",
                    offset: 16u32,
                    size: 5u64,
                    kind: crate::again::ExportKind::Code,
                },
                crate::again::Export {
                    name: "calls",
                    offset: 4096u32,
                    size: 8u64,
                    kind: crate::again::ExportKind::Data,
                },
            ],
            stack: ::core::option::Option::None,
            packed: false,
            base: ::core::option::Option::None,
            narrow: ::core::option::Option::None,
            done: ::core::option::Option::None,
            panic: ::core::option::Option::None,
        }));
    #[doc = "The function `start` at offset 0x0, 1 bytes."]
    pub const START: crate::again::Offset<<__START as crate::again::__private::Typed>::T> =
        crate::again::Offset::__new(0u32, 4711u64);
    #[doc(hidden)]
    pub(super) enum __START {}
    #[doc = r" What the blob wants from its host: an address each."]
    #[derive(:: core :: clone :: Clone, :: core :: marker :: Copy, :: core :: fmt :: Debug)]
    pub struct Imports {
        #[doc = "Where the function `getpid` lies in the address space that the blob runs in."]
        pub getpid: crate::again::Remote<<__imports_getpid as crate::again::__private::Typed>::T>,
    }
    #[allow(deprecated)]
    impl crate::again::__private::Supply for Imports {
        fn address(&self, import: u32) -> ::core::option::Option<u64> {
            match import {
                0u32 => ::core::option::Option::Some(self.getpid.address()),
                _ => ::core::option::Option::None,
            }
        }
    }
    #[doc(hidden)]
    pub(super) enum __imports_getpid {}
    const _: () = if false {
        let _ = ::core::include_bytes!("importing.rs");
    };
    #[cfg(not(all(target_arch = "x86_64", target_endian = "little")))]
    ::core::compile_error!(
        "the blob `golden` is for x86_64 and this crate is not: build the object for this target, or say `foreign` if the blob is to run on another machine"
    );
}
impl crate::again::__private::Typed for importing::__START {
    type T = unsafe extern "C" fn();
}
impl crate::again::__private::Typed for importing::__imports_getpid {
    type T = unsafe extern "C" fn() -> i32;
}
