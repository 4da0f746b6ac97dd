//! What of the machine a frozen process relies on: its kernel's vDSO, its processor.

use std::arch::x86_64::__cpuid_count;
use std::fs;

use twox_hash::XxHash3_64;

use crate::error::Error;
use crate::hex::Hex;
use crate::proc;
use crate::state::Machine;

impl Machine {
    /// This machine, as this process sees it.
    pub(crate) fn here() -> Result<Self, Error> {
        let line = |path: &str| -> Result<String, Error> {
            let text = fs::read_to_string(path).map_err(Error::io(format!("read {path}")))?;
            Ok(text.trim().to_owned())
        };
        let information = line("/proc/cpuinfo")?;
        let flags = information.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
        Ok(Self {
            kernel: line("/proc/sys/kernel/osrelease")?,
            boot_id: line("/proc/sys/kernel/random/boot_id")?,
            cpu_flags: flags.map_or(String::new(), |(_, flags)| flags.trim().to_owned()),
            xsave: xsave(),
            vdso: vdso()?,
        })
    }

    /// What keeps a process of that machine from running on this one.
    pub(crate) fn refuses(&self, frozen: &Self) -> Vec<String> {
        let mut reasons = Vec::new();
        let here: Vec<&str> = self.cpu_flags.split_ascii_whitespace().collect();
        let missing: Vec<&str> =
            frozen.cpu_flags.split_ascii_whitespace().filter(|flag| !here.contains(flag)).collect();
        if !missing.is_empty() {
            reasons.push(format!("this processor lacks {}", missing.join(", ")));
        }
        if let Some([feature, ..]) = frozen.xsave.iter().find(|feature| !self.xsave.contains(feature)) {
            reasons.push(format!("this processor keeps XSAVE feature {feature} elsewhere or not at all"));
        }
        if self.vdso != frozen.vdso {
            reasons.push(format!(
                "the kernel's vDSO is another one: frozen on {}, this is {}",
                frozen.kernel, self.kernel
            ));
        }
        reasons
    }
}

/// Offset and size of each feature in XSAVE's standard form, of those that the kernel has enabled.
fn xsave() -> Vec<[u32; 3]> {
    let leaf = |feature| {
        #[allow(unused_unsafe, reason = "newer compilers know it to be safe")]
        // SAFETY: every processor that runs 64-bit code has CPUID; a leaf that it does not know answers zeros.
        unsafe {
            __cpuid_count(0xd, feature)
        }
    };
    let enabled = leaf(0).eax;
    (2..32)
        .filter(|feature| enabled >> feature & 1 == 1)
        .map(|feature| [feature, leaf(feature).ebx, leaf(feature).eax])
        .collect()
}

/// The vDSO of this process: the same in every process of this kernel.
fn vdso() -> Result<Hex, Error> {
    let areas = proc::own_areas()?;
    let Some(area) = areas.iter().find(|area| area.name == "[vdso]") else { return Ok(Hex(0)) };
    let mut code = vec![0; crate::numbers::word(area.end - area.start)];
    let memory = fs::File::open("/proc/self/mem").map_err(Error::io("read /proc/self/mem"))?;
    std::os::unix::fs::FileExt::read_exact_at(&memory, &mut code, area.start)
        .map_err(Error::io("read the vDSO"))?;
    Ok(Hex(XxHash3_64::oneshot(&code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_takes_what_it_has_itself() {
        let here = Machine::here().unwrap();
        assert!(here.cpu_flags.split(' ').any(|flag| flag == "xsave"), "{}", here.cpu_flags);
        assert!(here.xsave.iter().any(|[feature, offset, size]| (*feature, *offset, *size) == (2, 576, 256)));
        assert_eq!(here.refuses(&here), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_named() {
        let here = Machine::here().unwrap();
        let mut other = here.clone();
        other.cpu_flags.push_str(" avx1024");
        other.xsave.push([31, 4096, 64]);
        other.vdso = Hex(1);
        let reasons = here.refuses(&other);
        assert_eq!(reasons.len(), 3, "{reasons:?}");
        assert_eq!(reasons[0], "this processor lacks avx1024");
    }
}
