//! Loops over packed values, in one version per instruction set, chosen at run time.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use crate::profile::of_width;

/// How far ahead of the bytes in use to ask for more, in bytes.
///
/// Measured with ciphertexts scattered in RAM on Zen 5: 4 KiB folds half again as fast as none,
/// 2 and 8 KiB a tenth slower. Stopping at the end of the values costs more than it saves.
#[cfg(target_arch = "x86_64")]
const PREFETCH: usize = 4096;

/// Eight words, whose packed values fill exactly as many bytes as a value has bits.
///
/// Aligned to a cache line, so that a vector of words never straddles two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(crate) struct Group(pub [u64; Group::LEN]);

impl Group {
    pub(crate) const LEN: usize = 8;
}

/// Adds or subtracts packed values; see [`Fold`].
type Loop = unsafe fn(&mut [Group], &[u8], u64) -> bool;

/// An instruction set the fold is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Plain Rust, for any processor.
    Portable,
    /// 256-bit vectors of x86-64.
    Avx2,
    /// 512-bit vectors of x86-64 (AVX-512 F is enough).
    Avx512,
}

/// The kernel that was asked for needs instructions that this processor does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this processor has no {kernel}")]
pub struct KernelUnavailable {
    /// The kernel that was asked for.
    pub kernel: Kernel,
}

impl Kernel {
    /// Every kernel, slowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The fastest kernel of this processor.
    #[must_use]
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    /// The kernels of this processor, slowest first; never empty.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// Whether this processor can run it.
    #[must_use]
    pub(crate) fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

/// The two directions of one kernel at one width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fold {
    width: usize,
    /// May only be called on a processor that has the kernel; `select` and `best` check that.
    add: Loop,
    subtract: Loop,
}

impl Fold {
    /// The loops of the fastest kernel.
    pub(crate) fn best(width: u32) -> Self {
        Self::of_width(Kernel::best(), width)
    }

    /// The loops for values of `width` bits, one of those that [`of_width`] lists.
    pub(crate) fn select(kernel: Kernel, width: u32) -> Result<Self, KernelUnavailable> {
        if !kernel.is_available() {
            return Err(KernelUnavailable { kernel });
        }
        Ok(Self::of_width(kernel, width))
    }

    fn of_width(kernel: Kernel, width: u32) -> Self {
        of_width!(width, Self::of(kernel), _ => unreachable!("Ring::new and Profile::new check the width"))
    }

    fn of<const B: usize>(kernel: Kernel) -> Self {
        let (add, subtract): (Loop, Loop) = match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => (avx512::fold::<B, false>, avx512::fold::<B, true>),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => (avx2::fold::<B, false>, avx2::fold::<B, true>),
            _ => (portable::fold::<B, false>, portable::fold::<B, true>),
        };
        Self {
            width: B,
            add,
            subtract,
        }
    }

    /// Adds packed values to words, modulo 2^64; true if no value was above `largest`.
    ///
    /// Every value is added even if one is out of range: [`subtract`](Self::subtract) undoes it.
    pub(crate) fn add(&self, words: &mut [Group], packed: &[u8], largest: u64) -> bool {
        self.run(self.add, words, packed, largest)
    }

    /// The inverse of [`add`](Self::add).
    pub(crate) fn subtract(&self, words: &mut [Group], packed: &[u8], largest: u64) {
        self.run(self.subtract, words, packed, largest);
    }

    fn run(&self, run: Loop, words: &mut [Group], packed: &[u8], largest: u64) -> bool {
        assert_eq!(words.len() * self.width, packed.len());
        // SAFETY: `select` and `best` return only kernels whose instructions this processor has.
        unsafe { run(words, packed, largest) }
    }
}

/// Packs every word without its `dropped` low bits to `width` bits; true if none was above `largest`.
pub(crate) fn pack(
    width: u32,
    dropped: u32,
    words: &[u64],
    packed: &mut [u8],
    largest: u64,
) -> bool {
    assert_eq!(words.len() * width as usize, packed.len() * 8);
    of_width!(
        width,
        portable::pack(dropped, words, packed, largest),
        _ => unreachable!("Ring::new and Profile::new check the width")
    )
}

/// Prefetches what lies [`PREFETCH`] bytes after the group of `B` bytes at `index`, which may be past the end.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch<const B: usize>(packed: &[u8], index: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let ahead = packed.as_ptr().wrapping_add(index * B + PREFETCH);
    // SAFETY: a prefetch changes no memory and never faults, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.cast()) }
}
