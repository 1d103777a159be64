//! Which files of evaluation keys are the operator's.

use super::Message;
use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::units::{Digest, KeyEpoch};

/// The most key epochs that there are switching keys of.
pub const MAX_SWITCH_KEYS: usize = 4_096;

/// The hashes of the evaluation keys that the operator made. Signed by the operator; it lies beside them and is never published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationKeys {
    /// SHA-256 of the file that signs are computed with.
    pub signs: Digest,
    /// SHA-256 of the file of levelled keys; none where no products are computed on ciphertexts.
    pub levelled: Option<Digest>,
    /// SHA-256 of the switching key of each epoch, ascending by epoch.
    pub switches: Vec<(KeyEpoch, Digest)>,
}

impl EvaluationKeys {
    /// What stands for the topic in its signature.
    pub const PLACE: &'static str = "evaluation-keys";
}

impl Message for EvaluationKeys {
    const CONTENT_TYPE: &'static str = "cipherwatt/evaluation-keys";
    const FIELDS: usize = 2;

    fn write(&self, writer: &mut Writer) {
        // Alone where there are no others, as before there were levelled keys.
        if let Some(levelled) = &self.levelled {
            writer.array(2);
            writer.bytes(&self.signs.0);
            writer.bytes(&levelled.0);
        } else {
            writer.bytes(&self.signs.0);
        }
        writer.list(&self.switches, |writer, (epoch, digest)| {
            writer.array(2);
            writer.uint(epoch.0);
            writer.bytes(&digest.0);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (signs, levelled) = read_files(reader)?;
        Ok(Self {
            signs,
            levelled,
            switches: reader.list(MAX_SWITCH_KEYS, "evaluation_keys.switches", |reader| {
                reader.array_of(2, "evaluation_keys.switch")?;
                let epoch = KeyEpoch(reader.u32("evaluation_keys.epoch")?);
                Ok((epoch, Digest(reader.bytes_of("evaluation_keys.digest")?)))
            })?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        ascending(&self.switches, "evaluation_keys.switches", |a, b| a.0 < b.0)
    }
}

fn read_files(reader: &mut Reader<'_>) -> Result<(Digest, Option<Digest>), WireError> {
    let field = "evaluation_keys.signs";
    if !reader.is_array() {
        return Ok((Digest(reader.bytes_of(field)?), None));
    }
    reader.array_of(2, field)?;
    let signs = Digest(reader.bytes_of(field)?);
    let levelled = reader.bytes_of("evaluation_keys.levelled")?;
    Ok((signs, Some(Digest(levelled))))
}
