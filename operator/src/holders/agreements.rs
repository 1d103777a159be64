//! The holders' agreements, from the configured files into the plan.

use std::path::{Path, PathBuf};

use wire::{Agreement, AgreementError, DeploymentId, MAX_AGREEMENT_LEN, MAX_AGREEMENTS};

use crate::disk::{self, DiskError};

/// Why agreements cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgreementsError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] DiskError),
    /// A file is no agreement, or does not hold.
    #[error("{path} of holders.agreements does not hold: `holder show` says what is in it", path = path.display())]
    Broken {
        path: PathBuf,
        #[source]
        cause: Box<AgreementError>,
    },
    /// There are too many.
    #[error(
        "holders.agreements names {found} files: at most {MAX_AGREEMENTS}, so take out those of windows that are all released"
    )]
    TooMany {
        /// How many there are.
        found: usize,
    },
}

/// Reads the agreements in their order. The first one may follow another that is not there any more.
///
/// # Errors
/// [`AgreementsError`].
pub(crate) fn read(
    files: &[PathBuf],
    deployment: &DeploymentId,
) -> Result<Vec<Agreement>, AgreementsError> {
    if files.len() > MAX_AGREEMENTS {
        return Err(AgreementsError::TooMany { found: files.len() });
    }
    let mut agreements: Vec<Agreement> = Vec::new();
    for path in files {
        let agreement = read_one(path, deployment, agreements.last())?;
        agreements.push(agreement);
    }
    Ok(agreements)
}

fn read_one(
    path: &Path,
    deployment: &DeploymentId,
    previous: Option<&Agreement>,
) -> Result<Agreement, AgreementsError> {
    let broken = |cause: AgreementError| AgreementsError::Broken {
        path: path.to_owned(),
        cause: Box::new(cause),
    };
    let bytes = disk::read(path, MAX_AGREEMENT_LEN)?;
    let agreement = Agreement::from_bytes(&bytes).map_err(|error| broken(error.into()))?;
    let verified = match previous {
        Some(previous) => agreement.verify(deployment, Some(&previous.terms)),
        None => agreement.verify_accepted(deployment),
    };
    verified.map_err(broken)?;
    Ok(agreement)
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use masks::MaskSecret;
    use wire::{
        Acceptance, HolderEntry, HolderSet, MaskKey, SigningKey, Stream, Terms, WindowStart,
    };

    use super::*;

    /// The key of the holder at a place.
    pub(crate) fn signing(place: usize) -> SigningKey {
        SigningKey::from_bytes(&[place as u8 + 1; 32])
    }

    /// Terms of `n` holders, with public keys that belong to nobody.
    pub(crate) fn terms(threshold: usize, consents: usize, n: usize) -> Terms {
        let stream = |absent: HolderSet| {
            let mut key = [9; 32];
            for place in absent.iter() {
                key[place] = 1;
            }
            Stream {
                absent,
                key: MaskKey(key),
            }
        };
        Terms {
            deployment: "dev".parse().unwrap(),
            generation: 1,
            from: WindowStart(0),
            previous: None,
            threshold: threshold as u8,
            consents: consents as u8,
            noise: None,
            holders: (0..n)
                .map(|place| HolderEntry {
                    id: format!("holder-{place}").parse().unwrap(),
                    key: signing(place).verifying_key(),
                })
                .collect(),
            streams: HolderSet::all_of(threshold - 1, n).map(stream).collect(),
        }
    }

    /// Terms with streams whose secret halves are known.
    pub(crate) fn streams_of(
        threshold: usize,
        consents: usize,
        n: usize,
    ) -> (Vec<MaskSecret>, Terms) {
        let mut terms = terms(threshold, consents, n);
        let secrets: Vec<_> = terms
            .streams
            .iter()
            .map(|_| MaskSecret::generate().unwrap())
            .collect();
        for (stream, secret) in terms.streams.iter_mut().zip(&secrets) {
            stream.key = MaskKey(secret.public());
        }
        (secrets, terms)
    }

    /// Terms that all of their holders signed.
    pub(crate) fn agreement(terms: Terms) -> Agreement {
        let digest = terms.digest();
        let accept = |(place, holder): (usize, &HolderEntry)| {
            let accepted = Acceptance {
                terms: digest,
                holder: holder.id.clone(),
            };
            let key = signing(place);
            let (signed, _) =
                wire::sign(&accepted, None, &terms.deployment, Agreement::TOPIC, &key);
            Bytes::from(signed)
        };
        Agreement {
            acceptances: terms.holders.iter().enumerate().map(accept).collect(),
            closings: Vec::new(),
            terms,
        }
    }

    #[test]
    fn files_are_read_in_their_order_and_one_that_nobody_signed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.agreement");
        let deployment = "dev".parse().unwrap();
        let signed = agreement(terms(2, 3, 4));
        std::fs::write(&path, signed.to_bytes()).unwrap();
        let files = [path.clone()];
        assert_eq!(read(&files, &deployment).unwrap(), vec![signed.clone()]);
        let mut unsigned = signed.clone();
        unsigned.acceptances.pop();
        std::fs::write(&path, unsigned.to_bytes()).unwrap();
        let error = read(&files, &deployment).unwrap_err();
        assert!(error.to_string().contains("1.agreement"), "{error}");
        std::fs::write(&path, signed.to_bytes()).unwrap();
        let later = Terms {
            generation: 2,
            previous: Some(signed.terms.digest()),
            ..signed.terms.clone()
        };
        let later = agreement(later);
        let second = dir.path().join("2.agreement");
        std::fs::write(&second, later.to_bytes()).unwrap();
        // The windows of the first one are all released, and it was taken out.
        let alone = read(std::slice::from_ref(&second), &deployment);
        assert_eq!(alone.unwrap(), vec![later]);
        let unclosed = read(&[path.clone(), second], &deployment).unwrap_err();
        assert!(matches!(unclosed, AgreementsError::Broken { .. }));
        let twice = [path.clone(), path];
        let error = read(&twice, &deployment).unwrap_err();
        assert!(matches!(error, AgreementsError::Broken { .. }));
    }
}
