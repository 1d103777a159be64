//! The files of TLS: whether they can be used, and for how long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Findings;
use crate::Chain;
use crate::config::Mqtt;
use crate::mqtt::credentials;

/// How long before a certificate ends somebody should renew it.
const RENEW: Duration = Duration::from_hours(21 * 24);

/// Whether the files of TLS can be used and are valid, as findings of `check`.
pub(super) fn examine(check: &'static str, mqtt: &Mqtt, findings: &mut Findings) {
    if !mqtt.is_encrypted() {
        return;
    }
    if let Err(error) = credentials::client_config(mqtt) {
        let remedy = "correct the setting, or the file";
        findings.fail(check, Chain(&error).to_string(), remedy);
        return;
    }
    // A file of CAs may keep an old one beside the new one; a chain is good for as long as all of it.
    let files = [
        (mqtt.keys.ca_file, &mqtt.ca_file, true),
        (mqtt.keys.certificate_file, &mqtt.certificate_file, false),
    ];
    for (key, path, last) in files {
        let Some(path) = path else { continue };
        let Ok(certificates) = credentials::certificates(key, path) else {
            continue;
        };
        let valid = certificates.iter().filter_map(|der| validity(der));
        let valid = match last {
            true => valid.max_by_key(|(_, end)| *end),
            false => valid.min_by_key(|(_, end)| *end),
        };
        dates(check, key, valid, findings);
    }
    if mqtt.ca_file.is_none() {
        findings.ok(check, "by the CAs that this machine trusts");
    }
}

/// From when until when a certificate is valid.
fn validity(der: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let at = |seconds: i64| {
        let since = Duration::from_secs(seconds.max(0).cast_unsigned());
        UNIX_EPOCH.checked_add(since)
    };
    let validity = certificate.validity();
    Some((
        at(validity.not_before.timestamp())?,
        at(validity.not_after.timestamp())?,
    ))
}

fn dates(
    check: &'static str,
    key: &str,
    valid: Option<(SystemTime, SystemTime)>,
    findings: &mut Findings,
) {
    let Some((begin, end)) = valid else {
        let remedy = "make the certificates again";
        findings.warn(check, format!("{key}: its dates cannot be read"), remedy);
        return;
    };
    let now = SystemTime::now();
    let shown = humantime::format_rfc3339_seconds(end);
    if begin > now {
        let begin = humantime::format_rfc3339_seconds(begin);
        let remedy = "set the clock of this machine, or that of whoever made the certificate";
        findings.fail(check, format!("{key} is not valid before {begin}"), remedy);
    } else if end <= now {
        findings.fail(check, format!("{key} ended on {shown}"), "renew it");
    } else if end <= now + RENEW {
        findings.warn(
            check,
            format!("{key} ends on {shown}"),
            "renew it before that",
        );
    } else {
        findings.ok(check, format!("{key} is valid until {shown}"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::Settings;
    use crate::doctor::Status;
    use crate::files::{PRIVATE, write_atomic};

    /// A certificate that ends in `year`, and its key.
    fn pair(folder: &Path, year: i32) -> (Option<PathBuf>, Option<PathBuf>) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let path = |end: &str| folder.join(format!("{year}.{end}"));
        let (certificate_file, key_file) = (path("pem"), path("key"));
        write_atomic(&certificate_file, certificate.as_bytes(), 0o644).unwrap();
        write_atomic(&key_file, key.serialize_pem().as_bytes(), PRIVATE).unwrap();
        (Some(certificate_file), Some(key_file))
    }

    /// What is found about the files, with what was to be done about it.
    fn found(mqtt: &Mqtt) -> Vec<(Status, String)> {
        let mut findings = Findings::default();
        examine("tls", mqtt, &mut findings);
        let all = findings.all.into_iter();
        all.map(|finding| (finding.status, finding.detail))
            .collect()
    }

    #[test]
    fn certificates_that_have_ended_fail_and_an_old_ca_beside_a_new_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (pair(folder.path(), 2020), pair(folder.path(), 2090));
        let both = folder.path().join("both.pem");
        let text =
            |file: &Option<PathBuf>| std::fs::read_to_string(file.as_ref().unwrap()).unwrap();
        std::fs::write(&both, text(&old.0) + &text(&new.0)).unwrap();
        let mut mqtt = Settings::defaults().mqtt;
        mqtt.address = "mqtts://localhost".to_owned();
        mqtt.ca_file = Some(both);
        (mqtt.certificate_file, mqtt.key_file) = new.clone();
        let well = found(&mqtt);
        assert!(
            well.iter().all(|(status, _)| *status == Status::Ok),
            "{well:?}"
        );
        assert_eq!(well.len(), 2);
        assert!(well[0].1.contains("2090-01-01"), "{well:?}");

        (mqtt.certificate_file, mqtt.key_file) = old.clone();
        let (status, detail) = found(&mqtt).pop().unwrap();
        assert_eq!(status, Status::Fail);
        assert!(
            detail.contains("mqtt.certificate_file ended on 2020-01-01"),
            "{detail}"
        );
        mqtt.ca_file = old.0;
        assert_eq!(found(&mqtt)[0].0, Status::Fail);
        // Not the key of that certificate.
        mqtt.key_file = new.1;
        assert!(found(&mqtt)[0].1.contains("cannot be used together"));
    }
}
