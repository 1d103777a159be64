//! What masks are bound to.

use super::Plan;
use crate::FORMAT;
use crate::cbor::Writer;
use crate::grid::WindowStart;
use crate::message::{EpochPlan, FeederPlan, Terms};
use crate::units::Digest;

impl Plan {
    /// SHA-256 over everything that decides what a report of this setting and epoch means, in `window`. Masks are bound to it, so a
    /// report counts under no other setting.
    pub fn setting_digest(
        &self,
        setting: &FeederPlan,
        epoch: &EpochPlan,
        window: WindowStart,
    ) -> Digest {
        let terms = self.terms_for(window).map(Terms::digest);
        let mut writer = Writer::with_capacity(512);
        writer.array(8 + usize::from(terms.is_some()));
        writer.text("cipherwatt/setting");
        writer.uint(FORMAT);
        writer.text(self.deployment.as_str());
        writer.uint(self.interval_s);
        self.write_batch(&mut writer);
        self.write_layout(&mut writer);
        setting.write(&mut writer);
        writer.bytes(&epoch.fingerprint);
        // Nothing where there are no holders, as before there could be.
        if let Some(terms) = terms {
            writer.bytes(&terms.0);
        }
        Digest::of(&writer.into_bytes())
    }
}
