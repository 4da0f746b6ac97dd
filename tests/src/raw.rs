//! System calls as the kernel takes them, for victims that must make exactly one and see its very answer.

/// Memory that a system call may use for ever.
pub fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// The address of such memory, as an argument.
pub fn at<T>(memory: &mut T) -> i64 {
    i64::try_from((&raw mut *memory).expose_provenance()).unwrap_or(0)
}

/// The address of memory that lives as long as the program and holds `value`.
pub fn holding<T: 'static>(value: T) -> i64 {
    at(leak(value))
}

/// Makes a system call; returns its answer and, where that is -1, the error number.
///
/// Safe to call with addresses from [`at`] and [`holding`] of memory of the size that the call takes, and with numbers.
#[allow(clippy::must_use_candidate, reason = "a call is made for what it does, too")]
pub fn kernel(number: i64, arguments: [i64; 6]) -> (i64, i32) {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: every address among the arguments is that of leaked memory of the size that the call takes: what the
    // functions above are for, in programs that only tests start.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    (answer, if answer == -1 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 })
}

/// A system call that must succeed: the program ends otherwise, and the test that started it sees that.
pub fn must(number: i64, arguments: [i64; 6]) -> i64 {
    let (answer, error) = kernel(number, arguments);
    if error != 0 {
        eprintln!("system call {number}: {}", std::io::Error::from_raw_os_error(error));
        std::process::exit(4);
    }
    answer
}
