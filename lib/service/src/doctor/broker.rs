//! The broker, and that of live readings: whether it answers and lets this process in, and the account there.

use super::{Findings, Subject, certificates};
use crate::Chain;
use crate::config::{Mqtt, Settings};
use crate::mqtt::{self, LinkError, Probed, credentials};

/// A broker that is asked, under which names its checks are, and what to do where it refuses a subscription.
struct Asked<'a> {
    mqtt: &'a Mqtt,
    account: &'static str,
    tls: &'static str,
    broker: &'static str,
    root: &'static str,
}

impl<'a> Asked<'a> {
    fn of_the_deployment(mqtt: &'a Mqtt) -> Self {
        Self {
            mqtt,
            account: "account",
            tls: "tls",
            broker: "broker",
            root: "deployment.root",
        }
    }

    fn of_live_readings(mqtt: &'a Mqtt) -> Self {
        const FEED: &str = "feed";
        Self {
            mqtt,
            account: FEED,
            tls: FEED,
            broker: FEED,
            root: "meter.feed.mappings",
        }
    }

    fn examine(&self, filters: &[String], findings: &mut Findings) {
        self.account(findings);
        certificates::examine(self.tls, self.mqtt, findings);
        self.answers(filters, findings);
    }
}

/// Whether the broker can be used, once for all clients of it.
pub(super) fn examine(settings: &Settings, subjects: &[Subject], findings: &mut Findings) {
    findings.about(None);
    if !subjects.iter().any(|subject| subject.client) {
        return;
    }
    let mut filters: Vec<String> = subjects
        .iter()
        .flat_map(|subject| subject.subscriptions.clone())
        .collect();
    filters.sort_unstable();
    filters.dedup();
    Asked::of_the_deployment(&settings.mqtt).examine(&filters, findings);
}

/// Whether the broker of live readings lets this process in, and grants `filters`.
pub(super) fn feed(mqtt: &Mqtt, filters: &[String], findings: &mut Findings) {
    Asked::of_live_readings(mqtt).examine(filters, findings);
}

impl Asked<'_> {
    fn account(&self, findings: &mut Findings) {
        let mqtt = self.mqtt;
        let Some(user) = &mqtt.user else {
            return;
        };
        if let Err(error) = credentials::password(mqtt) {
            let remedy = format!("correct {}, or the file", mqtt.keys.password_file);
            findings.fail(self.account, Chain(&error).to_string(), remedy);
        } else if !mqtt.is_loopback() && !mqtt.is_encrypted() {
            findings.warn(
                self.account,
                format!("the password of {user} goes over the network as it is"),
                "let the broker speak TLS, and write mqtts:// before its address",
            );
        } else {
            findings.ok(
                self.account,
                format!("{user}, whose password only its owner can read"),
            );
        }
    }

    /// Whether each address has a broker that lets this process in. A spare one may be down.
    fn answers(&self, filters: &[String], findings: &mut Findings) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                let remedy = "free some memory or threads";
                findings.fail(self.broker, format!("cannot ask it: {error}"), remedy);
                return;
            }
        };
        let found = runtime.block_on(mqtt::probe(self.mqtt, filters));
        let any = found.iter().any(|(_, probed)| probed.is_ok());
        for (address, probed) in found {
            match probed {
                Ok(probed) => self.granted(&address, &probed, findings),
                Err(error) if any => {
                    let detail = format!("a spare address: {}", Chain(&error));
                    findings.warn(self.broker, detail, self.remedy(&error));
                }
                Err(error) => {
                    let remedy = self.remedy(&error);
                    findings.fail(self.broker, Chain(&error).to_string(), remedy);
                }
            }
        }
    }

    fn remedy(&self, error: &LinkError) -> String {
        let usual = || format!("start the broker, or correct {}", self.mqtt.keys.address);
        error.remedy().map_or_else(usual, str::to_owned)
    }

    fn granted(&self, address: &str, probed: &Probed, findings: &mut Findings) {
        if probed.refused.is_empty() {
            let millis = probed.took.as_secs_f64() * 1e3;
            findings.ok(
                self.broker,
                format!("{address} accepts MQTT connections, within {millis:.1} ms"),
            );
        } else {
            let refused = probed.refused.join(", ");
            let root = self.root;
            findings.fail(
                self.broker,
                format!("{address} refuses the subscription to {refused}"),
                format!("let the broker's access rules allow it, or correct {root}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::doctor::Status;
    use crate::doctor::findings::Finding;
    use crate::files::{PRIVATE, write_atomic};

    /// What is found about the account.
    fn found(mqtt: &Mqtt) -> Finding {
        let mut findings = Findings::default();
        Asked::of_the_deployment(mqtt).account(&mut findings);
        findings.all.remove(0)
    }

    #[test]
    fn a_password_that_others_can_read_fails_and_one_sent_in_the_clear_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let mut mqtt = Settings::defaults().mqtt;
        mqtt.user = Some("north".to_owned());
        mqtt.password_file = Some(path.clone());
        assert!(found(&mqtt).detail.contains("there is no file"));
        for (mode, address, status) in [
            (0o644, "127.0.0.1:1883", Status::Fail),
            (PRIVATE, "127.0.0.1:1883", Status::Ok),
            (PRIVATE, "192.0.2.1:1883", Status::Warn),
        ] {
            write_atomic(&path, b"secret\n", mode).unwrap();
            address.clone_into(&mut mqtt.address);
            let found = found(&mqtt);
            assert_eq!(found.status, status, "{found:?}");
            assert!(!found.detail.contains("secret"), "{found:?}");
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

    #[test]
    fn what_is_wrong_with_the_broker_of_live_readings_names_its_settings() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = Settings::defaults();
        settings.meter.feed.address = gone.local_addr().unwrap().to_string();
        settings.meter.feed.user = Some("house".to_owned());
        settings.meter.feed.password_file = Some("no-such-file".into());
        drop(gone);
        let mqtt = settings.meter.feed.mqtt(&settings.mqtt);
        let mut findings = Findings::default();
        feed(&mqtt, &["tele/+/SENSOR".to_owned()], &mut findings);
        let account = &findings.all[0];
        assert!(
            account
                .detail
                .starts_with("meter.feed.password_file: there is no file"),
            "{account:?}"
        );
        let remedy = account.remedy.as_ref().unwrap();
        assert!(remedy.contains("meter.feed.password_file"), "{remedy}");

        let mut without = mqtt;
        without.user = None;
        let mut findings = Findings::default();
        feed(&without, &[], &mut findings);
        let broker = &findings.all[0];
        assert_eq!((broker.check, broker.status), ("feed", Status::Fail));
        assert!(broker.detail.contains("meter.feed.address"), "{broker:?}");
        assert!(!broker.detail.contains("cargo run"), "{broker:?}");
    }
}
