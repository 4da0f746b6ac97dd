//! Instructions, as far as an injector has to know them.

/// Whether bytes may end with a call: then what follows them is where a call comes back to.
///
/// Instructions cannot be read backwards for certain. What is asked here is whether one of the encodings of a near call (Intel
/// SDM, volume 2, CALL: `E8 cd`, `FF /2`) would end there, which chance data seldom does.
pub(crate) fn ends_with_call(bytes: &[u8]) -> bool {
    let from_end = |back: usize| bytes.get(bytes.len().checked_sub(back)?..);
    let relative = from_end(5).is_some_and(|code| code.first() == Some(&0xe8));
    // With no, one or four bytes of displacement, with or without an index byte.
    let indirect = |back: usize| matches!(from_end(back), Some([0xff, modrm, ..]) if modrm >> 3 & 7 == 2);
    relative || [2, 3, 4, 6, 7].into_iter().any(indirect)
}

#[cfg(test)]
mod tests {
    use super::ends_with_call;

    #[test]
    fn calls_are_known() {
        let calls: [&[u8]; 6] = [
            &[0xe8, 1, 2, 3, 4],             // call rel32
            &[0xff, 0xd0],                   // call *%rax
            &[0x41, 0xff, 0xd3],             // call *%r11
            &[0xff, 0x15, 1, 2, 3, 4],       // call *disp32(%rip)
            &[0xff, 0x54, 0x24, 8],          // call *8(%rsp)
            &[0xff, 0x94, 0xc7, 1, 2, 3, 4], // call *disp32(%rdi,%rax,8)
        ];
        for call in calls {
            assert!(ends_with_call(&[&[0x90; 8], call].concat()), "{call:x?}");
            assert!(ends_with_call(call), "{call:x?}");
        }
    }

    #[test]
    fn others_are_not() {
        let others: [&[u8]; 5] = [
            &[],
            &[0xff],
            &[0xff, 0xe0],             // jmp *%rax
            &[0xe9, 1, 2, 3, 4],       // jmp rel32
            &[0x50, 0x0f, 0x0b, 0x90], // push %rax; ud2; nop
        ];
        for other in others {
            assert!(!ends_with_call(other), "{other:x?}");
        }
    }
}
