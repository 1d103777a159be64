//! Shards: what a deployment's feeders are divided into, so that several analytics processes can share them.

use std::fmt;

use crate::ids::FeederId;
use crate::message::Areas;
use crate::units::Digest;

/// The most shards of a deployment.
pub const MAX_SHARDS: u16 = 256;

/// One of the shards of a deployment, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u16);

impl Shard {
    /// The shard of an id among `shards`: the first eight bytes of its SHA-256, big-endian, modulo their number.
    ///
    /// A feeder in an area has the shard of that, since its sums may be added to those of others there: see
    /// [`Shard::of_feeder`].
    pub fn of(id: &str, shards: u16) -> Self {
        if shards <= 1 {
            return Self(0);
        }
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(id.as_bytes()).0;
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % u64::from(shards);
        // It is less than a number of 16 bits.
        Self(number as u16)
    }

    /// The shard of a feeder in these areas, if it is in any: that of the largest of them, else that of its own name.
    pub fn of_feeder(feeder: &FeederId, areas: Option<&Areas>, shards: u16) -> Self {
        match areas {
            Some(areas) => Self::of(areas.topmost().as_str(), shards),
            None => Self::of(feeder.as_str(), shards),
        }
    }

    /// Its number in the only form: no sign, no leading zero.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number: u16 = text.parse().ok()?;
        (number < MAX_SHARDS && number.to_string() == text).then_some(Self(number))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_shard() {
        let shards = |ids: [&str; 4], shards| ids.map(|id| Shard::of(id, shards).0);
        let ids = ["feeder-1", "feeder-2", "transformer-1", "north"];
        assert_eq!(shards(ids, 1), [0; 4]);
        assert_eq!(shards(ids, 64), [58, 15, 58, 33]);
        assert_eq!(shards(ids, 256), [58, 143, 250, 225]);
    }

    #[test]
    fn ids_spread_over_all_shards() {
        let mut feeders = [0_u32; 64];
        for feeder in 0..64 * 100 {
            let shard = Shard::of(&format!("feeder-{feeder}"), 64);
            feeders[usize::from(shard.0)] += 1;
        }
        assert!(
            feeders.iter().all(|count| (60..=145).contains(count)),
            "{feeders:?}"
        );
    }

    #[test]
    fn a_number_has_one_form() {
        assert_eq!(Shard::parse("0"), Some(Shard(0)));
        assert_eq!(Shard::parse("255"), Some(Shard(255)));
        for text in ["", "256", "00", "01", "+1", "-0", "1 ", "65536"] {
            assert_eq!(Shard::parse(text), None, "{text:?}");
        }
    }
}
