//! Who can reach the broker and as whom: certificates, users, rules.

use std::path::Path;
use std::time::{Duration, SystemTime};

use accounts::{Name, Passwords};
use service::config::{Broker, IdentityKind, Mode, TopicPattern};
use service::doctor::Findings;
use service::{Chain, Settings};

use crate::guard;

/// Time enough to get a new certificate.
const SOON: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn examine(settings: &Settings, findings: &mut Findings) {
    let broker = &settings.broker;
    exposure(settings, findings);
    tls(broker, findings);
    users(broker, findings);
    rules(broker, findings);
}

fn exposure(settings: &Settings, findings: &mut Findings) {
    const CHECK: &str = "exposure";
    let broker = &settings.broker;
    let production = settings.deployment.mode == Mode::Production;
    let listen = broker.listen;
    let known = match broker.identity {
        IdentityKind::None => "by nothing: everybody may do everything",
        IdentityKind::Password => "by user and password",
        IdentityKind::Certificate => "by certificate",
    };
    let tls = match broker.certificate_file {
        Some(_) => "with TLS",
        None => "without TLS",
    };
    let text = format!("{listen} {tls}, clients are known {known}");
    if broker.insecure_remote {
        findings.warn(
            CHECK,
            text,
            "give the broker a certificate and its clients identities, or see that the network keeps strangers out",
        );
    } else if production && broker.identity == IdentityKind::None {
        findings.warn(
            CHECK,
            text,
            "set broker.identity: broker.insecure_local lets whoever runs a program on this machine read the roster, and stop \
             traffic",
        );
    } else {
        findings.ok(CHECK, text);
    }
}

fn tls(broker: &Broker, findings: &mut Findings) {
    const CHECK: &str = "certificate";
    if let Err(error) = guard::tls::read(broker) {
        let remedy =
            "correct the file or its setting; keys must be readable by the broker's user alone";
        findings.fail(CHECK, Chain(&error).to_string(), remedy);
        return;
    }
    for (setting, file) in [
        ("broker.certificate_file", &broker.certificate_file),
        ("broker.client_ca_file", &broker.client_ca_file),
    ] {
        if let Some(file) = file {
            validity(setting, file, SystemTime::now(), findings);
        }
    }
}

fn validity(setting: &str, file: &Path, now: SystemTime, findings: &mut Findings) {
    const CHECK: &str = "certificate";
    // Who cannot read it has been told.
    let Some(expiry) = std::fs::read(file)
        .ok()
        .and_then(|pem| accounts::expiry(&pem).ok())
    else {
        return;
    };
    let shown = |time| humantime::format_rfc3339_seconds(time);
    let renew = "put a new certificate in its place, and send the broker SIGHUP";
    if expiry.until <= now {
        findings.fail(
            CHECK,
            format!("{setting} ended at {}", shown(expiry.until)),
            renew,
        );
    } else if expiry.from > now {
        findings.fail(
            CHECK,
            format!("{setting} begins at {} only", shown(expiry.from)),
            "check this machine's clock",
        );
    } else if expiry.until <= now + SOON {
        findings.warn(
            CHECK,
            format!("{setting} ends at {}", shown(expiry.until)),
            renew,
        );
    } else {
        findings.ok(
            CHECK,
            format!("{setting} is valid until {}", shown(expiry.until)),
        );
    }
}

fn users(broker: &Broker, findings: &mut Findings) {
    const CHECK: &str = "users";
    let Some(file) = &broker.password_file else {
        return;
    };
    let users = match Passwords::read(file) {
        Ok(users) => users,
        Err(error) => {
            let remedy =
                "see that the broker's user owns it, or make it with `broker passwd FILE USER`";
            findings.fail(CHECK, Chain(&error).to_string(), remedy);
            return;
        }
    };
    let has_role = |name: &&str| {
        let name: Option<Name> = name.parse().ok();
        name.is_some_and(|name| broker.roles.contains_key(name.role()))
    };
    let strangers: Vec<&str> = users.names().filter(|name| !has_role(name)).collect();
    match strangers.is_empty() {
        true => findings.ok(
            CHECK,
            format!("{} in {}", users.names().count(), file.display()),
        ),
        false => findings.warn(
            CHECK,
            format!(
                "{} cannot connect: broker.roles has no such role",
                strangers.join(", ")
            ),
            "name users ROLE.ID, or add the role",
        ),
    }
}

/// Rules that have no effect are mistakes: nothing else says so.
fn rules(broker: &Broker, findings: &mut Findings) {
    const CHECK: &str = "rules";
    if broker.identity == IdentityKind::None {
        return;
    }
    let mut dead = Vec::new();
    for (name, role) in &broker.roles {
        let within =
            |list: &[TopicPattern], of: &[TopicPattern]| list.iter().all(|one| of.contains(one));
        if !within(&role.retain, &role.publish) {
            dead.push(format!("{name} may retain what it may not publish"));
        }
        if !within(&role.required, &role.subscribe) {
            dead.push(format!("{name} requires what it may not subscribe to"));
        }
        if role.client_ids.is_empty() {
            dead.push(format!("{name} has no client ids"));
        }
    }
    match dead.is_empty() {
        true => findings.ok(CHECK, format!("{} roles", broker.roles.len())),
        false => findings.warn(
            CHECK,
            dead.join("; "),
            "correct [broker.roles]: the same patterns stand in both lists",
        ),
    }
}

#[cfg(test)]
mod tests {
    use accounts::Folder;

    use super::*;

    fn found(settings: &Settings) -> String {
        let mut findings = Findings::default();
        examine(settings, &mut findings);
        format!("{findings:?}")
    }

    #[test]
    fn a_certificate_that_ends_soon_or_has_ended_is_said() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::create(&root.path().join("certs"), &["localhost".to_owned()]).unwrap();
        let file = folder.path().join("broker.crt");
        let day = Duration::from_secs(86_400);
        let now = SystemTime::now();
        for (at, word) in [
            (now, "is valid until"),
            (now + 340 * day, "Warn"),
            (now + 366 * day, "ended at"),
            (now - day, "clock"),
        ] {
            let mut findings = Findings::default();
            validity("broker.certificate_file", &file, at, &mut findings);
            assert!(
                format!("{findings:?}").contains(word),
                "{word}: {findings:?}"
            );
        }
    }

    #[test]
    fn a_key_that_others_can_read_and_users_of_no_role_are_said() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::create(&root.path().join("certs"), &["localhost".to_owned()]).unwrap();
        let users = root.path().join("users");
        let mut passwords = Passwords::default();
        passwords
            .set(&"stranger.x".parse().unwrap(), b"12345678")
            .unwrap();
        passwords.write(&users).unwrap();
        let mut settings = Settings::defaults();
        let broker = &mut settings.broker;
        broker.certificate_file = Some(folder.path().join("broker.crt"));
        let key = folder.path().join("broker.key");
        broker.key_file = Some(key.clone());
        broker.identity = IdentityKind::Password;
        broker.password_file = Some(users);
        let text = found(&settings);
        assert!(
            text.contains("stranger.x cannot connect") && !text.contains("Fail"),
            "{text}"
        );
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = found(&settings);
        assert!(text.contains("chmod 600"), "{text}");
    }

    #[test]
    fn the_default_rules_have_no_part_without_effect() {
        let mut settings = Settings::defaults();
        settings.broker.identity = IdentityKind::Password;
        assert!(!found(&settings).contains("correct [broker.roles]"));
        let role = settings.broker.roles.get_mut("gateway").unwrap();
        role.retain = vec!["plan".parse().unwrap()];
        assert!(found(&settings).contains("may retain what it may not publish"));
    }

    #[test]
    fn in_production_it_is_said_that_nobody_is_asked_who_they_are() {
        let mut settings = Settings::defaults();
        assert!(!found(&settings).contains("Warn"));
        settings.deployment.mode = Mode::Production;
        assert!(found(&settings).contains("set broker.identity"));
    }
}
