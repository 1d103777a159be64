//! What every binary has in common on its command line: help, completions, manual pages, `doctor`, colour, progress.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use e2e::{NAMES, binaries};
use serde_json::Value;

/// A folder to run in, with what examples name.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("my.toml"), "").unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries().join(name));
        command
            .current_dir(self.path())
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name, arguments).output().unwrap()
    }

    fn stdout(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.run(name, arguments);
        assert!(
            output.status.success(),
            "{name} {arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// On a terminal, with standard output and standard error in one.
    fn on_a_terminal(&self, name: &str, arguments: &[&str], no_color: bool) -> String {
        let spawn = "import pty, sys; pty.spawn(sys.argv[1:])";
        let mut command = Command::new("python3");
        command
            .current_dir(self.path())
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .args(["-c", spawn])
            .arg(binaries().join(name))
            .args(arguments)
            .stdin(Stdio::null());
        if no_color {
            command.env("NO_COLOR", "1");
        }
        text(&command.output().unwrap().stdout)
    }

    /// What `doctor` found and its exit code. The broker is one that nobody runs, unless given.
    fn doctor(&self, name: &str, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
        let mut all = vec!["doctor", "--output", "json"];
        if !arguments
            .iter()
            .any(|argument| argument.starts_with("mqtt.address"))
        {
            all.extend(["--set", "mqtt.address=127.0.0.1:1"]);
        }
        for process in ["broker", "operator", "analytics", "meter", "holder"] {
            all.extend(["--set", String::leak(format!("{process}.metrics_listen="))]);
        }
        all.extend(["--set", "broker.listen=127.0.0.1:0"]);
        all.extend(["--set", "operator.live_listen="]);
        all.extend(arguments);
        let output = self.run(name, &all);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (
            output.status.code(),
            found["checks"].as_array().unwrap().clone(),
        )
    }

    /// Every file and folder with its mode.
    fn tree(&self) -> Vec<(PathBuf, u32)> {
        let mut found = Vec::new();
        let mut todo = vec![self.path().to_owned()];
        while let Some(path) = todo.pop() {
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                todo.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
            found.push((path, metadata.permissions().mode()));
        }
        found.sort();
        found
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first finding of a check that is not well.
fn wrong<'a>(checks: &'a [Value], check: &str) -> &'a Value {
    let mut found = checks
        .iter()
        .filter(|found| found["check"] == check && found["status"] != "ok");
    found
        .next()
        .unwrap_or_else(|| panic!("{check} is well: {checks:?}"))
}

/// A process that is killed at the end of the test.
struct Running {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        command.args(["--log-format", "json"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// The next log line with this field.
    fn says(&mut self, field: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.log.read_line(&mut line).unwrap() > 0,
                "it ended without {field}"
            );
            let line: Value = serde_json::from_str(&line).unwrap();
            if let Some(value) = line[field].as_str() {
                return value.to_owned();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_command_has_a_manual_page_and_examples_that_hold() {
    let place = Place::new();
    for name in NAMES {
        let page = place.stdout(name, &["man"]);
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        place.stdout(name, &["man", "pages"]);
        let mut pages = 0;
        for entry in fs::read_dir(place.path().join("pages")).unwrap() {
            let path = entry.unwrap().path();
            let title = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let page = fs::read_to_string(&path).unwrap();
            for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
                assert!(page.contains(part), "{title}: {part}");
            }
            let known = [
                ".TH", ".SH", ".TP", ".RS", ".RE", ".br", ".ie", ".el", ".PP", ".IP", ".sp",
            ];
            for line in page.lines().filter(|line| line.starts_with('.')) {
                assert!(
                    known.iter().any(|word| line.starts_with(word)),
                    "{title}: {line}"
                );
            }
            // The same of its help, for which clap itself writes none.
            let command = title.strip_prefix(name).unwrap().trim_start_matches('-');
            if command != "help" && !command.starts_with("help-") {
                examples_hold(&place, name, command);
            }
            pages += 1;
        }
        assert!(pages > 3, "{name}: {pages} pages");
        fs::remove_dir_all(place.path().join("pages")).unwrap();
    }
}

fn examples_hold(place: &Place, name: &str, command: &str) {
    // A page of a command's own command is named by both, and some have a hyphen in their own name.
    let hyphenated = ["evaluation-keys", "over-rating"];
    let whole = hyphenated.iter().find(|whole| command.ends_with(**whole));
    let words = command
        .strip_suffix(whole.unwrap_or(&""))
        .unwrap_or(command);
    let words = words.split('-').filter(|word| !word.is_empty());
    let arguments: Vec<&str> = words.chain(whole.copied()).collect();
    let help = place.stdout(name, &[arguments.as_slice(), &["--help"]].concat());
    let examples = help
        .split_once("\nExamples:\n")
        .unwrap_or_else(|| panic!("{name} {command}: {help}"))
        .1;
    for line in examples
        .lines()
        .filter(|line| !line.contains(['|', '>', '~']))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.first(), Some(&name), "{line}");
        // Parsed and checked, not run.
        let output = place.run(name, &[&words[1..], &["--print-config"]].concat());
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    }
}

#[test]
fn every_binary_prints_completions_that_shells_can_read() {
    let place = Place::new();
    for name in NAMES {
        let bash = place.stdout(name, &["completions", "bash"]);
        let mut shell = Command::new("bash")
            .arg("-n")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(bash.as_bytes())
            .unwrap();
        assert!(shell.wait().unwrap().success(), "{name}");
        assert!(
            bash.contains(&format!("_{name}")) && bash.contains("doctor"),
            "{name}"
        );
        let zsh = place.stdout(name, &["completions", "zsh"]);
        assert!(zsh.starts_with(&format!("#compdef {name}")), "{zsh}");
        let fish = place.stdout(name, &["completions", "fish"]);
        assert!(fish.contains(&format!("complete -c {name}")), "{fish}");
    }
    let unknown = place.run("meter", &["completions", "csh"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn a_set_up_without_fault_passes_in_every_binary_and_is_left_as_it_was() {
    let place = Place::new();
    let mut command = place.command("broker", &["--listen", "127.0.0.1:0"]);
    let mut broker = Running::start({
        command.args(["--set", "broker.metrics_listen="]);
        command
    });
    let address = format!("mqtt.address={}", broker.says("address"));
    let before = place.tree();
    for name in NAMES {
        let (code, checks) = place.doctor(name, &["--set", &address]);
        if ["evaluator", "holder"].contains(&name) {
            // Keys are made before the first start: the evaluator's take the operator half a minute. That there are none is the one fault.
            let failed = checks.iter().filter(|found| found["status"] == "fail");
            assert_eq!((code, failed.count()), (Some(1), 1), "{checks:?}");
            continue;
        }
        assert_eq!(code, Some(0), "{name}: {checks:?}");
        let well = |check: &str| {
            checks
                .iter()
                .any(|found| found["check"] == check && found["status"] == "ok")
        };
        assert_eq!(well("broker"), name != "broker", "{name}: {checks:?}");
        assert_eq!(
            well("openfhe"),
            ["operator", "bench"].contains(&name),
            "{name}"
        );
        assert_eq!(
            well("sealing"),
            ["meter", "bench"].contains(&name),
            "{name}"
        );
        assert_eq!(
            checks.iter().any(|found| found["check"] == "fold kernel"),
            ["analytics", "bench"].contains(&name)
        );
    }
    assert_eq!(place.tree(), before);
}

/// Whether a finding's `detail` or `remedy` contains a text.
fn says(finding: &Value, part: &str, text: &str) -> bool {
    finding[part].as_str().unwrap().contains(text)
}

#[test]
fn doctor_names_a_broker_that_does_not_answer() {
    let (code, checks) = Place::new().doctor("meter", &[]);
    assert_eq!(code, Some(1));
    assert!(says(wrong(&checks, "broker"), "detail", "127.0.0.1:1"));
}

#[test]
fn doctor_names_a_folder_and_a_key_that_others_can_open_and_changes_neither() {
    let place = Place::new();
    let folder = place.path().join("state/operator");
    fs::create_dir_all(&folder).unwrap();
    let secret = "ab".repeat(32);
    fs::write(folder.join("signing.key"), &secret).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.join("signing.key"), Permissions::from_mode(0o644)).unwrap();
    let before = place.tree();
    let (code, checks) = place.doctor("operator", &[]);
    assert_eq!(code, Some(1));
    assert!(says(wrong(&checks, "state folder"), "remedy", "chmod 700"));
    assert!(says(wrong(&checks, "secret"), "remedy", "chmod 600"));
    assert!(!format!("{checks:?}").contains(&secret));
    assert_eq!(place.tree(), before);
}

/// Two holders come to the agreement in `first.agreement`.
fn agree(place: &Place, ids: [&str; 2]) {
    let step = |id: &str, arguments: &[&str]| {
        let own = format!("holder.id={id}");
        place.stdout("holder", &[arguments, &["--set", &own]].concat());
    };
    let files = |extension| ids.map(|id| &*String::leak(format!("{id}.{extension}")));
    let (numbers, first) = (["--threshold=2", "--consents=2"], "first.proposal");
    let propose: &[&str] = &["propose", "--output", first];
    step(ids[0], &[propose, &numbers, &files("card")].concat());
    for id in ids {
        step(id, &["deal", first]);
    }
    for id in ids {
        step(id, &[&["accept", first], &files("deal")[..]].concat());
    }
    let assemble: &[&str] = &["assemble", "--output", "first.agreement", first];
    let signed = [assemble, &files("deal"), &files("acceptance")].concat();
    step(ids[0], &signed);
}

#[test]
fn doctor_says_what_a_holder_lacks_and_what_an_operator_has_of_its_holders() {
    let place = Place::new();
    let ids = ["association", "regulator"];
    let of = |id: &str| format!("holder.id={id}");
    let doctor = |id: &str| place.doctor("holder", &["--set", &of(id)]);
    let (code, checks) = doctor(ids[0]);
    assert_eq!(code, Some(1));
    assert!(says(wrong(&checks, "mask keys"), "detail", "holder init"));
    for id in ids {
        place.stdout("holder", &["init", "--set", &of(id)]);
    }
    let (_, checks) = doctor(ids[0]);
    let keys = wrong(&checks, "mask keys");
    assert!(says(keys, "remedy", "holder propose"));

    agree(&place, ids);
    let before = place.tree();
    let (_, checks) = doctor(ids[1]);
    let said = format!("{checks:?}");
    assert!(said.contains("agreement 1 (2of2, 2 consents)"), "{said}");
    assert_eq!(place.tree(), before);
    fs::remove_file(place.path().join("state/holder-regulator/holder.redb")).unwrap();
    let (_, checks) = doctor(ids[1]);
    assert!(says(wrong(&checks, "ledger"), "detail", "is gone"));

    let settings = "[holders]\nagreements = [\"first.agreement\"]\n";
    fs::write(place.path().join("my.toml"), settings).unwrap();
    let of_operator = || place.doctor("operator", &["--config", "my.toml"]).1;
    let said = format!("{:?}", of_operator());
    let whose = "agreement 1 of association, regulator (2of2, 2 consents)";
    assert!(said.contains(whose), "{said}");
    let file = place.path().join("first.agreement");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let checks = of_operator();
    assert!(says(wrong(&checks, "holders"), "detail", "first.agreement"));
}

#[test]
fn doctor_names_a_port_that_another_process_holds() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("broker.listen={}", taken.local_addr().unwrap());
    let (code, checks) = Place::new().doctor("broker", &["--set", &listen]);
    assert_eq!(code, Some(1));
    assert!(says(wrong(&checks, "port"), "detail", "held by"));
}

#[test]
fn doctor_names_a_setting_that_cannot_be_used() {
    let place = Place::new();
    for (set, named) in [
        ("mqtt.adress=x", "mqtt.address"),
        ("log.level=a=b=c", "log.level"),
        ("meter.speed=-1", "meter.speed"),
    ] {
        let (code, checks) = place.doctor("analytics", &["--set", set]);
        assert_eq!(code, Some(1), "{set}");
        let found = wrong(&checks, "configuration");
        assert!(says(found, "detail", named), "{set}: {checks:?}");
    }
}

#[test]
fn doctor_prints_one_line_a_check_for_people() {
    let place = Place::new();
    let output = place.run("operator", &["doctor", "--set", "mqtt.address=127.0.0.1:1"]);
    let lines = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        lines.lines().all(|line| ["ok ", "warn", "fail"]
            .iter()
            .any(|word| line.starts_with(word))),
        "{lines}"
    );
    let failed = lines.lines().filter(|line| line.starts_with("fail"));
    assert!(
        failed.into_iter().all(|line| line.contains("; to fix: ")),
        "{lines}"
    );
}

#[test]
fn flags_before_a_command_and_after_it_all_count_in_every_binary() {
    let place = Place::new();
    fs::write(place.path().join("other.toml"), "mqtt.in_flight = 7\n").unwrap();
    let line = "--config my.toml --set deployment.id=a --set deployment.root=north/v1 doctor \
                --config other.toml --set deployment.id=b --print-config";
    let arguments: Vec<&str> = line.split_whitespace().collect();
    for name in NAMES {
        let printed = place.stdout(name, &arguments);
        for expected in [
            "deployment.id = \"b\"",
            "deployment.root = \"north/v1\"",
            "mqtt.in_flight = 7",
        ] {
            assert!(printed.contains(expected), "{name}: {printed}");
        }
    }
    // One that the command has too would be lost, so it is refused.
    for (name, arguments, flag) in [
        ("operator", ["--output", "json", "doctor"], "--output"),
        ("bench", ["--results", "here", "demo"], "--results"),
        ("bench", ["--quick", "load", "--rate=1"], "--quick"),
    ] {
        let output = place.run(name, &arguments);
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
        assert!(text(&output.stderr).contains(flag), "{name} {arguments:?}");
    }
}

#[test]
fn variables_that_make_a_process_fail_are_refused_in_production() {
    let place = Place::new();
    let key = wire::SigningKey::generate().verifying_key().to_string();
    let production = format!(
        "[deployment]\nmode = \"production\"\noperator_key = \"{key}\"\n[operator]\nenrolment = \"manual\"\n"
    );
    fs::write(place.path().join("production.toml"), production).unwrap();
    for name in NAMES {
        for variable in ["CIPHERWATT_SABOTAGE", "CIPHERWATT_FAILPOINT"] {
            let mut command = place.command(name, &["--config", "production.toml"]);
            if name == "bench" {
                command.arg("demo");
            }
            let output = command.env(variable, "dedup").output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}");
            let said = text(&output.stderr);
            assert!(
                said.contains(variable) && said.contains("deployment.mode"),
                "{name}: {said}"
            );
        }
    }
    assert!(!place.path().join("state").exists());
}

/// A fleet of invented meters was published in place of the file.
#[test]
fn a_file_that_names_a_replay_without_its_source_starts_no_gateway() {
    let place = Place::new();
    let file = "[meter]\nreplay = \"pv.csv\"\nspeed = 7200\nfeeders = 1\n";
    fs::write(place.path().join("dso.toml"), file).unwrap();
    let output = place.run("meter", &["--config", "dso.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains(
            "`meter.replay = \"pv.csv\"` from dso.toml contradicts `meter.source = \"simulated\"`"
        ),
        "{said}"
    );
}

#[test]
fn a_run_refuses_settings_that_it_would_not_use() {
    let place = Place::new();
    let output = place.run("bench", &["demo", "--set", "broker.listen=127.0.0.1:2883"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("`broker.listen` from a flag: it starts a broker of its own"),
        "{said}"
    );
    assert!(!place.path().join("results").exists());
}

/// OpenFHE is linked: without it nothing of the program runs, and the loader names the file.
#[test]
fn a_missing_openfhe_is_named_by_the_loader() {
    let place = Place::new();
    let mut program = fs::read(binaries().join("operator")).unwrap();
    let (name, other) = (b"libopenfhe_shim.so", b"libopenfhe_gone.so");
    let mut places = 0;
    while let Some(at) = program
        .windows(name.len())
        .position(|window| window == name)
    {
        program[at..at + name.len()].copy_from_slice(other);
        places += 1;
    }
    assert!(places > 0);
    let path = place.path().join("operator");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(&path).arg("doctor").output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("libopenfhe_gone.so: cannot open shared object file"));
}

/// Starts an operator in the folder of state `state` and returns its verifying key.
fn operator_key(place: &Place, state: &str, more: &[&str]) -> String {
    let settings = [
        "deployment.state_dir=".to_owned() + state,
        "operator.metrics_listen=".to_owned(),
        "operator.live_listen=".to_owned(),
        "mqtt.address=127.0.0.1:1".to_owned(),
    ];
    let mut command = place.command("operator", more);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    Running::start(command).says("operator_key")
}

/// As docs/operations.md says: keys are made once, and read from then on where systemd puts them.
#[test]
fn keys_are_made_once_and_then_credentials() {
    let place = Place::new();
    let key = operator_key(&place, "made", &[]);
    let credentials = place.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    for name in ["signing.key", "epoch-1.key", "mask-1.key"] {
        let made = place.path().join("made/operator").join(name);
        fs::copy(made, credentials.join(name)).unwrap();
        fs::set_permissions(credentials.join(name), Permissions::from_mode(0o400)).unwrap();
    }
    let setting = format!("operator.credentials_dir={}", credentials.display());
    let use_them = ["--set", setting.as_str()];
    assert_eq!(operator_key(&place, "used", &use_them), key);
    for entry in fs::read_dir(place.path().join("used/operator")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".key"), "{name}");
    }

    let state = ["--set", "deployment.state_dir=used"];
    let (_, checks) = place.doctor("operator", &[use_them, state].concat());
    let well = |check: &str| {
        let found = checks.iter();
        let found = found.filter(|found| found["check"] == check && found["status"] == "ok");
        found.count()
    };
    assert_eq!((well("credential"), well("plan")), (3, 1), "{checks:?}");
    // Without them nothing is made in their place.
    let without = ["--set", "operator.metrics_listen="];
    let output = place.run("operator", &[without, state].concat());
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("operator.credentials_dir"), "{said}");
}

#[test]
fn colour_is_for_terminals_without_no_color() {
    const ESCAPE: &str = "\u{1b}[";
    let place = Place::new();
    let doctor = ["doctor", "--set", "mqtt.address=127.0.0.1:1"];
    // A port in use ends it after its first lines.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("analytics.metrics_listen={}", taken.local_addr().unwrap());
    let log = ["--set", &listen, "--log-level", "info"];
    for (name, arguments) in [
        ("operator", doctor.as_slice()),
        ("meter", &["--help"]),
        ("bench", &["--wrong"]),
        ("analytics", &log),
    ] {
        assert!(
            place.on_a_terminal(name, arguments, false).contains(ESCAPE),
            "{name} {arguments:?}"
        );
        let plain = place.on_a_terminal(name, arguments, true);
        assert!(
            !plain.is_empty() && !plain.contains(ESCAPE),
            "{name} {arguments:?}: {plain}"
        );
        let piped = place.run(name, arguments);
        assert!(
            !text(&piped.stdout).contains(ESCAPE) && !text(&piped.stderr).contains(ESCAPE),
            "{name}"
        );
    }
}

#[test]
fn progress_is_for_terminals() {
    let place = Place::new();
    let demo = ["demo", "--no-live", "--meters", "40", "--feeders", "2"];
    let seen = place.on_a_terminal("bench", &demo, false);
    assert!(seen.contains("feeder windows"), "{seen}");
    let piped = place.run("bench", &demo);
    assert!(piped.status.success(), "{}", text(&piped.stderr));
    assert_eq!(text(&piped.stderr), "");
    assert!(!text(&piped.stdout).contains("feeder windows,"));
}

#[test]
fn a_log_that_cannot_be_written_ends_nobody() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("broker.listen={}", taken.local_addr().unwrap());
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let arguments = ["--set", &listen, "--set", "broker.metrics_listen="];
    let mut broker = place.command("broker", &arguments);
    // 101 would be a panic.
    assert_eq!(broker.stderr(full).status().unwrap().code(), Some(1));
}
