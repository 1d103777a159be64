//! The masks of sums: pad keys agreed on ahead of time, and the sums of the last ones that were asked about.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use masks::{Label, MaskSecret, PadKey, PadKeys, PadSum, Parties, WeakKey};
use packed::RING;
use service::trust::Member;
use wire::{DeploymentId, Digest, FeederId, Reason, Sum};
use zeroize::Zeroizing;

use crate::keys::Part;
use crate::roster::OwnRoster;

/// Pad keys that are kept: those of half a million meters in six streams, 33 bytes each.
const MAX_KEPT: usize = 3 << 20;

/// Sums whose masks are kept from the checks to the payload. A sum of ten streams takes 20 kB.
const MAX_SUMS: usize = 256;

/// Pad keys that are agreed on at a time: about 3 ms.
const AGREED_AT_ONCE: usize = 64;

/// The terms, a stream's place in them, and the feeder.
type Group = (Digest, usize, FeederId);

/// Agrees on pads and adds them up.
pub(crate) struct Pads {
    deployment: DeploymentId,
    keys: PadKeys<Group>,
    /// Groups some of whose keys may be missing, and the number to go on from.
    missing: VecDeque<(Group, u32)>,
    sums: VecDeque<(Digest, Streams)>,
}

/// By their places, for each coefficient that reports use. Two such sums that differ by a report give that report's masks.
type Streams = BTreeMap<usize, Zeroizing<Vec<u64>>>;

/// A sum whose masks are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masked<'a> {
    pub(crate) sum: &'a Sum,
    /// The digest of the complete setting of each share.
    pub(crate) settings: &'a [Digest],
    /// What the masks follow from: all of the above.
    pub(crate) content: Digest,
    /// The coefficients that reports use.
    pub(crate) coefficients: usize,
}

impl Pads {
    pub(crate) fn new(deployment: DeploymentId) -> Self {
        Self {
            deployment,
            keys: PadKeys::new(MAX_KEPT),
            missing: VecDeque::new(),
            sums: VecDeque::new(),
        }
    }

    /// The streams' masks of a sum, added up over its meters and the streams, for every coefficient.
    ///
    /// # Errors
    /// [`Reason::UnknownTerms`]: a stream is not among the holder's; [`Reason::UnknownMeter`]: a meter is not in its roster.
    pub(crate) fn add_up(
        &mut self,
        masked: &Masked<'_>,
        part: &Part,
        streams: impl Iterator<Item = usize>,
        roster: &OwnRoster,
    ) -> Result<Zeroizing<Vec<u64>>, Reason> {
        let mut total = Zeroizing::new(vec![0; masked.coefficients]);
        for stream in streams {
            let mut secrets = part.secrets.iter();
            let secret = secrets.find(|(place, _)| *place == stream);
            let (_, secret) = secret.ok_or(Reason::UnknownTerms)?;
            let words = self.of_stream(masked, part, (stream, secret), roster)?;
            for (total, word) in total.iter_mut().zip(words) {
                // Both are below the modulus, of 50 bits.
                *total = (*total + *word) % RING.modulus;
            }
        }
        Ok(total)
    }

    fn of_stream(
        &mut self,
        masked: &Masked<'_>,
        part: &Part,
        (stream, secret): (usize, &MaskSecret),
        roster: &OwnRoster,
    ) -> Result<&[u64], Reason> {
        let mut known = self.sums.iter();
        let known = known.position(|(content, _)| *content == masked.content);
        let at = known.unwrap_or_else(|| {
            self.sums.truncate(MAX_SUMS - 1);
            self.sums.push_front((masked.content, Streams::new()));
            0
        });
        if !self.sums[at].1.contains_key(&stream) {
            let words = self.compute(masked, part, (stream, secret), roster)?;
            self.sums[at].1.insert(stream, words);
        }
        Ok(&self.sums[at].1[&stream])
    }

    fn compute(
        &mut self,
        masked: &Masked<'_>,
        part: &Part,
        (stream, secret): (usize, &MaskSecret),
        roster: &OwnRoster,
    ) -> Result<Zeroizing<Vec<u64>>, Reason> {
        let mut sum = PadSum::new(masked.coefficients, RING.modulus);
        let terms = part.terms.digest();
        for (share, setting) in masked.sum.shares().zip(masked.settings) {
            let members = roster.members(share.feeder)?;
            let group = (terms, stream, share.feeder.clone());
            let mut keys = self.keys.group(&group, members.next_number());
            for (number, salt) in share.set.iter().zip(share.salts) {
                let member = members.get(number).ok_or(Reason::UnknownMeter)?;
                let agree = || agree(&self.deployment, part, (stream, secret), member);
                let key = keys.get(number, agree).map_err(|error| {
                    tracing::error!(meter = %member.meter, %error, "the mask key of an enrolled meter cannot be used");
                    Reason::UnknownMeter
                })?;
                let label = Label {
                    setting: &setting.0,
                    window: masked.sum.window.0,
                    salt: salt.0,
                };
                sum.add(key, &label);
            }
        }
        Ok(sum.residues())
    }

    /// Notes that keys of these feeders may be missing.
    pub(crate) fn expect<'a>(&mut self, part: &Part, feeders: impl Iterator<Item = &'a FeederId>) {
        let terms = part.terms.digest();
        for feeder in feeders {
            for (stream, _) in &part.secrets {
                let group = (terms, *stream, feeder.clone());
                self.missing.push_back((group, 0));
            }
        }
    }

    /// Whether keys may be missing.
    pub(crate) fn has_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Agrees on some of the keys that are missing, so that a sum does not wait for them.
    pub(crate) fn prepare(&mut self, parts: &BTreeMap<Digest, Part>, roster: &OwnRoster) {
        let Some((group, first)) = self.missing.pop_front() else {
            return;
        };
        let (Some(part), Ok(members)) = (parts.get(&group.0), roster.members(&group.2)) else {
            return;
        };
        let secret = part.secrets.iter().find(|(place, _)| *place == group.1);
        // Where there is no room for all, agreeing ahead would only drop what was agreed on before.
        let needed = roster.numbers() * part.secrets.len();
        let Some((_, secret)) = secret.filter(|_| needed <= MAX_KEPT) else {
            return;
        };
        let end = members.next_number();
        let mut keys = self.keys.group(&group, end);
        let mut agreed = 0;
        for number in first..end {
            let Some(member) = members.get(number).filter(|_| !keys.has(number)) else {
                continue;
            };
            if agreed == AGREED_AT_ONCE {
                self.missing.push_front((group, number));
                return;
            }
            // A key that cannot be used is told where a sum needs it.
            let made = keys.get(number, || {
                agree(&self.deployment, part, (group.1, secret), member)
            });
            agreed += usize::from(made.is_ok());
        }
    }
}

/// What the holders of a stream share with a meter.
fn agree(
    deployment: &DeploymentId,
    part: &Part,
    (stream, secret): (usize, &MaskSecret),
    member: &Member,
) -> Result<PadKey, WeakKey> {
    let parties = Parties {
        deployment: deployment.as_str(),
        meter: member.meter.as_str(),
        epoch: part.terms.generation,
        meter_key: member.mask_key.as_bytes(),
        verifier_key: part.terms.streams[stream].key.as_bytes(),
    };
    PadKey::agree(secret, member.mask_key.as_bytes(), &parties)
}

impl fmt::Debug for Pads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pads({} sums)", self.sums.len())
    }
}
