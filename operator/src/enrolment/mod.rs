//! Who may join, and who leaves: requests of gateways and analytics services, the rules they are held against, the approval
//! of a person, and departures.

pub(crate) mod analytics;
pub(crate) mod approvals;
pub(crate) mod gateways;
pub(crate) mod handler;
pub(crate) mod leaving;
pub(crate) mod message;
pub(crate) mod physical;
pub(crate) mod registry;
pub(crate) mod shown;
