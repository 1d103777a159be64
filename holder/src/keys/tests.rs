use std::os::unix::fs::PermissionsExt as _;

use wire::{HolderEntry, HolderSet, MaskKey, Stream, WindowStart};

use super::*;

fn settings(folder: &Path, id: &str) -> Settings {
    let mut settings = Settings::defaults();
    settings.deployment.state_dir = folder.to_owned();
    settings.holder.id = id.parse().unwrap();
    settings
}

/// Terms of two holders, of whom `folder` is the second, and its part.
fn part(folder: &Folder) -> Part {
    let secrets: Vec<_> = (0..2).map(|_| generate().unwrap()).collect();
    let entry = |id: &str, key| HolderEntry {
        id: id.parse().unwrap(),
        key,
    };
    let stream = |absent: usize| Stream {
        absent: HolderSet::of([absent]),
        key: MaskKey(secrets[absent].public()),
    };
    let terms = Terms {
        deployment: folder.deployment.clone(),
        generation: 1,
        from: WindowStart(900),
        previous: None,
        threshold: 2,
        consents: 2,
        noise: None,
        holders: vec![
            entry("association", SigningKey::generate().verifying_key()),
            entry("regulator", folder.signing.verifying_key()),
        ],
        streams: vec![stream(0), stream(1)],
    };
    let mut secrets = secrets.into_iter();
    Part {
        terms,
        place: 1,
        secrets: vec![(0, secrets.next().unwrap())],
        closed: None,
    }
}

#[test]
fn keys_and_parts_survive_the_process_and_only_their_owner_can_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), "regulator");
    let error = Folder::open(&settings).unwrap_err().to_string();
    assert!(error.contains("holder init"), "{error}");
    let made = Folder::make(&settings).unwrap();
    let part = part(&made);
    made.keep(&part).unwrap();
    let closed = Closed {
        from: WindowStart(1_800),
        next: Digest([7; 32]),
    };
    made.close(&part.terms, &closed).unwrap();

    let again = Folder::open(&settings).unwrap();
    assert_eq!(again.signing.verifying_key(), made.signing.verifying_key());
    assert_eq!(again.exchange.public(), made.exchange.public());
    let parts = again.parts().unwrap();
    let kept = &parts[&part.terms.digest()];
    assert_eq!((&kept.terms, kept.place), (&part.terms, 1));
    assert_eq!(kept.closed, Some(closed));
    let [(0, secret)] = kept.secrets.as_slice() else {
        panic!("one stream")
    };
    assert_eq!(*secret.to_bytes(), *part.secrets[0].1.to_bytes());

    for entry in std::fs::read_dir(made.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
    }
    let shown = format!("{again:?} {kept:?}");
    for secret in [&part.secrets[0].1, &made.exchange] {
        assert!(!shown.contains(&hex::encode(*secret.to_bytes())));
    }
    assert!(!shown.contains(&hex::encode(*made.signing.to_bytes())));
}

#[test]
fn a_part_that_is_damaged_or_somebody_elses_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::make(&settings(dir.path(), "regulator")).unwrap();
    let part = part(&folder);
    folder.keep(&part).unwrap();
    let path = folder.file(&part.terms, "keys");
    let whole = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
    let secret = hex::encode(*part.secrets[0].1.to_bytes());
    let other = hex::encode(*generate().unwrap().to_bytes());
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let error = folder.parts().unwrap_err().to_string();
        assert!(error.contains("agreement-1-"), "{error}");
        assert!(!error.contains(&secret), "{error}");
        error
    };
    assert!(refused(&whole.replace(&secret, &other)).contains("not of its stream"));
    assert!(refused(&whole.replace("keys 1", "keys 2")).contains("version"));
    refused(&whole.replace("\n0 ", "\n1 "));
    refused(&format!("{whole}1 {secret}\n"));
    refused(&whole[..whole.len() - 3]);
    refused("");
    std::fs::write(&path, &whole).unwrap();
    folder.parts().unwrap();

    let other = Folder::make(&settings(dir.path(), "association")).unwrap();
    std::fs::write(other.file(&part.terms, "keys"), &whole).unwrap();
    std::fs::set_permissions(
        other.file(&part.terms, "keys"),
        std::fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let error = other.parts().unwrap_err().to_string();
    assert!(error.contains("not of this holder"), "{error}");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = folder.parts().unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}
