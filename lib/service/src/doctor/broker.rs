//! The broker: whether it answers and lets this process in, and the files that this takes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Findings, Subject};
use crate::Chain;
use crate::config::{Mqtt, Settings};
use crate::mqtt::{self, LinkError, Probed, credentials};

/// How long before a certificate ends somebody should renew it.
const RENEW: Duration = Duration::from_hours(21 * 24);

/// Whether the broker can be used, once for all clients of it.
pub(super) fn examine(settings: &Settings, subjects: &[Subject], findings: &mut Findings) {
    findings.about(None);
    if !subjects.iter().any(|subject| subject.client) {
        return;
    }
    account(&settings.mqtt, findings);
    tls(&settings.mqtt, findings);
    let mut filters: Vec<String> = subjects
        .iter()
        .flat_map(|subject| subject.subscriptions.clone())
        .collect();
    filters.sort_unstable();
    filters.dedup();
    answers(&settings.mqtt, &filters, findings);
}

fn account(mqtt: &Mqtt, findings: &mut Findings) {
    const CHECK: &str = "account";
    let Some(user) = &mqtt.user else {
        return;
    };
    if let Err(error) = credentials::password(mqtt) {
        let remedy = "correct mqtt.password_file, or the file";
        findings.fail(CHECK, Chain(&error).to_string(), remedy);
    } else if !mqtt.is_loopback() && !encrypted(mqtt) {
        findings.warn(
            CHECK,
            format!("the password of {user} goes over the network as it is"),
            "let the broker speak TLS, and write mqtts:// before its address",
        );
    } else {
        findings.ok(
            CHECK,
            format!("{user}, whose password only its owner can read"),
        );
    }
}

fn encrypted(mqtt: &Mqtt) -> bool {
    let endpoints = mqtt.endpoints();
    endpoints.is_ok_and(|all| all.iter().all(|endpoint| endpoint.tls))
}

fn tls(mqtt: &Mqtt, findings: &mut Findings) {
    const CHECK: &str = "tls";
    if !encrypted(mqtt) {
        return;
    }
    if let Err(error) = credentials::client_config(mqtt) {
        let remedy = "correct the setting, or the file";
        findings.fail(CHECK, Chain(&error).to_string(), remedy);
        return;
    }
    // A file of CAs may keep an old one beside the new one; a chain is good for as long as all of it.
    let files = [
        ("mqtt.ca_file", &mqtt.ca_file, true),
        ("mqtt.certificate_file", &mqtt.certificate_file, false),
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
        dates(key, valid, findings);
    }
    if mqtt.ca_file.is_none() {
        findings.ok(CHECK, "by the CAs that this machine trusts");
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

fn dates(key: &str, valid: Option<(SystemTime, SystemTime)>, findings: &mut Findings) {
    const CHECK: &str = "tls";
    let Some((begin, end)) = valid else {
        let remedy = "make the certificates again";
        findings.warn(CHECK, format!("{key}: its dates cannot be read"), remedy);
        return;
    };
    let now = SystemTime::now();
    let shown = humantime::format_rfc3339_seconds(end);
    if begin > now {
        let begin = humantime::format_rfc3339_seconds(begin);
        let remedy = "set the clock of this machine, or that of whoever made the certificate";
        findings.fail(CHECK, format!("{key} is not valid before {begin}"), remedy);
    } else if end <= now {
        findings.fail(CHECK, format!("{key} ended on {shown}"), "renew it");
    } else if end <= now + RENEW {
        findings.warn(
            CHECK,
            format!("{key} ends on {shown}"),
            "renew it before that",
        );
    } else {
        findings.ok(CHECK, format!("{key} is valid until {shown}"));
    }
}

/// Whether each address has a broker that lets this process in. A spare one may be down.
fn answers(mqtt: &Mqtt, filters: &[String], findings: &mut Findings) {
    const CHECK: &str = "broker";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let remedy = "free some memory or threads";
            findings.fail(CHECK, format!("cannot ask it: {error}"), remedy);
            return;
        }
    };
    let found = runtime.block_on(mqtt::probe(mqtt, filters));
    let any = found.iter().any(|(_, probed)| probed.is_ok());
    for (address, probed) in found {
        match probed {
            Ok(probed) => granted(&address, &probed, findings),
            Err(error) => {
                let remedy = remedy(&error);
                let detail = match any {
                    true => format!("a spare address: {}", Chain(&error)),
                    false => Chain(&error).to_string(),
                };
                match any {
                    true => findings.warn(CHECK, detail, remedy),
                    false => findings.fail(CHECK, detail, remedy),
                }
            }
        }
    }
}

fn remedy(error: &LinkError) -> &'static str {
    let usual = "start the broker, or correct mqtt.address";
    error.remedy().unwrap_or(usual)
}

fn granted(address: &str, probed: &Probed, findings: &mut Findings) {
    const CHECK: &str = "broker";
    if probed.refused.is_empty() {
        let millis = probed.took.as_secs_f64() * 1e3;
        findings.ok(
            CHECK,
            format!("{address} accepts MQTT connections, within {millis:.1} ms"),
        );
    } else {
        let refused = probed.refused.join(", ");
        findings.fail(
            CHECK,
            format!("{address} refuses the subscription to {refused}"),
            "let the broker's access rules allow it, or correct deployment.root",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::{Path, PathBuf};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
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
        account(mqtt, &mut findings);
        tls(mqtt, &mut findings);
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

    #[test]
    fn a_password_that_others_can_read_fails_and_one_sent_in_the_clear_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let mut mqtt = Settings::defaults().mqtt;
        mqtt.user = Some("north".to_owned());
        mqtt.password_file = Some(path.clone());
        assert!(found(&mqtt)[0].1.contains("there is no file"));
        for (mode, address, status) in [
            (0o644, "127.0.0.1:1883", Status::Fail),
            (PRIVATE, "127.0.0.1:1883", Status::Ok),
            (PRIVATE, "192.0.2.1:1883", Status::Warn),
        ] {
            write_atomic(&path, b"secret\n", mode).unwrap();
            address.clone_into(&mut mqtt.address);
            let found = found(&mqtt);
            assert_eq!(found[0].0, status, "{found:?}");
            assert!(!found[0].1.contains("secret"), "{found:?}");
        }
    }

    #[test]
    fn a_listener_that_is_no_broker_fails_like_no_listener() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let mut settings = Settings::defaults();
        settings.mqtt.address = address.to_string();
        // Answers with something else.
        let answer = std::thread::spawn(move || {
            use std::io::Write as _;
            let (mut stream, _) = silent.accept().unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
        });
        let subject = Subject::client_of_a_test("meter");
        let mut findings = Findings::default();
        examine(&settings, std::slice::from_ref(&subject), &mut findings);
        answer.join().unwrap();
        assert_eq!(findings.worst(), Status::Fail);

        // Nobody is there any more.
        examine(&settings, std::slice::from_ref(&subject), &mut findings);
        let last = findings.all.last().unwrap();
        assert_eq!(last.status, Status::Fail);
        assert!(
            last.detail.contains("cargo run --release -p broker"),
            "{last:?}"
        );
    }
}
