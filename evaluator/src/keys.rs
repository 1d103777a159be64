//! The operator's files of evaluation keys: `keys.signed` has the hash of each, and none is read that has another.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use compare::SwitchKey;
use openfhe::SignKeys;
use wire::{DeploymentId, Digest, EvaluationKeys, KeyEpoch, VerifyingKey};
use zeroize::Zeroizing;

use crate::comparer::FLOOD_SECRET;
use crate::{Comparer, EvaluatorError};

/// Longest list of hashes, in bytes.
const MAX_SIGNED: usize = 1 << 20;

/// The secret that floods are drawn from, in the folder of state.
const SECRET: &str = "flood.key";

/// Reads the keys, and makes the secret for floods in `state` if there is none. Blocks for some seconds.
pub(crate) fn load(
    dir: &Path,
    state: &Path,
    (deployment, operator): (&DeploymentId, &VerifyingKey),
) -> Result<Comparer, EvaluatorError> {
    let keys = signed(dir, deployment, operator)?;
    let signs = dir.join("sign.keys");
    tracing::info!(path = %signs.display(), "reading the evaluation keys");
    let mut tenths = 0;
    let signs = SignKeys::load(&signs, &keys.signs.0, &mut |share| {
        let now = (share * 10.0) as u32;
        if now > tenths {
            tenths = now;
            tracing::info!("evaluation keys: {} % read", 10 * now);
        }
    })?;
    let mut switches = BTreeMap::new();
    for (epoch, digest) in &keys.switches {
        switches.insert(*epoch, switch(dir, *epoch, digest)?);
    }
    Ok(Comparer::new(signs, switches, flood_secret(state)?))
}

pub(crate) fn signed(
    dir: &Path,
    deployment: &DeploymentId,
    operator: &VerifyingKey,
) -> Result<EvaluationKeys, EvaluatorError> {
    let path = dir.join("keys.signed");
    let bytes = read(&path, MAX_SIGNED as u64)?;
    let opened = wire::decode::<EvaluationKeys>(&bytes, MAX_SIGNED)
        .and_then(|unverified| unverified.verify(deployment, EvaluationKeys::PLACE, operator));
    let opened = opened.map_err(|source| EvaluatorError::Signed { path, source })?;
    Ok(opened.message)
}

fn switch(dir: &Path, epoch: KeyEpoch, digest: &Digest) -> Result<SwitchKey, EvaluatorError> {
    let path = dir.join(format!("switch-{epoch}.key"));
    let bytes = read(&path, SwitchKey::LEN as u64)?;
    if Digest::of(&bytes) != *digest {
        return Err(EvaluatorError::NotSigned { path });
    }
    SwitchKey::from_bytes(&bytes).map_err(|_| EvaluatorError::NotSigned { path })
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, EvaluatorError> {
    let failed = |source| EvaluatorError::Read {
        path: path.to_owned(),
        source,
    };
    let len = fs::metadata(path).map_err(failed)?.len();
    if len > max {
        return Err(EvaluatorError::NotSigned {
            path: path.to_owned(),
        });
    }
    fs::read(path).map_err(failed)
}

fn flood_secret(state: &Path) -> Result<[u8; FLOOD_SECRET], EvaluatorError> {
    let path = state.join(SECRET);
    match fs::read(&path) {
        Ok(bytes) => bytes
            .try_into()
            .map_err(|_| EvaluatorError::NotSigned { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = Zeroizing::new([0; FLOOD_SECRET]);
            getrandom::fill(secret.as_mut_slice()).map_err(EvaluatorError::Random)?;
            let written =
                service::files::write_new(&path, secret.as_slice(), service::files::PRIVATE);
            written.map_err(EvaluatorError::State)?;
            Ok(*secret)
        }
        Err(source) => Err(EvaluatorError::Read { path, source }),
    }
}
