//! Until when a certificate is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::pem::Pem;

/// When the first certificate of a file ends, and whether any has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// When the last of them has begun.
    pub from: SystemTime,
    /// When the first of them ends.
    pub until: SystemTime,
}

/// A file has no certificate that can be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no certificate in it, or one that cannot be read: expected PEM, `-----BEGIN CERTIFICATE-----`"
)]
pub struct UnreadableCertificate;

/// When all certificates in a PEM text are valid together.
///
/// # Errors
/// If there is none, or one cannot be read.
pub fn expiry(pem: &[u8]) -> Result<Expiry, UnreadableCertificate> {
    let blocks: Result<Vec<Pem>, _> = Pem::iter_from_buffer(pem).collect();
    let blocks = blocks.map_err(|_| UnreadableCertificate)?;
    let certificates = blocks.iter().filter(|block| block.label == "CERTIFICATE");
    expiry_of(certificates.map(|block| &block.contents[..]))
}

/// When all of these certificates, in DER, are valid together.
///
/// # Errors
/// If there is none, or one cannot be read.
pub fn expiry_of<'a>(
    certificates: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Expiry, UnreadableCertificate> {
    let mut found: Option<Expiry> = None;
    for der in certificates {
        let (_, certificate) =
            x509_parser::parse_x509_certificate(der).map_err(|_| UnreadableCertificate)?;
        let validity = certificate.validity();
        let from = at(validity.not_before.timestamp());
        let until = at(validity.not_after.timestamp());
        let all = found.get_or_insert(Expiry { from, until });
        all.from = all.from.max(from);
        all.until = all.until.min(until);
    }
    found.ok_or(UnreadableCertificate)
}

/// A time in seconds of Unix; what is before 1970 has begun, and has ended.
fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
