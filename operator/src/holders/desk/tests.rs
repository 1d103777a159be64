use packed::RING;
use service::trust::MinMeters;
use wire::{AnswerBody, Consent, HolderAnswer};

use super::*;
use crate::enrolment::message::tests::{deployment, topics};
use crate::holders::agreements::tests::{signing, terms};
use crate::holders::masks::HolderMasks;
use crate::release::take_result::Lengths;
use crate::testing::{members, plan};

mod refusals;

const LENGTHS: Lengths = Lengths {
    checks: 2,
    payload: 3,
};

/// A desk that asks so many holders, of whom two have every stream.
struct Scene {
    desk: HolderDesk,
    terms: Arc<Terms>,
    now: Instant,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new(consents: usize, n: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::open(dir.path(), None).unwrap());
        let mut settings = Settings::defaults();
        settings.deployment.id = deployment();
        settings.deployment.state_dir = dir.path().to_owned();
        Self {
            desk: HolderDesk::new(&settings, topics(), keyring),
            terms: Arc::new(terms(2, consents, n)),
            now: Instant::now(),
            _dir: dir,
        }
    }

    fn needed(&self, masks: Option<HolderMasks>) -> Needed {
        let job = Job {
            feeder: "feeder-1".parse().unwrap(),
            payload: Bytes::from_static(b"a sum"),
            plan: Arc::new(plan()),
            min_meters: Arc::new(MinMeters::new(15)),
            members: Arc::new(members(3)),
            others: Vec::new(),
            masks,
        };
        Needed {
            job,
            sum: Bytes::from_static(b"what analytics signed"),
            terms: self.terms.clone(),
            lengths: LENGTHS,
        }
    }

    /// The one question that is to be published.
    fn question(&mut self) -> Ask {
        let [(topic, bytes)]: [Outgoing; 1] = self.desk.take_questions().try_into().unwrap();
        assert_eq!(topic, topics().of(&Topic::Ask));
        wire::decode_shared::<Ask>(&bytes, bytes.len())
            .unwrap()
            .claimed()
            .clone()
    }

    fn id(&self, place: usize) -> HolderId {
        self.terms.holders[place].id.clone()
    }

    fn says(&mut self, place: usize, ask: &Ask, body: AnswerBody) {
        let holder = self.id(place);
        let answer = HolderAnswer {
            holder: holder.clone(),
            subject: ask.subject(),
            step: ask.step,
            body,
        };
        let topic = Topic::HolderAnswer { holder };
        let place_of = topics().of(&topic);
        let (bytes, _) = wire::seal(&answer, None, &deployment(), &place_of, &signing(place));
        self.desk.receive(&topic, &bytes.into(), self.now);
    }

    /// All holders answer, each word the streams' bits; `lie` is added by one of them.
    fn answer(&mut self, ask: &Ask, lie: Option<(usize, u64)>, silent: Option<usize>) {
        let len = match ask.step {
            Step::Checks => LENGTHS.checks,
            _ => LENGTHS.payload,
        };
        for group in &ask.groups {
            let place = usize::from(group.holder);
            if silent == Some(place) {
                continue;
            }
            let added = lie
                .filter(|(liar, _)| *liar == place)
                .map_or(0, |(_, lie)| lie);
            let word = (u64::from(group.streams) + added) % RING.modulus;
            let body = AnswerBody::Masks {
                streams: group.streams,
                words: vec![word; len],
            };
            self.says(place, ask, body);
        }
    }

    fn consents(&mut self, ask: &Ask, places: &[usize], members: u8) {
        for place in places {
            let holder = self.id(*place);
            let consent = Consent {
                holder: holder.clone(),
                terms: self.terms.digest(),
                subject: ask.subject(),
                members: Digest([members; 32]),
            };
            let topic = Topic::Consent { holder };
            let place_of = topics().of(&topic);
            let (bytes, _) = wire::seal(&consent, None, &deployment(), &place_of, &signing(*place));
            self.desk.receive(&topic, &bytes.into(), self.now);
        }
    }
}

/// Those of the zero checks.
fn masks() -> Option<HolderMasks> {
    Some(HolderMasks {
        checks: vec![0; 2].into(),
        payload: None,
        consented: Vec::new(),
        since: Instant::now(),
        refused: None,
    })
}

#[test]
fn a_sum_comes_back_with_its_checks_and_then_with_everything() {
    let mut scene = Scene::new(3, 4);
    scene.desk.ask(scene.needed(None), scene.now);
    scene.desk.ask(scene.needed(None), scene.now);
    let ask = scene.question();
    assert_eq!((ask.step, ask.groups.is_empty()), (Step::Checks, false));
    scene.answer(&ask, None, None);
    let job = scene.desk.next_ready().unwrap();
    let masks = job.masks.unwrap();
    assert_eq!((&**masks.checks, masks.is_whole()), (&[15, 15][..], false));

    scene.desk.ask(scene.needed(Some(masks)), scene.now);
    let ask = scene.question();
    assert_eq!((ask.step, ask.groups.len()), (Step::Consent, 0));
    scene.consents(&ask, &[0, 2], 1);
    assert!(!scene.desk.has_questions(), "two of three consents");
    scene.consents(&ask, &[2, 3], 1);
    let ask = scene.question();
    assert_eq!((ask.step, ask.consents.len()), (Step::Payload, 3));
    scene.answer(&ask, None, None);
    let masks = scene.desk.next_ready().unwrap().masks.unwrap();
    assert_eq!(masks.payload.as_deref(), Some(&vec![15, 15, 15]));
    assert!(!scene.desk.has_ready());
}

#[test]
fn consents_to_other_meters_do_not_count_together() {
    let mut scene = Scene::new(3, 4);
    scene.desk.ask(scene.needed(masks()), scene.now);
    let ask = scene.question();
    scene.consents(&ask, &[0, 1], 1);
    scene.consents(&ask, &[2], 2);
    assert!(!scene.desk.has_questions());
    scene.consents(&ask, &[3], 1);
    assert_eq!(
        scene.question().consents.len(),
        3,
        "without the one that differs"
    );
}

#[tokio::test]
async fn a_holder_that_lies_is_outvoted() {
    for (n, away) in [(4, None), (4, Some(0)), (4, Some(3)), (3, None)] {
        let mut scene = Scene::new(3, n);
        scene.desk.ask(scene.needed(None), scene.now);
        let mut ask = scene.question();
        if away.is_some() {
            scene.answer(&ask, None, away);
            scene.now += Duration::from_secs(60);
            scene.desk.tick(scene.now);
            ask = scene.question();
        }
        // The same error everywhere: two answers of one holder do not confirm each other.
        let liar = Some((usize::from(ask.groups[0].holder), 7));
        scene.answer(&ask, liar, away);
        assert!(!scene.desk.has_ready(), "{n} holders without {away:?}");
        let ask = scene.question();
        scene.answer(&ask, liar, away);
        let masks = scene.desk.next_ready().unwrap().masks.unwrap();
        let all = (1 << scene.terms.streams.len()) - 1;
        assert_eq!(&**masks.checks, &[all, all]);
    }
}

#[test]
fn a_holder_that_is_away_is_not_asked_again_and_one_that_comes_back_is() {
    let mut scene = Scene::new(3, 4);
    scene.desk.ask(scene.needed(None), scene.now);
    let ask = scene.question();
    scene.answer(&ask, None, Some(1));
    assert!(!scene.desk.has_ready());
    scene.now += Duration::from_secs(60);
    scene.desk.tick(scene.now);
    let ask = scene.question();
    assert!(ask.groups.iter().all(|group| group.holder != 1));
    assert_eq!(
        scene.desk.awaited().map(|(sums, away)| (sums, away.len())),
        Some((1, 1))
    );
    scene.answer(&ask, None, None);
    assert!(scene.desk.has_ready());
    let masks = scene.desk.next_ready().unwrap().masks;
    scene.desk.ask(scene.needed(masks), scene.now);
    let ask = scene.question();
    scene.consents(&ask, &[1], 1);
    assert_eq!(scene.desk.awaited(), None);
}

#[test]
fn a_holder_that_answers_too_late_is_there_all_the_same() {
    let mut scene = Scene::new(3, 4);
    scene.desk.ask(scene.needed(None), scene.now);
    let late = scene.question();
    scene.now += Duration::from_secs(60);
    scene.desk.tick(scene.now);
    let ask = scene.question();
    scene.answer(&ask, None, None);
    assert!(scene.desk.has_ready());
    let before = scene.desk.away.len();
    scene.answer(&late, None, None);
    assert!(scene.desk.away.len() < before || before == 0);
    assert!(scene.desk.away.is_empty());
}

#[tokio::test]
async fn a_holder_that_lied_only_when_it_was_first_asked_is_named_by_what_it_signed() {
    let mut scene = Scene::new(3, 4);
    scene.desk.ask(scene.needed(None), scene.now);
    let ask = scene.question();
    let liar = usize::from(ask.groups[0].holder);
    scene.answer(&ask, Some((liar, 7)), None);
    let again = scene.question();
    scene.answer(&again, None, None);
    assert!(scene.desk.has_ready());
    let kept = async {
        loop {
            // While it is written it has another name.
            let files = std::fs::read_dir(&scene.desk.evidence)
                .into_iter()
                .flatten();
            let mut files = files.flatten().map(|file| file.path());
            if let Some(path) = files.find(|path| path.extension() == Some("json".as_ref())) {
                return std::fs::read(path).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let kept = tokio::time::timeout(Duration::from_secs(60), kept).await;
    let kept: serde_json::Value = serde_json::from_slice(&kept.unwrap()).unwrap();
    let signed = kept["answers"].as_array().unwrap().len();
    assert_eq!(signed, ask.groups.len() + again.groups.len());
}
