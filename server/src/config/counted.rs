//! What was refused, for tests of what refuses.

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// The counts of one test: of its own thread, on which its tasks run too.
pub(crate) struct Counted {
    handle: PrometheusHandle,
    _own: LocalRecorderGuard<'static>,
}

impl Counted {
    /// From zero, until it is dropped.
    pub fn new() -> Self {
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let handle = recorder.handle();
        Self { handle, _own: metrics::set_default_local_recorder(recorder) }
    }

    /// How often something was over a limit.
    pub fn refused(&self, limit: &str) -> u64 {
        let line = format!("duxue_limit_refused_total{{limit=\"{limit}\"}}");
        let text = self.handle.render();
        text.lines().find_map(|found| found.strip_prefix(&*line)?.trim().parse().ok()).unwrap_or(0)
    }
}
