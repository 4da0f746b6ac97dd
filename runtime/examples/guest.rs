//! A blob as all the code of a virtual machine: relocated while compiling, copied to its address, run under KVM.
//!
//! ```text
//! cargo run -p pie_blob --example guest
//! ```
//!
//! Where there is no KVM, other linkers are asked to link the guest for its address: they must write the same bytes.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[path = "guest/machine.rs"]
mod machine;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[path = "guest/relink.rs"]
mod relink;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod guest {
    use std::error::Error;

    use pie_blob_guest::{BASE, PORT, guest};

    use crate::machine::Machine;
    use crate::relink::{self, Relinked};

    pub(crate) fn main() -> Result<(), Box<dyn Error>> {
        match Machine::new() {
            Ok(machine) => run(machine),
            Err(missing) => {
                println!("{missing}; instead, what other linkers write for {BASE:#x}:");
                compare()
            }
        }
    }

    /// Runs the guest to its end, and shows what it says and what it has left behind.
    fn run(mut machine: Machine) -> Result<(), Box<dyn Error>> {
        let at = usize::try_from(BASE)?;
        // Only copies: there is nothing left to relocate.
        assert!(guest::BLOB.relocs().is_empty());
        guest::BLOB.load(&mut machine.memory()[at..], BASE)?;

        let said = machine.run(BASE, PORT)?;
        print!("{}", String::from_utf8_lossy(&said));
        println!("guest halted");

        let answered = &machine.memory()[at..][guest::ANSWERED.get() as usize..][..8];
        let answered = u64::from_le_bytes(answered.try_into()?);
        let mut expected = String::new();
        if answered != pie_blob_guest::report(&mut expected)? || said != expected.as_bytes() {
            return Err(format!("the same code says here:\n{expected}").into());
        }
        Ok(())
    }

    /// Links the guest anew with every linker at hand, for its address.
    fn compare() -> Result<(), Box<dyn Error>> {
        let linkers = ["ld", "ld.lld"].into_iter().filter(|linker| relink::version(linker).is_some());
        for Relinked { linker, fixed, relocated } in relink::with(linkers, BASE)? {
            let same = if fixed == relocated { "the same" } else { "others" };
            println!("{}: {} bytes, {same} as relocating gives", linker.display(), fixed.len());
            if fixed != relocated {
                return Err("relocating and linking differ".into());
            }
        }
        Ok(())
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use guest::main;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn main() {
    println!("the guest is for x86-64, and run by Linux");
}
