//! An authority that signs the certificates of one deployment.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use zeroize::Zeroizing;

use crate::Name;

const DAY: Duration = Duration::from_secs(86_400);

/// An authority outlives what it signs.
const AUTHORITY_DAYS: u32 = 3_650;

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate")]
pub struct CertificateError(#[from] rcgen::Error);

/// A certificate and its private key, in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key, which nobody else has.
    pub key: Zeroizing<String>,
}

/// Signs certificates.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// A new one, with its certificate and key.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn generate(name: &str) -> Result<(Self, Issued), CertificateError> {
        let mut params = parameters(name, AUTHORITY_DAYS);
        // It signs no other authority.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let issued = Issued {
            certificate: params.self_signed(&key)?.pem(),
            key: Zeroizing::new(key.serialize_pem()),
        };
        Ok((Self(Issuer::new(params, key)), issued))
    }

    /// The one whose certificate and key these are, in PEM.
    ///
    /// # Errors
    /// If they are not what this program writes.
    pub fn load(certificate: &str, key: &str) -> Result<Self, CertificateError> {
        let key = KeyPair::from_pem(key)?;
        Ok(Self(Issuer::from_ca_cert_pem(certificate, key)?))
    }

    /// A certificate for a server with these names or addresses.
    ///
    /// # Errors
    /// If one of them is not a name.
    pub fn server(&self, hosts: &[String], days: u32) -> Result<Issued, CertificateError> {
        let mut params = parameters("broker", days);
        params.subject_alt_names = CertificateParams::new(hosts)?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A certificate for a client of this name.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn client(&self, name: &Name, days: u32) -> Result<Issued, CertificateError> {
        let mut params = parameters(name.as_str(), days);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Issued, CertificateError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Issued {
            certificate: params.signed_by(&key, &self.0)?.pem(),
            key: Zeroizing::new(key.serialize_pem()),
        })
    }
}

fn parameters(common_name: &str, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let now = SystemTime::now();
    // A client whose clock is behind by some minutes can connect at once.
    params.not_before = (now - DAY / 24).into();
    params.not_after = (now + DAY * days).into();
    params
}
