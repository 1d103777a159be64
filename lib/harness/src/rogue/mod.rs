//! Dishonest parties, played over TCP with what such a party has: keys of its own, and what any client of the broker can see.
//!
//! # Layout
//! * [`Outsider`]: a client of the broker · [`Observed`]: what it saw there
//! * [`RogueGateway`]: a gateway that is enrolled and seals what it likes · [`Spoilt`]: what may be wrong with a report
//! * [`RogueAnalytics`]: an analytics service that is enrolled and signs what it likes
//! * [`RogueOperator`]: the operator's keys, and questions to holders · [`StreamKeys`]: a holder's part of the mask keys
//! * [`ciphertext`]: ciphertexts made by hand

mod analytics;
pub mod ciphertext;
mod gateway;
mod holders;
mod observed;
mod operator;
mod outsider;
mod spoilt;

pub use analytics::{Asked, RogueAnalytics};
pub use gateway::{RogueGateway, RogueKeys, RogueMeter};
pub use holders::{Masked, StreamKeys, follow};
pub use observed::{Observed, SeenReport, SumKey};
pub use operator::RogueOperator;
pub use outsider::Outsider;
pub use spoilt::Spoilt;
