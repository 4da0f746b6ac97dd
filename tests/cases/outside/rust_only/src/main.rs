//! Runs the blob at two addresses and compares what it answers with what the same code answers as a plain library.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;

use pie_blob::{MapError, Mapped};

pie_blob::pie_blob!("everything");

pie_blob::pie_blob! {
    mod declared = "everything";
    unsafe extern "C" {
        static STEPS: [rust_only_blob::Step; 3];
        static FIRST: rust_only_blob::Link;
        static mut CALLS: u64;
        fn here() -> u64;
        fn apply(which: usize, x: u64) -> u64;
        fn jump(which: u32, x: u64) -> u64;
        fn divide(high: u64, low: u64, by: u64) -> u64;
        fn count() -> u64;
        fn fill(byte: u8) -> u64;
        fn describe(which: usize, x: u64, to: *mut u8, len: usize) -> usize;
    }
}

/// The exports, wherever they lie.
struct Code {
    steps: *const [rust_only_blob::Step; 3],
    first: *const rust_only_blob::Link,
    calls: *mut u64,
    apply: unsafe extern "C" fn(usize, u64) -> u64,
    jump: unsafe extern "C" fn(u32, u64) -> u64,
    divide: unsafe extern "C" fn(u64, u64, u64) -> u64,
    count: unsafe extern "C" fn() -> u64,
    fill: unsafe extern "C" fn(u8) -> u64,
    describe: unsafe extern "C" fn(usize, u64, *mut u8, usize) -> usize,
}

impl Code {
    /// The same functions as part of this program.
    fn linked() -> Self {
        Self {
            steps: &raw const rust_only_blob::STEPS,
            first: &raw const rust_only_blob::FIRST,
            calls: &raw mut rust_only_blob::CALLS,
            apply: rust_only_blob::apply,
            jump: rust_only_blob::jump,
            divide: rust_only_blob::divide,
            count: rust_only_blob::count,
            fill: rust_only_blob::fill,
            describe: rust_only_blob::describe,
        }
    }

    fn mapped(mapped: &Mapped) -> Result<Self, MapError> {
        // SAFETY: the declarations are those of the blob's source, and `main` drops the mapping last.
        unsafe {
            let here = mapped.function(declared::HERE)?();
            assert_eq!(here, declared::HERE.at(mapped.base()).address());
            Ok(Self {
                steps: mapped.data(declared::STEPS)?,
                first: mapped.data(declared::FIRST)?,
                calls: mapped.data(declared::CALLS)?,
                apply: mapped.function(declared::APPLY)?,
                jump: mapped.function(declared::JUMP)?,
                divide: mapped.function(declared::DIVIDE)?,
                count: mapped.function(declared::COUNT)?,
                fill: mapped.function(declared::FILL)?,
                describe: mapped.function(declared::DESCRIBE)?,
            })
        }
    }

    /// Everything it answers, as one text.
    fn answers(&self) -> String {
        const X: u64 = 0x0123_4567_89ab_cdef;
        let mut answers = Vec::new();
        let mut text = [0; 64];
        // SAFETY: statics and functions have the types of the blob's source, and nothing else runs in them.
        unsafe {
            for which in 0..3 {
                assert_eq!((self.apply)(which, X), (*self.steps)[which](X));
                answers.push(format!("apply {:x}", (self.apply)(which, X)));
            }
            answers.extend((0..11).map(|which| format!("jump {:x}", (self.jump)(which, X))));
            answers.push(format!("divide {}", (self.divide)(5, X, 1_000_003)));
            answers.push(format!("count {} {} {}", (self.count)(), (self.count)(), *self.calls));
            answers.push(format!("fill {} {}", (self.fill)(3), (self.fill)(0)));
            let mut link = Some(&*self.first);
            while let Some(&rust_only_blob::Link { value, next }) = link {
                answers.push(format!("link {value}"));
                link = next;
            }
            for which in 0..5 {
                let len = (self.describe)(which, X, text.as_mut_ptr(), text.len());
                answers.push(String::from_utf8_lossy(&text[..len]).into_owned());
            }
        }
        answers.join("\n")
    }
}

/// Maps the blob at an address that nobody chose; where something lies already, at another.
fn map_anywhere() -> Mapped {
    let pages = || RandomState::new().build_hasher().finish() % (1 << 34);
    let tries = (0..100).filter_map(|_| declared::BLOB.map_at((1 << 32) + pages() * 4096).ok());
    tries.into_iter().next().expect("an address space has room")
}

fn main() -> Result<(), MapError> {
    // Both forms of the macro have read the same object.
    assert_eq!(everything::BYTES[..], declared::BYTES[..]);
    assert_eq!(everything::BLOB.id(), declared::BLOB.id());
    assert_eq!(everything::DIVIDE.get(), declared::DIVIDE.get());
    assert!(declared::RELOCS.len() >= 3 + 4 + 2, "functions, texts, links");
    assert!(declared::BLOB.size() > declared::BYTES.len() as u64 + 100_000, "the room takes no bytes");

    let linked = Code::linked().answers();
    for expected in
        ["divide 92315428951477", "count 8 9 9", "fill 0 300000", "link 300", "Some(\"a couple\")", "None"]
    {
        assert!(linked.contains(expected), "{expected}: {linked}");
    }

    let mapped = [declared::BLOB.map()?, map_anywhere(), map_anywhere()];
    for (index, one) in mapped.iter().enumerate() {
        assert!(mapped[..index].iter().all(|other| other.base() != one.base()));
        assert_eq!(Code::mapped(one)?.answers(), linked, "at {:#x}", one.base());
    }

    // For whoever compares the image with the one from another directory.
    std::io::stdout().write_all(&declared::BYTES[..]).expect("the reader is there");
    Ok(())
}
