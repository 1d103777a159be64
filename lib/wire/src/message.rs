//! The messages, one file each: what is inside the signature.
//!
//! A message is a CBOR array: the format version, the fields in the order of
//! `docs/wire.cddl`, and, if limbs travel with it, their SHA-256 as the last element.

mod bill;
mod comparison;
mod enrol;
mod enrol_answer;
mod evaluation_keys;
mod holders;
mod noisy_total;
mod owners;
mod plan;
mod receipt;
mod renewal;
mod report;
mod roster;
mod sum;
mod total;

pub use bill::{Bill, BillGroup, BillReceipt, MAX_BILL_GROUPS};
pub use comparison::{BIT_LEN, Bits, ComparedSum, Comparison, MAX_BITS, MAX_COMPARED, Question};
pub use enrol::{
    AnalyticsEnrol, EnrolFeeder, EnrolMeter, EnrolRequest, MAX_ENROL_CHUNKS, MAX_ENROL_METERS,
};
pub use enrol_answer::{EnrolAnswer, MAX_REFUSALS, Refusal};
pub use evaluation_keys::{EvaluationKeys, MAX_SWITCH_KEYS};
pub use holders::{
    Acceptance, Agreement, AgreementError, AnswerBody, Ask, AuditDemand, Card, Closing, Consent,
    Countersignature, Deal, DealtKey, Group, HolderAnswer, HolderEntry, HolderSet,
    MAX_AGREEMENT_LEN, MAX_DEALT, MAX_DEMANDED, MAX_GROUPS, MAX_HOLDERS, NoiseTerms, Proposal,
    Step, Stream, Terms, most_quanta,
};
pub use noisy_total::{NoisyTotal, PrivacyUnit};
pub use owners::Owners;
pub use plan::{
    AnalyticsEntry, Areas, BandRule, BillingPeriod, DayType, EarlierMinimum, EpochPlan, FeederPlan,
    MAX_AGREEMENTS, MAX_ANALYTICS, MAX_BANDS, MAX_EARLIER_MINIMUMS, MAX_EDGES, MAX_FEEDERS,
    MAX_KEY_LEN, MAX_PERIOD_WINDOWS, Plan, PoolEntry, Tariff, TariffVersion,
};
pub use receipt::{
    MAX_RECEIPT_ENTRIES, Receipt, ReceiptEntry, Settlement, SettlementOutcome, Status,
};
pub use renewal::PlanRenewal;
pub use report::Report;
pub use roster::{MAX_ROSTER_ENTRIES, RosterEntry, RosterPage};
pub use sum::{Rest, Share, ShareRef, Sum, SumReceipt, SumStatus};
pub use total::Total;

use crate::FORMAT;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::units::Digest;

/// Whether limbs (a ciphertext or public keys) travel with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limbs {
    /// Never.
    None,
    /// Always.
    Required,
}

/// What a message's digest is computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestOf {
    /// The limbs: a report or a sum is identified by its ciphertext.
    Limbs,
    /// The signed array.
    Payload,
}

/// A message of the format.
pub trait Message: Sized {
    /// The content type in the protected header, for example `cipherwatt/report`.
    const CONTENT_TYPE: &'static str;
    /// Whether limbs travel with it.
    const LIMBS: Limbs = Limbs::None;
    /// What its digest is computed over.
    const DIGEST_OF: DigestOf = DigestOf::Payload;
    /// The number of its fields, without the format version and the digest of the limbs.
    const FIELDS: usize;

    /// Writes the fields, in the order of the format.
    fn write(&self, writer: &mut Writer);

    /// Reads the fields, in the order of the format, each within its limits.
    ///
    /// # Errors
    /// The first field that is not as the format says.
    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError>;

    /// Checks the rules that concern more than one field, such as the order of a list.
    ///
    /// Every message that is read is checked. A sender that builds a message from outside values checks it
    /// before sealing.
    ///
    /// # Errors
    /// The first rule broken.
    fn check(&self) -> Result<(), WireError> {
        Ok(())
    }

    /// The length of its limbs in bytes, where the message itself fixes it.
    fn limbs_len(&self) -> Option<usize> {
        None
    }

    /// The signed array. `limbs` is the SHA-256 of the limbs, for messages that carry some.
    fn to_cbor(&self, limbs: Option<&Digest>) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(1 + Self::FIELDS + usize::from(limbs.is_some()));
        writer.uint(FORMAT);
        self.write(&mut writer);
        if let Some(digest) = limbs {
            writer.bytes(&digest.0);
        }
        writer.into_bytes()
    }

    /// Reads a signed array: the message, and the SHA-256 of its limbs if it carries some.
    ///
    /// # Errors
    /// `payload` is not the deterministic encoding of a message that [`Message::check`] accepts.
    fn from_cbor(payload: &[u8]) -> Result<(Self, Option<Digest>), WireError> {
        let has_limbs = Self::LIMBS == Limbs::Required;
        let mut reader = Reader::new(payload);
        let found = reader.array("message")?;
        // The version before the length: another version may have another number of fields.
        let format = reader.u64("format")?;
        if (1..FORMAT).contains(&format) {
            return Err(WireError::EarlierVersion { found: format });
        }
        if format != FORMAT {
            return Err(WireError::WrongFormat {
                expected: FORMAT,
                found: format,
            });
        }
        let expected = 1 + Self::FIELDS + usize::from(has_limbs);
        if found != expected {
            return Err(WireError::WrongLength {
                field: "message",
                expected,
                found,
            });
        }
        let message = Self::read(&mut reader)?;
        let digest = match has_limbs {
            true => Some(Digest(reader.bytes_of("limbs digest")?)),
            false => None,
        };
        reader.finish("message")?;
        message.check()?;
        Ok((message, digest))
    }
}
