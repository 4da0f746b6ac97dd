//! Whether a seccomp filter can be put to sleep: what the kernel asks of who wants to (`PTRACE_O_SUSPEND_SECCOMP`).

use super::texts::{Credentials, field, number};

/// What stands in the way, if anything that can be seen does. A kernel without the option says so only when it is asked.
pub(crate) fn obstacle(own_status: &str, in_initial_user_namespace: bool) -> Option<&'static str> {
    let own = Credentials::parse(own_status)?;
    let filtered = field(own_status, "Seccomp").and_then(number::<u32>).unwrap_or(0) != 0;
    if !own.may_administrate() {
        Some("putting it to sleep takes CAP_SYS_ADMIN")
    } else if !in_initial_user_namespace {
        Some("putting it to sleep takes CAP_SYS_ADMIN outside of every user namespace")
    } else if filtered {
        Some("this process has a filter itself, and none such may put another to sleep")
    } else {
        None
    }
}

/// What the kernel says where nothing that can be seen stands in the way.
pub(crate) const NOT_IN_THIS_KERNEL: &str =
    "this kernel cannot put it to sleep (CONFIG_CHECKPOINT_RESTORE), or a security module forbids it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_put_a_filter_to_sleep() {
        let status = |effective: u64, seccomp: u32| {
            format!(
                "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapPrm:\t{effective:x}\nCapEff:\t{effective:x}\nSeccomp:\t{seccomp}\n"
            )
        };
        let admin = 1 << 21;
        assert_eq!(obstacle(&status(admin, 0), true), None);
        assert!(obstacle(&status(!admin, 0), true).unwrap().contains("CAP_SYS_ADMIN"));
        assert!(obstacle(&status(admin, 0), false).unwrap().contains("user namespace"));
        assert!(obstacle(&status(admin, 2), true).unwrap().contains("itself"));
        // What says nothing forbids nothing: the kernel is asked.
        assert_eq!(obstacle("", true), None);
    }
}
