//! Why TLS failed, in words for whoever set it up.

use std::error::Error as StdError;
use std::io;

use rumqttc::{ConnectionError, StateError, TlsError, mqttbytes};
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::config::{LoginKeys, Mqtt};

/// What is wrong, and what to do about it.
pub(super) struct Problem {
    pub detail: String,
    pub remedy: String,
}

/// What TLS has to do with the failure of a connection; `None` if nothing.
pub(super) fn problem(error: &ConnectionError, settings: &Mqtt) -> Option<Problem> {
    if let Some(error) = within(error) {
        return Some(explain(error, settings));
    }
    match error {
        ConnectionError::Tls(TlsError::Io(error)) => Some(Problem {
            detail: format!("the handshake was cut off ({error})"),
            remedy: "see the broker's log; if it does not speak TLS there, leave mqtts:// out or correct the port"
                .to_owned(),
        }),
        ConnectionError::Tls(error) => Some(Problem {
            detail: error.to_string(),
            remedy: format!("correct the host in {}", settings.keys.address),
        }),
        _ => None,
    }
}

/// The error of rustls within that of rumqttc: an alert may come with the handshake, or with the first packet after it.
fn within(error: &ConnectionError) -> Option<&Error> {
    let io = match error {
        ConnectionError::Tls(TlsError::TLS(error)) => return Some(error),
        ConnectionError::Tls(TlsError::Io(error)) | ConnectionError::Io(error) => error,
        ConnectionError::MqttState(StateError::Io(error)) => error,
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(error))) => {
            error
        }
        _ => return None,
    };
    let mut inner: &(dyn StdError + 'static) = io.get_ref()?;
    loop {
        if let Some(found) = inner.downcast_ref::<Error>() {
            return Some(found);
        }
        inner = match inner.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref()?,
            None => inner.source()?,
        };
    }
}

fn explain(error: &Error, settings: &Mqtt) -> Problem {
    let (detail, remedy) = match error {
        Error::InvalidCertificate(error) => return certificate(error, settings),
        Error::AlertReceived(alert) => return refused(*alert, settings),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => (
            "the answer is not TLS".to_owned(),
            "leave mqtts:// out if the broker does not speak TLS there, or correct the port",
        ),
        Error::PeerIncompatible(_) => (
            error.to_string(),
            "let the broker offer TLS 1.2 or 1.3 with a modern cipher",
        ),
        other => (other.to_string(), "see the broker's log"),
    };
    let remedy = remedy.to_owned();
    Problem { detail, remedy }
}

/// We do not believe the broker's certificate.
fn certificate(error: &CertificateError, settings: &Mqtt) -> Problem {
    let LoginKeys {
        address,
        ca_file,
        server_name,
        ..
    } = settings.keys;
    let (detail, remedy) = match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            let who = match settings.ca_file {
                Some(_) => format!("no CA in {ca_file}"),
                None => "no CA that this machine trusts".to_owned(),
            };
            (
                format!("{who} has signed the broker's certificate"),
                format!("name the file of the CA that has, in {ca_file}"),
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            format!("the broker's certificate has expired ({error})"),
            "renew it, or set this machine's clock".to_owned(),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            format!("the broker's certificate is not valid yet ({error})"),
            "set this machine's clock, or that of whoever made the certificate".to_owned(),
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("the broker's certificate is for another name ({error})"),
            format!("write that name in {address}, or in {server_name} if it is no address"),
        ),
        other => (
            format!("the broker's certificate cannot be used ({other})"),
            "make one for the broker that its CA has signed, and that is not a CA itself"
                .to_owned(),
        ),
    };
    Problem { detail, remedy }
}

/// The broker ended the handshake.
fn refused(alert: AlertDescription, settings: &Mqtt) -> Problem {
    use AlertDescription as Alert;
    let LoginKeys {
        certificate_file,
        key_file,
        ..
    } = settings.keys;
    let shown = settings.certificate_file.is_some();
    let about_us = matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    );
    let (detail, remedy) = match (about_us, shown) {
        (_, false) if about_us || alert == Alert::HandshakeFailure => (
            format!("the broker wants a certificate of its clients ({alert:?})"),
            format!("set {certificate_file} and {key_file}"),
        ),
        (true, _) => (
            format!("the broker does not accept {certificate_file} ({alert:?})"),
            "have it signed by a CA that the broker trusts; see the broker's log, and `doctor` for its dates".to_owned(),
        ),
        (false, _) => (
            format!("the broker ended the handshake ({alert:?})"),
            "see the broker's log".to_owned(),
        ),
    };
    Problem { detail, remedy }
}
