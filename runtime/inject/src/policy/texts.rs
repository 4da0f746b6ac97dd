//! What is taken from the texts of `/proc`.

use std::str::FromStr;

/// `CAP_SYS_PTRACE` of `<linux/capability.h>`.
const SYS_PTRACE: u32 = 19;
/// `CAP_SYS_ADMIN` of `<linux/capability.h>`.
const SYS_ADMIN: u32 = 21;

/// The value of a field of `status`.
pub(crate) fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

pub(crate) fn number<N: FromStr>(text: &str) -> Option<N> {
    text.trim().parse().ok()
}

/// Users, groups and capabilities of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Real, effective, saved, and that of file access.
    pub(crate) users: [u32; 4],
    /// As above.
    pub(crate) groups: [u32; 4],
    pub(crate) permitted: u64,
    pub(crate) effective: u64,
}

impl Credentials {
    pub(crate) fn parse(status: &str) -> Option<Self> {
        let four = |name| {
            let mut numbers = field(status, name)?.split_ascii_whitespace().map(number);
            let mut next = || numbers.next().flatten();
            Some([next()?, next()?, next()?, next()?])
        };
        let set = |name| u64::from_str_radix(field(status, name)?, 16).ok();
        Some(Self {
            users: four("Uid")?,
            groups: four("Gid")?,
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
        })
    }

    /// Whether the thread has `CAP_SYS_PTRACE`.
    pub(crate) fn may_trace(&self) -> bool {
        self.effective >> SYS_PTRACE & 1 == 1
    }

    /// Whether the thread has `CAP_SYS_ADMIN`.
    pub(crate) fn may_administrate(&self) -> bool {
        self.effective >> SYS_ADMIN & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_of_the_kernel() {
        let status = "Name:\tUid: 7\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\nCapInh:\t0\nCapPrm:\t0000000000280000\nCapEff:\t0000000000080000\n";
        let credentials = Credentials::parse(status).unwrap();
        assert_eq!(credentials.users, [1000, 1001, 1002, 1003]);
        assert_eq!(credentials.groups, [5, 6, 7, 8]);
        assert_eq!(credentials.permitted, 0x28_0000);
        assert!(credentials.may_trace() && !credentials.may_administrate());
        let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(Credentials::parse(&own).is_some());
    }

    #[test]
    fn texts_that_lie_are_none() {
        for text in ["", "Uid:\t1\t2\t3\n", "Uid:\t1\t2\t3\tx\nGid:\t1\t1\t1\t1\nCapPrm:\t0\nCapEff:\t0\n"] {
            assert_eq!(Credentials::parse(text), None);
        }
        assert_eq!(field("Uids:\t1\n", "Uid"), None);
    }
}
