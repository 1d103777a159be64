//! What a gateway's request needs of the feeders that it names.

use std::collections::BTreeMap;

use service::failpoint;
use wire::{CapacityClass, EnrolMeter, EnrolRequest, FeederId};

/// What a request needs of a feeder.
#[derive(Clone, Copy)]
pub(super) struct Demand {
    /// The greatest class of declared capacity.
    pub(super) capacity: CapacityClass,
    /// Meters that the gateway says it has there, over all chunks.
    pub(super) meters: u32,
}

impl Demand {
    /// What two feeders of one area need.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            capacity: self.capacity.max(other.capacity),
            meters: self.meters.saturating_add(other.meters),
        }
    }
}

/// What a request needs of every feeder that one of its meters is on. A feeder that it only names is nobody's business.
pub(super) fn demands(request: &EnrolRequest) -> BTreeMap<FeederId, Demand> {
    let mut listed = BTreeMap::<FeederId, Demand>::new();
    for EnrolMeter {
        feeder, capacity, ..
    } in &request.meters
    {
        let demand = listed.entry(feeder.clone()).or_insert(Demand {
            capacity: *capacity,
            meters: 0,
        });
        demand.capacity = demand.capacity.max(*capacity);
        demand.meters += 1;
    }
    for declared in &request.feeders {
        if failpoint::sabotaged("first_meter") {
            let (capacity, meters) = (declared.max_capacity, declared.meters);
            let demand = Demand { capacity, meters };
            listed.entry(declared.feeder.clone()).or_insert(demand);
        }
        if let Some(demand) = listed.get_mut(&declared.feeder) {
            demand.capacity = demand.capacity.max(declared.max_capacity);
            demand.meters = demand.meters.max(declared.meters);
        }
    }
    listed
}
