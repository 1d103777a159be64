//! What a holder answers.

use super::ask::Step;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::HolderId;
use crate::message::Message;
use crate::reason::Reason;
use crate::units::Digest;

const WORD_LEN: usize = size_of::<u64>();

/// The most words of an answer: as many as a report has coefficients.
const MAX_WORDS: usize = 2_048;

/// A holder's answer about one sum. Signed by the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderAnswer {
    /// The holder.
    pub holder: HolderId,
    /// The sum: SHA-256 of its COSE_Sign1.
    pub subject: Digest,
    /// What was asked for.
    pub step: Step,
    /// The answer.
    pub body: AnswerBody,
}

/// What the answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// Masks, added up over the sum's meters and over streams.
    Masks {
        /// The streams' places, as bits.
        streams: u16,
        /// Residues, one for each coefficient that the step is about.
        words: Vec<u64>,
    },
    /// Nothing, and why. A consent comes as a [`Consent`](super::Consent).
    Refused(Reason),
}

impl Message for HolderAnswer {
    const CONTENT_TYPE: &'static str = "cipherwatt/holder-answer";
    const FIELDS: usize = 4;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.holder.as_str());
        writer.bytes(&self.subject.0);
        writer.uint(self.step.code());
        match &self.body {
            AnswerBody::Masks { streams, words } => {
                writer.array(2);
                writer.uint(*streams);
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
                writer.bytes(&bytes);
            }
            AnswerBody::Refused(reason) => writer.uint(reason.code()),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            holder: reader.id("answer.holder")?,
            subject: Digest(reader.bytes_of("answer.subject")?),
            step: reader.code("answer.step", Step::from_code)?,
            body: match reader.is_array() {
                true => read_masks(reader)?,
                false => AnswerBody::Refused(reader.code("answer.reason", Reason::from_code)?),
            },
        })
    }
}

fn read_masks(reader: &mut Reader<'_>) -> Result<AnswerBody, WireError> {
    reader.array_of(2, "answer.masks")?;
    let streams = reader.u16_in(1, u16::MAX, "answer.streams")?;
    let bytes = reader.bytes("answer.words")?;
    let (words, rest) = bytes.as_chunks::<WORD_LEN>();
    if !rest.is_empty() || words.len() > MAX_WORDS {
        return Err(WireError::WrongLength {
            field: "answer.words",
            expected: WORD_LEN * words.len().min(MAX_WORDS),
            found: bytes.len(),
        });
    }
    let words = words.iter().map(|bytes| u64::from_be_bytes(*bytes));
    Ok(AnswerBody::Masks {
        streams,
        words: words.collect(),
    })
}
