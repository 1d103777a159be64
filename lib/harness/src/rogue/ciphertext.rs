//! Ciphertexts made by hand.

use anyhow::{Context as _, Result};
use packed::layout::{Encoding, Entered, Shape};
use packed::{ADDITIVE, Accumulator, Profile, RING};
use wire::{FeederPlan, Plan};

use super::spoilt::Spoilt;

/// Drops no bits.
static WHOLE: Profile = Profile::new("whole", &RING, ADDITIVE.scale_bits, [0, 0]);

/// How reports of a feeder's setting are encoded.
///
/// # Errors
/// The plan names what this build does not know.
pub fn encoding(plan: &Plan, setting: &FeederPlan) -> Result<Encoding> {
    let profile = Profile::by_name(setting.profile.as_str())?;
    let layout = plan.layout.as_str().parse()?;
    let shape = Shape::with_edges(layout, &plan.histogram_edges_wh, plan.batch)?;
    let (reference_wh, quantum_wh) = (setting.reference_wh, setting.quantum_wh);
    let unit = setting.square_unit_wh2;
    Ok(Encoding::new(
        profile,
        shape,
        reference_wh,
        quantum_wh,
        unit,
    )?)
}

/// The coefficients of readings of 0 Wh, one in each interval.
///
/// # Errors
/// Never for an encoding of the plan.
pub fn no_energy(encoding: &Encoding) -> Result<Vec<u64>> {
    let nothing = Entered {
        wh: 0,
        clamped: false,
    };
    let readings = vec![Some(nothing); encoding.shape.batch()];
    Ok(encoding.encode(&readings)?)
}

/// The coefficients of a report without readings.
#[must_use]
pub fn nothing(encoding: &Encoding) -> Vec<u64> {
    vec![0; encoding.shape.coefficients()]
}

/// A packed report of a plaintext under a public key as the plan carries it.
///
/// # Errors
/// The key cannot be read.
pub fn encrypt(
    key: &[u8],
    encoding: &Encoding,
    plaintext: &[u64],
    spoilt: Option<Spoilt>,
) -> Result<Vec<u8>> {
    let key = seal::PublicKey::from_packed(key)?;
    let mut whole = Vec::new();
    seal::encrypt(&key, &WHOLE, plaintext, &mut whole)?;
    let (c0, c1) = whole.split_at(RING.packed_len(plaintext.len()));
    let mut c0 = packed::unpack(&RING, plaintext.len(), c0)?;
    let mut c1 = packed::unpack(&RING, RING.dimension, c1)?;
    if let Some(spoilt) = spoilt {
        spoilt.ciphertext(&mut c0, &mut c1);
    }
    let mut limbs = Vec::new();
    packed::report::pack(encoding.profile, &c0, &c1, &mut limbs)?;
    if let Some(spoilt) = spoilt {
        spoilt.limbs(&mut limbs);
    }
    Ok(limbs)
}

/// The packed sum of packed reports.
///
/// # Errors
/// One of them is not a report of this encoding.
pub fn add<'a>(
    encoding: &Encoding,
    reports: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>> {
    let mut sum = Accumulator::new(encoding.profile, encoding.shape.coefficients());
    for report in reports {
        sum.add(report).context("a report cannot be added")?;
    }
    Ok(sum.to_packed())
}

/// Adds to a packed sum what makes the operator find so much more at places of its ciphertext's two polynomials.
///
/// # Errors
/// The limbs are not a sum of this encoding.
pub fn tamper(
    encoding: &Encoding,
    limbs: &[u8],
    c0: &[(usize, i64)],
    c1: &[(usize, i64)],
) -> Result<Vec<u8>> {
    let coefficients = encoding.shape.coefficients();
    let mut words = packed::unpack(&RING, coefficients + RING.dimension, limbs)?;
    // The operator multiplies by 2^t.
    let [t0, t1] = encoding.profile.dropped;
    let places = c0.iter().map(|(at, value)| (*at, *value, t0));
    let others = (c1.iter()).map(|(at, value)| (coefficients + at, *value, t1));
    for (at, value, dropped) in places.chain(others) {
        let divided = (0..dropped).fold(RING.residue(value), |value, _| halved(value));
        words[at] = (words[at] + divided) % RING.modulus;
    }
    Ok(packed::pack(&RING, &words)?)
}

/// Half of a residue, modulo the odd modulus.
fn halved(value: u64) -> u64 {
    match value.is_multiple_of(2) {
        true => value / 2,
        false => (value + RING.modulus) / 2,
    }
}
