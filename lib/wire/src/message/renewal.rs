//! A renewal of the plan: the plan holds on, without being sent again.

use super::Message;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::DeploymentId;
use crate::units::{Digest, PlanVersion, UnixSeconds};

/// A later end of one plan. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRenewal {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The version of the plan.
    pub plan_version: PlanVersion,
    /// The plan's digest, [`crate::Plan::digest`].
    pub plan_digest: Digest,
    /// When the plan ends.
    pub valid_until: UnixSeconds,
}

impl Message for PlanRenewal {
    const CONTENT_TYPE: &'static str = "cipherwatt/renewal";
    const FIELDS: usize = 4;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.deployment.as_str());
        writer.uint(self.plan_version.0);
        writer.bytes(&self.plan_digest.0);
        writer.uint(self.valid_until.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            deployment: reader.id("renewal.deployment")?,
            plan_version: PlanVersion(reader.u64("renewal.plan_version")?),
            plan_digest: Digest(reader.bytes_of("renewal.plan_digest")?),
            valid_until: reader.seconds("renewal.valid_until")?,
        })
    }
}
