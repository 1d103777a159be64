//! What the documents promise: their links lead somewhere, and the commands they show exist.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::{NAMES, binaries};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Every document of the project.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = entry.file_name();
            let skipped = ["target", "node_modules", "results", "state", ".git"];
            if entry.file_type().unwrap().is_dir() {
                let is_ours = !skipped.iter().any(|other| name == *other);
                folders.extend(is_ours.then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

/// Lines with whether they are in a fenced block.
fn lines(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut fenced = false;
    text.lines().filter_map(move |line| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        Some((fenced, line))
    })
}

/// The anchors of a document's headings, as hosting platforms make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = lines(text).filter(|(fenced, line)| !fenced && line.starts_with('#'));
    headings
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Targets of `[text](target)` outside code.
fn links(text: &str) -> Vec<&str> {
    let prose = lines(text).filter(|(fenced, _)| !fenced);
    prose
        .flat_map(|(_, line)| line.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let holds = match (target.exists(), anchor) {
                (exists, "") => exists,
                (false, _) => false,
                (true, anchor) => anchors(&fs::read_to_string(&target).unwrap()).contains(anchor),
            };
            if !holds {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Commands of our binaries in a document: lines of fenced blocks and code in the text.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut keep = |code: &str| {
        let code = code.split(" #").next().unwrap_or(code);
        let mut words = code.split_whitespace().filter(|word| *word != "--");
        let name = match words.next() {
            Some("cargo") => {
                let mut rest = words.by_ref().skip_while(|word| *word != "-p");
                if !code.contains("cargo run ")
                    || code.contains("--example")
                    || code.contains("--bench")
                {
                    return;
                }
                rest.nth(1)
            }
            name => name,
        };
        if let Some(name) = name.filter(|name| NAMES.contains(name)) {
            let arguments = words.take_while(|word| !["|", "<", ">", "\\"].contains(word));
            let shown = std::iter::once(name).chain(arguments);
            found.push(shown.map(str::to_owned).collect());
        }
    };
    let mut prose = String::new();
    for (fenced, line) in lines(text) {
        match fenced {
            true => keep(line.trim()),
            false => prose = prose + line + "\n",
        }
    }
    prose.split('`').skip(1).step_by(2).for_each(&mut keep);
    found
}

#[test]
fn every_command_that_is_shown_is_understood() {
    let mut shown = BTreeSet::new();
    for document in documents() {
        let known = commands(&fs::read_to_string(&document).unwrap());
        shown.extend(known.into_iter().map(|words| (document.clone(), words)));
    }
    let readme = shown
        .iter()
        .filter(|(document, _)| *document == root().join("README.md"));
    assert!(readme.count() > 15, "{shown:#?}");
    let mut refused = Vec::new();
    for (document, words) in shown {
        // What stands for a value of the reader's.
        let real = words[1..].iter().map(|word| match word.as_str() {
            "TIME" => "2027-01-01T00:00:00Z",
            "N" | "S" => "1",
            word => word,
        });
        let output = Command::new(binaries().join(&words[0]))
            .args(real)
            // What is before it is parsed first, and nothing is run.
            .arg("--help")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            refused.push(format!("{}: {words:?}: {why}", document.display()));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn every_script_that_is_named_exists() {
    let is_part = |c: char| c.is_alphanumeric() || "./-_".contains(c);
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for word in text.split(|c| !is_part(c)) {
            let word = word.trim_end_matches('.');
            if word.starts_with(".ci/") || word == "fuzz/run-all" {
                assert!(
                    root().join(word).is_file(),
                    "{}: {word}",
                    document.display()
                );
            }
        }
    }
}

/// All Rust sources of the project in one text.
fn sources() -> String {
    let mut text = String::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

#[test]
fn every_test_that_the_rules_for_faults_name_exists() {
    let text = fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let is_name = |word: &&str| {
        let is_metric = word.starts_with("cipherwatt_");
        let is_snake = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        word.matches('_').count() >= 3 && is_snake && !is_metric
    };
    let named = text.split('`').filter(is_name).collect::<BTreeSet<_>>();
    assert!(named.len() > 10, "{named:?}");
    let sources = sources();
    let gone = named
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")));
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<&&str>::new());
}
