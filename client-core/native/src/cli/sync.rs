//! Syncing and what waits.

use std::time::Duration;

use duxue_client_core::is_about_a_document;
use duxue_client_core::views::{OutboxItem, OutboxWhat, Waiting};
use duxue_client_core::{Command, Notice, Subject};
use duxue_document::{DocumentId, DocumentKind};
use duxue_protocol::problem::Problem;
use indicatif::{ProgressBar, ProgressStyle};

use super::context::{Context, Failure};
use super::out::bytes;
use super::words;

/// Without progress for this long, a step of another command gives up.
const TIMEOUT: Duration = Duration::from_secs(45);

/// Syncs until nothing more can be exchanged, or for ever.
pub async fn sync(cx: &mut Context, watch: bool, timeout_s: u64) -> Result<(), Failure> {
    let before = cx.driver.engine().outbox();
    let bar = bar(cx, before.bytes);
    cx.run(Command::Online { wanted: true }).await?;
    let outcome = exchange(cx, watch, Duration::from_secs(timeout_s), bar.as_ref()).await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    outcome?;
    report(cx, before.bytes)
}

/// Goes online until the server has said what it has.
pub async fn hear(cx: &mut Context) -> Result<(), Failure> {
    cx.run(Command::Online { wanted: true }).await?;
    exchange(cx, false, TIMEOUT, None).await
}

/// Syncs before or after a step of another command, without its own report.
pub async fn quietly(cx: &mut Context) -> Result<(), Failure> {
    hear(cx).await?;
    let outbox = cx.driver.engine().outbox();
    let refused = outbox.items.iter().any(|item| matches!(item.reason, Waiting::Denied));
    if refused { Err(unfinished(Some(why(cx, &Waiting::Denied)))) } else { Ok(()) }
}

/// What became of a decision on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// A receipt covers it.
    Received,
    /// It is durable there but kept outside its document.
    Held,
}

impl Delivery {
    /// The end of a sentence about the decision.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Received => ("服务器已出具回执", "the server has receipted it"),
            Self::Held => (
                "服务器已收到但扣留待处理，尚未生效",
                "the server holds it for a supervisor; it has no effect yet",
            ),
        }
    }
}

/// How often a receipt that leaves the decision out is followed by another.
const RECEIPTS: usize = 4;

/// Syncs until a receipt says what became of what was written into a document.
///
/// # Errors
/// Where none does; the decision is on this device and goes out later.
pub async fn deliver(cx: &mut Context, subject: &Subject, kind: DocumentKind) -> Result<Delivery, Failure> {
    let document = DocumentId::derive(&subject.round, subject.school.as_str(), kind);
    quietly(cx).await?;
    for left in (0..RECEIPTS).rev() {
        match delivery(&cx.driver.engine().outbox().items, &document) {
            Ok(delivery) => return Ok(delivery),
            // The next receipt is asked for by itself, a little later.
            Err(Waiting::NoReceipt) if left > 0 => exchange(cx, false, TIMEOUT, None).await?,
            Err(waiting) => return Err(unfinished(Some(why(cx, &waiting)))),
        }
    }
    Err(unfinished(None))
}

fn delivery(items: &[OutboxItem], wanted: &DocumentId) -> Result<Delivery, Waiting> {
    let ours =
        |item: &&OutboxItem| matches!(&item.what, OutboxWhat::Changes { document, .. } if document == wanted);
    match items.iter().find(ours).map(|item| &item.reason) {
        None => Ok(Delivery::Received),
        Some(Waiting::Held) => Ok(Delivery::Held),
        Some(waiting) => Err(waiting.clone()),
    }
}

fn bar(cx: &Context, total: u64) -> Option<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}").ok()?;
    (cx.out.is_live() && total > 0).then(|| ProgressBar::new(total).with_style(style))
}

async fn exchange(
    cx: &mut Context,
    watch: bool,
    timeout: Duration,
    bar: Option<&ProgressBar>,
) -> Result<(), Failure> {
    let mut reason = None;
    loop {
        let step = tokio::select! {
            notices = tokio::time::timeout(timeout, progress(cx)) => notices,
            // Watching ends like this; anything else is not done.
            _ = tokio::signal::ctrl_c() => {
                let stopped = || cx.out.say("已中断", "interrupted").to_owned();
                return if watch { Ok(()) } else { Err(unfinished(Some(stopped()))) };
            }
        };
        let Ok(notices) = step else {
            if watch {
                continue;
            }
            return Err(unfinished(reason));
        };
        for notice in notices {
            if let Some(bar) = bar {
                bar.set_position(bar.length().unwrap_or(0).saturating_sub(cx.driver.engine().outbox().bytes));
            }
            if watch {
                cx.out.json(&notice);
            }
            match notice {
                Notice::Settled { .. } if !watch => return Ok(()),
                Notice::Settled { .. } => cx.out.line("已同步", "in sync"),
                Notice::LoginNeeded => return Err(login_needed()),
                Notice::Trouble { problem } => cx.out.warning(&problem),
                Notice::Offline { reason: why, .. } => {
                    if watch {
                        cx.out.line(
                            format!("已断开：{}", why.message_zh),
                            format!("offline: {}", why.message_en),
                        );
                    } else if reason.is_some() && !is_about_a_document(&why.code) {
                        // The second failure in one run: the inspector has
                        // other things to do than wait for a network. What
                        // is about one document is over with the next attempt.
                        return Err(unfinished(Some(said(cx, &why))));
                    }
                    reason = Some(said(cx, &why));
                }
                Notice::Broken { problem } => return Err(problem.into()),
                Notice::Ready
                | Notice::Changed { .. }
                | Notice::Online
                | Notice::SavedLate { .. }
                | Notice::Photo { .. } => {}
            }
        }
    }
}

/// Waits until something is worth noticing.
async fn progress(cx: &mut Context) -> Vec<Notice> {
    loop {
        let notices = cx.driver.step().await;
        if !notices.is_empty() {
            return notices;
        }
    }
}

fn unfinished(reason: Option<String>) -> Failure {
    let problem = Problem::new(
        "network.unreachable",
        "没有同步完：数据都在本机，稍后再运行 duxue sync，会从断点继续",
        "not finished: everything is on this device; run duxue sync again, it goes on where it stopped",
    );
    Failure::waiting(match reason {
        Some(reason) => problem.with_detail(reason),
        None => problem,
    })
}

fn said(cx: &Context, why: &Problem) -> String {
    cx.out.say(&why.message_zh, &why.message_en).to_owned()
}

fn login_needed() -> Failure {
    Problem::new(
        "client.login_needed",
        "登录已失效：请重新运行 duxue login 或 duxue enrol；本机数据不受影响",
        "the log-in has ended: run duxue login or duxue enrol again; local data is untouched",
    )
    .into()
}

fn report(cx: &Context, before: u64) -> Result<(), Failure> {
    let outbox = cx.driver.engine().outbox();
    let sent = before.saturating_sub(outbox.bytes);
    cx.out.json(&serde_json::json!({
        "synced": outbox.items.is_empty(), "sent_bytes": sent, "waiting": outbox.items,
    }));
    if outbox.items.is_empty() {
        let size = bytes(sent);
        cx.out.line(
            format!("同步完成：{size} 已送达，服务器已出具回执"),
            format!("in sync: {size} delivered and receipted"),
        );
        return Ok(());
    }
    table(cx, &outbox.items);
    Err(Failure::waiting(Problem::new(
        "sync.waiting",
        "还有内容没有送达，原因见上；数据都在本机",
        "some things still wait, for the reasons above; everything is on this device",
    )))
}

/// What is still only on this device.
pub fn outbox(cx: &Context) -> Result<(), Failure> {
    let outbox = cx.driver.engine().outbox();
    cx.out.json(&outbox);
    if outbox.items.is_empty() {
        cx.out.line("没有等待发送的内容", "nothing waits");
    } else {
        table(cx, &outbox.items);
        let (count, size) = (outbox.items.len(), bytes(outbox.bytes));
        cx.out.line(format!("共 {count} 项，{size}"), format!("{count} items, {size}"));
    }
    Ok(())
}

fn table(cx: &Context, items: &[OutboxItem]) {
    let row = |item: &OutboxItem| {
        let what = match &item.what {
            OutboxWhat::Changes { kind, count, .. } => {
                let kind = words::document(&cx.out, *kind);
                format!("{kind}: {count} {}", cx.out.say("处更改", "changes"))
            }
            OutboxWhat::Photo { photo } => {
                format!("{} {}", cx.out.say("照片", "photo"), &photo.to_string()[..12])
            }
        };
        let school = item.subject.as_ref().map(|subject| cx.school_name(&subject.school)).unwrap_or_default();
        vec![what, school, bytes(item.bytes), why(cx, &item.reason)]
    };
    cx.out.table(
        &[("内容", "what"), ("学校", "school"), ("大小", "size"), ("为什么等待", "why it waits")],
        items.iter().map(row).collect(),
    );
}

fn why(cx: &Context, waiting: &Waiting) -> String {
    match waiting {
        Waiting::NotSaved => cx.out.say("还没有写入磁盘", "not on disk yet").to_owned(),
        Waiting::Offline => cx.out.say("没有联网", "offline").to_owned(),
        Waiting::Sending { sent } => format!("{} {}", cx.out.say("正在发送，已到", "sending,"), bytes(*sent)),
        Waiting::Paused => cx.out.say("照片暂停发送", "photos are paused").to_owned(),
        Waiting::NoReceipt => cx.out.say("已发送，等待回执", "sent, no receipt yet").to_owned(),
        Waiting::Denied => {
            cx.out.say("服务器不接收：没有权限", "the server does not take it: no right").to_owned()
        }
        Waiting::Held => cx.out.say("服务器已收到，等负责人处理", "held for a supervisor").to_owned(),
        Waiting::LeftOut => cx.out.say("负责人未采用", "left out by a supervisor").to_owned(),
        Waiting::SetAside => {
            cx.out.say("服务器已收到，无法合并，将重新写入", "cannot be merged; written again").to_owned()
        }
        Waiting::Stuck { problem } | Waiting::Unusable { problem } => format!(
            "{}: {}",
            cx.out.say("被拒绝", "refused"),
            cx.out.say(&problem.message_zh, &problem.message_en)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_receipt_says_that_the_server_has_it() {
        let id = |kind| DocumentId::derive(&"r1".parse().unwrap(), "s1", kind);
        let item = |reason: &Waiting| OutboxItem {
            what: OutboxWhat::Changes {
                document: id(DocumentKind::Ruling),
                kind: DocumentKind::Ruling,
                count: 1,
            },
            subject: None,
            bytes: 1,
            reason: reason.clone(),
        };
        let cases = [
            (Waiting::Held, Ok(Delivery::Held)),
            (Waiting::NoReceipt, Err(Waiting::NoReceipt)),
            (Waiting::NotSaved, Err(Waiting::NotSaved)),
            (Waiting::Offline, Err(Waiting::Offline)),
        ];
        for (reason, expected) in cases {
            assert_eq!(delivery(&[item(&reason)], &id(DocumentKind::Ruling)), expected);
            assert_eq!(delivery(&[item(&reason)], &id(DocumentKind::Review)), Ok(Delivery::Received));
        }
    }
}
