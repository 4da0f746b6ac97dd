//! What depends on the instruction set: registers, signal frames, the code that a remote call borrows.
//!
//! Sources: the System V ABI for AMD64; `struct rt_sigframe` and `struct _xstate` of the kernel's uapi headers
//! (`asm/sigcontext.h`, `asm/ucontext.h`); the SDM's chapter on XSAVE for the area's layout.

pub(crate) mod chain;
pub(crate) mod code;
pub(crate) mod frame;
pub(crate) mod gadget;
pub(crate) mod registers;
pub(crate) mod rseq;
pub(crate) mod xstate;
