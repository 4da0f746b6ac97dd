//! Victims that cost whoever looks at them what they can: time, memory, patience.

use std::ffi::CString;
use std::os::unix::fs::OpenOptionsExt;

use crate::{WAIT, at, kernel, leak, rounds};
use pie_blob_tests::raw::{holding, must};

/// Maps a file with a path of some thousand bytes, again and again.
pub(crate) fn many_areas(folder: &str, count: u64) -> ! {
    std::env::set_current_dir(folder).expect("a folder of the test's");
    for _ in 0..18 {
        let name = "a".repeat(200);
        std::fs::create_dir(&name).expect("a folder of its own");
        std::env::set_current_dir(&name).expect("it is there");
    }
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open("file");
    let file = file.expect("a file of its own");
    file.set_len(4096).expect("a page");
    let file = i64::from(std::os::fd::IntoRawFd::into_raw_fd(file));
    let protection = i64::from(libc::PROT_READ | libc::PROT_EXEC);
    for _ in 0..count {
        must(libc::SYS_mmap, [0, 4096, protection, libc::MAP_SHARED.into(), file, 0]);
    }
    rounds(|| {
        std::thread::sleep(WAIT);
        Ok(())
    })
}

/// Maps code in front of all other that is called like a C library, from a file system of its own (FUSE) that never hands
/// a page out. Says `cannot` where the kernel does not let it.
pub(crate) fn page_never_comes(folder: &str) -> ! {
    const PLACE: i64 = 0x1000_0000;
    let text = |text: &str| at_start(leak(CString::new(text).expect("no zero in it").into_bytes_with_nul()));
    let device = kernel(libc::SYS_open, [text("/dev/fuse"), libc::O_RDWR.into(), 0, 0, 0, 0]).0;
    let own = kernel(libc::SYS_unshare, [libc::CLONE_NEWNS.into(), 0, 0, 0, 0, 0]).0;
    let private = i64::try_from(libc::MS_REC | libc::MS_PRIVATE).unwrap_or(0);
    kernel(libc::SYS_mount, [0, text("/"), 0, private, 0, 0]);
    let options = text(&format!("fd={device},rootmode=40000,user_id=0,group_id=0"));
    let kind = text("fuse");
    let (mounted, _) = kernel(libc::SYS_mount, [kind, text(folder), kind, 0, options, 0]);
    if device < 0 || own < 0 || mounted < 0 {
        println!("cannot");
    } else {
        // By another process: this one could not end while a file of it waits for itself.
        // SAFETY: this process has one thread; the child goes on alone and does not come back from here.
        if unsafe { libc::fork() } == 0 {
            kernel(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG.into(), libc::SIGKILL.into(), 0, 0, 0, 0]);
            serve(device);
            std::process::exit(0);
        }
        kernel(libc::SYS_close, [device, 0, 0, 0, 0, 0]);
        let path = text(&format!("{folder}/libc.so.6"));
        let file = must(libc::SYS_open, [path, 0, 0, 0, 0, 0]);
        let protection = i64::from(libc::PROT_READ | libc::PROT_EXEC);
        let flags = i64::from(libc::MAP_PRIVATE | libc::MAP_FIXED_NOREPLACE);
        must(libc::SYS_mmap, [PLACE, 4096, protection, flags, file, 0]);
    }
    rounds(|| {
        std::thread::sleep(WAIT);
        Ok(())
    })
}

/// The address of the first of some bytes that live as long as the program.
fn at_start(bytes: &mut [u8]) -> i64 {
    bytes.first_mut().map_or(0, at)
}

/// A file system with one file of one page (`<linux/fuse.h>`): everything is answered but reading.
fn serve(device: i64) {
    const ROOT: u64 = 1;
    const FILE: u64 = 2;
    let request = leak(vec![0_u8; 1 << 17]).as_mut_slice();
    let (address, room) = (at_start(request), i64::try_from(request.len()).unwrap_or(0));
    loop {
        let (len, _) = kernel(libc::SYS_read, [device, address, room, 0, 0, 0]);
        if len < 40 {
            return;
        }
        let word = |place: usize| {
            request.get(place..place + 4).map_or([0; 4], |word| [word[0], word[1], word[2], word[3]])
        };
        let opcode = u32::from_le_bytes(word(4));
        let node = u64::from(u32::from_le_bytes(word(16)));
        // Inode, size, blocks, times, mode, links, owner, device, size of a block.
        let attributes = |node: u64| {
            let mode: u32 = if node == ROOT { 0o040_755 } else { 0o100_755 };
            let mut bytes: Vec<u8> =
                [node, 4096, 8, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes.extend(
                [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0].iter().flat_map(|word: &u32| word.to_le_bytes()),
            );
            bytes
        };
        let mut body = Vec::new();
        let mut error = 0;
        match opcode {
            // FUSE_LOOKUP: the node, its generation, for how long that is valid.
            1 => {
                body.extend([FILE, 0, 60, 60, 0].iter().flat_map(|word: &u64| word.to_le_bytes()));
                body.extend(attributes(FILE));
            }
            // FUSE_GETATTR
            3 => {
                body.extend([60_u64, 0].iter().flat_map(|word| word.to_le_bytes()));
                body.extend(attributes(node));
            }
            // FUSE_OPEN
            14 => body.resize(16, 0),
            // FUSE_INIT: the version, and nothing beyond it.
            26 => {
                body.extend([7_u32, 31, 0, 0, 0, 4096].iter().flat_map(|word| word.to_le_bytes()));
                body.resize(64, 0);
            }
            // FUSE_READ is what never comes; FUSE_FORGET, FUSE_INTERRUPT and FUSE_BATCH_FORGET want no answer.
            2 | 15 | 36 | 42 => continue,
            _ => error = -libc::ENOSYS,
        }
        let mut answer = u32::try_from(16 + body.len()).unwrap_or(0).to_le_bytes().to_vec();
        answer.extend(error.to_le_bytes());
        answer.extend([word(8), word(12)].concat());
        answer.extend(body);
        let len = i64::try_from(answer.len()).unwrap_or(0);
        kernel(libc::SYS_write, [device, at_start(leak(answer)), len, 0, 0, 0]);
    }
}

/// Holds many files, so that its end takes a while after its memory is gone.
pub(crate) fn many_descriptors(count: u64) -> ! {
    let limit = holding([count + 100; 2]);
    kernel(libc::SYS_setrlimit, [libc::RLIMIT_NOFILE.into(), limit, 0, 0, 0, 0]);
    for _ in 0..count {
        // As many as it may have.
        if kernel(libc::SYS_eventfd2, [0; 6]).1 != 0 {
            break;
        }
    }
    rounds(|| {
        std::thread::sleep(WAIT);
        Ok(())
    })
}
