//! Which analytics service may have which feeders.

use service::failpoint;
use wire::{AnalyticsEnrol, AnalyticsId, FeederId, Owners, Plan, Reason, WindowStart};

/// Why an analytics service is not put into the plan as it asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnalyticsRefused {
    /// Another key has this id.
    #[error("the plan has an analytics service {id} with another key")]
    OtherKey {
        /// The id.
        id: AnalyticsId,
    },
    /// It was removed, or its key was.
    #[error(
        "analytics service {id} was removed, or this key of it was: start it with a new key, or run `operator readmit \
         analytics {id}` after `operator remove`"
    )]
    HasLeft {
        /// The id.
        id: AnalyticsId,
        /// What it is counted as.
        reason: Reason,
    },
    /// It would have a feeder that another service adds for.
    #[error(
        "feeder {feeder}{} belongs to analytics service {owner}, which has receipted readings of it that are in no total \
         yet. Have {owner} give it up first: start {owner} again with `analytics.feeders` set to the feeders it keeps, and \
         this request is granted once {owner} has released the rest",
        and_more(*.more)
    )]
    Owned {
        /// The first such feeder.
        feeder: FeederId,
        /// How many others there are.
        more: usize,
        /// The service that has the first.
        owner: AnalyticsId,
    },
    /// A second service would add for all feeders that nobody names.
    #[error(
        "analytics service {owner} adds for all feeders that no service names, and only one can: list this one's feeders \
         in its `analytics.feeders`"
    )]
    SecondRest {
        /// The service that does.
        owner: AnalyticsId,
    },
    /// It is in a pool, or adds on its own, and asks for the other.
    #[error(
        "analytics service {id} is in the plan as {}: what it has receipted is in another store than what it would have then. Give \
         the other one another `analytics.id`, or run `operator remove analytics {id}` once its releases are settled",
        kind_of(.pool.as_ref())
    )]
    OtherKind {
        /// The id.
        id: AnalyticsId,
        /// The pool that it is a member of.
        pool: Option<AnalyticsId>,
    },
    /// There is another pool.
    #[error(
        "the plan has the pool {pool}, and only one can share its feeders: set `analytics.pool` to {pool}"
    )]
    SecondPool {
        /// The one there is.
        pool: AnalyticsId,
    },
    /// The name of its pool is that of a service, or its own name that of the pool.
    #[error("{name} is the name of a service and of a pool: give one of them another name")]
    PoolName {
        /// The name.
        name: AnalyticsId,
    },
    /// The plan is full.
    #[error(
        "the plan has {} analytics services, and no room for more",
        wire::MAX_ANALYTICS
    )]
    Full,
}

fn kind_of(pool: Option<&AnalyticsId>) -> String {
    pool.map_or_else(
        || "one that adds on its own".to_owned(),
        |pool| format!("a member of pool {pool}"),
    )
}

fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    }
}

impl AnalyticsRefused {
    /// Whether another service can make room, so that the same request may be granted later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Owned { .. } | Self::SecondRest { .. })
    }

    /// The metric label.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::OtherKey { .. } => Reason::WrongKey,
            Self::HasLeft { reason, .. } => *reason,
            Self::Owned { .. } | Self::SecondRest { .. } => Reason::Conflict,
            Self::OtherKind { .. } | Self::SecondPool { .. } | Self::PoolName { .. } => {
                Reason::Conflict
            }
            Self::Full => Reason::Overloaded,
        }
    }
}

/// Whether the request leaves out a feeder that the plan gives its sender.
pub(crate) fn gives_up(plan: &Plan, request: &AnalyticsEnrol) -> bool {
    let known = plan.analytics.iter().find(|other| other.id == request.id);
    let kept = |feeder: &FeederId| request.feeders.contains(feeder);
    known.is_some_and(|known| match known.feeders.is_empty() {
        true => !request.feeders.is_empty(),
        false => !known.feeders.iter().all(kept),
    })
}

/// Whether the plan may have an analytics service as it asks.
///
/// A feeder that has a setting in the plan leaves its owner only by the owner's own request: only the owner knows when all
/// that it has answered `folded` is in a total. A feeder without a setting can be named freely, because no report of it is
/// taken under any plan so far.
///
/// # Errors
/// [`AnalyticsRefused`].
pub(crate) fn check_analytics(
    plan: &Plan,
    request: &AnalyticsEnrol,
) -> Result<(), AnalyticsRefused> {
    let same = plan.analytics.iter().find(|other| other.id == request.id);
    let known = plan.service_key(&request.id);
    let is_other = known.is_some_and(|known| *known != request.key);
    if is_other && !failpoint::sabotaged("names") {
        let id = request.id.clone();
        return Err(AnalyticsRefused::OtherKey { id });
    }
    if let Some(pool) = &request.pool {
        return check_member(plan, pool, request);
    }
    let mut members = plan.pool.iter();
    if let Some(member) = members.find(|member| member.analytics == request.id) {
        return Err(AnalyticsRefused::OtherKind {
            id: request.id.clone(),
            pool: Some(member.pool.clone()),
        });
    }
    if plan.pool.iter().any(|member| member.pool == request.id) {
        let name = request.id.clone();
        return Err(AnalyticsRefused::PoolName { name });
    }
    let others = Owners::besides(plan, &request.id);
    if let (true, Some(owner)) = (request.feeders.is_empty(), others.rest()) {
        let owner = owner.clone();
        return Err(AnalyticsRefused::SecondRest { owner });
    }
    let is_planned = |feeder: &FeederId| plan.feeder(feeder, WindowStart(u64::MAX)).is_some();
    // What this service has itself stays its own, also where another adds for all that nobody names.
    let own = |feeder: &FeederId| same.is_some_and(|entry| entry.feeders.contains(feeder));
    let mut owned = request.feeders.iter().filter_map(|feeder| {
        let rest = || others.rest().filter(|_| is_planned(feeder) && !own(feeder));
        Some((feeder, others.named(feeder).or_else(rest)?))
    });
    if let Some((feeder, owner)) = owned.next() {
        return Err(AnalyticsRefused::Owned {
            feeder: feeder.clone(),
            owner: owner.clone(),
            more: owned.count(),
        });
    }
    match same.is_none() && plan.analytics.len() >= wire::MAX_ANALYTICS {
        true => Err(AnalyticsRefused::Full),
        false => Ok(()),
    }
}

/// Whether a service may be a member of a pool. Its members share one store, so any of them may have what another receipted.
fn check_member(
    plan: &Plan,
    pool: &AnalyticsId,
    request: &AnalyticsEnrol,
) -> Result<(), AnalyticsRefused> {
    if plan.analytics.iter().any(|entry| entry.id == request.id) {
        return Err(AnalyticsRefused::OtherKind {
            id: request.id.clone(),
            pool: None,
        });
    }
    if *pool == request.id || plan.service_key(pool).is_some() {
        let name = pool.clone();
        return Err(AnalyticsRefused::PoolName { name });
    }
    if let Some(first) = plan.pool.first() {
        if first.pool != *pool {
            let pool = first.pool.clone();
            return Err(AnalyticsRefused::SecondPool { pool });
        }
        return match plan.pool.len() >= wire::MAX_ANALYTICS {
            true => Err(AnalyticsRefused::Full),
            false => Ok(()),
        };
    }
    match Owners::of(plan).rest() {
        Some(owner) => Err(AnalyticsRefused::SecondRest {
            owner: owner.clone(),
        }),
        None => Ok(()),
    }
}
