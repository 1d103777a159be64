//! Users and certificates as a person makes them: `broker passwd`, `broker certs`, SIGHUP.

#![allow(clippy::unwrap_used, reason = "tests")]

mod client;
mod running;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use client::Client;
use running::{Running, command, metric};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long something may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long is waited for what must not come.
const QUIET: Duration = Duration::from_millis(300);

/// Exit code, standard output and standard error of a command that gets `input`.
fn finish(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = command(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails early does not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn passwd(folder: &Path, user: &str, password: &str) {
    let (code, _, stderr) = finish(folder, &["passwd", "users", user], password);
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn a_user_is_of_a_role_and_its_password_can_be_changed_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = finish(folder, &["passwd", "users", "operator"], "correct horse\n");
    assert_eq!(made.0, Some(0), "{}", made.2);
    assert!(
        made.1.contains("broker.password_file") && made.1.contains("SIGHUP"),
        "{}",
        made.1
    );
    let before = fs::read_to_string(folder.join("users")).unwrap();
    passwd(folder, "operator", "battery staple");
    let after = fs::read_to_string(folder.join("users")).unwrap();
    assert!(before != after && after.lines().count() == 1);
    for (arguments, input, expected) in [
        (
            vec!["passwd", "users", "stranger.x"],
            "correct horse",
            "no role stranger",
        ),
        (
            vec!["passwd", "users", "Gateway 1"],
            "correct horse",
            "ROLE.ID",
        ),
        (
            vec!["passwd", "users", "operator"],
            "short\n",
            "8 to 1024 bytes",
        ),
        (
            vec!["passwd", "--delete", "users", "gateway.x"],
            "",
            "not in users",
        ),
    ] {
        let (code, _, stderr) = finish(folder, &arguments, input);
        assert_eq!(code, Some(1), "{arguments:?}");
        let expected = expected.replace("ROLE.ID", "such as gateway.gateway-1");
        assert!(stderr.contains(&expected), "{arguments:?}: {stderr}");
    }
    assert_eq!(fs::read_to_string(folder.join("users")).unwrap(), after);
    let removed = finish(folder, &["passwd", "--delete", "users", "operator"], "");
    assert_eq!(removed.0, Some(0), "{}", removed.2);
    assert_eq!(fs::read_to_string(folder.join("users")).unwrap(), "");
}

#[tokio::test]
async fn a_hangup_lets_new_users_in_and_keeps_those_who_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    passwd(folder, "dashboard.wall", "correct horse");
    let mut broker = Running::start(
        folder,
        &[
            "--set",
            "broker.identity=password",
            "--set",
            "broker.password_file=users",
        ],
    );
    let address = broker.address();
    let login = |password| Some(("dashboard.wall", password));
    let mut before = Client::connect(address, "", login("correct horse"))
        .await
        .unwrap();
    passwd(folder, "dashboard.wall", "battery staple");
    broker.hang_up();
    broker.line("certificates and users were read again");
    let totals = "cipherwatt/v2/shard/0/feeder/+/total";
    assert_eq!(before.subscribe(totals).await, 1, "it is still connected");
    assert_eq!(
        Client::connect(address, "", login("correct horse"))
            .await
            .err(),
        Some(4)
    );
    assert!(
        Client::connect(address, "", login("battery staple"))
            .await
            .is_ok()
    );

    // A file that cannot be used changes nothing.
    fs::write(folder.join("users"), "nonsense").unwrap();
    broker.hang_up();
    let line = broker.line("certificates and users stay as they were");
    assert!(
        line["error"].as_str().unwrap().contains("line 1 of users"),
        "{line}"
    );
    assert!(
        Client::connect(address, "", login("battery staple"))
            .await
            .is_ok()
    );
}

/// A client with a will and a session that would be kept, as an intruder would have them, if it is let in.
async fn intruder(address: SocketAddr) -> Option<TcpStream> {
    let text = |text: &str| [&[0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let body = [
        text("MQTT"),
        // User, password and will; the session stays.
        vec![4, 0b1100_0100, 0, 60],
        text("gateway:cipherwatt:v2:dev:gateway-1"),
        text("cipherwatt/v2/gateway/gateway-1/enrol"),
        text("last word"),
        text("gateway.gateway-1"),
        text("correct horse"),
    ];
    let mut stream = TcpStream::connect(address).await.unwrap();
    let connect = client::packet(0x10, &body.concat());
    stream.write_all(&connect).await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..3], [0x20, 2, 0], "a new session");
    (answer[3] == 0).then_some(stream)
}

#[tokio::test]
async fn a_hangup_ends_the_connections_and_sessions_of_users_who_were_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    passwd(folder, "operator", "correct horse");
    passwd(folder, "gateway.gateway-1", "correct horse");
    let users = ["broker.identity=password", "broker.password_file=users"];
    let users = users.iter().flat_map(|setting| ["--set", setting]);
    let mut broker = Running::start(folder, &users.collect::<Vec<_>>());
    let scraped = broker.metrics_address();
    let address = broker.address();
    let login = Some(("operator", "correct horse"));
    let operator = "operator:cipherwatt:v2:dev";
    let mut operator = Client::connect(address, operator, login).await.unwrap();
    let wills = "cipherwatt/v2/gateway/+/enrol";
    assert_eq!(operator.subscribe(wills).await, 1);
    let mut removed = intruder(address).await.unwrap();

    let deleted = ["passwd", "--delete", "users", "gateway.gateway-1"];
    assert_eq!(finish(folder, &deleted, "").0, Some(0));
    broker.hang_up();
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, removed.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty(), "it is still connected");
    let line = broker.line("a connection is refused: gateway.gateway-1 is not let in any more");
    assert_eq!(line["reason"], "revoked", "{line}");
    let counted = "cipherwatt_broker_refused_total{reason=\"revoked\"}";
    assert_eq!(metric(scraped, counted).await, 1.0);

    // Others are still there; nothing came from the one who is not, and its session did not stay for it.
    passwd(folder, "gateway.gateway-1", "correct horse");
    broker.hang_up();
    let comes_back = async {
        loop {
            if let Some(back) = intruder(address).await {
                break back;
            }
        }
    };
    let _back = timeout(PATIENCE, comes_back).await.unwrap();
    let echo = "cipherwatt/v2/roster/0";
    assert_eq!(operator.subscribe(echo).await, 0x80);
    let last = operator.next();
    assert!(
        timeout(QUIET, last).await.is_err(),
        "its will was published"
    );
}

#[test]
fn tls_is_two_commands_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let make = [
        "certs",
        "--dev",
        "certs",
        "--gateway",
        "north-1",
        "--gateway",
        "north-2",
    ];
    let (code, stdout, stderr) = finish(folder, &make, "");
    assert_eq!(code, Some(0), "{stderr}");
    for shown in [
        "broker --config",
        "operator.toml",
        "gateway.north-1.toml",
        "gateway.north-2.toml",
    ] {
        assert!(stdout.contains(shown), "{shown}: {stdout}");
    }
    let mut broker = Running::start(folder, &["--config", "certs/broker.toml"]);
    let line = broker.line("broker ready");
    let message = line["message"].as_str().unwrap();
    assert!(
        message.contains("TLS, clients show a certificate"),
        "{message}"
    );
    let doctor = finish(folder, &["doctor", "--config", "certs/broker.toml"], "");
    assert!(doctor.1.contains("is valid until"), "{}", doctor.1);

    let (code, _, stderr) = finish(folder, &make, "");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("nothing is overwritten"), "{stderr}");
    let add = ["certs", "--dev", "certs", "--add", "gateway.north-3"];
    let (code, stdout, stderr) = finish(folder, &add, "");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("gateway.north-3.toml"), "{stdout}");
    let without = finish(
        folder,
        &["certs", "--dev", "other", "--add", "gateway.x"],
        "",
    );
    assert!(without.2.contains("no authority"), "{}", without.2);
}

#[test]
fn a_broker_whose_files_are_wrong_says_which_and_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let users = [
        "--set",
        "broker.identity=password",
        "--set",
        "broker.password_file=users",
    ];
    let arguments = [
        &["--listen", "127.0.0.1:0", "--set", "broker.metrics_listen="][..],
        &users,
    ]
    .concat();
    let (code, _, stderr) = finish(folder.path(), &arguments, "");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("broker passwd users USER"), "{stderr}");
    let open = [
        "--listen",
        "0.0.0.0:0",
        "--set",
        "operator.enrolment=manual",
    ];
    let (code, _, stderr) = finish(folder.path(), &open, "");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("broker.insecure_remote = true"), "{stderr}");
}

#[test]
fn in_production_a_broker_knows_its_clients_or_is_told_that_it_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let key = wire::SigningKey::generate().verifying_key();
    let settings = format!(
        "broker.insecure_local = false\n[deployment]\nmode = \"production\"\noperator_key = \"{key}\"\n\
         [operator]\nenrolment = \"manual\"\n"
    );
    fs::write(folder.path().join("north.toml"), settings).unwrap();
    let north = ["--config", "north.toml"];
    let (code, _, stderr) = finish(folder.path(), &north, "");
    assert_eq!(code, Some(2));
    for said in [
        "broker.identity",
        "deployment.mode",
        "broker.insecure_local = true",
    ] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    let doctor = finish(folder.path(), &["doctor", "--config", "north.toml"], "");
    assert!(doctor.1.contains("broker.identity"), "{}", doctor.1);
    let local = [&north[..], &["--set", "broker.insecure_local=true"]].concat();
    Running::start(folder.path(), &local).address();
}
