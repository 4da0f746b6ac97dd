//! How a thread ended, without taking its end from whoever waits for it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{check, count};

/// How long an end that has begun may take until the kernel says how it is.
const SAID_WITHIN: Duration = Duration::from_millis(20);
/// `PF_EXITING` of `<linux/sched.h>`.
const EXITING: u64 = 0x4;

/// How a thread has ended. `None` where the kernel does not say: it has been waited for already, or is not ours to wait for
/// and not ours to look at.
pub(crate) fn status(tid: i32) -> Option<ExitStatus> {
    let begin = Instant::now();
    loop {
        if let Ok(Some(status)) = waited_for(tid) {
            return Some(status);
        }
        match Stat::of(tid)? {
            // A tracer's process is not said to have ended before all its threads are taken.
            Stat { state: b'Z' | b'X', code, .. } => return code,
            // Killed, and not gone yet.
            stat if stat.ending && begin.elapsed() < SAID_WITHIN => {
                count();
                std::thread::sleep(Duration::from_micros(100));
            }
            _ => return None,
        }
    }
}

/// What `waitid(2)` says, which leaves the end where it is.
fn waited_for(tid: i32) -> io::Result<Option<ExitStatus>> {
    // SAFETY: a siginfo_t is plain numbers, for which zeros are a value.
    let mut information: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let id = libc::id_t::try_from(tid).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    count();
    // SAFETY: the kernel writes one siginfo_t to `information`.
    let result = unsafe { libc::waitid(libc::P_PID, id, &raw mut information, flags) };
    check(libc::c_long::from(result))?;
    // SAFETY: waitid fills in the fields of a SIGCHLD, or leaves all of them zero.
    let pid = unsafe { information.si_pid() };
    // SAFETY: as above.
    let status = unsafe { information.si_status() };
    let raw = match information.si_code {
        _ if pid == 0 => return Ok(None),
        libc::CLD_EXITED => status << 8,
        libc::CLD_DUMPED => status | 0x80,
        _ => status,
    };
    Ok(Some(ExitStatus::from_raw(raw)))
}

/// What `/proc/TID/stat` says of an end.
struct Stat {
    state: u8,
    ending: bool,
    /// Of those who may look (`PTRACE_MODE_READ`); the kernel says 0 to others, which is then not to be believed.
    code: Option<ExitStatus>,
}

impl Stat {
    fn of(tid: i32) -> Option<Self> {
        (0..4).for_each(|_| count());
        Self::parse(&std::fs::read(format!("/proc/{tid}/stat")).ok()?)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        // The name in parentheses may hold anything; behind it field 3 is the first.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3);
        let number = |at| field(at)?.parse::<u64>().ok();
        let killed = number(31)? >> (libc::SIGKILL - 1) & 1 == 1;
        let code = field(52).and_then(|code| code.parse().ok()).filter(|code| *code != 0);
        Some(Self {
            state: *field(3)?.as_bytes().first()?,
            ending: killed || number(9)? & EXITING != 0,
            code: code.map(ExitStatus::from_raw),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn an_end_is_told_and_stays_to_be_waited_for() {
        let mut killed = Command::new("sleep").arg("60").spawn().unwrap();
        killed.kill().unwrap();
        let status = super::status(i32::try_from(killed.id()).unwrap()).unwrap();
        assert_eq!((status.signal(), status.code()), (Some(libc::SIGKILL), None));
        assert_eq!(killed.wait().unwrap(), status);
        let mut ended = Command::new("sh").args(["-c", "exit 9"]).spawn().unwrap();
        let pid = i32::try_from(ended.id()).unwrap();
        let begin = Instant::now();
        while super::status(pid).is_none() && begin.elapsed() < Duration::from_secs(10) {}
        assert_eq!(super::status(pid).unwrap().code(), Some(9));
        assert_eq!(ended.wait().unwrap().code(), Some(9));
        assert_eq!(super::status(pid), None);
    }

    #[test]
    fn what_lives_has_not_ended() {
        let begin = Instant::now();
        assert_eq!(super::status(i32::try_from(std::process::id()).unwrap()), None);
        assert!(begin.elapsed() < SAID_WITHIN);
    }

    #[test]
    fn an_end_in_the_text_of_stat() {
        let line = |state: char, flags: u64, code: i32| {
            let rest: Vec<String> = (10..=51).map(|n| if n == 31 { "0" } else { "7" }.to_owned()).collect();
            format!("11 (a) b) {state} 1 1 1 0 -1 {flags} {} {code}\n", rest.join(" "))
        };
        let stat = Stat::parse(line('Z', 0x40_014c, 9).as_bytes()).unwrap();
        assert_eq!((stat.state, stat.ending, stat.code.unwrap().signal()), (b'Z', true, Some(9)));
        let stat = Stat::parse(line('S', 0x40_0000, 0).as_bytes()).unwrap();
        assert!(!stat.ending && stat.code.is_none());
        assert!(Stat::parse(b"11 (sleep").is_none());
    }
}
