use super::*;
use crate::keys::rotate;
use crate::run;
use crate::setup::folder;
use crate::testing::sum;
use service::SystemClock;
use wire::UnixSeconds;

/// Far above what anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// A loop without a broker, and what the test plays: the thread that takes sums.
struct Bench {
    dir: tempfile::TempDir,
    settings: Settings,
    event_loop: EventLoop,
    publisher: Publisher,
    inbox: Inbox,
    stop: Stop,
    _handle: service::StopHandle,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = dir.path().join("state");
        settings.operator.totals_file = dir.path().join("totals.jsonl");
        settings.operator.bills_file = dir.path().join("bills.jsonl");
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        settings.mqtt.address = unused.local_addr().unwrap().to_string();
        drop(unused);
        let (opened, _) = run::open(&settings, SystemClock::shared()).unwrap();
        let (handle, stop) = Stop::manual();
        let (publisher, inbox) = mqtt::connect(&settings.mqtt, "op", Vec::new(), stop.clone());
        let (observer, events) = mpsc::unbounded_channel();
        let observer = Observer(Some(observer));
        let clock = SystemClock::shared();
        let mut event_loop = EventLoop::new(&settings, opened, publisher.clone(), observer, clock);
        assert!(event_loop.save());
        Self {
            dir,
            settings,
            event_loop,
            publisher,
            inbox,
            stop,
            _handle: handle,
            events,
        }
    }
}

/// A sum that was sent again.
fn duplicate() -> TakeResult {
    TakeResult::Duplicate {
        sum: Box::new(sum("feeder-1", 0, 0)),
        message: ("receipt".to_owned(), "receipt".into()),
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LIMIT, future).await;
    done.unwrap_or_else(|_| panic!("{what}"))
}

#[tokio::test]
async fn while_the_keys_of_a_new_epoch_are_made_sums_are_answered() {
    let mut bench = Bench::new();
    let state = folder(&bench.settings);
    crate::commands::request_rotation(&bench.settings, UnixSeconds(0), None, false).unwrap();
    // The new key is written, and then waits to join the others.
    let (held, is_held) = std::sync::mpsc::channel();
    let (let_go, may_go) = std::sync::mpsc::channel::<()>();
    let keyring = bench.event_loop.keyring.clone();
    let holder = std::thread::spawn(move || {
        let _guard = keyring.hold();
        held.send(()).unwrap();
        let _ = may_go.recv();
    });
    is_held.recv().unwrap();

    let (jobs, _queue) = mpsc::channel(1);
    let (done, mut results) = mpsc::channel(1);
    let egress = Egress::open(bench.publisher.clone());
    let (event_loop, inbox) = (&mut bench.event_loop, &mut bench.inbox);
    let serving = event_loop.serve(inbox, &jobs, &mut results, &egress, &bench.stop);
    let driving = async {
        let until = async |is: &dyn Fn() -> bool| {
            while !is() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let key = state.join("epoch-2.key");
        within("no key was made", until(&|| key.exists())).await;
        done.send(duplicate()).await.unwrap();
        let told = within("a sum waits for the keys", bench.events.recv()).await;
        assert!(matches!(told, Some(Event::Duplicate { .. })), "{told:?}");
        drop(let_go);
        let request = state.join("rotate.json");
        within("the request is open", until(&|| !request.exists())).await;
    };
    tokio::select! {
        served = serving => panic!("{served:?}"),
        () = driving => {}
    }
    holder.join().unwrap();
    let plan = bench.event_loop.enrolment.registry.plan.plan();
    assert_eq!(plan.epochs.len(), 2);
    drop(bench.dir);
}

/// The command checked it before the window was released.
#[tokio::test]
async fn an_epoch_that_would_begin_before_a_released_window_is_refused() {
    let mut bench = Bench::new();
    let request = rotate::Request {
        epoch: wire::KeyEpoch(2),
        first_window: WindowStart(14_400 * 24),
        force: true,
    };
    let inbox = rotate::Inbox::new(&folder(&bench.settings));
    inbox.leave(&request).unwrap();
    let report = crate::testing::report("feeder-1", request.first_window.0);
    bench.event_loop.announce(TakeResult::Taken {
        churn: None,
        report: Box::new(report),
        sum: Box::new(sum("feeder-1", request.first_window.0, 0)),
        excerpt: crate::Excerpt::of(&[]),
        messages: Vec::new(),
        published: Default::default(),
    });
    bench.event_loop.rotate();
    assert_eq!(inbox.waiting().unwrap(), None, "it was turned down");
    assert!(bench.event_loop.rotation.is_idle());
}

#[tokio::test]
async fn a_task_that_sends_and_has_ended_ends_the_operator_with_an_error() {
    let mut bench = Bench::new();
    let mqtt = &bench.settings.mqtt;
    let (publisher, _) = mqtt::connect(mqtt, "egress", Vec::new(), bench.stop.clone());
    let egress = Egress::open(publisher.clone());
    publisher.close().await;
    // It learns of the closed connection with the first message.
    let answer = bench.event_loop.announce(duplicate());
    egress.send(answer).await.unwrap();
    let (jobs, _queue) = mpsc::channel(1);
    let (_done, mut results) = mpsc::channel(1);
    let (event_loop, inbox) = (&mut bench.event_loop, &mut bench.inbox);
    let serving = event_loop.serve(inbox, &jobs, &mut results, &egress, &bench.stop);
    let ended = within("it goes on in silence", serving).await.unwrap_err();
    assert!(matches!(ended, OperatorError::Egress), "{ended}");
}
