//! The terms of an agreement: who the holders are, and how many of them it takes.

use std::collections::BTreeSet;
use std::fmt;

use super::noise::NoiseTerms;
use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{DeploymentId, FeederId, HolderId};
use crate::keys::{MaskKey, VerifyingKey};
use crate::message::Message;
use crate::units::Digest;

/// The most holders of an agreement.
pub const MAX_HOLDERS: usize = 5;

/// Holders of an agreement, by their places in it, from 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderSet(u8);

impl HolderSet {
    /// Those at these places; a place beyond the last possible one is left out.
    pub fn of(places: impl IntoIterator<Item = usize>) -> Self {
        let bits = places.into_iter().filter(|place| *place < MAX_HOLDERS);
        Self(bits.fold(0, |set, place| set | 1 << place))
    }

    /// Whether the holder at `place` is one of them.
    pub const fn contains(self, place: usize) -> bool {
        place < MAX_HOLDERS && self.0 >> place & 1 == 1
    }

    /// How many they are.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their places, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_HOLDERS).filter(move |place| self.contains(*place))
    }

    /// As bits, from the lowest.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, WireError> {
        match reader.u8(field)? {
            bits if bits >> MAX_HOLDERS == 0 => Ok(Self(bits)),
            bits => Err(WireError::OutOfRange {
                field,
                value: bits.into(),
                min: 0,
                max: (1 << MAX_HOLDERS) - 1,
            }),
        }
    }

    /// Every set of `size` of the first `n` places, in ascending order.
    pub fn all_of(size: usize, n: usize) -> impl Iterator<Item = Self> {
        let sets = (0..1u8 << n.min(MAX_HOLDERS)).map(Self);
        sets.filter(move |set| set.len() == size)
    }
}

impl fmt::Debug for HolderSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

/// A holder of mask keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderEntry {
    /// Its name.
    pub id: HolderId,
    /// What it signs with.
    pub key: VerifyingKey,
}

/// A mask key that all holders share but those who are `absent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Who does not have it: one fewer than the threshold.
    pub absent: HolderSet,
    /// Its public half, which meters agree their masks with.
    pub key: MaskKey,
}

/// What holders agree on. Not signed itself: [`Acceptance`](super::Acceptance) and [`Closing`](super::Closing) name its
/// [digest](Terms::digest).
///
/// A meter adds one mask for each stream. A stream is unknown to one fewer than `threshold` holders, so that any `threshold` of them
/// have all streams, and fewer never do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Which agreement of the deployment this is, from 1.
    pub generation: u32,
    /// The first window that it holds for.
    pub from: WindowStart,
    /// The digest of the terms before these; none for the first.
    pub previous: Option<Digest>,
    /// How many holders together have every stream: 2 to all.
    pub threshold: u8,
    /// How many have to consent before one answers: `threshold` to all.
    pub consents: u8,
    /// The noise that they add to what they open; none: totals are exact.
    pub noise: Option<NoiseTerms>,
    /// The holders, ascending by id. Their places count from 0.
    pub holders: Vec<HolderEntry>,
    /// The streams: one for each set of `threshold` − 1 holders, ascending.
    pub streams: Vec<Stream>,
}

impl Terms {
    /// SHA-256 of the array.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_cbor(None))
    }

    /// The place of a holder.
    pub fn place(&self, id: &HolderId) -> Option<usize> {
        self.holders.iter().position(|holder| holder.id == *id)
    }

    /// The streams that the holder at `place` has, by their own places.
    pub fn streams_of(&self, place: usize) -> impl Iterator<Item = usize> {
        let streams = self.streams.iter().enumerate();
        streams.filter_map(move |(index, stream)| (!stream.absent.contains(place)).then_some(index))
    }

    /// The noise of a sum of these feeders; none if it opens to exact totals. The rest of an area has it if one of its feeders does.
    pub fn noise_of<'f>(
        &self,
        mut feeders: impl Iterator<Item = &'f FeederId>,
    ) -> Option<&NoiseTerms> {
        let noise = self.noise.as_ref()?;
        feeders.any(|feeder| noise.covers(feeder)).then_some(noise)
    }

    /// Whether two sums with a meter in common can both get their consents only where `threshold` holders consented to both:
    /// 2·`consents` − holders ≥ `threshold`.
    pub fn is_strong(&self) -> bool {
        is_strong(self.threshold, self.consents, self.holders.len())
    }

    /// Its numbers as they are written in totals: `2of4`, with the consents where they are fewer than is safe.
    pub fn name(&self) -> String {
        let (threshold, holders) = (self.threshold, self.holders.len());
        match self.is_strong() {
            true => format!("{threshold}of{holders}"),
            false => format!("{threshold}of{holders}, weak: {} consents", self.consents),
        }
    }

    /// Whether so many of `n` holders can be asked for.
    pub(super) fn check_numbers(threshold: u8, consents: u8, n: usize) -> Result<(), WireError> {
        let within = |field, value: usize, min: usize, max: usize| match value {
            value if value < min || value > max => Err(WireError::OutOfRange {
                field,
                value: value as i128,
                min: min as i128,
                max: max as i128,
            }),
            _ => Ok(()),
        };
        let (threshold, consents) = (usize::from(threshold), usize::from(consents));
        within("terms.holders", n, 2, MAX_HOLDERS)?;
        within("terms.threshold", threshold, 2, n)?;
        within("terms.consents", consents, threshold, n)
    }
}

impl Message for Terms {
    const CONTENT_TYPE: &'static str = "cipherwatt/terms";
    const FIELDS: usize = 9;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.deployment.as_str());
        writer.uint(self.generation);
        writer.uint(self.from.0);
        match &self.previous {
            Some(digest) => writer.bytes(&digest.0),
            None => writer.null(),
        }
        writer.uint(self.threshold);
        writer.uint(self.consents);
        write_noise(&self.noise, writer);
        writer.list(&self.holders, |writer, holder| {
            writer.array(2);
            writer.text(holder.id.as_str());
            writer.bytes(holder.key.as_bytes());
        });
        writer.list(&self.streams, |writer, stream| {
            writer.array(2);
            writer.uint(stream.absent.0);
            writer.bytes(stream.key.as_bytes());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            deployment: reader.id("terms.deployment")?,
            generation: reader.u32_from(1, "terms.generation")?,
            from: reader.window("terms.from")?,
            previous: reader.optional(|r| r.bytes_of("terms.previous").map(Digest))?,
            threshold: reader.u8("terms.threshold")?,
            consents: reader.u8("terms.consents")?,
            noise: reader.optional(NoiseTerms::read)?,
            holders: reader.list(MAX_HOLDERS, "terms.holders", |reader| {
                reader.array_of(2, "terms.holder")?;
                Ok(HolderEntry {
                    id: reader.id("terms.holder_id")?,
                    key: reader.checked_key("terms.holder_key")?,
                })
            })?,
            // Of five holders ten sets of two: the most there are of any size.
            streams: reader.list(10, "terms.streams", |reader| {
                reader.array_of(2, "terms.stream")?;
                Ok(Stream {
                    absent: HolderSet::read(reader, "terms.stream_absent")?,
                    key: reader.mask_key("terms.stream_key")?,
                })
            })?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        let n = self.holders.len();
        Self::check_numbers(self.threshold, self.consents, n)?;
        check_noise(&self.noise, self.is_strong())?;
        if (self.generation == 1) != self.previous.is_none() {
            return Err(WireError::TermsChain);
        }
        ascending(&self.holders, "terms.holders", |a, b| a.id < b.id)?;
        let keys: BTreeSet<_> = self.holders.iter().map(|holder| holder.key).collect();
        let streams: BTreeSet<_> = self.streams.iter().map(|stream| stream.key.0).collect();
        if keys.len() != n || streams.len() != self.streams.len() {
            return Err(WireError::TermsKeyTwice);
        }
        let expected = HolderSet::all_of(usize::from(self.threshold) - 1, n);
        match expected.eq(self.streams.iter().map(|stream| stream.absent)) {
            true => Ok(()),
            false => Err(WireError::TermsStreams),
        }
    }
}

pub(super) fn is_strong(threshold: u8, consents: u8, holders: usize) -> bool {
    2 * usize::from(consents) >= holders + usize::from(threshold)
}

pub(super) fn write_noise(noise: &Option<NoiseTerms>, writer: &mut Writer) {
    match noise {
        Some(noise) => noise.write(writer),
        None => writer.null(),
    }
}

/// Where two sums of one meter could both be opened, the difference of their noise says nothing of what it is to hide.
pub(super) fn check_noise(noise: &Option<NoiseTerms>, is_strong: bool) -> Result<(), WireError> {
    match noise {
        None => Ok(()),
        Some(_) if !is_strong => Err(WireError::NoiseWeak),
        Some(noise) => noise.check(),
    }
}

#[cfg(test)]
mod tests;
