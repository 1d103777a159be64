//! The masks that holders have keys of: one for each of their streams, beside the operator's own.

use std::sync::OnceLock;

use masks::{Label, PadKey, Parties};
use packed::RING;
use wire::{MaskKey, Terms, WindowStart};

use service::failpoint;

use super::{Epoch, Origin, SealError, Sealer};
use crate::batch::Batch;

/// The streams of one agreement.
#[derive(Debug)]
pub(super) struct Streams {
    /// The first window that it holds for.
    pub(super) from: WindowStart,
    generation: u32,
    streams: Vec<Stream>,
}

/// What one stream's key and each meter share, once it was needed.
#[derive(Debug)]
struct Stream {
    key: MaskKey,
    pads: Vec<OnceLock<PadKey>>,
}

impl Streams {
    /// Those of an agreement, for so many meters.
    pub(super) fn new(terms: &Terms, meters: usize) -> Self {
        let stream = |stream: &wire::Stream| Stream {
            key: stream.key,
            pads: std::iter::repeat_with(OnceLock::new).take(meters).collect(),
        };
        Self {
            from: terms.from,
            generation: terms.generation,
            streams: terms.streams.iter().map(stream).collect(),
        }
    }

    /// Adds the masks of all streams to what the meter at `index` is to seal.
    pub(super) fn add(
        &self,
        origin: &Origin,
        index: usize,
        label: &Label<'_>,
        plaintext: &mut [u64],
    ) -> Result<(), SealError> {
        for stream in &self.streams {
            let cell = &stream.pads[index];
            let key = match cell.get() {
                Some(key) => key,
                None => {
                    let agreed = self.agree(origin, index, &stream.key)?;
                    cell.get_or_init(|| agreed)
                }
            };
            key.add(label, RING.modulus, plaintext);
        }
        Ok(())
    }

    fn agree(&self, origin: &Origin, index: usize, key: &MaskKey) -> Result<PadKey, SealError> {
        let member = &origin.members[index];
        let parties = Parties {
            deployment: origin.deployment.as_str(),
            meter: member.meter.as_str(),
            epoch: self.generation,
            meter_key: &member.public.mask.0,
            verifier_key: &key.0,
        };
        let generation = self.generation;
        PadKey::agree(&member.mask, &key.0, &parties)
            .map_err(|source| SealError::WeakStreamKey { generation, source })
    }
}

impl Sealer {
    /// Adds the operator's mask and those of the holders' streams.
    pub(super) fn mask(
        &self,
        epoch: &Epoch,
        batch: &Batch,
        label: &Label<'_>,
        plaintext: &mut [u64],
    ) -> Result<(), SealError> {
        let pad = epoch.pad_key(&self.origin, batch.meter)?;
        if !failpoint::sabotaged("masks") {
            pad.add(label, RING.modulus, plaintext);
        }
        match self.streams_of(batch.window)? {
            Some(streams) if !failpoint::sabotaged("holders") => {
                streams.add(&self.origin, batch.meter, label, plaintext)
            }
            _ => Ok(()),
        }
    }

    /// The holders' streams of a window.
    fn streams_of(&self, window: WindowStart) -> Result<Option<&Streams>, SealError> {
        let streams = self.streams.iter().rfind(|streams| streams.from <= window);
        // Whoever pins holders seals nothing without them, whatever the plan says of the window.
        match streams.is_none() && self.origin.pins_holders {
            true => Err(SealError::NoHolders(window)),
            false => Ok(streams),
        }
    }
}
