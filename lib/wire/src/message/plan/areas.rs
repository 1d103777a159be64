//! The areas that a feeder is in.

use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::AreaId;

/// The areas that a feeder is in: of those feeders together a sum can be released where each has too few meters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Areas {
    /// The smaller one.
    pub transformer: AreaId,
    /// The one that its transformer is in, with others.
    pub substation: Option<AreaId>,
}

impl Areas {
    /// The largest: all feeders in it have one scale.
    pub fn topmost(&self) -> &AreaId {
        self.substation.as_ref().unwrap_or(&self.transformer)
    }

    /// From the smallest to the largest.
    pub fn iter(&self) -> impl Iterator<Item = &AreaId> {
        [&self.transformer].into_iter().chain(&self.substation)
    }

    pub(super) fn write(areas: Option<&Self>, writer: &mut Writer) {
        match areas {
            None => writer.null(),
            Some(Self {
                transformer,
                substation: None,
            }) => writer.text(transformer.as_str()),
            Some(Self {
                transformer,
                substation: Some(substation),
            }) => {
                writer.array(2);
                writer.text(transformer.as_str());
                writer.text(substation.as_str());
            }
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, WireError> {
        let field = "plan.area";
        reader.optional(|reader| {
            if !reader.is_array() {
                let transformer = reader.id(field)?;
                return Ok(Self {
                    transformer,
                    substation: None,
                });
            }
            reader.array_of(2, field)?;
            Ok(Self {
                transformer: reader.id(field)?,
                substation: Some(reader.id(field)?),
            })
        })
    }

    /// No area is in itself.
    pub(super) fn check(&self) -> Result<(), WireError> {
        match self.substation.as_ref() == Some(&self.transformer) {
            true => Err(WireError::AreaInItself {
                area: self.transformer.clone(),
            }),
            false => Ok(()),
        }
    }
}
