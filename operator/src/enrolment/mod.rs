//! Who may join: requests of gateways and analytics services, the rules they are held against, and the approval of a
//! person.

pub(crate) mod analytics;
pub(crate) mod approvals;
pub(crate) mod gateways;
pub(crate) mod handler;
pub(crate) mod message;
pub(crate) mod registry;
