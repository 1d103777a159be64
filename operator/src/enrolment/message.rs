//! Requests to join as they arrive: decoded, signed by the key they name, on the topic they name.

use std::fmt::Write as _;

use wire::{
    AnalyticsEnrol, DeploymentId, EnrolRequest, Reason, Topic, Topics, UnixMillis, VerifyingKey,
};

/// A request whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnrolmentRequest {
    /// A gateway and its meters.
    Gateway(EnrolRequest),
    /// An analytics service.
    Analytics(AnalyticsEnrol),
}

impl EnrolmentRequest {
    /// Reads and verifies what came in on a topic.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn open(
        topics: &Topics,
        deployment: &DeploymentId,
        topic: &str,
        payload: &[u8],
    ) -> Result<Self, Reason> {
        let refused = |error: wire::WireError| error.reason();
        match topics.parse(topic) {
            Some(Topic::Enrol { gateway }) => {
                let unverified =
                    wire::decode::<EnrolRequest>(payload, payload.len()).map_err(refused)?;
                let key = unverified.claimed().gateway_key;
                let opened = unverified
                    .verify(deployment, topic, &key)
                    .map_err(refused)?;
                let request = opened.message;
                (request.gateway == gateway)
                    .then_some(Self::Gateway(request))
                    .ok_or(Reason::WrongTopic)
            }
            Some(Topic::AnalyticsEnrol { analytics }) => {
                let unverified =
                    wire::decode::<AnalyticsEnrol>(payload, payload.len()).map_err(refused)?;
                let key = unverified.claimed().key;
                let opened = unverified
                    .verify(deployment, topic, &key)
                    .map_err(refused)?;
                let request = opened.message;
                (request.id == analytics)
                    .then_some(Self::Analytics(request))
                    .ok_or(Reason::WrongTopic)
            }
            _ => Err(Reason::WrongTopic),
        }
    }

    /// What a message of this kind claims, without a look at its signature: only for what was verified before it was kept.
    pub(crate) fn claimed(kind: &str, bytes: &[u8]) -> Option<Self> {
        match kind {
            "gateway" => {
                let kept = wire::decode::<EnrolRequest>(bytes, bytes.len()).ok()?;
                Some(Self::Gateway(kept.claimed().clone()))
            }
            "analytics" => {
                let kept = wire::decode::<AnalyticsEnrol>(bytes, bytes.len()).ok()?;
                Some(Self::Analytics(kept.claimed().clone()))
            }
            _ => None,
        }
    }

    /// What it asks for, at whatever time, line by line: of two requests the same only if they ask for the same.
    pub(crate) fn content(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail, and no id has a space in it.
        let _ = match self {
            Self::Gateway(request) => write_gateway(&mut text, request),
            Self::Analytics(request) => write_analytics(&mut text, request),
        };
        text
    }

    /// Whether two messages of a kind ask for the same, at whatever time.
    pub(crate) fn ask_the_same(kind: &str, one: &[u8], other: &[u8]) -> bool {
        let content = |bytes| Self::claimed(kind, bytes).map(|request| request.content());
        one == other || content(one).is_some_and(|one| Some(one) == content(other))
    }

    /// Whether a gateway or an analytics service asks.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Analytics(_) => "analytics",
        }
    }

    /// The name of who asks.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Gateway(request) => request.gateway.as_str(),
            Self::Analytics(request) => request.id.as_str(),
        }
    }

    /// The key of who asks.
    pub(crate) fn key(&self) -> &VerifyingKey {
        match self {
            Self::Gateway(request) => &request.gateway_key,
            Self::Analytics(request) => &request.key,
        }
    }

    /// When it was made, by its sender's clock.
    pub(crate) fn issued_at(&self) -> UnixMillis {
        match self {
            Self::Gateway(request) => request.issued_at,
            Self::Analytics(request) => request.issued_at,
        }
    }

    /// Which part of the request this is.
    pub(crate) fn chunk(&self) -> u32 {
        match self {
            Self::Gateway(request) => request.chunk,
            Self::Analytics(_) => 0,
        }
    }

    /// How many parts the request has.
    pub(crate) fn chunks(&self) -> u32 {
        match self {
            Self::Gateway(request) => request.chunks,
            Self::Analytics(_) => 1,
        }
    }

    /// The topic such a request comes on.
    pub(crate) fn topic(topics: &Topics, kind: &str, id: &str) -> Option<String> {
        match kind {
            "gateway" => Some(topics.enrol(&id.try_into().ok()?)),
            "analytics" => Some(topics.analytics_enrol(&id.try_into().ok()?)),
            _ => None,
        }
    }
}

fn write_gateway(text: &mut String, request: &EnrolRequest) -> std::fmt::Result {
    let EnrolRequest {
        gateway,
        gateway_key,
        chunk,
        chunks,
        ..
    } = request;
    writeln!(text, "gateway {gateway} {gateway_key} {chunk} {chunks}")?;
    for declared in &request.feeders {
        let class = declared.max_capacity.number();
        writeln!(
            text,
            "feeder {} {class} {}",
            declared.feeder, declared.meters
        )?;
    }
    for asked in &request.meters {
        let class = asked.capacity.number();
        let (meter, feeder) = (&asked.meter, &asked.feeder);
        let billing = if asked.billing { " billing" } else { "" };
        writeln!(
            text,
            "meter {meter} {feeder} {class} {} {}{billing}",
            asked.key, asked.mask_key
        )?;
    }
    Ok(())
}

fn write_analytics(text: &mut String, request: &AnalyticsEnrol) -> std::fmt::Result {
    writeln!(text, "analytics {} {}", request.id, request.key)?;
    for feeder in &request.feeders {
        writeln!(text, "feeder {feeder}")?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use wire::{
        AnalyticsId, CapacityClass, EnrolMeter, FeederId, GatewayId, MaskKey, MeterId, SigningKey,
        Watts,
    };

    pub(crate) fn topics() -> Topics {
        Topics::new("cipherwatt/v2").unwrap()
    }

    pub(crate) fn deployment() -> DeploymentId {
        DeploymentId::try_from("dev").unwrap()
    }

    pub(crate) fn signing(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// The mask key of a meter.
    pub(crate) fn mask(number: u8) -> MaskKey {
        MaskKey([100 + number; 32])
    }

    /// A gateway's request: each meter with its number, feeder and capacity in watts.
    pub(crate) fn gateway(name: &str, seed: u8, meters: &[(u8, &str, u64)]) -> EnrolRequest {
        let meter = |&(number, feeder, watts): &(u8, &str, u64)| EnrolMeter {
            meter: MeterId::try_from(format!("meter-{number}").as_str()).unwrap(),
            feeder: FeederId::try_from(feeder).unwrap(),
            capacity: CapacityClass::of(Watts(watts)).unwrap(),
            key: signing(100 + number).verifying_key(),
            mask_key: mask(number),
            billing: false,
        };
        EnrolRequest {
            gateway: GatewayId::try_from(name).unwrap(),
            gateway_key: signing(seed).verifying_key(),
            issued_at: UnixMillis(1),
            chunk: 0,
            chunks: 1,
            feeders: Vec::new(),
            meters: meters.iter().map(meter).collect(),
        }
    }

    pub(crate) fn analytics(id: &str, seed: u8, feeders: &[&str]) -> AnalyticsEnrol {
        AnalyticsEnrol {
            id: AnalyticsId::try_from(id).unwrap(),
            key: signing(seed).verifying_key(),
            issued_at: UnixMillis(1),
            feeders: feeders
                .iter()
                .map(|&feeder| FeederId::try_from(feeder).unwrap())
                .collect(),
            pool: None,
        }
    }

    fn open(topic: &str, payload: &[u8]) -> Result<EnrolmentRequest, Reason> {
        EnrolmentRequest::open(&topics(), &deployment(), topic, payload)
    }

    #[test]
    fn a_request_is_held_to_its_own_key_and_topic() {
        let request = gateway("gateway-1", 1, &[(1, "feeder-1", 7_000)]);
        let topic = topics().enrol(&request.gateway);
        let (bytes, _) = wire::seal(&request, None, &deployment(), &topic, &signing(1));
        assert_eq!(
            open(&topic, &bytes),
            Ok(EnrolmentRequest::Gateway(request.clone()))
        );

        let (forged, _) = wire::seal(&request, None, &deployment(), &topic, &signing(2));
        assert_eq!(open(&topic, &forged), Err(Reason::BadSignature));
        let other = topics().enrol(&GatewayId::try_from("gateway-2").unwrap());
        assert_eq!(open(&other, &bytes), Err(Reason::BadSignature));
        let (misplaced, _) = wire::seal(&request, None, &deployment(), &other, &signing(1));
        assert_eq!(open(&other, &misplaced), Err(Reason::WrongTopic));
        assert_eq!(open(&topics().plan(), &bytes), Err(Reason::WrongTopic));
        assert_eq!(open(&topic, &bytes[1..]), Err(Reason::InvalidMessage));
    }

    #[test]
    fn analytics_requests_likewise() {
        let request = analytics("analytics-1", 3, &["feeder-1"]);
        let topic = topics().analytics_enrol(&request.id);
        let (bytes, _) = wire::seal(&request, None, &deployment(), &topic, &signing(3));
        let opened = open(&topic, &bytes).unwrap();
        assert_eq!(
            (opened.kind(), opened.id(), opened.key()),
            ("analytics", "analytics-1", &request.key)
        );
        assert_eq!(
            EnrolmentRequest::topic(&topics(), opened.kind(), opened.id()),
            Some(topic.clone())
        );
        let other = topics().analytics_enrol(&AnalyticsId::try_from("analytics-2").unwrap());
        assert!(open(&other, &bytes).is_err());
    }
}
