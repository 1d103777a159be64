//! The text of an error says its own part and never that of its source; whoever prints it prints the chain, once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::processes::Deployment;
use syn::visit::{self, Visit};
use syn::{Attribute, Field, Fields, Lit, Type};

/// What a process says on standard error until it ends, or, if it does not, until it has said `word`. There is no broker.
fn said(deployment: &Deployment, name: &str, arguments: &[&str], word: &str) -> String {
    let mut process = deployment.start(name, arguments);
    loop {
        // Ended first, so that nothing is said after the look.
        let ended = process.has_ended();
        let text = process.log();
        if ended || text.contains(word) {
            return text;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nothing that stands between two colons of a line stands in it twice.
fn assert_once(line: &str) {
    let mut parts: Vec<&str> = line.split(": ").map(str::trim).collect();
    parts.sort_unstable();
    for pair in parts.windows(2) {
        assert!(pair[0] != pair[1], "{:?} is said twice: {line}", pair[0]);
    }
    assert!(line.matches("(os error").count() <= 1, "{line}");
}

#[test]
fn a_process_says_each_part_of_what_went_wrong_once() {
    let deployment = Deployment::new();
    let place = deployment.folder.path();
    fs::write(place.join("file"), "").unwrap();
    fs::write(place.join("broken.toml"), "[mqtt\n").unwrap();
    let keys = place.join("keys/operator");
    fs::create_dir_all(&keys).unwrap();
    fs::set_permissions(&keys, Permissions::from_mode(0o700)).unwrap();
    fs::write(keys.join("signing.key"), "no key").unwrap();
    fs::set_permissions(keys.join("signing.key"), Permissions::from_mode(0o600)).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (address, taken)).unwrap();
    let set = |key: &str| format!("{key}={}", taken.0);
    let [listen, metrics, page] = [
        set("broker.listen"),
        set("analytics.metrics_listen"),
        set("operator.live_listen"),
    ];
    let in_file = "deployment.state_dir=file";
    for (name, arguments, expected) in [
        ("operator", vec!["--set", in_file], "Not a directory"),
        ("analytics", vec!["--set", in_file], "Not a directory"),
        ("meter", vec!["--set", in_file], "Not a directory"),
        ("meter", vec!["--config", "gone.toml"], "No such file"),
        (
            "meter",
            vec!["--config", "broken.toml"],
            "is not valid TOML",
        ),
        ("meter", vec!["--replay", "gone.csv"], "No such file"),
        ("broker", vec!["--set", &listen], "Address already in use"),
        (
            "analytics",
            vec!["--set", &metrics],
            "Address already in use",
        ),
        ("operator", vec!["--set", &page], "Address already in use"),
        (
            "operator",
            vec!["--set", "deployment.state_dir=keys"],
            "is not what this program writes",
        ),
        (
            "operator",
            vec!["rotate", "--set", "deployment.state_dir=file"],
            "file/operator",
        ),
        ("analytics", vec!["inspect", "gone.redb"], "gone.redb"),
        ("meter", vec![], "Connection refused"),
    ] {
        let text = said(&deployment, name, &arguments, expected);
        let line = text.lines().find(|line| line.contains(expected));
        let line = line.unwrap_or_else(|| panic!("{name} {arguments:?}: {text}"));
        assert_eq!(line.matches(expected).count(), 1, "{line}");
        text.lines().for_each(assert_once);
    }
}

/// The source files of every crate.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<PathBuf> = [
        "broker",
        "meter",
        "analytics",
        "operator",
        "bench",
        "lib",
        "e2e",
    ]
    .map(|name| root.join(name))
    .to_vec();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// Looks at everything that derives an error.
#[derive(Default)]
struct Errors {
    seen: usize,
    wrong: Vec<String>,
}

impl Errors {
    fn examine(&mut self, name: &str, attributes: &[Attribute], fields: &Fields) {
        let Some((text, arguments)) = message(attributes) else {
            return;
        };
        self.seen += 1;
        for (index, field) in fields.iter().enumerate() {
            let label = field
                .ident
                .as_ref()
                .map_or_else(|| index.to_string(), ToString::to_string);
            let printed = [format!("{{{label}}}"), format!("{{{label}:")];
            let printed = printed.iter().any(|part| text.contains(part))
                || arguments
                    .split(',')
                    .any(|argument| argument.trim().trim_start_matches(". ") == label);
            match (is_source(field, &label), is_error(&field.ty)) {
                (true, _) if printed => self.wrong.push(format!("{name} prints its source {label}")),
                (false, true) => self.wrong.push(format!(
                    "{name}: {label} is an error and no source: mark it #[source], and do not print it"
                )),
                _ => {}
            }
        }
    }
}

/// The literal of `#[error("…")]` and its arguments; `None` if there is none, or it is transparent.
fn message(attributes: &[Attribute]) -> Option<(String, String)> {
    let attribute = attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("error"))?;
    attribute
        .parse_args_with(|input: syn::parse::ParseStream| {
            let text = match input.parse()? {
                Lit::Str(text) => text.value(),
                other => return Err(syn::Error::new(other.span(), "no text")),
            };
            // Expressions, which may look at a source to give advice.
            let arguments = input.parse::<proc_macro2::TokenStream>()?;
            Ok((text, arguments.to_string()))
        })
        .ok()
}

fn is_source(field: &Field, label: &str) -> bool {
    let marked = |attribute: &Attribute| {
        attribute.path().is_ident("source") || attribute.path().is_ident("from")
    };
    label == "source" || field.attrs.iter().any(marked)
}

/// By its name, as far as that goes: `io::Error`, `Box<FileError>`.
fn is_error(kind: &Type) -> bool {
    let Type::Path(path) = kind else {
        return false;
    };
    let Some(last) = path.path.segments.last() else {
        return false;
    };
    let name = last.ident.to_string();
    let inner = match &last.arguments {
        syn::PathArguments::AngleBracketed(inner) if name == "Box" || name == "Arc" => inner
            .args
            .iter()
            .any(|inner| matches!(inner, syn::GenericArgument::Type(inner) if is_error(inner))),
        _ => false,
    };
    name.ends_with("Error") || inner
}

impl<'ast> Visit<'ast> for Errors {
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        for variant in &item.variants {
            let name = format!("{}::{}", item.ident, variant.ident);
            self.examine(&name, &variant.attrs, &variant.fields);
        }
        visit::visit_item_enum(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.examine(&item.ident.to_string(), &item.attrs, &item.fields);
        visit::visit_item_struct(self, item);
    }
}

fn examined(text: &str) -> Errors {
    let mut errors = Errors::default();
    errors.visit_file(&syn::parse_file(text).unwrap());
    errors
}

#[test]
fn no_error_prints_its_source() {
    let mut errors = Errors::default();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let found = examined(&text);
        errors.seen += found.seen;
        let wrong = found.wrong.into_iter();
        errors
            .wrong
            .extend(wrong.map(|wrong| format!("{}: {wrong}", path.display())));
    }
    assert!(errors.seen > 100, "{} messages", errors.seen);
    assert!(errors.wrong.is_empty(), "{:#?}", errors.wrong);
}

#[test]
fn an_error_that_prints_or_hides_its_source_is_found() {
    for (text, wrong) in [
        (
            r#"enum E { #[error("a: {0}")] A(#[from] io::Error) }"#,
            true,
        ),
        (
            r#"enum E { #[error("a: {source}")] A { source: X } }"#,
            true,
        ),
        (
            r#"enum E { #[error("a: {e:?}")] A { #[source] e: X } }"#,
            true,
        ),
        (r#"enum E { #[error("a: {0}")] A(io::Error) }"#, true),
        (r#"enum E { #[error("a")] A { cause: Box<XError> } }"#, true),
        (r#"#[error("a: {0}")] struct E(#[source] X);"#, true),
        (
            r#"enum E { #[error("a: {}", source)] A { source: X } }"#,
            true,
        ),
        (r#"enum E { #[error("a")] A(#[from] io::Error) }"#, false),
        (
            r#"enum E { #[error(transparent)] A(#[from] io::Error) }"#,
            false,
        ),
        (
            r#"enum E { #[error("{a}, {}", advice(source))] A { a: u8, source: X } }"#,
            false,
        ),
    ] {
        let found = examined(text);
        assert_eq!(!found.wrong.is_empty(), wrong, "{text}");
    }
}
