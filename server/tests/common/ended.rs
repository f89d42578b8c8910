//! How a limit shows: what the server says at the end, and what it counts.

use super::{Client, County, Said};

/// A count of the metrics; none is zero. All servers of a test's process count
/// together.
pub async fn counted(county: &County, line: &str) -> u64 {
    let (_, text) = county.server.get("", "/metrics").await;
    let text = text.as_str().unwrap().to_owned();
    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok()).unwrap_or(0)
}

/// How often something was over a limit.
pub async fn refusals(county: &County, limit: &str) -> u64 {
    counted(county, &format!("duxue_limit_refused_total{{limit=\"{limit}\"}}")).await
}

/// Reads until the server has closed; what it said at last. A server that does
/// not close fails the test, which else would wait for ever.
pub async fn end(client: &mut Client) -> (Said, Said) {
    let closing = async {
        let mut last = client.hear().await;
        loop {
            let said = client.hear().await;
            if matches!(said, Said::Closed(..) | Said::Gone) {
                return (last, said);
            }
            last = said;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), closing).await.expect("the server closes")
}
