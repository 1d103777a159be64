//! The files that holders pass around.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use service::files;
use wire::{Acceptance, Agreement, Closing, Deal, Detached, Message as _, WireError};

use super::error::SetupError;

/// The longest file of all is a deal: six keys, each wrapped for three holders, are 2 kB. Bytes.
const MAX_LEN: usize = 16 << 10;

/// Everybody may read them.
const PUBLIC: u32 = 0o644;

/// What holders sent.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) deals: Vec<Bytes>,
    pub(super) acceptances: Vec<Bytes>,
    pub(super) closings: Vec<Bytes>,
}

impl Sent {
    /// Reads files of any of the three kinds, in any order.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, SetupError> {
        let mut sent = Self::default();
        for path in paths {
            let signed = read(path)?;
            sent.of_kind(&signed)
                .map_err(|cause| SetupError::Kind {
                    path: path.clone(),
                    expected: "a deal, an acceptance or a closing",
                    cause,
                })?
                .push(signed);
        }
        Ok(sent)
    }

    fn of_kind(&mut self, signed: &Bytes) -> Result<&mut Vec<Bytes>, WireError> {
        match Detached::<Deal>::decode(signed) {
            Ok(_) => Ok(&mut self.deals),
            Err(WireError::WrongContentType { found, .. }) if found == Acceptance::CONTENT_TYPE => {
                Ok(&mut self.acceptances)
            }
            Err(WireError::WrongContentType { found, .. }) if found == Closing::CONTENT_TYPE => {
                Ok(&mut self.closings)
            }
            Err(cause) => Err(cause),
        }
    }
}

pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Bytes>, SetupError> {
    paths.iter().map(|path| read(path)).collect()
}

pub(super) fn read_agreement(path: &Path) -> Result<Agreement, SetupError> {
    Agreement::from_bytes(&read(path)?).map_err(|cause| SetupError::Kind {
        path: path.to_owned(),
        expected: "an agreement",
        cause,
    })
}

pub(super) fn read(path: &Path) -> Result<Bytes, SetupError> {
    let failed = |source| SetupError::File {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let limited = file.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes);
    limited.map_err(failed)?;
    match bytes.len() {
        len if len > MAX_LEN => Err(failed(io::ErrorKind::FileTooLarge.into())),
        _ => Ok(bytes.into()),
    }
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), SetupError> {
    files::write_atomic(path, bytes, PUBLIC).map_err(|source| SetupError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}
