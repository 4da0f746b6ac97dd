//! AMX tiles that stay loaded for good, checked every round.

use std::arch::asm;

use crate::{kernel, leak};

const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
/// The number of the feature: bit 18 of XCR0.
const TILE_DATA: i64 = 18;

const TILES: usize = 8;
/// Palette 1: sixteen rows of 64 bytes in each tile.
const ROWS: u8 = 16;
const BYTES: u16 = 64;

/// What `ldtilecfg` takes: Intel's manual, volume 1, chapter "Intel AMX".
#[repr(C, align(64))]
#[derive(Clone, Copy, PartialEq, Eq)]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

#[repr(C, align(64))]
#[derive(PartialEq, Eq)]
struct Tiles([[u8; 1024]; TILES]);

/// Asks for the tiles, loads them and returns a round that lets time pass and looks whether they are what they were.
///
/// They are loaded once: every system call and every switch between the rounds has to keep them as well.
pub(crate) fn loaded() -> Result<impl FnMut() -> Result<(), String>, String> {
    let (_, refused) = kernel(libc::SYS_arch_prctl, [ARCH_REQ_XCOMP_PERM, TILE_DATA, 0, 0, 0, 0]);
    if refused != 0 {
        return Err(format!("the kernel gives no tiles: error {refused}"));
    }
    let mut configuration =
        Configuration { palette: 1, start_row: 0, reserved: [0; 14], bytes_per_row: [0; 16], rows: [0; 16] };
    configuration.bytes_per_row[..TILES].fill(BYTES);
    configuration.rows[..TILES].fill(ROWS);
    let configuration: &'static Configuration = leak(configuration);
    let wanted = leak(Tiles([[0; 1024]; TILES]));
    for (number, byte) in (0_u32..).zip(wanted.0.as_flattened_mut()) {
        *byte = number.wrapping_mul(2_654_435_761).to_le_bytes()[3];
    }
    let wanted: &'static Tiles = wanted;
    // SAFETY: the kernel has given the tiles to this process. `ldtilecfg` reads 64 bytes of the configuration, each load 16
    // rows of 64 bytes, 64 bytes apart, within `wanted`. Compiled code uses no tiles.
    unsafe {
        asm!(
            "ldtilecfg [{configuration}]",
            "tileloadd tmm0, [{wanted} + {stride}]",
            "tileloadd tmm1, [{wanted} + {stride} + 1024]",
            "tileloadd tmm2, [{wanted} + {stride} + 2048]",
            "tileloadd tmm3, [{wanted} + {stride} + 3072]",
            "tileloadd tmm4, [{wanted} + {stride} + 4096]",
            "tileloadd tmm5, [{wanted} + {stride} + 5120]",
            "tileloadd tmm6, [{wanted} + {stride} + 6144]",
            "tileloadd tmm7, [{wanted} + {stride} + 7168]",
            configuration = in(reg) &raw const *configuration,
            wanted = in(reg) &raw const *wanted,
            stride = in(reg) i64::from(BYTES),
            options(nostack),
        );
    }
    Ok(move || check(configuration, wanted))
}

fn check(configuration: &Configuration, wanted: &Tiles) -> Result<(), String> {
    let mut found = Tiles([[0; 1024]; TILES]);
    let mut configured = Configuration { palette: 0, ..*configuration };
    // SAFETY: as above; the stores go to `found` and `configured`, which are as large as what is loaded.
    unsafe {
        asm!(
            "2: dec {turns}",
            "jnz 2b",
            "tilestored [{found} + {stride}], tmm0",
            "tilestored [{found} + {stride} + 1024], tmm1",
            "tilestored [{found} + {stride} + 2048], tmm2",
            "tilestored [{found} + {stride} + 3072], tmm3",
            "tilestored [{found} + {stride} + 4096], tmm4",
            "tilestored [{found} + {stride} + 5120], tmm5",
            "tilestored [{found} + {stride} + 6144], tmm6",
            "tilestored [{found} + {stride} + 7168], tmm7",
            "sttilecfg [{configured}]",
            turns = inout(reg) 1_000_000_u64 => _,
            found = in(reg) &raw mut found,
            configured = in(reg) &raw mut configured,
            stride = in(reg) i64::from(BYTES),
            options(nostack),
        );
    }
    if configured != *configuration {
        return Err("the configuration of the tiles".to_owned());
    }
    if found != *wanted {
        return Err("a tile".to_owned());
    }
    Ok(())
}
