//! What the benches share. Every bench is a crate that uses a part of it.
#![allow(dead_code, reason = "every bench uses a part of it")]

pub(crate) mod compel;
pub(crate) mod contest;
pub(crate) mod pairs;
pub(crate) mod processors;
pub(crate) mod sample;
pub(crate) mod spent;
