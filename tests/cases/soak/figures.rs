//! What a process takes up, and what a blob would have left in it.

use std::fmt;
use std::os::unix::fs::FileExt;

use pie_blob::Blob;
use pie_blob_parasite::parasite;
use pie_blob_wild::wild;

/// How much of everything a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) areas: usize,
    pub(crate) descriptors: usize,
    /// Resident memory in KiB.
    pub(crate) resident: u64,
}

fn read(pid: i32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}"))
        .unwrap_or_else(|error| panic!("process {pid}: {error}"))
}

impl Figures {
    pub(crate) fn of(pid: i32) -> Self {
        // Exact, where the figure in `status` is a sum of counters that lag behind.
        let memory = read(pid, "smaps_rollup");
        let resident = memory.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
        Self {
            areas: read(pid, "maps").lines().count(),
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
            resident: resident.unwrap().trim().parse().unwrap(),
        }
    }

    /// A thing left behind in every tenth cycle would show.
    pub(crate) fn assert_no_leak(self, after: Self, cycles: usize) {
        let grown =
            after.areas.saturating_sub(self.areas).max(after.descriptors.saturating_sub(self.descriptors));
        assert!(grown < cycles / 10, "{cycles} cycles: {self:?} has become {after:?}");
    }
}

/// What changed from one to the other.
pub(crate) struct Change(pub(crate) Figures, pub(crate) Figures);

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(a, b) = self;
        write!(
            f,
            "areas {} -> {}, descriptors {} -> {}, RSS {} -> {} KiB",
            a.areas, b.areas, a.descriptors, b.descriptors, a.resident, b.resident
        )
    }
}

/// The areas of a process that hold a blob: its code begins with the entry, the same at every base.
pub(crate) fn traces(pid: i32) -> Vec<String> {
    const ENTRY: usize = 64;
    let blobs: [&Blob; 2] = [&parasite::BLOB, &wild::BLOB];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let holds_a_blob = |line: &str| {
        let mut fields = line.split_whitespace();
        let range = fields.next().unwrap();
        let (anonymous, executable) =
            (line.split_whitespace().nth(5).is_none_or(|name| !name.starts_with('/')), {
                fields.next().unwrap().contains('x')
            });
        let start = u64::from_str_radix(range.split('-').next().unwrap(), 16).unwrap();
        let mut code = [0; ENTRY];
        // An area that is gone meanwhile was none of ours: the victim is not in our hands now.
        anonymous
            && executable
            && memory.read_exact_at(&mut code, start).is_ok()
            && blobs.iter().any(|blob| blob.bytes()[..ENTRY] == code)
    };
    let named = |line: &str| line.contains("pie_blob");
    read(pid, "maps").lines().filter(|line| holds_a_blob(line) || named(line)).map(str::to_owned).collect()
}
