//! Logs on standard error and metrics for Prometheus.

mod buckets;
mod endpoint;
mod host;
mod logging;
mod rate_limited;
mod recorder;
pub mod register;
mod registry;
mod trace;

pub use endpoint::{EndpointError, serve_metrics};
pub use host::is_own_host;
pub(crate) use logging::check_level;
pub use logging::{LogError, init_logging, log_to_file};
pub use rate_limited::{Line, LogLimit, LogLimits};
pub use recorder::{build_info, install_metrics, render_metrics, sample_metrics};
pub use registry::{Series, SeriesValue};
pub use trace::{ReportId, Trace};
