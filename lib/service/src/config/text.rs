//! Settings that are written as text; most may be left empty.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

fn write<S: Serializer>(text: Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text.unwrap_or_default())
}

fn read<'de, T, E, D>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error>
where
    E: Display,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    parse(&text).map(Some).map_err(D::Error::custom)
}

/// A text, or a list of texts, which become one with commas in between.
pub(crate) fn joined<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of texts")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    Ok(match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(text) => text,
        OneOrMore::More(texts) => texts.join(", "),
    })
}

/// Anything that reads and writes itself.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        write(value.as_ref().map(T::to_string), serializer)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        read(deserializer, str::parse)
    }
}

/// An address, as numbers or `localhost`, and a port.
pub(crate) mod address {
    use std::net::{Ipv4Addr, SocketAddr};

    pub(crate) use super::optional::serialize;
    use super::*;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        read(deserializer, parse)
    }

    /// As `deserialize`, of text that is never empty.
    pub(crate) fn required<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SocketAddr, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    fn parse(text: &str) -> Result<SocketAddr, &'static str> {
        let local = text.strip_prefix("localhost:");
        let local = local.map(|port| format!("{}:{port}", Ipv4Addr::LOCALHOST));
        let read = local.as_deref().unwrap_or(text).parse();
        read.map_err(|_| match text.contains("://") {
            true => "leave out what is before the address, such as mqtt://",
            false => {
                "expected address:port such as 127.0.0.1:1883, localhost:1883 or [::1]:1883; another name is not accepted"
            }
        })
    }
}

/// A duration such as `90s` or `2days`.
pub(crate) mod duration {
    use std::time::Duration;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = value.map(|value| humantime::format_duration(value).to_string());
        write(text, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        read(deserializer, humantime::parse_duration)
    }
}

/// A file name.
pub(crate) mod path {
    use std::convert::Infallible;
    use std::path::PathBuf;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        write(
            value.as_ref().map(|path| path.display().to_string()),
            serializer,
        )
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        read(deserializer, |text| {
            Ok::<_, Infallible>(PathBuf::from(text))
        })
    }
}

/// A layout by its name, never empty.
pub(crate) mod layout {
    use packed::layout::Layout;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Layout,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Layout, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

/// A parameter profile by its name, or `auto`; never empty.
pub(crate) mod profile {
    use packed::Profile;

    use super::*;

    const AUTO: &str = "auto";

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<&'static Profile>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.map_or(AUTO, |profile| profile.name))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<&'static Profile>, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == AUTO {
            return Ok(None);
        }
        Profile::by_name(&name)
            .map(Some)
            .map_err(|error| D::Error::custom(format!("{error}, or \"{AUTO}\"")))
    }
}

/// An RFC 3339 instant in UTC with whole seconds, such as `2014-03-03T00:00:00Z`.
pub(crate) mod instant {
    use std::time::{Duration, UNIX_EPOCH};

    use wire::UnixSeconds;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<UnixSeconds>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = value.map(|at| {
            let time = UNIX_EPOCH + Duration::from_secs(at.0);
            humantime::format_rfc3339_seconds(time).to_string()
        });
        write(text, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixSeconds>, D::Error> {
        read(deserializer, parse)
    }

    fn parse(text: &str) -> Result<UnixSeconds, String> {
        let wrong = || "expected an instant in UTC such as 2014-03-03T00:00:00Z".to_owned();
        let time = humantime::parse_rfc3339(text).map_err(|_| wrong())?;
        let since = time.duration_since(UNIX_EPOCH).map_err(|_| wrong())?;
        Ok(UnixSeconds(since.as_secs()))
    }
}
