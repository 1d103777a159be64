use super::*;

fn demand(holder: &str, issued_at: u64, meters: usize) -> AuditDemand {
    AuditDemand {
        holder: holder.parse().unwrap(),
        terms: wire::Digest([1; 32]),
        issued_at: UnixMillis(issued_at),
        feeder: "feeder-1".parse().unwrap(),
        window: WindowStart(0),
        meters: vec!["meter-1".parse().unwrap(); meters],
    }
}

/// Hears demands of these meters, each later than the one before.
struct Heard {
    audits: Audits,
    limits: Limits,
    issued_at: u64,
}

impl Heard {
    fn new(in_span: u32, holders: usize) -> Self {
        Self {
            audits: Audits::default(),
            limits: Limits { in_span, holders },
            issued_at: 0,
        }
    }

    fn hear(
        &mut self,
        holder: &str,
        meters: std::ops::Range<usize>,
    ) -> Result<Vec<(HolderId, Place)>, Reason> {
        self.issued_at += 1;
        let names = meters.map(|n| format!("meter-{n}").parse().unwrap());
        let demand = AuditDemand {
            meters: names.collect(),
            ..demand(holder, self.issued_at, 0)
        };
        self.audits.hear(demand, self.limits, Instant::now())
    }

    /// How many of these meters are taken.
    fn taken(&mut self, holder: &str, meters: std::ops::Range<usize>) -> Result<usize, Reason> {
        self.hear(holder, meters).map(|taken| taken.len())
    }

    /// The disk takes a commit: of these the first so many are there.
    fn read(&mut self, read: Vec<(HolderId, Place)>, there: usize) {
        for (at, (holder, place)) in read.into_iter().enumerate() {
            self.audits.has_read(&place, &holder);
            if at < there {
                let payload = Bytes::new();
                self.audits.show(Shown {
                    holder,
                    place,
                    payload,
                });
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_holder_has_a_share_of_every_minute_and_no_demand_counts_twice() {
    let mut heard = Heard::new(10, 2);
    assert_eq!(heard.taken("a", 0..6), Ok(6));
    heard.issued_at -= 1;
    assert_eq!(heard.taken("a", 6..7), Err(Reason::LowerVersion));
    assert_eq!(heard.taken("a", 0..6), Ok(0), "they wait already");
    assert_eq!(heard.taken("a", 0..12), Ok(4), "as many as are left");
    assert_eq!(heard.taken("a", 0..10), Ok(0));
    assert_eq!(heard.taken("a", 10..12), Err(Reason::Overloaded));
    assert_eq!(heard.taken("b", 0..1), Ok(1), "another has its own");
    tokio::time::advance(SPAN).await;
    assert_eq!(heard.taken("a", 10..12), Ok(2));
}

/// As long as the disk takes no commit.
#[tokio::test(start_paused = true)]
async fn while_nothing_can_be_read_demands_do_not_pile_up_and_none_is_queued_twice() {
    let mut heard = Heard::new(1 << 20, 2);
    let first = heard.hear("a", 0..256).unwrap();
    assert_eq!(first.len(), 256);
    assert_eq!(heard.taken("a", 0..256), Ok(0), "they wait already");
    assert_eq!(heard.taken("a", 200..456), Ok(200));
    assert_eq!(heard.taken("a", 456..712), Ok(56), "as many as fit");
    assert_eq!(heard.taken("a", 512..768), Err(Reason::Overloaded));
    // The disk takes a commit: what is there waits on, what is not is forgotten.
    heard.read(first, 10);
    assert_eq!(heard.taken("a", 512..768), Ok(246));
    assert_eq!(heard.taken("a", 768..769), Err(Reason::Overloaded));
    while heard.audits.pop().is_some() {}
    assert_eq!(heard.taken("a", 768..1_024), Ok(10));
}

/// It demands all that it may, again and again.
#[tokio::test(start_paused = true)]
async fn one_holder_does_not_keep_the_others_from_auditing() {
    let mut heard = Heard::new(1 << 20, 3);
    let liars = heard.hear("b", 0..1_024).unwrap();
    assert_eq!(liars.len(), 1_024 / 3);
    assert_eq!(heard.taken("b", 1_024..1_280), Err(Reason::Overloaded));
    let honest = ["a", "c"].map(|holder| heard.hear(holder, 0..2).unwrap());
    heard.read(liars, usize::MAX);
    for reports in honest {
        heard.read(reports, 2);
    }
    let mut next = || heard.audits.pop().unwrap().holder.to_string();
    let shown: Vec<String> = (0..8).map(|_| next()).collect();
    assert_eq!(shown, ["a", "b", "c", "a", "b", "c", "b", "b"]);
}

fn key(place: u8) -> wire::SigningKey {
    wire::SigningKey::from_bytes(&[place; 32])
}

/// From the second window on.
fn terms() -> Terms {
    let holder = |place: u8| wire::HolderEntry {
        id: format!("holder-{place}").parse().unwrap(),
        key: key(place).verifying_key(),
    };
    Terms {
        deployment: "dev".parse().unwrap(),
        generation: 1,
        from: WindowStart(3_600),
        previous: None,
        threshold: 2,
        consents: 2,
        holders: vec![holder(1), holder(2)],
        streams: Vec::new(),
        noise: None,
    }
}

#[test]
fn a_demand_of_nobody_who_may_make_it_is_refused_by_its_reason() {
    const TOPIC: &str = "gateway/gateway-1/audit";
    let terms = terms();
    let terms_for = |window| (window >= terms.from).then_some(&terms);
    let good = AuditDemand {
        terms: terms.digest(),
        window: terms.from,
        ..demand("holder-1", 2 * FRESH_MS, 1)
    };
    let open = |demand: &AuditDemand, signer: u8, on: &str| {
        let (bytes, _) = wire::seal(demand, None, &terms.deployment, on, &key(signer));
        let now = UnixMillis(2 * FRESH_MS);
        opened(&bytes.into(), (&terms.deployment, TOPIC), terms_for, now)
    };
    assert_eq!(open(&good, 1, TOPIC), Ok(good.clone()));
    assert_eq!(open(&good, 2, TOPIC), Err(Reason::BadSignature));
    let elsewhere = open(&good, 1, "gateway/gateway-2/audit");
    assert_eq!(elsewhere, Err(Reason::BadSignature));
    type Change = fn(&mut AuditDemand);
    let changes: [(Reason, Change); 5] = [
        (Reason::UnknownHolder, |demand| {
            demand.holder = "holder-3".parse().unwrap();
        }),
        (Reason::UnknownTerms, |demand| {
            demand.window = WindowStart(0)
        }),
        (Reason::UnknownTerms, |demand| demand.terms.0[0] ^= 1),
        (Reason::ReportTooLate, |demand| {
            demand.issued_at.0 = FRESH_MS - 1;
        }),
        (Reason::ReportTooEarly, |demand| {
            demand.issued_at.0 = 3 * FRESH_MS + 1;
        }),
    ];
    for (expected, change) in changes {
        let mut demand = good.clone();
        change(&mut demand);
        assert_eq!(open(&demand, 1, TOPIC), Err(expected), "{demand:?}");
    }
    let place = (&terms.deployment, TOPIC);
    let none = opened(&Bytes::from_static(b"x"), place, terms_for, UnixMillis(0));
    assert_eq!(none, Err(Reason::InvalidMessage));
}
