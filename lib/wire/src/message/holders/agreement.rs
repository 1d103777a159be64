//! An agreement: terms, with everybody's signature.

use bytes::Bytes;

use super::terms::Terms;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{DeploymentId, HolderId};
use crate::message::Message;
use crate::open::Detached;
use crate::units::Digest;

/// The longest agreement, in bytes: five holders with ten streams, and ten signatures, are 3 kB.
pub const MAX_AGREEMENT_LEN: usize = 8 << 10;

const MAX_SIGNED_LEN: usize = 512;

/// A holder has its part of the keys of these terms and keeps to them. Signed by the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The digest of the terms.
    pub terms: Digest,
    /// The holder.
    pub holder: HolderId,
}

/// A holder of the terms before these never answered, and never will answer, for a window from `from` on. Signed by that holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The digest of the terms that follow.
    pub terms: Digest,
    /// The digest of those before them.
    pub previous: Digest,
    /// The first window of those that follow.
    pub from: WindowStart,
    /// The holder.
    pub holder: HolderId,
}

/// Terms, with the acceptances of all their holders, and the closings of enough holders of those before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The terms.
    pub terms: Terms,
    /// The COSE_Sign1 of each holder's [`Acceptance`], in the order of the holders.
    pub acceptances: Vec<Bytes>,
    /// The COSE_Sign1 of each [`Closing`], in the order of the holders of the terms before.
    pub closings: Vec<Bytes>,
}

/// Why an agreement does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// It is of another deployment.
    #[error("the agreement is for deployment {0}")]
    Deployment(DeploymentId),
    /// Its place in the chain of agreements is another.
    #[error("the terms of agreement {generation} do not follow those of the agreement before it")]
    Chain {
        /// The number of the agreement.
        generation: u32,
    },
    /// A holder did not accept it.
    #[error("holder {holder} did not sign agreement {generation}")]
    NotAccepted {
        /// The number of the agreement.
        generation: u32,
        /// The holder.
        holder: HolderId,
    },
    /// Too few of the holders before closed their windows.
    #[error(
        "{found} holders of the agreement before agreement {generation} closed their windows for it, and {needed} have to"
    )]
    NotClosed {
        /// The number of the agreement.
        generation: u32,
        /// How many did.
        found: usize,
        /// How many have to.
        needed: usize,
    },
    /// A signed part cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl Message for Acceptance {
    const CONTENT_TYPE: &'static str = "cipherwatt/acceptance";
    const FIELDS: usize = 2;

    fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.terms.0);
        writer.text(self.holder.as_str());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            terms: Digest(reader.bytes_of("acceptance.terms")?),
            holder: reader.id("acceptance.holder")?,
        })
    }
}

impl Message for Closing {
    const CONTENT_TYPE: &'static str = "cipherwatt/closing";
    const FIELDS: usize = 4;

    fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.terms.0);
        writer.bytes(&self.previous.0);
        writer.uint(self.from.0);
        writer.text(self.holder.as_str());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            terms: Digest(reader.bytes_of("closing.terms")?),
            previous: Digest(reader.bytes_of("closing.previous")?),
            from: reader.window("closing.from")?,
            holder: reader.id("closing.holder")?,
        })
    }
}

impl Agreement {
    /// The topic that [`Acceptance`] and [`Closing`] are signed for. Nothing is published on it.
    pub const TOPIC: &'static str = "holders/agreement";

    /// The bytes, as in a file and in the plan: the terms, and the signed parts.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(2048);
        writer.array(3);
        writer.bytes(&self.terms.to_cbor(None));
        writer.list(&self.acceptances, |writer, signed| writer.bytes(signed));
        writer.list(&self.closings, |writer, signed| writer.bytes(signed));
        writer.into_bytes()
    }

    /// Reads the bytes. No signature is checked.
    ///
    /// # Errors
    /// They are not an agreement in the one form that it has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_AGREEMENT_LEN {
            return Err(WireError::Oversize {
                len: bytes.len(),
                max: MAX_AGREEMENT_LEN,
            });
        }
        let mut reader = Reader::new(bytes);
        reader.array_of(3, "agreement")?;
        let (terms, _) = Terms::from_cbor(reader.bytes("agreement.terms")?)?;
        let acceptances = read_signed(&mut reader, "agreement.acceptances")?;
        let closings = read_signed(&mut reader, "agreement.closings")?;
        reader.finish("agreement")?;
        Ok(Self {
            terms,
            acceptances,
            closings,
        })
    }

    /// Checks that all its holders accepted it, and that it follows `previous`, the terms before it, whose holders let it.
    ///
    /// # Errors
    /// [`AgreementError`].
    pub fn verify(
        &self,
        deployment: &DeploymentId,
        previous: Option<&Terms>,
    ) -> Result<(), AgreementError> {
        self.verify_accepted(deployment)?;
        self.check_closings(deployment, previous, self.terms.digest())
    }

    /// Checks that all its holders accepted it, whatever it follows.
    ///
    /// # Errors
    /// [`AgreementError`].
    pub fn verify_accepted(&self, deployment: &DeploymentId) -> Result<(), AgreementError> {
        let terms = &self.terms;
        if terms.deployment != *deployment {
            return Err(AgreementError::Deployment(terms.deployment.clone()));
        }
        let generation = terms.generation;
        let digest = terms.digest();
        let mut acceptances = self.acceptances.iter();
        for holder in &terms.holders {
            let not_accepted = || AgreementError::NotAccepted {
                generation,
                holder: holder.id.clone(),
            };
            let signed = acceptances.next().ok_or_else(not_accepted)?;
            let signed = Detached::<Acceptance>::decode(signed)?;
            let (accepted, _) = (signed.verify(deployment, Self::TOPIC, &holder.key))
                .map_err(|_| not_accepted())?;
            if accepted.terms != digest || accepted.holder != holder.id {
                return Err(not_accepted());
            }
        }
        match acceptances.next() {
            Some(_) => Err(AgreementError::Chain { generation }),
            None => Ok(()),
        }
    }

    fn check_closings(
        &self,
        deployment: &DeploymentId,
        previous: Option<&Terms>,
        digest: Digest,
    ) -> Result<(), AgreementError> {
        let terms = &self.terms;
        let generation = terms.generation;
        let Some(previous) = previous else {
            return match terms.previous.is_none() && self.closings.is_empty() {
                true => Ok(()),
                false => Err(AgreementError::Chain { generation }),
            };
        };
        let previous_digest = previous.digest();
        let follows = terms.previous == Some(previous_digest)
            && Some(generation) == previous.generation.checked_add(1)
            && terms.from > previous.from;
        if !follows {
            return Err(AgreementError::Chain { generation });
        }
        let mut closed = vec![false; previous.holders.len()];
        for signed in &self.closings {
            let signed = Detached::<Closing>::decode(signed)?;
            let Some(place) = previous.place(&signed.claimed().holder) else {
                return Err(AgreementError::Chain { generation });
            };
            let key = &previous.holders[place].key;
            let (closing, _) = signed.verify(deployment, Self::TOPIC, key)?;
            let is_for_these = closing.terms == digest
                && closing.previous == previous_digest
                && closing.from == terms.from;
            closed[place] |= is_for_these;
        }
        let found = closed.iter().filter(|closed| **closed).count();
        let needed = usize::from(previous.consents);
        match found >= needed {
            true => Ok(()),
            false => Err(AgreementError::NotClosed {
                generation,
                found,
                needed,
            }),
        }
    }
}

pub(in crate::message) fn read_signed(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Vec<Bytes>, WireError> {
    reader.list(super::MAX_HOLDERS, field, |reader| {
        let bytes = reader.bytes(field)?;
        match bytes.len() {
            len if len > MAX_SIGNED_LEN => Err(WireError::Oversize {
                len,
                max: MAX_SIGNED_LEN,
            }),
            _ => Ok(Bytes::copy_from_slice(bytes)),
        }
    })
}
