//! Debugging information that real compilers write, of every version at hand, and what damage makes of it.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use pie_blob_image::{Class, Described, Description, Image, Limits, Symbol, describe};
use support::{Target, script};

const C: &str = "
typedef unsigned int number;
struct pair { int left; const char *right; number many[3]; };
enum colour { RED, GREEN };
struct wrapped { unsigned long inner; };
struct pair counted = { 1 };
int start(void) { return 0; }
long many(number a, volatile struct pair *b, const void *c, enum colour d, double e, struct pair f, struct wrapped g)
{ return a + b->left + (c != 0) + d + (long)e + f.left + (long)g.inner; }
unsigned char any(int a, ...) { return (unsigned char)a; }
void nothing(struct nowhere *a) { (void)a; }
const number table[4] = { 1 };
";

const RUST: &str = "
#![no_std]
#[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
#[repr(C)] pub struct Pair { left: i32, right: *const u8, many: [u32; 3] }
#[repr(transparent)] pub struct Wrapped(u64, core::marker::PhantomData<Pair>);
#[unsafe(no_mangle)] pub static mut counted: Pair = Pair { left: 1, right: core::ptr::null(), many: [0; 3] };
#[unsafe(no_mangle)] pub static table: [u32; 4] = [1; 4];
#[unsafe(no_mangle)] pub extern \"C\" fn start() -> i32 { 0 }
pub mod inner {
    #[unsafe(no_mangle)]
    pub extern \"C\" fn many(a: u32, b: *mut super::Pair, c: *const core::ffi::c_void, d: bool, e: f64, f: super::Pair,
        g: super::Wrapped) -> isize {
        let left = unsafe { (*b).left };
        (a as isize) + left as isize + c as isize + d as isize + e as isize + f.left as isize + g.0 as isize
    }
}
#[unsafe(no_mangle)] pub extern \"C\" fn nothing(_: Option<core::ptr::NonNull<u8>>) -> ! { loop {} }
";

struct Objects {
    folder: tempfile::TempDir,
}

impl Objects {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn run(&self, program: &str, arguments: &str) {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).args(arguments.split_whitespace());
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn link(&self) -> Vec<u8> {
        self.link_with("none")
    }

    fn link_with(&self, compression: &str) -> Vec<u8> {
        self.write("blob.ld", &script(Target::Pie));
        let flags =
            "-pie --no-dynamic-linker -Bsymbolic -z norelro -z max-page-size=4096 --hash-style=sysv -e 0";
        self.run(
            "ld",
            &format!("{flags} --compress-debug-sections={compression} -T blob.ld blob.o -o blob.po"),
        );
        std::fs::read(self.folder.path().join("blob.po")).unwrap()
    }

    fn c(&self, flags: &str) -> Vec<u8> {
        self.write("src/blob.c", C);
        self.run(
            "cc",
            &format!("-c -fPIE -ffreestanding -fno-asynchronous-unwind-tables {flags} src/blob.c -o blob.o"),
        );
        self.link()
    }

    fn rust(&self, flags: &str) -> Vec<u8> {
        self.write("src/blob.rs", RUST);
        self.run(
            "rustc",
            &format!(
                "--edition=2024 --crate-type=lib --emit=obj -Anon_upper_case_globals -Cpanic=abort -Ccodegen-units=1 \
                 -Cdebuginfo=2 -Cdebug-assertions=off {flags} src/blob.rs -o blob.o"
            ),
        );
        self.link()
    }
}

const NAMES: [&str; 5] = ["start", "many", "nothing", "counted", "table"];

fn described(object: &[u8], names: &[&str]) -> Vec<Option<Description>> {
    let image = Image::parse(object, &Limits::default()).unwrap_or_else(|faults| panic!("{faults}"));
    let symbols: Vec<&Symbol> = names.iter().map(|name| image.symbol(name).unwrap()).collect();
    describe(object, &symbols)
}

fn lines(object: &[u8], names: &[&str]) -> Vec<String> {
    described(object, names)
        .into_iter()
        .map(|found| found.map_or("-".to_owned(), |d| d.to_string()))
        .collect()
}

/// Sizes and classes of what a function takes and returns.
fn passed(description: &Description) -> Vec<(Class, Option<u64>)> {
    let Described::Function { parameters, result, .. } = description.what() else { panic!("no function") };
    let values = parameters.iter().map(|parameter| &parameter.value).chain([result]);
    values.map(|value| (value.class, value.size)).collect()
}

const MANY: [(Class, Option<u64>); 8] = [
    (Class::Integer, Some(4)),
    (Class::Pointer, Some(8)),
    (Class::Pointer, Some(8)),
    (Class::Integer, Some(4)),
    (Class::Float, Some(8)),
    (Class::Aggregate, Some(32)),
    (Class::Integer, Some(8)),
    (Class::Integer, Some(8)),
];

fn layout(description: &Description) -> Vec<(String, u64, Option<u64>)> {
    let structure = match description.what() {
        Described::Function { parameters, .. } => parameters[1].value.structure.as_ref(),
        Described::Static(value) => value.structure.as_ref(),
        _ => None,
    };
    let structure = structure.unwrap();
    assert_eq!(structure.size, Some(32));
    structure.members.iter().map(|member| (member.name.clone(), member.offset, member.size)).collect()
}

fn pair() -> Vec<(String, u64, Option<u64>)> {
    let members = [("left", 0, 4), ("right", 8, 8), ("many", 16, 12)];
    members.map(|(name, offset, size)| (name.to_owned(), offset, Some(size))).to_vec()
}

#[test]
fn what_c_says() {
    let objects = Objects::new();
    for flags in ["-g -gdwarf-5", "-g -gdwarf-4 -O2", "-g -gdwarf-3", "-g -O2 -flto -ffat-lto-objects"] {
        let object = objects.c(flags);
        let expected = [
            "`fn start() -> int` at src/blob.c:7",
            "`fn many(a: number, b: *mut pair, c: *const c_void, d: colour, e: double, f: pair, g: wrapped) -> long int` \
             at src/blob.c:8",
            "`fn nothing(a: *mut nowhere)` at src/blob.c:11",
            "`static counted: pair` at src/blob.c:6",
            "`static table: [_]` at src/blob.c:12",
        ];
        assert_eq!(lines(&object, &NAMES), expected, "{flags}");
        assert_eq!(lines(&object, &["any"]), ["`fn any(a: int, ...) -> unsigned char` at src/blob.c:10"]);
        let found = described(&object, &NAMES);
        assert_eq!(passed(found[1].as_ref().unwrap()), MANY, "{flags}");
        assert_eq!(layout(found[1].as_ref().unwrap()), pair(), "{flags}");
        assert_eq!(layout(found[3].as_ref().unwrap()), pair(), "{flags}");
        let Described::Static(table) = found[4].as_ref().unwrap().what() else { panic!() };
        assert_eq!(table.size, Some(16), "{flags}");
    }
}

#[test]
fn what_rust_says() {
    let objects = Objects::new();
    for flags in ["", "-Copt-level=2"] {
        let object = objects.rust(flags);
        let found = described(&object, &NAMES);
        let many = found[1].as_ref().unwrap();
        let mut expected = MANY;
        expected[3].1 = Some(1);
        assert_eq!(passed(many), expected, "{flags}");
        assert_eq!(layout(many), pair(), "{flags}");
        assert_eq!(layout(found[3].as_ref().unwrap()), pair(), "{flags}");
        assert!(many.source().unwrap().ends_with("src/blob.rs:11"), "{many}");
        assert_eq!(passed(found[2].as_ref().unwrap())[1].0, Class::Nothing, "{flags}");
        assert_eq!(passed(found[0].as_ref().unwrap()), [(Class::Integer, Some(4))], "{flags}");
        let Described::Static(table) = found[4].as_ref().unwrap().what() else { panic!() };
        assert_eq!(table.size, Some(16), "{flags}");
    }
}

#[test]
fn what_says_nothing_is_nothing() {
    let objects = Objects::new();
    assert_eq!(lines(&objects.c(""), &NAMES), ["-"; 5]);
    objects.c("-g");
    assert_eq!(lines(&objects.link_with("zlib"), &NAMES), ["-"; 5]);
}

/// Assemblers describe functions by place alone; that is no signature without parameters.
#[test]
fn what_assemblers_say_is_no_signature() {
    let objects = Objects::new();
    let source =
        ".globl start\n.type start, @function\nstart: lea 1(%rdi), %rax\n ret\n.size start, . - start\n";
    objects.write("src/blob.s", source);
    objects.run("cc", "-c -g src/blob.s -o blob.o");
    assert_eq!(lines(&objects.link(), &["start"]), ["-"]);
}

/// Where the sections of debugging information lie in the file.
fn sections(object: &[u8]) -> Vec<std::ops::Range<usize>> {
    use object::read::elf::{FileHeader, SectionHeader};
    let order = object::Endianness::Little;
    let header = object::elf::FileHeader64::<object::Endianness>::parse(object).unwrap();
    let sections = header.sections(order, object).unwrap();
    let debug = sections.iter().filter(|section| {
        sections.section_name(order, section).is_ok_and(|name| name.starts_with(b".debug_"))
    });
    let place = |section: &object::elf::SectionHeader64<object::Endianness>| {
        let start = usize::try_from(section.sh_offset(order)).unwrap();
        start..start + usize::try_from(section.sh_size(order)).unwrap()
    };
    debug.map(place).collect()
}

#[test]
fn damage_is_nothing_too() {
    let objects = Objects::new();
    for good in [objects.c("-g -gdwarf-5"), objects.c("-g -gdwarf-4"), objects.rust("-Copt-level=2")] {
        let image = Image::parse(&good, &Limits::default()).unwrap();
        let symbols: Vec<&Symbol> = NAMES.iter().map(|name| image.symbol(name).unwrap()).collect();
        assert!(describe(&good, &symbols).iter().all(Option::is_some));
        let mut seed = 1_u64;
        for section in sections(&good) {
            // Every byte of what is small, some of what is not.
            let step = section.len() / 300 + 1;
            for at in section.clone().step_by(step) {
                let mut object = good.clone();
                seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                for value in [0, 0xff, good[at] ^ 1, good[at].wrapping_add(1), seed.to_be_bytes()[0]] {
                    object[at] = value;
                    let _ = describe(&object, &symbols);
                }
                object[at..section.end].fill(0);
                let _ = describe(&object, &symbols);
            }
        }
        for length in (0..good.len()).step_by(good.len() / 200 + 1) {
            let _ = describe(&good[..length], &symbols);
        }
    }
}
