//! Who may not come, whatever a person says.

use service::failpoint;
use wire::{EnrolMeter, GatewayId, Reason};

use super::Registry;
use crate::enrolment::message::EnrolmentRequest;

impl Registry {
    /// Why a meter that is not in the roster may not come into it: it has left, or is not in the list of physical meters, or, where
    /// there is none, has an id that another gateway could have thought of.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn check_new(&self, gateway: &GatewayId, meter: &EnrolMeter) -> Result<(), Reason> {
        self.departures.check_meter(meter)?;
        self.physical.check(meter)?;
        let is_bound = self.limits.meter_prefix && self.physical.len().is_none();
        match !is_bound
            || self.gateways.may_name(gateway, &meter.meter)
            || failpoint::sabotaged("gateway_prefix")
        {
            true => Ok(()),
            false => Err(Reason::WrongGateway),
        }
    }

    /// Why nothing of a request can be granted, whatever a person says: its sender has left, or none of its meters may come.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn check_return(&self, request: &EnrolmentRequest) -> Result<(), Reason> {
        match request {
            EnrolmentRequest::Gateway(request) => {
                let (gateway, key) = (&request.gateway, &request.gateway_key);
                if self.gateways.get(gateway).is_none() {
                    self.departures.check_gateway(gateway, key)?;
                }
                if request.meters.is_empty() && failpoint::sabotaged("first_meter") {
                    return Ok(());
                }
                // It asks for nothing.
                let mut refused = Err(Reason::InvalidMessage);
                for meter in &request.meters {
                    let is_in = self.roster.get(&meter.meter).is_some();
                    match self.check_new(gateway, meter) {
                        Err(reason) if !is_in => refused = Err(reason),
                        _ => return Ok(()),
                    }
                }
                refused
            }
            EnrolmentRequest::Analytics(request) => {
                let plan = self.plan.plan();
                match plan.service_key(&request.id).is_some() {
                    true => Ok(()),
                    false => self.departures.check_analytics(&request.id, &request.key),
                }
            }
        }
    }
}
