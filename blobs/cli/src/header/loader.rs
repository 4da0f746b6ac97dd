//! The part of the header that is code: C11 that is C++ too, without a library and without a warning.
//!
//! A check that could never fail is not written at all: a compiler would say so. Words are added to byte by byte, so that
//! neither the alignment of the buffer nor the byte order of the host matters.

use std::io;

use pie_blob_image::{Image, Narrow};

use super::{BIG_ENDIAN, IMPORT};

/// What a reader of the header has to know, and the guard against a second inclusion.
pub(super) fn opening(to: &mut dyn io::Write, image: &Image, name: &str) -> io::Result<()> {
    let architecture = image.architecture().name();
    let version = env!("CARGO_PKG_VERSION");
    write!(
        to,
        "\
/* Written by pie-blob {version}; not for editing. The blob `{name}`: position-independent code for {architecture}.

   Let `memory` be {name}_SIZE writable bytes that will lie at the address `base` where the blob runs; if that is here,
   it is the address of `memory` itself. Then

       enum {name}_result result = {name}_load(memory, {name}_SIZE, base, NULL);

   writes the image as it stands at `base`, zeros included. Afterwards give its pages the permissions that
   {name}_segments asks for, make the processor see the new code (__builtin___clear_cache; not needed on x86), and call
   what lies at `base + {name}_OFFSET_...`. If there are imports, the last argument is an array of their addresses. */
#ifndef {name}_PIE_BLOB_H
#define {name}_PIE_BLOB_H

#include <stddef.h>
#include <stdint.h>
"
    )
}

/// The loader, and what it answers.
pub(super) fn function(
    to: &mut dyn io::Write,
    image: &Image,
    name: &str,
    relocations: &[(u32, u32)],
) -> io::Result<()> {
    write!(
        to,
        "
enum {name}_result {{
    {name}_LOADED,
    /* The buffer is shorter than {name}_SIZE. */
    {name}_NO_ROOM,
    /* The base is not a multiple of {name}_ALIGN. */
    {name}_MISALIGNED,
    /* The image would reach past the last address. */
    {name}_ADDRESS_SPACE,
    /* A word that is narrower than an address would not hold its value at this base. */
    {name}_NARROW,
    /* There are imports, and no addresses for them. */
    {name}_NO_IMPORTS
}};

/* Writes the image as it stands at `base` into the first {name}_SIZE bytes of `buffer`, which need not be aligned.
   `imports` has {name}_IMPORTS addresses, each at its {name}_IMPORT_...; it may be NULL if there are none.
   Nothing is written unless the answer is {name}_LOADED, which is 0. */
static inline enum {name}_result {name}_load(void *buffer, size_t length, uint64_t base, const uint64_t *imports)
{{
    unsigned char *image = (unsigned char *)buffer;
    size_t at;

    if (length < {name}_SIZE)
        return {name}_NO_ROOM;
"
    )?;
    checks(to, image, name)?;
    writeln!(to, "    at = 0;")?;
    if !image.bytes().is_empty() {
        writeln!(to, "    for (; at < {name}_INITIALISED; at++)\n        image[at] = {name}_bytes[at];")?;
    }
    writeln!(to, "    for (; at < {name}_SIZE; at++)\n        image[at] = 0;")?;
    if !relocations.is_empty() {
        relocate(to, name, relocations.iter().any(|(_, how)| how & IMPORT != 0))?;
    }
    writeln!(to, "    return {name}_LOADED;\n}}")
}

/// What keeps the image from standing at a base, in the order in which the other loaders look.
fn checks(to: &mut dyn io::Write, image: &Image, name: &str) -> io::Result<()> {
    if image.align() > 1 {
        writeln!(to, "    if (base % {name}_ALIGN != 0)\n        return {name}_MISALIGNED;")?;
    }
    let last = if image.architecture().pointer_width() == 4 { u64::from(u32::MAX) } else { u64::MAX };
    let highest = last.saturating_sub(image.size().saturating_sub(1));
    if highest < u64::MAX {
        writeln!(to, "    if (base > UINT64_C({highest:#x}))\n        return {name}_ADDRESS_SPACE;")?;
    }
    let narrow = image.narrow();
    if narrow != Narrow::default() {
        let high = match narrow.first_high {
            u64::MAX => String::new(),
            first => format!(" && base < UINT64_C({first:#x})"),
        };
        writeln!(to, "    if (base > UINT64_C({:#x}){high})\n        return {name}_NARROW;", narrow.last)?;
    }
    if image.imports().is_empty() {
        writeln!(to, "    (void)imports;")
    } else {
        writeln!(to, "    if (imports == NULL)\n        return {name}_NO_IMPORTS;")
    }
}

fn relocate(to: &mut dyn io::Write, name: &str, imports: bool) -> io::Result<()> {
    let value = if imports {
        format!("(how & {IMPORT:#x}u) != 0 ? imports[how >> 8] : base")
    } else {
        "base".to_owned()
    };
    write!(
        to,
        "    for (at = 0; at < {name}_RELOCATIONS; at++) {{
        const uint32_t how = {name}_relocations[at].how;
        const uint64_t value = {value};
        unsigned char *word = image + {name}_relocations[at].offset;
        const unsigned width = how & 0xfu;
        unsigned sum = 0, place;
        for (place = 0; place < width; place++) {{
            unsigned char *byte = word + ((how & {BIG_ENDIAN:#x}u) != 0 ? width - 1 - place : place);
            sum += *byte + (unsigned)((value >> (8 * place)) & 0xff);
            *byte = (unsigned char)(sum & 0xff);
            sum >>= 8;
        }}
    }}
"
    )
}
