//! Differential privacy for sums in whole quanta: how much noise a promise takes, the noise itself, exactly distributed, and what
//! several noisy sums give away together. No files, no clock, no network.
//!
//! The promise is about *neighbours*: two deployments that differ in the readings of one household, each reading anywhere within
//! ± its capacity. Whether the household is enrolled, and whether it had a reading at all, is not hidden.
//!
//! # Layout
//! - [`Guarantee`]: ε, δ, and what they are about · [`Epsilon`], [`Delta`]: whole numbers, so that what is published is what holds
//! - [`Noise`]: drawn by opendp, without floating point, or from bits that others have too ([`Bits`]) · [`sensitivity`]: by how much a
//!   household changes a sum
//! - [`Agreed`]: the noise that holders of mask keys agreed on
//! - [`Spent`]: how losses add up
//!
//! ```
//! use privacy::{Epsilon, Guarantee, sensitivity};
//! use wire::PrivacyUnit;
//!
//! let guarantee = Guarantee { unit: PrivacyUnit::Interval, epsilon: Epsilon::try_from(0.5)?, delta: None };
//! // A capacity of 10 kW, quarter hours, quanta of 1 Wh: a reading enters as at most 2,501 of them, of either sign.
//! let sensitivity = sensitivity(10_000, 900, 1);
//! assert_eq!(sensitivity, 5_002);
//! let noise = guarantee.noise(sensitivity, 96);
//! assert_eq!((noise.scale(), noise.half_width()), (10_004.0, 29_969));
//! let noisy = 61_200 + noise.draw()?;
//! # let _ = noisy;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agreed;
mod bits;
mod exact;
mod guarantee;
mod mechanism;
mod noise;
mod parameters;
mod sensitivity;
mod spent;

pub use agreed::{Agreed, day};
pub use bits::Bits;
pub use guarantee::Guarantee;
pub use mechanism::Mechanism;
pub use noise::{Noise, NoiseError};
pub use parameters::{Delta, Epsilon, ParameterError};
pub use sensitivity::sensitivity;
pub use spent::Spent;
