//! How much the reader allocates at once: never beyond the bound that the crate's documentation states, whatever an object
//! says of itself.

#![cfg(target_pointer_width = "64")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use pie_blob_image::{Abs32, Image, Limits};

/// The system's allocator, and how much of it is in use.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the arguments as they came; counting touches nothing of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the same function of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as in `alloc`; the pointer came from there.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bound of the documentation: so many times the file's size, and so many times the limit.
const FILES: usize = 32;
const LIMITS: usize = 16;
const LIMIT: usize = 4 << 20;
/// Messages, of which only so many are kept, and what the standard library has for itself.
const BESIDE: usize = 256 << 10;

/// How much parsing takes at most, and whether there is an image. Only one thread may ask.
fn most(object: &[u8]) -> (usize, bool) {
    let limits = Limits::default().with_image_size(LIMIT as u64).with_abs32(Abs32::Truncate);
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let image = Image::parse(object, &limits);
    let most = MOST.load(Ordering::Relaxed) - before;
    (most, image.is_ok())
}

fn bound(object: &[u8]) -> usize {
    FILES * object.len() + LIMITS * LIMIT + BESIDE
}

const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const NOBITS: u32 = 8;
const REL: u32 = 9;
const ALLOC: u32 = 2;
const WRITE: u32 = 1;

/// A relocatable object of i386, whose tables are the densest: an entry of 8 bytes, a symbol of 16, a header of 40.
#[derive(Default)]
struct Object {
    data: Vec<u8>,
    /// Without the first, which says nothing.
    sections: Vec<[u32; 10]>,
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

impl Object {
    const HEADER: usize = 52;

    /// Puts bytes into the file; returns offset and size.
    fn put(&mut self, bytes: &[u8]) -> [u32; 2] {
        self.data.resize(self.data.len().next_multiple_of(4), 0);
        let offset = Self::HEADER + self.data.len();
        self.data.extend_from_slice(bytes);
        [number(offset), number(bytes.len())]
    }

    /// Adds a section; returns its number.
    fn section(&mut self, kind: u32, flags: u32, [offset, size]: [u32; 2], [link, info]: [u32; 2]) -> u32 {
        self.sections.push([0, kind, flags, 0, offset, size, link, info, 4, 0]);
        number(self.sections.len())
    }

    /// Adds symbols, all in one section, with the names at these offsets of a table of strings.
    fn symbols(&mut self, names: &[u32], section: u32, strings: &[u8]) -> u32 {
        let strings = self.put(strings);
        let strings = self.section(STRTAB, 0, strings, [0, 0]);
        let first = [0; 4].iter();
        let symbol = |name: &u32| [*name, 0, 0, 0x11 | section << 16];
        let table: Vec<u32> = first.copied().chain(names.iter().flat_map(symbol)).collect();
        let table = self.put(&words(&table));
        self.section(SYMTAB, 0, table, [strings, 1])
    }

    fn file(mut self) -> Vec<u8> {
        let names = self.put(b"\0.got\0");
        let names = u16::try_from(self.section(STRTAB, 0, names, [0, 0])).unwrap().to_le_bytes();
        self.data.resize(self.data.len().next_multiple_of(4), 0);
        let count = self.sections.len() + 1;
        let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0];
        file.extend(words(&[1, 0, 0, number(Self::HEADER + self.data.len()), 0]));
        let count = u16::try_from(count).unwrap().to_le_bytes();
        file.extend([52, 0, 0, 0, 0, 0, 40, 0, count[0], count[1], names[0], names[1]]);
        assert_eq!(file.len(), Self::HEADER);
        file.extend(self.data);
        file.extend(words(&[0; 10]));
        file.extend(self.sections.iter().flat_map(|section| words(section)));
        file
    }
}

/// Executables that have kept a relocation for every word, of one that calls for an address or for a slot of the table.
fn kept(machine: u8, kind: u32, many: u32, is_table: bool) -> Vec<u8> {
    const BASE: u32 = 0x1000_0000;
    let mut object = Object::default();
    let bytes = object.put(&words(&vec![BASE; many as usize]));
    let data = object.section(PROGBITS, ALLOC | WRITE, bytes, [0, 0]);
    object.sections[data as usize - 1][3] = BASE;
    let symbols = object.symbols(&vec![1; many as usize], data, b"\0_gp\0");
    let entries: Vec<u32> = (0..many).flat_map(|entry| [BASE + 4 * entry, (1 + entry) << 8 | kind]).collect();
    let entries = object.put(&words(&entries));
    object.section(REL, 0, entries, [symbols, data]);
    // The symbols lie everywhere, so that each is another one.
    let places = object.sections[symbols as usize - 1][4] as usize - Object::HEADER;
    for entry in 0..many {
        let value = places + 16 * (entry as usize + 1) + 4;
        object.data[value..value + 4].copy_from_slice(&(BASE + 4 * entry).to_le_bytes());
    }
    // With this name the words are the table.
    object.sections[data as usize - 1][0] = u32::from(is_table);
    let mut file = object.file();
    let header = number(file.len());
    file.extend(words(&[1, bytes[0], BASE, 0, bytes[1], bytes[1], 6, 4]));
    file[16] = 2;
    file[18] = machine;
    file[24..32].copy_from_slice(&words(&[BASE, header]));
    file[42..46].copy_from_slice(&[32, 0, 1, 0]);
    file
}

/// Objects that ask for as much as they can, by what they ask with.
fn greedy(many: u32) -> Vec<(&'static str, Vec<u8>)> {
    let mut objects = Vec::new();

    let mut object = Object::default();
    let bytes = object.put(&[0x5a; 64]);
    for _ in 0..many {
        object.section(PROGBITS, ALLOC, bytes, [0, 0]);
    }
    let text = object.section(PROGBITS, ALLOC, bytes, [0, 0]);
    object.symbols(&[1], text, b"\0start\0");
    objects.push(("sections that lie over one another", object.file()));

    let mut object = Object::default();
    let bytes = object.put(&[0x5a; 64]);
    let text = object.section(PROGBITS, ALLOC, bytes, [0, 0]);
    object.symbols(&vec![1; many as usize], text, b"\0a\0");
    objects.push(("symbols of one name", object.file()));

    let mut object = Object::default();
    let bytes = object.put(&[0x5a; 64]);
    let text = object.section(PROGBITS, ALLOC, bytes, [0, 0]);
    let long: Vec<u8> = std::iter::once(0).chain(std::iter::repeat_n(b'a', 1 << 20)).chain([0]).collect();
    object.symbols(&(1..1000).collect::<Vec<u32>>(), text, &long);
    objects.push(("names that lie over one another", object.file()));

    for (what, kind, step) in [("words", 1, 4), ("bytes", 22, 1), ("slots", 3, 4), ("nothing", 0, 0)] {
        let mut object = Object::default();
        let bytes = object.put(&vec![0; 4 * many as usize + 4]);
        let data = object.section(PROGBITS, ALLOC | WRITE, bytes, [0, 0]);
        let names = vec![1; many as usize];
        let symbols = object.symbols(&names, data, b"\0a\0");
        let entries: Vec<u32> = (0..many).flat_map(|entry| [step * entry, (1 + entry) << 8 | kind]).collect();
        let entries = object.put(&words(&entries));
        object.section(REL, 0, entries, [symbols, data]);
        objects.push((what, object.file()));
    }

    let mut object = Object::default();
    let bytes = object.put(&vec![0; 4 * many as usize]);
    let data = object.section(PROGBITS, ALLOC | WRITE, bytes, [0, 0]);
    let symbols = object.symbols(&[1], data, b"\0a\0");
    let entries: Vec<u32> = (0..many).flat_map(|entry| [4 * entry, 1 << 8 | 1]).collect();
    let entries = object.put(&words(&entries));
    for _ in 0..1000 {
        object.section(REL, 0, entries, [symbols, data]);
    }
    objects.push(("relocation tables that lie over one another", object.file()));

    for (what, size) in [("zeros up to the limit", number(LIMIT) - 64), ("zeros without an end", u32::MAX)] {
        let mut object = Object::default();
        let bytes = object.put(&[0x5a; 4]);
        let zeros = object.section(NOBITS, ALLOC | WRITE, [0, size], [0, 0]);
        object.section(PROGBITS, ALLOC | WRITE, bytes, [0, 0]);
        object.symbols(&[1], zeros, b"\0a\0");
        objects.push((what, object.file()));
    }
    objects.push(("a relocation of every word", relocated_everywhere()));
    for (what, machine, kind, is_table) in [
        ("words of an executable", 3, 1, false),
        ("words of the table", 3, 1, true),
        ("slots of an executable", 40, 96, true),
        ("halves of an executable", 8, 9, true),
    ] {
        objects.push((what, kept(machine, kind, many, is_table)));
    }
    objects
}

/// A linked object that maps the same bytes again and again, and relocates every word of them.
fn relocated_everywhere() -> Vec<u8> {
    const CHUNK: u32 = 1 << 16;
    const HEADERS: u32 = 52 + 32 * 66;
    let chunks = number(LIMIT) / CHUNK - 3;
    let data = HEADERS.next_multiple_of(0x1000);
    let tables = data + CHUNK;
    let end = chunks * CHUNK;
    // One address, and bitmaps for 31 words each.
    let relr: Vec<u32> = [0].into_iter().chain((0..(end / 4 - 1) / 31).map(|_| u32::MAX)).collect();
    let dynamic = [36, end, 35, 4 * number(relr.len()), 37, 4, 0, 0];
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 3, 0];
    let symbols = tables + 4 * number(relr.len() + dynamic.len());
    let sections = symbols + 32 + 8;
    file.extend(words(&[1, 0, 52, sections, 0]));
    let count = u16::try_from(chunks + 2).unwrap().to_le_bytes();
    file.extend([52, 0, 32, 0, count[0], count[1], 40, 0, 3, 0, 2, 0]);
    for chunk in 0..chunks {
        file.extend(words(&[1, data, chunk * CHUNK, 0, CHUNK, CHUNK, 6, 0x1000]));
    }
    let (relr_size, dynamic_size) = (4 * number(relr.len()), 4 * number(dynamic.len()));
    let size = relr_size + dynamic_size;
    file.extend(words(&[1, tables, end, 0, size, size, 6, 0x1000]));
    file.extend(words(&[2, tables + relr_size, end + relr_size, 0, dynamic_size, dynamic_size, 6, 4]));
    file.resize(usize::try_from(tables).unwrap(), 0);
    file.extend(words(&relr).into_iter().chain(words(&dynamic)));
    // One symbol, and the names of it and of the sections.
    file.extend(words(&[0, 0, 0, 0, 1, 0, 0, 0xfff1_0011]));
    file.extend(b"\0a\0\0\0\0\0\0");
    file.extend(words(&[0; 10]));
    file.extend(words(&[0, SYMTAB, 0, 0, symbols, 32, 2, 1, 4, 16]));
    file.extend(words(&[0, STRTAB, 0, 0, symbols + 32, 8, 0, 0, 1, 0]));
    file
}

/// One test, because only one thread may ask.
#[test]
fn never_beyond_the_bound() {
    let mut made = 0;
    for (what, object) in greedy(50_000) {
        let (most, is_ok) = most(&object);
        made += u32::from(is_ok);
        let bound = bound(&object);
        println!(
            "{what}: {} bytes, {most} at most ({:.1}), {is_ok}",
            object.len(),
            most as f64 / object.len() as f64
        );
        assert!(most <= bound, "{what}: {most} bytes for {}, beyond {bound}", object.len());
    }
    assert!(made > 5, "{made}: what is refused early asks for little");

    // Whatever a field of a table says.
    let (_, object) = greedy(500).swap_remove(3);
    let mut object = object;
    let tables = object.len() - 6 * 40;
    for at in (16..Object::HEADER).chain(tables..object.len()) {
        let good = object[at];
        for value in [0, 1, 0x7f, 0xff, good ^ 0x10] {
            object[at] = value;
            let (most, _) = most(&object);
            assert!(most <= bound(&object), "byte {at:#x} is {value:#x}: {most}");
        }
        object[at] = good;
    }
}
