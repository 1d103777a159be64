//! Under which id a process connects.

use std::fmt::Write as _;

use wire::{AnalyticsId, GatewayId, HolderId, MeterId};

use crate::config::Deployment;

/// A client of the broker.
///
/// A broker knows a persistent session by its client id, and ends a connection as soon as another one comes with the
/// same id. So an id is the same at every start, and no two clients of two deployments on one broker have one in common.
#[derive(Debug, Clone, Copy)]
pub enum Client<'a> {
    /// The operator.
    Operator,
    /// The operator while it looks for the meter that spoils a sum.
    Search,
    /// An analytics service.
    Analytics(&'a AnalyticsId),
    /// The evaluator.
    Evaluator,
    /// A holder of mask keys.
    Holder(&'a HolderId),
    /// A gateway.
    Gateway(&'a GatewayId),
    /// A gateway where its live readings come from.
    Feed(&'a GatewayId),
    /// A meter with a connection of its own behind a gateway.
    Meter(&'a GatewayId, &'a MeterId),
}

impl Client<'_> {
    /// The client id in `deployment`: kind, topic root, deployment and names, such as
    /// `gateway:cipherwatt:v2:dev:gateway-1`.
    ///
    /// It is of `[A-Za-z0-9:_-]`: rumqttd breaks down over an id with `+`, `$`, `#` or `/` that connects twice, and NATS
    /// refuses one with a `.`. It is
    /// longer than the 23 characters that MQTT 3.1.1 obliges a broker to take; rumqttd and all brokers we know take
    /// more. No two clients have the same one: the kind says how many names follow, no name contains a `/`, and what
    /// stands for the `/` and `.` of the root can be told apart.
    #[must_use]
    pub fn id(&self, deployment: &Deployment) -> String {
        let (kind, names) = match self {
            Self::Operator => ("operator", vec![]),
            Self::Search => ("search", vec![]),
            Self::Evaluator => ("evaluator", vec![]),
            Self::Holder(id) => ("holder", vec![id.as_str()]),
            Self::Analytics(id) => ("analytics", vec![id.as_str()]),
            Self::Gateway(id) => ("gateway", vec![id.as_str()]),
            Self::Feed(id) => ("feed", vec![id.as_str()]),
            Self::Meter(gateway, meter) => ("meter", vec![gateway.as_str(), meter.as_str()]),
        };
        let mut path = format!("{kind}/{}/{}", deployment.root, deployment.id);
        for name in names {
            // Writing to a String cannot fail.
            let _ = write!(path, "/{name}");
        }
        path.chars().fold(String::new(), |mut id, character| {
            match character {
                '/' => id.push(':'),
                '.' => id.push_str("_d"),
                '_' => id.push_str("__"),
                other => id.push(other),
            }
            id
        })
    }
}

/// The id of a client's second connection.
pub(super) fn bulk(client_id: &str) -> String {
    // In front, where no name of another client can look the same.
    format!("bulk:{client_id}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Settings;

    fn deployment(root: &str, id: &str) -> Deployment {
        let mut deployment = Settings::defaults().deployment;
        root.clone_into(&mut deployment.root);
        deployment.id = id.try_into().unwrap();
        deployment
    }

    #[test]
    fn an_id_says_whose_it_is() {
        let gateway = GatewayId::try_from("gateway-1").unwrap();
        let meter = MeterId::try_from("m-7").unwrap();
        let deployment = deployment("cipherwatt/v1.2_a", "dev");
        for (client, id) in [
            (Client::Operator, "operator:cipherwatt:v1_d2__a:dev"),
            (
                Client::Gateway(&gateway),
                "gateway:cipherwatt:v1_d2__a:dev:gateway-1",
            ),
            (
                Client::Meter(&gateway, &meter),
                "meter:cipherwatt:v1_d2__a:dev:gateway-1:m-7",
            ),
        ] {
            assert_eq!(client.id(&deployment), id);
        }
    }

    /// Few letters, so that clients come close to each other.
    fn client() -> impl Strategy<Value = (usize, String, [String; 3])> {
        let level = "[ab._-]{1,3}";
        let root = prop::collection::vec(level, 1..4).prop_map(|levels| levels.join("/"));
        let name = || {
            prop_oneof![
                "[ab-]{1,3}",
                Just("meter".to_owned()),
                Just("bulk".to_owned())
            ]
        };
        (0..6_usize, root, [name(), name(), name()])
    }

    fn id((kind, root, [deployed, first, second]): &(usize, String, [String; 3])) -> String {
        let deployment = deployment(root, deployed);
        let gateway = GatewayId::try_from(first.as_str()).unwrap();
        let analytics = AnalyticsId::try_from(first.as_str()).unwrap();
        let meter = MeterId::try_from(second.as_str()).unwrap();
        match kind {
            0 => Client::Operator.id(&deployment),
            1 => Client::Analytics(&analytics).id(&deployment),
            2 => bulk(&Client::Analytics(&analytics).id(&deployment)),
            3 => Client::Gateway(&gateway).id(&deployment),
            4 => Client::Search.id(&deployment),
            _ => Client::Meter(&gateway, &meter).id(&deployment),
        }
    }

    proptest! {
        #[test]
        fn no_two_clients_have_the_same_id(mut one in client(), mut other in client()) {
            // Names that a kind does not have make no difference.
            for client in [&mut one, &mut other] {
                let used = [0, 1, 1, 1, 0, 2][client.0];
                client.2[1 + used..].iter_mut().for_each(|name| "a".clone_into(name));
            }
            prop_assert_eq!(one == other, id(&one) == id(&other));
        }

        #[test]
        fn an_id_has_no_character_that_rumqttd_breaks_down_over_or_nats_refuses(client in client()) {
            let allowed = |c: char| c.is_ascii_alphanumeric() || ":_-".contains(c);
            prop_assert!(id(&client).chars().all(allowed));
        }
    }
}
