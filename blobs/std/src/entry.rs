//! Links the entry: pure assembler, because it runs before anything that a compiler relies on exists.

#[cfg(all(pie_blob, target_arch = "x86_64", feature = "enter"))]
core::arch::global_asm!(include_str!("x86_64/enter.S"), options(att_syntax, raw));

#[cfg(all(pie_blob, target_arch = "x86_64", feature = "call", not(feature = "enter")))]
core::arch::global_asm!(include_str!("x86_64/head.S"), options(att_syntax, raw));

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec::Vec;

    use syscalls::Sysno;

    /// The assembler cannot name the `syscalls` crate's numbers, so they are compared here.
    #[test]
    fn numbers_in_head_are_the_kernels() {
        let head = include_str!("x86_64/head.S");
        let numbers: Vec<(String, i32)> = head
            .lines()
            .filter_map(|line| line.trim().strip_prefix(".set")?.trim().strip_prefix("SYS_"))
            .map(|rest| {
                let (name, number) = rest.split_once(',').unwrap();
                (String::from(name), number.trim().parse().unwrap())
            })
            .collect();
        assert!(numbers.len() >= 7, "{numbers:?}");
        for (name, number) in numbers {
            assert_eq!(name.parse::<Sysno>().unwrap().id(), number, "{name}");
        }
    }
}
