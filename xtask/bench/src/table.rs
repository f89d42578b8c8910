//! The figures as a table for people and as JSON.

use serde_json::{Value, json};

use crate::rows::Sizes;
use crate::sheet::{Book, FLOOR, OURS};
use crate::targets::TARGETS;

/// A metric as the table shows it.
pub struct Metric {
    /// The row.
    pub row: &'static str,
    /// Its name in the figures.
    pub metric: &'static str,
    /// What it is, with its unit.
    pub title: &'static str,
}

const fn metric(row: &'static str, metric: &'static str, title: &'static str) -> Metric {
    Metric { row, metric, title }
}

/// What each row is about.
pub const ROWS: &[(&str, &str)] = &[
    ("machine", "this machine"),
    ("upload", "cold upload: clients come back with documents that the server has not seen (S1)"),
    ("visible", "one document open at 10 clients, 20 edits a second in all (S2, paced)"),
    ("loop-2", "2 clients edit one document, each again when acknowledged (S2, closed loop)"),
    ("loop-10", "10 clients edit one document, each again when acknowledged (S2, closed loop)"),
    ("fan-in", "clients come back, each with offline changes to one document (S3)"),
    ("memory", "what idle connections and stored documents cost (S4)"),
    ("reopen", "a document with a long history on a server that just started (S4)"),
    ("kill", "share of acknowledged changes that outlive kill -9; the worst run (S5)"),
    ("photos", "one form and five photos of 300 kB, to the durable receipt"),
    ("assessment", "assessment of 70 schools from consolidated figures, one core"),
];

/// Every metric that is shown, in order. Others are in the JSON.
pub const METRICS: &[Metric] = &[
    metric("machine", "flush_p50_ms", "append and flush, median ms"),
    metric("machine", "flush_p99_ms", "append and flush, p99 ms"),
    metric("machine", "flush_rested_p50_ms", "the same as often as edits come, median ms"),
    metric("machine", "flush_rested_p99_ms", "the same as often as edits come, p99 ms"),
    metric("machine", "echo_p50_ms", "loopback round trip, median ms"),
    metric("machine", "decode_ms", "decode one photo, ms"),
    metric("upload", "docs_per_s", "documents/s"),
    metric("upload", "changes_per_s", "changes/s"),
    metric("upload", "server_cpu_s", "server CPU s"),
    metric("upload", "peak_mb", "peak memory MB"),
    metric("upload", "other_cpu_s", "CPU s of others meanwhile"),
    metric("visible", "visible_p50_ms", "edit to visible, median ms"),
    metric("visible", "visible_p99_ms", "edit to visible, p99 ms"),
    metric("visible", "delivered", "share delivered"),
    metric("visible", "server_cpu_s", "server CPU s"),
    metric("visible", "other_cpu_s", "CPU s of others meanwhile"),
    metric("loop-2", "edits_per_s", "edits/s"),
    metric("loop-2", "edit_ms", "ms per edit"),
    metric("loop-2", "server_cpu_s", "server CPU s"),
    metric("loop-2", "other_cpu_s", "CPU s of others meanwhile"),
    metric("loop-10", "edits_per_s", "edits/s"),
    metric("loop-10", "edit_ms", "ms per edit"),
    metric("loop-10", "received_per_edit", "frames that clients get for an edit"),
    metric("loop-10", "server_cpu_s", "server CPU s"),
    metric("loop-10", "other_cpu_s", "CPU s of others meanwhile"),
    metric("fan-in", "wall_s", "until all have all, s"),
    metric("fan-in", "server_cpu_s", "server CPU s"),
    metric("fan-in", "generator_cpu_s", "clients' CPU s"),
    metric("fan-in", "received_mb", "received by clients, MB"),
    metric("fan-in", "peak_mb", "peak memory MB"),
    metric("fan-in", "other_cpu_s", "CPU s of others meanwhile"),
    metric("memory", "empty_mb", "empty server MB"),
    metric("memory", "idle_kb", "kB per idle connection"),
    metric("memory", "recent_kb", "kB per document, 3 s after upload"),
    metric("memory", "stored_kb", "kB per stored document, restarted"),
    metric("memory", "peak_mb", "peak memory MB"),
    metric("reopen", "cold_ms", "cold open ms"),
    metric("reopen", "warm_ms", "open again ms"),
    metric("reopen", "restart_ms", "restart ms"),
    metric("reopen", "server_cpu_s", "server CPU s"),
    metric("reopen", "peak_mb", "peak memory MB"),
    metric("kill", "kept_at_end", "kept, killed when all was acknowledged"),
    metric("kill", "kept_midway", "kept, killed in mid-upload"),
    metric("kill", "kept_last_edit", "kept of one more edit"),
    metric("photos", "per_s", "submissions/s"),
    metric("photos", "submit_p50_ms", "submission, median ms"),
    metric("photos", "submit_p99_ms", "submission, p99 ms"),
    metric("photos", "derived_per_s", "thumbnails/s, when only they are left"),
    metric("photos", "derived_meanwhile_per_s", "thumbnails/s, meanwhile"),
    metric("photos", "backlog", "thumbnails waiting at the last receipt"),
    metric("photos", "server_cpu_s", "server CPU s to the last receipt"),
    metric("photos", "photos_peak_mb", "peak memory MB"),
    metric("photos", "other_cpu_s", "CPU s of others meanwhile"),
    metric("assessment", "county_ms", "one county, CPU ms"),
    metric("assessment", "entry_ms", "one changed entry, CPU ms"),
    metric("assessment", "counties_s", "3 000 counties, CPU s"),
    metric("assessment", "counties_wall_s", "3 000 counties, s"),
    metric("assessment", "peak_mb", "peak memory MB"),
];

/// The table: medians, with the smallest and largest where runs differ.
#[must_use]
pub fn text(book: &Book, peers: &[&str]) -> String {
    let head = [&["", FLOOR, OURS, "ours / floor"][..], peers, &["target", "met"]].concat();
    let mut out = String::new();
    for (row, about) in ROWS {
        let mut lines = vec![head.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()];
        lines.extend(
            METRICS.iter().filter(|metric| metric.row == *row).filter_map(|metric| line(book, metric, peers)),
        );
        if lines.len() > 1 {
            out += &format!("\n{row}: {about}\n{}", aligned(&lines));
        }
        for (subject, _, why) in book.failures.iter().filter(|failure| failure.1 == *row) {
            out += &format!("  {row}, {subject}: {why}\n");
        }
    }
    out
}

fn line(book: &Book, metric: &Metric, peers: &[&str]) -> Option<Vec<String>> {
    let cell = |subject: &str| spread(&book.values(subject, metric.row, metric.metric));
    let (floor, own) = (cell(FLOOR), cell(OURS));
    let others: Vec<String> = peers.iter().map(|peer| cell(peer)).collect();
    if floor.is_empty() && own.is_empty() && others.iter().all(String::is_empty) {
        return None;
    }
    let ratio = book
        .median(OURS, metric.row, metric.metric)
        .zip(book.median(FLOOR, metric.row, metric.metric))
        .filter(|(_, floor)| *floor > 0.0)
        .map(|(own, floor)| format!("{:.2}", own / floor));
    let target = TARGETS.iter().find(|target| target.row == metric.row && target.metric == metric.metric);
    let met = target.map_or("", |target| verdict((target.met)(book)));
    let words = target.map_or("", |target| target.words);
    let mut line = vec![format!("  {}", metric.title), floor, own, ratio.unwrap_or_default()];
    line.extend(others);
    line.extend([words.to_owned(), met.to_owned()]);
    Some(line)
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "not measured",
    }
}

fn spread(sorted: &[f64]) -> String {
    let (Some(least), Some(most), Some(middle)) =
        (sorted.first(), sorted.last(), crate::sheet::median(sorted))
    else {
        return String::new();
    };
    let (least, most, middle) = (shown(*least), shown(*most), shown(middle));
    if least == most { middle } else { format!("{middle} ({least}–{most})") }
}

fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn aligned(lines: &[Vec<String>]) -> String {
    let count = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| count(&line[column])).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| {
            let missing = " ".repeat(width - count(cell));
            format!("{cell}{missing}")
        });
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    out
}

/// Everything for a program: each figure of each run, and the targets.
#[must_use]
pub fn json(book: &Book, sizes: &Sizes, runs: u32) -> Value {
    let figures: Vec<Value> = book
        .figures
        .iter()
        .map(|figure| {
            json!({ "subject": figure.subject, "row": figure.row, "metric": figure.metric, "value": figure.value })
        })
        .collect();
    let targets: Vec<Value> = TARGETS
        .iter()
        .map(|target| {
            json!({
                "row": target.row, "metric": target.metric, "target": target.words, "met": (target.met)(book),
                "value": book.median(OURS, target.row, target.metric),
            })
        })
        .collect();
    let failures: Vec<Value> = book
        .failures
        .iter()
        .map(|(subject, row, why)| json!({ "subject": subject, "row": row, "why": why }))
        .collect();
    json!({
        "cores": crate::process::cores(), "runs": runs, "sizes": format!("{sizes:?}"),
        "figures": figures, "targets": targets, "failures": failures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_median_spread_ratio_peer_and_target() {
        let mut book = Book::default();
        for (subject, value) in [(OURS, 300.0), (OURS, 100.0), (OURS, 200.0), (FLOOR, 400.0), ("npm", 50.0)] {
            book.note(subject, "upload", "docs_per_s", value);
        }
        book.failures.push(("samod".to_owned(), "upload".to_owned(), "not finished".to_owned()));
        let text = text(&book, &["samod", "npm"]);
        let line = text.lines().find(|line| line.contains("documents/s")).unwrap_or_default();
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["documents/s", "400", "200 (100–300)", "0.50", "50.0", "≥ 4 × npm", "met"]);
        assert!(text.contains("upload, samod: not finished"), "{text}");
    }

    #[test]
    fn every_metric_belongs_to_a_row() {
        assert!(METRICS.iter().all(|metric| ROWS.iter().any(|(row, _)| *row == metric.row)));
    }
}
