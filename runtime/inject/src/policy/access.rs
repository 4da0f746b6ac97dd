//! The rules of ptrace(2), "Ptrace access mode checking", and of Yama, over what `/proc` says.

use std::fmt;

use super::texts::Credentials;

/// The rule by which the kernel does not let this process at another.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Real, effective and saved user of the other must all be this process's real user.
    OtherUser {
        /// The other's real, effective and saved user.
        theirs: [u32; 3],
        /// This process's.
        ours: u32,
    },
    /// The same for groups.
    OtherGroup {
        /// The other's real, effective and saved group.
        theirs: [u32; 3],
        /// This process's.
        ours: u32,
    },
    /// It has made itself undumpable (`PR_SET_DUMPABLE`), or was by executing a file that changes its user or that its user may
    /// not read.
    NotDumpable,
    /// It has capabilities that this process has not: tracing it would lend them.
    MoreCapabilities {
        /// Those, a bit for each as in `/proc/PID/status`.
        missing: u64,
    },
    /// `CAP_SYS_PTRACE` of this process holds in its own user namespace and those below, and the other is in none of them.
    OtherUserNamespace,
    /// Yama, by the value of `kernel.yama.ptrace_scope`.
    Yama {
        /// 1: descendants only, and who has asked for it; 2: only with `CAP_SYS_PTRACE`; 3: nobody.
        scope: u32,
    },
    /// `/proc` is mounted so that it does not show other users' processes (`hidepid`).
    Hidden,
    /// None of the rules that can be seen: a security module's policy.
    Unknown,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherUser { theirs: [real, effective, saved], ours } => write!(
                f,
                "its users are {real} (real), {effective} (effective) and {saved} (saved), this process's is {ours}: run as \
                 the same user, or with CAP_SYS_PTRACE"
            ),
            Self::OtherGroup { theirs: [real, effective, saved], ours } => write!(
                f,
                "its groups are {real} (real), {effective} (effective) and {saved} (saved), this process's is {ours}: run as \
                 the same group, or with CAP_SYS_PTRACE"
            ),
            Self::NotDumpable => f.write_str(
                "it is not dumpable (prctl PR_SET_DUMPABLE, or a program that changes its user): run with CAP_SYS_PTRACE",
            ),
            Self::MoreCapabilities { missing } => write!(
                f,
                "it has capabilities that this process has not ({missing:#x}, see capsh --decode): run with CAP_SYS_PTRACE"
            ),
            Self::OtherUserNamespace => f.write_str(
                "CAP_SYS_PTRACE does not reach out of this process's user namespace: run in the namespace of the other",
            ),
            Self::Yama { scope: 1 } => f.write_str(
                "kernel.yama.ptrace_scope is 1: run with CAP_SYS_PTRACE, as a parent of it, or have it allow this process by \
                 prctl PR_SET_PTRACER",
            ),
            Self::Yama { scope: 2 } => f.write_str("kernel.yama.ptrace_scope is 2: run with CAP_SYS_PTRACE"),
            Self::Yama { scope } => {
                write!(f, "kernel.yama.ptrace_scope is {scope}: nothing is traced until the next start of the system")
            }
            Self::Hidden => {
                f.write_str("/proc is mounted with hidepid: run as the same user, or in the group of its option gid")
            }
            Self::Unknown => f.write_str(
                "a security module forbids it (AppArmor, SELinux, Landlock), or a rule of a sandbox: see the system's log",
            ),
        }
    }
}

/// Everything that the rules ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) ours: Credentials,
    pub(crate) theirs: Credentials,
    /// User and group that the files of the process belong to: its effective ones as long as it is dumpable.
    pub(crate) owner: Option<(u32, u32)>,
    /// `kernel.yama.ptrace_scope`, where there is Yama.
    pub(crate) yama: Option<u32>,
    /// Whether the other is a descendant of this process.
    pub(crate) descends: bool,
    pub(crate) in_initial_user_namespace: bool,
}

/// The first rule, in the kernel's order, by which the kernel has refused what it has refused.
pub(crate) fn rule(facts: &Facts) -> Rule {
    let Facts { ours, theirs, .. } = facts;
    if !ours.may_trace() {
        // Seizing asks for the real ones, files of `/proc` for those of file access.
        let differ = |theirs: &[u32; 4], ours: [u32; 4]| {
            let [real, effective, saved, _] = *theirs;
            let ours = [ours[0], ours[3]];
            ours.into_iter()
                .find(|ours| [real, effective, saved] != [*ours; 3])
                .map(|ours| ([real, effective, saved], ours))
        };
        if let Some((theirs, ours)) = differ(&theirs.users, ours.users) {
            return Rule::OtherUser { theirs, ours };
        }
        if let Some((theirs, ours)) = differ(&theirs.groups, ours.groups) {
            return Rule::OtherGroup { theirs, ours };
        }
        if facts.owner.is_some_and(|owner| owner != (theirs.users[1], theirs.groups[1])) {
            return Rule::NotDumpable;
        }
        let missing = theirs.permitted & !ours.effective;
        if missing != 0 {
            return Rule::MoreCapabilities { missing };
        }
    }
    match facts.yama {
        Some(1) if !ours.may_trace() && !facts.descends => return Rule::Yama { scope: 1 },
        Some(2) if !ours.may_trace() => return Rule::Yama { scope: 2 },
        Some(scope @ 3..) => return Rule::Yama { scope },
        _ => {}
    }
    if ours.may_trace() && !facts.in_initial_user_namespace {
        return Rule::OtherUserNamespace;
    }
    Rule::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTRACE: u64 = 1 << 19;
    const USER: Credentials = Credentials { users: [1000; 4], groups: [100; 4], permitted: 0, effective: 0 };
    const FACTS: Facts = Facts {
        ours: USER,
        theirs: USER,
        owner: Some((1000, 100)),
        yama: None,
        descends: false,
        in_initial_user_namespace: true,
    };

    /// With `CAP_SYS_PTRACE` for this process.
    fn capable(facts: Facts) -> Facts {
        let ours = Credentials { permitted: PTRACE, effective: PTRACE, ..facts.ours };
        Facts { ours, ..facts }
    }

    #[test]
    fn every_user_and_every_group_counts() {
        for at in 0..3 {
            let mut theirs = USER;
            theirs.users[at] = 0;
            let Rule::OtherUser { theirs: named, ours: 1000 } = rule(&Facts { theirs, ..FACTS }) else {
                panic!()
            };
            assert_eq!(named, theirs.users[..3]);
            assert_eq!(rule(&capable(Facts { theirs, ..FACTS })), Rule::Unknown);
            let mut theirs = USER;
            theirs.groups[at] = 7;
            assert!(matches!(rule(&Facts { theirs, ..FACTS }), Rule::OtherGroup { ours: 100, .. }));
        }
        // What the other opens files as is not asked for; what this process does is.
        let mut theirs = USER;
        theirs.users[3] = 5;
        assert_eq!(rule(&Facts { theirs, ..FACTS }), Rule::Unknown);
        let mut ours = USER;
        ours.users[3] = 5;
        assert_eq!(rule(&Facts { ours, ..FACTS }), Rule::OtherUser { theirs: [1000; 3], ours: 5 });
        // An effective user alone makes nobody the same.
        let ours = Credentials { users: [1, 1000, 1000, 1000], ..USER };
        assert_eq!(rule(&Facts { ours, ..FACTS }), Rule::OtherUser { theirs: [1000; 3], ours: 1 });
    }

    #[test]
    fn undumpable_processes_belong_to_root() {
        for owner in [(0, 0), (65534, 65534), (1000, 0)] {
            let facts = Facts { owner: Some(owner), ..FACTS };
            assert_eq!(rule(&facts), Rule::NotDumpable);
            assert_eq!(rule(&capable(facts)), Rule::Unknown);
        }
        assert_eq!(rule(&Facts { owner: None, ..FACTS }), Rule::Unknown);
    }

    #[test]
    fn capabilities_of_the_other_must_be_had() {
        let theirs = Credentials { permitted: 0b1010, ..USER };
        let ours = Credentials { permitted: 0b1010, effective: 0b0010, ..USER };
        assert_eq!(rule(&Facts { theirs, ours, ..FACTS }), Rule::MoreCapabilities { missing: 0b1000 });
        let ours = Credentials { permitted: 0b1110, effective: 0b1110, ..USER };
        assert_eq!(rule(&Facts { theirs, ours, ..FACTS }), Rule::Unknown);
    }

    /// `Documentation/admin-guide/LSM/Yama.rst`.
    #[test]
    fn yama_by_its_scope() {
        let table = [
            // scope, a descendant, with the capability: what refuses
            (0, false, false, Rule::Unknown),
            (1, false, false, Rule::Yama { scope: 1 }),
            (1, true, false, Rule::Unknown),
            (1, false, true, Rule::Unknown),
            (2, false, false, Rule::Yama { scope: 2 }),
            (2, true, false, Rule::Yama { scope: 2 }),
            (2, false, true, Rule::Unknown),
            (3, true, false, Rule::Yama { scope: 3 }),
            (3, false, true, Rule::Yama { scope: 3 }),
        ];
        for (scope, descends, with_capability, expected) in table {
            let facts = Facts { yama: Some(scope), descends, ..FACTS };
            let facts = if with_capability { capable(facts) } else { facts };
            assert_eq!(rule(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn the_kernels_order() {
        // Users before dumpability before capabilities before Yama.
        let mut facts = Facts { yama: Some(1), ..FACTS };
        facts.theirs.permitted = 1;
        assert!(matches!(rule(&facts), Rule::MoreCapabilities { .. }));
        facts.owner = Some((0, 0));
        assert_eq!(rule(&facts), Rule::NotDumpable);
        facts.theirs.users = [0; 4];
        assert!(matches!(rule(&facts), Rule::OtherUser { .. }));
    }

    #[test]
    fn the_capability_ends_at_the_user_namespace() {
        let facts = capable(Facts { in_initial_user_namespace: false, ..FACTS });
        assert_eq!(rule(&facts), Rule::OtherUserNamespace);
    }

    /// Each names the rule as an administrator looks for it, and what to do.
    #[test]
    fn messages_name_the_rule_and_the_remedy() {
        let table = [
            (
                Rule::OtherUser { theirs: [0, 1, 2], ours: 3 },
                ["0 (real), 1 (effective) and 2 (saved)", "CAP_SYS_PTRACE"],
            ),
            (Rule::OtherGroup { theirs: [0, 1, 2], ours: 3 }, ["groups", "same group"]),
            (Rule::NotDumpable, ["PR_SET_DUMPABLE", "CAP_SYS_PTRACE"]),
            (Rule::MoreCapabilities { missing: 0x10 }, ["0x10", "CAP_SYS_PTRACE"]),
            (Rule::OtherUserNamespace, ["user namespace", "run in"]),
            (Rule::Yama { scope: 1 }, ["kernel.yama.ptrace_scope is 1", "PR_SET_PTRACER"]),
            (Rule::Yama { scope: 2 }, ["kernel.yama.ptrace_scope is 2", "CAP_SYS_PTRACE"]),
            (Rule::Yama { scope: 3 }, ["kernel.yama.ptrace_scope is 3", "next start"]),
            (Rule::Hidden, ["hidepid", "same user"]),
            (Rule::Unknown, ["security module", "log"]),
        ];
        for (rule, parts) in table {
            let message = rule.to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
