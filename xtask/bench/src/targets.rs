//! What the rows are to reach, each in the same run (the issue that asks for
//! the bench has the table).

use crate::sheet::{Book, FLOOR, OURS};

/// A target on one metric of one row.
pub struct Target {
    /// The row.
    pub row: &'static str,
    /// The metric that is held against it.
    pub metric: &'static str,
    /// The target in words.
    pub words: &'static str,
    /// Whether it is met; `None` where something was not measured.
    pub met: fn(&Book) -> Option<bool>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        row: "upload",
        metric: "docs_per_s",
        words: "≥ 4 × npm",
        met: |book| {
            Some(ours(book, "upload", "docs_per_s")? >= 4.0 * book.median("npm", "upload", "docs_per_s")?)
        },
    },
    Target {
        row: "upload",
        metric: "peak_mb",
        words: "< 150",
        met: |book| Some(ours(book, "upload", "peak_mb")? < 150.0),
    },
    Target {
        row: "visible",
        metric: "visible_p50_ms",
        words: "≤ samod + a flush",
        met: |book| {
            let samod = book.median("samod", "visible", "visible_p50_ms")?;
            Some(ours(book, "visible", "visible_p50_ms")? <= samod + flush(book, "flush_rested_p50_ms")?)
        },
    },
    Target {
        row: "visible",
        metric: "visible_p99_ms",
        words: "≤ samod + a flush",
        met: |book| {
            let samod = book.median("samod", "visible", "visible_p99_ms")?;
            Some(ours(book, "visible", "visible_p99_ms")? <= samod + flush(book, "flush_rested_p99_ms")?)
        },
    },
    Target {
        row: "loop-2",
        metric: "edit_ms",
        words: "≤ better peer + a flush",
        met: |book| {
            let better = least(&book.peers("loop-2", "edit_ms"))?;
            Some(ours(book, "loop-2", "edit_ms")? <= better + flush(book, "flush_p50_ms")?)
        },
    },
    Target {
        row: "loop-10",
        metric: "edits_per_s",
        words: "≥ 5 × better peer",
        met: |book| {
            let better = most(&book.peers("loop-10", "edits_per_s"))?;
            Some(ours(book, "loop-10", "edits_per_s")? >= 5.0 * better)
        },
    },
    Target {
        row: "fan-in",
        metric: "server_cpu_s",
        words: "≤ ½ better peer",
        met: |book| {
            let better = least(&book.peers("fan-in", "server_cpu_s"))?;
            Some(ours(book, "fan-in", "server_cpu_s")? <= better / 2.0)
        },
    },
    Target {
        row: "fan-in",
        metric: "wall_s",
        words: "beyond the floor ≤ ½ better peer's",
        met: |book| {
            let floor = book.median(FLOOR, "fan-in", "wall_s")?;
            let better = least(&book.peers("fan-in", "wall_s"))?;
            Some(ours(book, "fan-in", "wall_s")? - floor <= (better - floor) / 2.0)
        },
    },
    Target {
        row: "memory",
        metric: "idle_kb",
        words: "< 16",
        met: |book| Some(ours(book, "memory", "idle_kb")? < 16.0),
    },
    Target {
        row: "reopen",
        metric: "cold_ms",
        words: "≤ samod",
        met: |book| Some(ours(book, "reopen", "cold_ms")? <= book.median("samod", "reopen", "cold_ms")?),
    },
    Target { row: "kill", metric: "kept_at_end", words: "100 %", met: |book| all(book, "kept_at_end") },
    Target { row: "kill", metric: "kept_midway", words: "100 %", met: |book| all(book, "kept_midway") },
    Target { row: "kill", metric: "kept_last_edit", words: "100 %", met: |book| all(book, "kept_last_edit") },
    Target {
        row: "photos",
        metric: "per_s",
        words: "≥ 60, ≥ 60 % of the floor",
        met: |book| {
            let own = ours(book, "photos", "per_s")?;
            Some(own >= 60.0 && own >= 0.6 * book.median(FLOOR, "photos", "per_s")?)
        },
    },
    Target {
        row: "assessment",
        metric: "county_ms",
        words: "< 2",
        met: |book| Some(ours(book, "assessment", "county_ms")? < 2.0),
    },
    Target {
        row: "assessment",
        metric: "entry_ms",
        words: "< 1",
        met: |book| Some(ours(book, "assessment", "entry_ms")? < 1.0),
    },
    Target {
        row: "assessment",
        metric: "counties_s",
        words: "< 5",
        met: |book| Some(ours(book, "assessment", "counties_s")? < 5.0),
    },
];

fn ours(book: &Book, row: &str, metric: &str) -> Option<f64> {
    book.median(OURS, row, metric)
}

/// A flush of the disk in the same run.
fn flush(book: &Book, metric: &str) -> Option<f64> {
    book.median(FLOOR, "machine", metric)
}

/// Whether every run kept everything: here the worst counts, not the middle.
fn all(book: &Book, metric: &str) -> Option<bool> {
    let worst = least(&book.values(OURS, "kill", metric))?;
    Some(worst >= 1.0)
}

fn least(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

fn most(values: &[f64]) -> Option<f64> {
    values.iter().copied().max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::METRICS;

    fn met(row: &str, metric: &str, figures: &[(&str, &str, &str, f64)]) -> Option<bool> {
        let mut book = Book::default();
        for (subject, row, metric, value) in figures {
            book.note(subject, row, metric, *value);
        }
        let target = TARGETS.iter().find(|target| target.row == row && target.metric == metric);
        target.and_then(|target| (target.met)(&book))
    }

    #[test]
    fn targets_are_held_against_the_same_run() {
        let edits = |ours| {
            [
                (OURS, "loop-2", "edit_ms", ours),
                ("samod", "loop-2", "edit_ms", 2.0),
                ("npm", "loop-2", "edit_ms", 6.0),
                (FLOOR, "machine", "flush_p50_ms", 1.0),
            ]
        };
        assert_eq!(met("loop-2", "edit_ms", &edits(2.9)), Some(true));
        assert_eq!(met("loop-2", "edit_ms", &edits(3.1)), Some(false));
        assert_eq!(met("loop-2", "edit_ms", &edits(2.9)[..1]), None, "nobody to compare with");
        let beyond = |ours| {
            [
                (OURS, "fan-in", "wall_s", ours),
                ("npm", "fan-in", "wall_s", 4.0),
                (FLOOR, "fan-in", "wall_s", 2.0),
            ]
        };
        assert_eq!(met("fan-in", "wall_s", &beyond(3.0)), Some(true));
        assert_eq!(met("fan-in", "wall_s", &beyond(3.1)), Some(false));
    }

    #[test]
    fn one_bad_run_fails_survival() {
        let runs = |last| [1.0, 1.0, last].map(|kept| (OURS, "kill", "kept_midway", kept));
        assert_eq!(met("kill", "kept_midway", &runs(1.0)), Some(true));
        assert_eq!(met("kill", "kept_midway", &runs(0.999)), Some(false));
    }

    #[test]
    fn every_target_is_on_a_metric_that_the_table_shows() {
        for target in TARGETS {
            let shown = METRICS.iter().any(|shown| shown.row == target.row && shown.metric == target.metric);
            assert!(shown, "{} {}", target.row, target.metric);
        }
    }
}
