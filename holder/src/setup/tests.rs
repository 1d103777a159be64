mod commands;
mod generations;
mod tampered;

use bytes::Bytes;
use service::Settings;
use tempfile::TempDir;
use wire::WindowStart;

use super::deal::{Dealt, deal};
use super::proposal::{Numbers, Proposed, Wanted, card, propose};
use super::*;
use crate::keys::Folder;

const FROM: WindowStart = WindowStart(900);

const TWO: Numbers = Numbers {
    threshold: 2,
    consents: 3,
};

fn wanted(from: Option<WindowStart>) -> Wanted {
    Wanted {
        numbers: TWO,
        from,
        noise: None,
    }
}

/// The settings of holders with these names, in one folder.
fn settings(dir: &TempDir, names: &[&str]) -> Vec<Settings> {
    let of = |name: &&str| {
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = dir.path().to_owned();
        settings.holder.id = name.parse().unwrap();
        settings
    };
    names.iter().map(of).collect()
}

/// Four holders, who propose 2-of-4 and have dealt.
struct Group {
    _dir: TempDir,
    folders: Vec<Folder>,
    proposed: Proposed,
    deals: Vec<Bytes>,
}

fn group() -> Group {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir, &["a", "b", "c", "d"]);
    let folders: Vec<_> = settings
        .iter()
        .map(|of| Folder::make(of).unwrap())
        .collect();
    let cards = folders.iter().map(card).collect();
    let deployment = &folders[0].deployment;
    let proposed = propose(deployment, wanted(Some(FROM)), None, cards).unwrap();
    let deals = folders
        .iter()
        .map(|folder| deal(&proposed, folder).unwrap());
    let deals = deals.collect();
    Group {
        _dir: dir,
        folders,
        proposed,
        deals,
    }
}

impl Group {
    fn dealt(&self) -> Dealt {
        self.proposed.collect(&self.deals).unwrap()
    }
}
