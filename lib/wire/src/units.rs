//! Quantities and numbers with their unit in the type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty) $unit:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{}", $unit), self.0)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// Energy in watt-hours, net of export: export is negative.
    WattHours(i64) " Wh"
}
number! {
    /// Power in watts: a meter's declared capacity.
    Watts(u64) " W"
}
number! {
    /// The version of a plan; each change of the plan raises it.
    PlanVersion(u64) ""
}
number! {
    /// The number of a key epoch; each new key raises it.
    KeyEpoch(u32) ""
}
number! {
    /// Which sum of a window: 0 is the first. Supplements, and the parts that replace one that did not open, count on from there.
    Part(u16) ""
}
number! {
    /// Wall time in milliseconds since the Unix epoch.
    UnixMillis(u64) " ms"
}
number! {
    /// Time in seconds since the Unix epoch.
    UnixSeconds(u64) " s"
}

/// The last second of the year 9999. A time on the wire is no later, so that adding
/// intervals to it cannot overflow and every date library can print it.
pub const MAX_UNIX_SECONDS: u64 = 253_402_300_799;

impl UnixMillis {
    /// The whole seconds, rounded down.
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }
}

impl UnixSeconds {
    /// The same instant in milliseconds (saturating).
    pub fn millis(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(1000))
    }
}

/// `Display`, `Debug` and serde of a newtype around bytes: hexadecimal digits.
macro_rules! shown_as_hex {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use shown_as_hex;

/// A SHA-256 digest. Shown, parsed and serialised as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 of `bytes`. Uses the processor's SHA instructions where it has them (the
    /// `sha2` crate looks at run time).
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

shown_as_hex!(Digest);

/// The text is not as many hexadecimal digits as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {digits} hexadecimal digits")]
pub struct HexError {
    /// The text.
    pub found: String,
    /// How many digits it should have.
    pub digits: usize,
}

/// Parses hexadecimal digits, two for each of `N` bytes.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut bytes = [0; N];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(HexError {
            found: text.to_owned(),
            digits: 2 * N,
        }),
    }
}

impl FromStr for Digest {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        parse_hex(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_their_unit() {
        assert_eq!(WattHours(-3).to_string(), "-3 Wh");
        assert_eq!(Watts(9).to_string(), "9 W");
        assert_eq!(PlanVersion(7).to_string(), "7");
    }

    #[test]
    fn digest_of_abc_is_the_one_of_fips_180() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), expected);
        assert_eq!(expected.parse(), Ok(Digest::of(b"abc")));
        let json = serde_json::to_string(&Digest::of(b"abc")).unwrap();
        assert_eq!(json, format!("\"{expected}\""));
        assert_eq!(
            serde_json::from_str::<Digest>(&json).unwrap(),
            Digest::of(b"abc")
        );
    }

    #[test]
    fn digest_refuses_what_is_not_64_digits() {
        for bad in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?}");
        }
    }
}
