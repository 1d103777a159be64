use std::net::{IpAddr, Ipv4Addr};

use service::StopHandle;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::{Part, WindowStart};

use super::*;
use crate::model::{About, Ciphertext, Load, Source, Window};
use crate::state::MAX_PAGES;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn live(load: bool) -> Live {
    Live::new(About {
        source: Source::Operator,
        deployment: "dev".to_owned(),
        input: None,
        load,
        min_meters: Some(15),
        intervals: 100,
        max_feeders: 4,
    })
}

fn window(start: u64) -> Window {
    Window {
        feeder: "feeder-1".parse().unwrap(),
        start: WindowStart(start),
        part: Part(0),
        interval_s: 3600,
        intervals: 1,
        meters: 20,
        completeness: 1.0,
        withheld_intervals: 0,
        quantum_wh: 1,
        taken_at: 1,
        holders: None,
        load: Some(Load {
            energy_wh: vec![Some(987_654_321)],
            peak_wh: Some(987_654_321),
            peak_interval: Some(0),
            load_factor: Some(1.0),
            percentiles: None,
            truth: None,
        }),
    }
}

async fn start(live: &Live) -> (SocketAddr, StopHandle) {
    let (handle, stop) = Stop::manual();
    let bound = serve(live.clone(), ANY, false, stop).await.unwrap();
    (bound, handle)
}

async fn ask(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The whole answer to a request with these additional headers.
async fn get_with(address: SocketAddr, path: &str, host: &str, headers: &str) -> String {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    let mut answer = Vec::new();
    let mut stream = ask(address, &request).await;
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get_path(address: SocketAddr, path: &str) -> String {
    get_with(address, path, &address.to_string(), "").await
}

/// The stream of events, read as far as somebody asks.
struct Events(TcpStream, String);

impl Events {
    async fn open(address: SocketAddr) -> Self {
        let request = format!("GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        Self(ask(address, &request).await, String::new())
    }

    /// Reads until `text` has come; what came until then.
    async fn until(&mut self, text: &str) -> &str {
        while !self.1.contains(text) {
            let mut chunk = [0; 4096];
            let read = self.0.read(&mut chunk).await.unwrap();
            assert!(read > 0, "ended before {text:?}: {}", self.1);
            self.1 += &String::from_utf8_lossy(&chunk[..read]);
        }
        &self.1
    }
}

#[tokio::test]
async fn every_file_is_there_with_its_type_and_the_rules_for_the_browser() {
    let (address, _handle) = start(&live(false)).await;
    let licence = (LICENCE.0, TEXT, LICENCE.1);
    for (path, kind, content) in FILES.into_iter().chain([licence]) {
        let answer = get_path(address, path).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        assert!(head.contains("content-security-policy: default-src 'self';"));
        assert!(head.contains("x-content-type-options: nosniff"));
        assert!(head.contains("cross-origin-resource-policy: same-origin"));
        assert!(!head.contains("access-control-"), "{head}");
        assert_eq!(body.as_bytes(), content, "{path}");
    }
    assert!(
        get_path(address, "/other")
            .await
            .starts_with("HTTP/1.1 404")
    );
}

/// The policy forbids them, so a page with any would be broken.
#[test]
fn the_page_asks_for_nothing_from_elsewhere_and_has_nothing_inline() {
    for (path, _, content) in FILES.into_iter().filter(|file| !file.0.contains("uplot")) {
        let text = String::from_utf8_lossy(content);
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for foreign in [
            "http:",
            "https:",
            "//cdn",
            "@import",
            "<style",
            " style=",
            " onclick",
            "innerHTML",
            "eval(",
        ] {
            assert!(!text.contains(foreign), "{foreign} in {path}");
        }
        let scripts = text.matches("<script").count();
        assert_eq!(scripts, text.matches("></script>").count(), "{path}");
    }
}

#[test]
fn the_page_is_small() {
    let own = FILES.iter().filter(|file| !file.0.contains("uplot"));
    let bytes: usize = own.map(|file| file.2.len()).sum();
    assert!(bytes < 40_000, "{bytes} bytes");
}

/// SHA-256 of the files of the npm package uplot 1.6.32; `.ci/live` compares them with the package itself.
#[test]
fn the_chart_library_is_the_published_one() {
    for (content, expected) in [
        (
            FILES[7].2,
            "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        ),
        (
            FILES[8].2,
            "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        ),
        (
            LICENCE.1,
            "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
        ),
    ] {
        assert_eq!(hex::encode(Sha256::digest(content)), expected);
    }
}

#[tokio::test]
async fn a_name_that_could_be_anybodys_is_refused() {
    let (address, _handle) = start(&live(true)).await;
    let port = address.port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:9470"] {
        let answer = get_with(address, "/events", host, "Origin: null\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
        let answer = get_with(address, "/", host, "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    for host in [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "192.0.2.1",
        "",
        "127.0.0.1.nip.example",
    ] {
        let answer = get_with(address, "/events", host, "").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
        assert!(!answer.contains("feeders"), "{answer}");
    }
    let host = format!("127.0.0.1:{port}");
    let foreign = "Origin: http://evil.example\r\n";
    let answer = get_with(address, "/", &host, foreign).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let own = format!("Origin: http://{host}\r\n");
    let answer = get_with(address, "/", &host, &own).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn beyond_loopback_nothing_is_served_unless_allowed() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let (_handle, stop) = Stop::manual();
    let refused = serve(live(true), everywhere, false, stop.clone()).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("0.0.0.0:0") && text.contains("operator.live_remote"),
        "{text}"
    );
    serve(live(true), everywhere, true, stop).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let (address, _handle) = start(&live(true)).await;
    let (_other, stop) = Stop::manual();
    let refused = serve(live(true), address, false, stop).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains(&address.to_string())
    );
}

#[tokio::test]
async fn a_stream_is_the_state_and_then_what_changes_and_ends_with_the_server() {
    let live = live(true);
    live.window(window(3600));
    let (address, handle) = start(&live).await;
    let mut events = Events::open(address).await;
    let text = events.until("\n\n").await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    let text = events.until("event: snapshot\n").await;
    assert!(text.contains("retry: 500\n"), "{text}");
    events.until("\"start\":3600").await;
    live.window(window(7200));
    let text = events.until("\"start\":7200").await;
    assert_eq!(text.matches("event: window\n").count(), 1, "{text}");
    assert_eq!(text.matches("\"start\":3600").count(), 1, "{text}");
    handle.stop();
    let mut rest = Vec::new();
    events.0.read_to_end(&mut rest).await.unwrap();
    while live.pages() > 0 {
        tokio::task::yield_now().await;
    }
    // The same port again, as after a restart.
    let (_handle, stop) = Stop::manual();
    while serve(live.clone(), address, false, stop.clone())
        .await
        .is_err()
    {
        tokio::task::yield_now().await;
    }
    let mut again = Events::open(address).await;
    let text = again.until("\"start\":7200").await;
    assert_eq!(text.matches("event:").count(), 1, "{text}");
    assert_eq!(text.matches("\"start\":").count(), 2, "{text}");
}

#[tokio::test]
async fn a_server_without_load_sends_nothing_decrypted() {
    let live = live(false);
    live.window(window(3600));
    let (address, _handle) = start(&live).await;
    let mut events = Events::open(address).await;
    events.until("\"start\":3600").await;
    live.window(window(7200));
    live.ciphertext(Ciphertext {
        feeder: "feeder-1".parse().unwrap(),
        start: WindowStart(7200),
        part: Part(0),
        bytes: 13_200,
        head: "00ff".to_owned(),
    });
    let text = events.until("00ff").await;
    assert!(
        text.contains("\"start\":7200") && !text.contains("987654321"),
        "{text}"
    );
    assert_eq!(text.matches("\"load\":null").count(), 2, "{text}");
}

#[tokio::test]
async fn one_page_too_many_is_told_so() {
    let live = live(true);
    let (address, _handle) = start(&live).await;
    let mut pages = Vec::new();
    for _ in 0..MAX_PAGES {
        let mut events = Events::open(address).await;
        events.until("snapshot").await;
        pages.push(events);
    }
    let answer = get_path(address, "/events").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

/// Time stands still unless nothing else can happen, so only a stalled write lets the limit pass.
#[tokio::test(start_paused = true)]
async fn a_page_that_takes_nothing_is_dropped() {
    let live = live(true);
    let (address, _handle) = start(&live).await;
    let mut events = Events::open(address).await;
    events.until("snapshot").await;
    let mut big = window(0);
    big.load = big.load.map(|load| Load {
        energy_wh: vec![Some(i64::MIN); 10_000],
        ..load
    });
    for start in 0.. {
        if live.pages() == 0 {
            return;
        }
        assert!(
            start < 1_000,
            "a hundred megabytes were taken from the server"
        );
        big.start = WindowStart(start * 3600);
        live.window(big.clone());
        tokio::time::sleep(STALLED / 10).await;
    }
}
