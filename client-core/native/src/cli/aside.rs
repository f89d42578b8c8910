//! Changes that the server keeps outside their documents for good.

use duxue_protocol::api::SetAsideView;

use super::context::{Context, Failure};
use super::desk::get;
use super::{times, words};

/// Every change of the round that was set aside: what it is, who brought it,
/// and why nobody can let it in. Its device states it again.
pub async fn list(cx: &Context) -> Result<(), Failure> {
    let round = cx.round()?.id;
    let found: Vec<SetAsideView> = get(cx, &format!("/api/rounds/{round}/set-aside")).await?;
    cx.out.json(&found);
    let row = |aside: &SetAsideView| {
        vec![
            aside.journal.to_string(),
            aside.school.as_ref().map(|school| cx.school_name(school)).unwrap_or_default(),
            words::document(&cx.out, aside.kind).to_owned(),
            aside.by.as_ref().map(|by| by.person_name.clone()).unwrap_or_default(),
            words::aside(&cx.out, &aside.reason).to_owned(),
            words::instead(&cx.out, aside.instead).to_owned(),
            times::moment(aside.received_ms),
        ]
    };
    cx.out.table(
        &[
            ("记录号", "record"),
            ("学校", "school"),
            ("文档", "document"),
            ("谁", "who"),
            ("原因", "reason"),
            ("由谁处理", "decided by"),
            ("时间", "when"),
        ],
        found.iter().map(row).collect(),
    );
    Ok(())
}
