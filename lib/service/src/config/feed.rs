//! `[meter.feed]`: the plain MQTT broker that live readings come from, and what its messages mean.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::login_keys::LoginKeys;
use super::{Mqtt, text};

/// `[meter.feed]`: where live readings are subscribed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// The broker, or several with commas in between, as in `mqtt.address`; empty: none.
    #[serde(deserialize_with = "text::joined")]
    pub address: String,
    /// As in `[mqtt]`.
    #[serde(with = "text::optional")]
    pub user: Option<String>,
    /// As in `[mqtt]`.
    #[serde(with = "text::path")]
    pub password_file: Option<PathBuf>,
    /// As in `[mqtt]`.
    #[serde(with = "text::path")]
    pub ca_file: Option<PathBuf>,
    /// As in `[mqtt]`.
    #[serde(with = "text::path")]
    pub certificate_file: Option<PathBuf>,
    /// As in `[mqtt]`.
    #[serde(with = "text::path")]
    pub key_file: Option<PathBuf>,
    /// As in `[mqtt]`.
    #[serde(with = "text::optional")]
    pub server_name: Option<String>,
    /// What messages mean, the first that has a topic first.
    #[serde(deserialize_with = "mappings")]
    pub mappings: Vec<FeedMapping>,
}

impl Feed {
    /// How to connect there; what is not about the broker is as in `mqtt`.
    pub fn mqtt(&self, mqtt: &Mqtt) -> Mqtt {
        Mqtt {
            address: self.address.clone(),
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            ca_file: self.ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
            server_name: self.server_name.clone(),
            keys: LoginKeys::feed(),
            ..mqtt.clone()
        }
    }
}

/// One of `meter.feed.mappings`. What it leaves out is as in the ready one that it names, or has the default of docs/live.md.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedMapping {
    /// Name of a ready mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// Topic pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Id of the meter, if the topic does not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// JSON pointer to the time; an empty one is the moment at which a message comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// JSON pointers to the values that are added up; an empty list is the payload itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Vec<String>>,
    /// JSON pointers to the registers of what was exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<Vec<String>>,
    /// `register`, `energy` or `power`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `Wh`, `kWh`, `MWh`, `W` or `kW`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What values are multiplied by, besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
}

/// Mappings, each as a table or as the name of a ready one.
fn mappings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FeedMapping>, D::Error> {
    struct Item(FeedMapping);

    impl<'de> Deserialize<'de> for Item {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(NameOrTable).map(Self)
        }
    }

    let items = Vec::<Item>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|Item(mapping)| mapping).collect())
}

struct NameOrTable;

impl<'de> Visitor<'de> for NameOrTable {
    type Value = FeedMapping;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a ready mapping, or a table")
    }

    fn visit_str<E>(self, name: &str) -> Result<FeedMapping, E> {
        Ok(FeedMapping {
            ready: Some(name.to_owned()),
            ..FeedMapping::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FeedMapping, A::Error> {
        FeedMapping::deserialize(MapAccessDeserializer::new(map))
    }
}
