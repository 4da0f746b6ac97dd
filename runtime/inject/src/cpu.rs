//! The tracing thread beside its victim: on the same processor a stop is a context switch, across it is an
//! interrupt and a wake-up of an idle processor, ten times as long.

use std::cell::RefCell;

use crate::sys::cpu;

thread_local! {
    /// How many victims this thread is beside, and where it could run before the first.
    static BESIDE: RefCell<(usize, Option<cpu::Set>)> = const { RefCell::new((0, None)) };
}

/// Keeps this thread on the processor of its last victim, and lets it go where it could before when it has none any more.
#[derive(Debug)]
pub(crate) struct Beside(());

impl Beside {
    /// Moves to the processor `there`; `None` where this thread may not run there.
    pub(crate) fn processor(there: usize) -> Option<Self> {
        BESIDE.with_borrow_mut(|(victims, before)| {
            let now = cpu::allowed().ok()?;
            let allowed = before.as_ref().unwrap_or(&now);
            if !cpu::contains(allowed, there) {
                return None;
            }
            cpu::allow(&cpu::only(there)?).ok()?;
            *victims += 1;
            before.get_or_insert(now);
            Some(Self(()))
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Whoever is dropped while this thread ends moves nowhere.
        let _ = BESIDE.try_with(|beside| {
            let (victims, before) = &mut *beside.borrow_mut();
            *victims -= 1;
            if *victims == 0 {
                // Fails only when the administrator has taken those processors away meanwhile; the kernel has then moved us.
                let _ = before.take().map(|before| cpu::allow(&before));
            }
        });
    }
}
