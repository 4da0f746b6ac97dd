//! A chain of returns: code of the victim's own through which a system call goes on to stop its thread by a signal.
//!
//! A remote call that is followed by system-call stops takes two of them. With this chain on the stack the thread keeps the
//! call's answer in memory and sends itself the end signal, so that it stops once. Left alone it goes on: the signal means
//! nothing to it, and the chain ends in a signal frame.

use crate::machine::Gadget;

/// Code that takes a word from the stack into a register, and then `padding` more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pop {
    pub(crate) gadget: Gadget,
    padding: usize,
}

impl Pop {
    /// The words that have it take `word`.
    fn of(&self, word: u64) -> Vec<u64> {
        let mut words = vec![self.gadget.address, word];
        words.resize(2 + self.padding, 0);
        words
    }
}

/// The code that a chain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    rax: Pop,
    rdi: Pop,
    rsi: Pop,
    rdx: Pop,
    /// `mov %rax, (…)`, and which register has the address.
    store: (Gadget, Pop),
}

/// How a chain stops its thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    /// A `syscall; ret`.
    pub(crate) call: u64,
    /// The process and the thread as the victim counts them, and the signal.
    pub(crate) process: i32,
    pub(crate) thread: i32,
    pub(crate) signal: i32,
}

/// `pop %rax; ret` and its like, with how many more words they take.
const RAX: [(&[u8], usize); 1] = [(&[0x58, 0xc3], 0)];
const RDI: [(&[u8], usize); 1] = [(&[0x5f, 0xc3], 0)];
const RSI: [(&[u8], usize); 2] = [(&[0x5e, 0xc3], 0), (&[0x5e, 0x41, 0x5f, 0xc3], 1)];
const RDX: [(&[u8], usize); 3] =
    [(&[0x5a, 0xc3], 0), (&[0x5a, 0x5b, 0xc3], 1), (&[0x5a, 0x41, 0x5c, 0xc3], 1)];
/// `mov %rax, (%rdx); ret`, `mov %rax, (%rdi); ret`, `mov %rax, (%rsi); ret`.
const STORE: [&[u8]; 3] = [&[0x48, 0x89, 0x02, 0xc3], &[0x48, 0x89, 0x07, 0xc3], &[0x48, 0x89, 0x06, 0xc3]];

/// The most words that a chain has.
pub(crate) const WORDS: usize = 18;

/// What has been found so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Search {
    rax: Option<Pop>,
    rdi: Option<Pop>,
    rsi: Option<Pop>,
    rdx: Option<Pop>,
    stores: [Option<Gadget>; 3],
}

impl Search {
    /// Looks at the code that ends with the `ret` at `end`, whose address is `address`.
    pub(crate) fn look(&mut self, code: &[u8], end: usize, address: u64) {
        let Some(before) = code.get(..=end) else { return };
        let gadget = |wanted: &'static [u8]| {
            before
                .ends_with(wanted)
                .then(|| Gadget { address: address + 1 - wanted.len() as u64, code: wanted })
        };
        let pop = |found: &mut Option<Pop>, wanted: &[(&'static [u8], usize)]| {
            if found.is_none_or(|found| found.padding > 0) {
                let best = wanted
                    .iter()
                    .find_map(|(code, padding)| Some(Pop { gadget: gadget(code)?, padding: *padding }));
                *found = best.or(*found);
            }
        };
        pop(&mut self.rax, &RAX);
        pop(&mut self.rdi, &RDI);
        pop(&mut self.rsi, &RSI);
        pop(&mut self.rdx, &RDX);
        for (found, wanted) in self.stores.iter_mut().zip(STORE) {
            *found = found.or_else(|| gadget(wanted));
        }
    }

    /// The chain, once all of it has been found.
    pub(crate) fn chain(&self) -> Option<Chain> {
        let (rax, rdi, rsi, rdx) = (self.rax?, self.rdi?, self.rsi?, self.rdx?);
        let [by_rdx, by_rdi, by_rsi] = self.stores;
        let store = match (by_rdx, by_rdi, by_rsi) {
            (Some(store), ..) => (store, rdx),
            (_, Some(store), _) => (store, rdi),
            (.., store) => (store?, rsi),
        };
        Some(Chain { rax, rdi, rsi, rdx, store })
    }
}

impl Chain {
    /// The words that lie on the stack behind the call, whose answer goes to `answer`; the word that follows them is where the
    /// chain ends. Without `sending` it only notes the answer.
    pub(crate) fn words(&self, answer: u64, sending: Option<&Sending>) -> Vec<u64> {
        let number = |value: i32| u64::from(value.unsigned_abs());
        let (store, address) = &self.store;
        let mut words = address.of(answer);
        words.push(store.address);
        if let Some(sending) = sending {
            words.extend(self.rax.of(libc::SYS_tgkill.unsigned_abs()));
            words.extend(self.rdi.of(number(sending.process)));
            words.extend(self.rsi.of(number(sending.thread)));
            words.extend(self.rdx.of(number(sending.signal)));
            words.push(sending.call);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_takes_the_shortest_code_that_there_is() {
        let code =
            [0x5a, 0x5b, 0xc3, 0x41, 0x5f, 0xc3, 0x5e, 0xc3, 0x58, 0xc3, 0x48, 0x89, 0x02, 0xc3, 0x5a, 0xc3];
        let mut search = Search::default();
        for (at, _) in code.iter().enumerate().filter(|(_, byte)| **byte == 0xc3) {
            search.look(&code, at, 0x1000 + at as u64);
        }
        let chain = search.chain().unwrap();
        let sending = Sending { call: 0x9, process: 7, thread: 8, signal: 23 };
        let words = chain.words(0x8000, Some(&sending));
        let sending_itself = [0x1008, 234, 0x1004, 7, 0x1006, 8, 0x100e, 23, 0x9];
        assert_eq!(words, [&[0x100e, 0x8000, 0x100a][..], &sending_itself].concat());
        assert!(words.len() <= WORDS);
        assert_eq!(chain.words(0x8000, None), [0x100e, 0x8000, 0x100a]);
    }

    #[test]
    fn half_a_chain_is_none() {
        let mut search = Search::default();
        search.look(&[0x58, 0xc3], 1, 1);
        assert_eq!(search.chain(), None);
    }
}
