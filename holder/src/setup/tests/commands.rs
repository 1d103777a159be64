//! The steps as they are typed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Parser;
use service::config::PinnedHolder;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: SetupCommand,
}

/// Does what a line says, whose files are in the folder: names with a dot, but for options.
fn run(dir: &TempDir, settings: &Settings, line: &str) -> Result<String, SetupError> {
    let word = |word: &str| match word.contains('.') && !word.starts_with("--") {
        true => dir.path().join(word).display().to_string(),
        false => word.to_owned(),
    };
    let words = std::iter::once("holder".to_owned()).chain(line.split(' ').map(word));
    Line::parse_from(words).command.run(settings)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Each holder does what `line` makes of its name.
fn each(
    dir: &TempDir,
    holders: &[Settings],
    line: impl Fn(&str) -> String,
) -> Result<(), SetupError> {
    for settings in holders {
        run(dir, settings, &line(settings.holder.id.as_str()))?;
    }
    Ok(())
}

/// Four of five holders come to the first agreement.
fn agree(dir: &TempDir, all: &[Settings], operator: &Settings) {
    let first = &all[..4];
    each(dir, all, |id| format!("init --output {id}.card")).unwrap();
    let told = run(
        dir,
        operator,
        "propose --threshold 2 --consents 3 a.card b.card c.card d.card --output first.proposal",
    )
    .unwrap();
    assert!(
        told.contains("2of4, 3 consents") && told.contains("every window"),
        "{told}"
    );
    each(dir, first, |id| {
        format!("deal first.proposal --output {id}.deal")
    })
    .unwrap();
    let deals = "a.deal b.deal c.deal d.deal";
    each(dir, first, |id| {
        format!("accept first.proposal {deals} --output {id}.acceptance")
    })
    .unwrap();
    let all = format!("{deals} a.acceptance b.acceptance c.acceptance d.acceptance");
    let line = format!("assemble first.proposal {all} --output first.agreement");
    run(dir, operator, &line).unwrap();
    let told = run(dir, operator, "show first.agreement").unwrap();
    assert!(
        told.contains("agreement 1") && told.contains("signed by all"),
        "{told}"
    );
}

#[test]
fn four_holders_agree_replace_one_and_see_what_they_agreed_on() {
    let dir = tempfile::tempdir().unwrap();
    let of = |names: &[&str]| settings(&dir, names);
    let second = of(&["a", "b", "c", "e"]);
    let operator = &Settings::defaults();
    agree(&dir, &of(&["a", "b", "c", "d", "e"]), operator);
    run(
        &dir,
        operator,
        "propose --after first.agreement --from 2030-01-01T00:00:00Z a.card b.card c.card e.card --output second.proposal",
    )
    .unwrap();
    each(&dir, &second, |id| {
        format!("deal second.proposal --output {id}.deal2")
    })
    .unwrap();
    let deals = "a.deal2 b.deal2 c.deal2 e.deal2";
    each(&dir, &second, |id| {
        format!("accept second.proposal {deals} --output {id}.acceptance2")
    })
    .unwrap();
    let all = format!("{deals} a.acceptance2 b.acceptance2 c.acceptance2 e.acceptance2");
    let told = run(&dir, &second[0], &format!("close second.proposal {all}")).unwrap();
    let (_, digest) = told.trim().rsplit_once(' ').unwrap();
    assert!(told.contains("nothing is closed yet"), "{told}");
    each(&dir, &of(&["a", "b", "c"]), |id| {
        format!("close second.proposal {all} --approve {digest} --output {id}.closing")
    })
    .unwrap();
    let line = format!(
        "assemble second.proposal {all} a.closing b.closing c.closing --output second.agreement"
    );
    run(&dir, operator, &line).unwrap();
    let told = run(&dir, operator, "show first.agreement second.agreement").unwrap();
    assert!(
        told.contains("agreement 2") && told.contains("closed their windows\n"),
        "{told}"
    );
    let told = run(&dir, operator, "show second.agreement").unwrap();
    assert!(told.contains("name the agreement before it"), "{told}");

    assert_eq!(mode(&dir.path().join("first.agreement")), 0o644);
    for id in ["a", "e"] {
        let folder = dir.path().join(format!("holder-{id}"));
        assert_eq!(mode(&folder), 0o700);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
fn weak_numbers_are_refused_unless_they_are_wanted_by_each() {
    let dir = tempfile::tempdir().unwrap();
    let holders = settings(&dir, &["a", "b", "c", "d"]);
    each(&dir, &holders, |id| format!("init --output {id}.card")).unwrap();
    let propose = "propose --consents 2 a.card b.card c.card d.card --output weak.proposal";
    let error = run(&dir, &holders[0], propose).unwrap_err().to_string();
    assert!(
        error.contains("from 0 holders that lie") && error.contains("--consents 3"),
        "{error}"
    );
    let told = run(&dir, &holders[0], &format!("{propose} --weak")).unwrap();
    assert!(told.contains("2of4, weak"), "{told}");
    each(&dir, &holders, |id| {
        format!("deal weak.proposal --output {id}.deal")
    })
    .unwrap();
    let accept = "accept weak.proposal a.deal b.deal c.deal d.deal --output a.acceptance";
    let error = run(&dir, &holders[0], accept).unwrap_err();
    assert!(matches!(error, SetupError::Weak { .. }), "{error}");
    run(&dir, &holders[0], &format!("{accept} --weak")).unwrap();
}

/// Nobody could read it.
#[test]
fn noise_that_no_agreement_can_say_is_not_proposed_and_the_option_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let holders = settings(&dir, &["a", "b", "c"]);
    each(&dir, &holders, |id| format!("init --output {id}.card")).unwrap();
    let mut settings = holders[0].clone();
    let propose = |settings: &Settings, noise: &str| {
        let cards = "a.card b.card c.card --output noisy.proposal";
        let line = format!("propose --threshold 2 --consents 3 {noise} {cards}");
        run(&dir, settings, &line)
    };
    for noise in [
        "--noise-epsilon=NaN",
        "--noise-epsilon=0",
        "--noise-epsilon=-1",
        "--noise-epsilon=101",
        "--noise-epsilon=1 --noise-delta=0",
        "--noise-epsilon=1 --noise-delta=NaN",
        "--noise-epsilon=1 --noise-clip=0",
        "--noise-epsilon=1 --noise-budget=0",
        "--noise-epsilon=1 --noise-budget=-1",
        "--noise-epsilon=1 --noise-budget=NaN",
        "--noise-epsilon=1 --noise-budget=inf",
        "--noise-epsilon=1 --noise-period=500ms",
        "--noise-epsilon=1 --noise-period=1500ms",
        "--noise-epsilon=1 --noise-period=200years",
    ] {
        let error = propose(&settings, noise).unwrap_err().to_string();
        let (option, _) = noise.rsplit_once('=').unwrap();
        let option = option.rsplit(' ').next().unwrap();
        assert!(
            error.starts_with(option) && error.contains(": give "),
            "{noise}: {error}"
        );
        assert!(!dir.path().join("noisy.proposal").exists(), "{noise}");
    }
    settings.publish.budget_period = std::time::Duration::from_millis(500);
    let error = propose(&settings, "--noise-epsilon=1").unwrap_err();
    assert!(error.to_string().contains("publish.budget_period"));
    // The least and the most of each can be read.
    for noise in [
        "--noise-epsilon=0.001 --noise-clip=1 --noise-budget=0.000001 --noise-period=1s",
        "--noise-epsilon=100 --noise-delta=0.001 --noise-budget=4294967295 --noise-period=4294967295s",
    ] {
        propose(&settings, noise).unwrap();
        run(&dir, &settings, "deal noisy.proposal --output a.deal").unwrap();
    }
}

#[test]
fn a_holder_with_pins_accepts_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut holders = settings(&dir, &["a", "b", "c", "d"]);
    each(&dir, &holders, |id| format!("init --output {id}.card")).unwrap();
    let propose = "propose a.card b.card c.card d.card --output first.proposal";
    run(&dir, &holders[0], propose).unwrap();
    each(&dir, &holders, |id| {
        format!("deal first.proposal --output {id}.deal")
    })
    .unwrap();
    let accept = "accept first.proposal a.deal b.deal c.deal d.deal --output a.acceptance";
    let pin = |of: &Settings| PinnedHolder {
        id: of.holder.id.clone(),
        key: Folder::open(of).unwrap().signing.verifying_key(),
    };
    holders[0].holders.pinned = holders.iter().map(pin).collect();
    run(&dir, &holders[0], accept).unwrap();
    holders[0].holders.consents = 4;
    let error = run(&dir, &holders[0], accept).unwrap_err();
    assert!(matches!(error, SetupError::NumbersNotPinned), "{error}");
    holders[0].holders.pinned.pop();
    let error = run(&dir, &holders[0], accept).unwrap_err();
    assert!(matches!(error, SetupError::NotPinned { .. }), "{error}");
}

#[test]
fn a_file_that_is_something_else_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let holders = settings(&dir, &["a", "b"]);
    each(&dir, &holders, |id| format!("init --output {id}.card")).unwrap();
    let propose = "propose --consents 2 a.card b.card --output two.proposal";
    run(&dir, &holders[0], propose).unwrap();
    fs::write(dir.path().join("long.deal"), vec![0; 1 << 20]).unwrap();
    for (line, named) in [
        ("accept two.proposal a.card", "a.card is not a deal"),
        ("accept two.proposal long.deal", "cannot read"),
        ("accept two.proposal none.deal", "none.deal"),
        ("accept a.card a.card", "the proposal cannot be used"),
        ("show two.proposal", "two.proposal is not an agreement"),
    ] {
        let error = run(&dir, &holders[0], line).unwrap_err().to_string();
        assert!(error.contains(named), "{line}: {error}");
    }
    let stranger = &settings(&dir, &["z"])[0];
    let error = run(&dir, stranger, "deal two.proposal").unwrap_err();
    assert!(matches!(error, SetupError::Keys(_)), "{error}");
    run(&dir, stranger, "init --output z.card").unwrap();
    let error = run(&dir, stranger, "deal two.proposal").unwrap_err();
    assert!(matches!(error, SetupError::NotProposed { .. }), "{error}");
}
