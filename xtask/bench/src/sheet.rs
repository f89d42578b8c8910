//! What was measured, and what it cost meanwhile.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::process::{machine_cpu_s, own_usage};
use crate::server::Server;

/// The subject of figures that no server can beat on this machine.
pub const FLOOR: &str = "floor";
/// The subject that is ours.
pub const OURS: &str = "ours";

/// One figure of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Whose: `ours`, a peer's name, or `floor`.
    pub subject: String,
    /// The row's name.
    pub row: String,
    /// What was measured.
    pub metric: String,
    /// How much, in the metric's unit.
    pub value: f64,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Book {
    /// Every figure of every run.
    pub figures: Vec<Figure>,
    /// What could not be measured: subject, row, why.
    pub failures: Vec<(String, String, String)>,
}

impl Book {
    /// Notes a figure.
    pub fn note(&mut self, subject: &str, row: &str, metric: &str, value: f64) {
        let (subject, row, metric) = (subject.to_owned(), row.to_owned(), metric.to_owned());
        self.figures.push(Figure { subject, row, metric, value });
    }

    /// The figures of all runs in order, from the smallest.
    #[must_use]
    pub fn values(&self, subject: &str, row: &str, metric: &str) -> Vec<f64> {
        let same =
            |figure: &&Figure| figure.subject == subject && figure.row == row && figure.metric == metric;
        let mut values: Vec<f64> = self.figures.iter().filter(same).map(|figure| figure.value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The middle one.
    #[must_use]
    pub fn median(&self, subject: &str, row: &str, metric: &str) -> Option<f64> {
        median(&self.values(subject, row, metric))
    }

    /// The medians of all subjects that are neither ours nor the floor.
    #[must_use]
    pub fn peers(&self, row: &str, metric: &str) -> Vec<f64> {
        let mut by_subject: BTreeMap<&str, ()> = BTreeMap::new();
        for figure in &self.figures {
            if figure.subject != OURS && figure.subject != FLOOR {
                by_subject.insert(&figure.subject, ());
            }
        }
        by_subject.keys().filter_map(|subject| self.median(subject, row, metric)).collect()
    }
}

/// The middle of sorted values; of two middle ones, their mean.
#[must_use]
pub fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(upper, sorted[sorted.len() / 2 - 1])) }
}

/// The value below which this share of sorted values lies; 0 of none.
#[must_use]
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

/// The figures of one run of one row.
#[derive(Debug, Default)]
pub struct Sheet(pub Vec<(&'static str, f64)>);

impl Sheet {
    /// Notes a figure.
    pub fn note(&mut self, metric: &'static str, value: f64) {
        self.0.push((metric, value));
    }
}

/// Time, and processor time of server, generator and everything else, between
/// two moments.
pub struct Meter {
    begin: Instant,
    server: f64,
    own: f64,
    machine: f64,
}

impl Meter {
    /// Begins.
    #[must_use]
    pub fn start(server: &Server) -> Self {
        Self {
            server: server.usage().cpu_s,
            own: own_usage().cpu_s,
            machine: machine_cpu_s(),
            begin: Instant::now(),
        }
    }

    /// Notes what was used since; the seconds that passed.
    pub fn finish(&self, server: &Server, sheet: &mut Sheet) -> f64 {
        let wall = self.begin.elapsed().as_secs_f64();
        let usage = server.usage();
        let (server, own) = (usage.cpu_s - self.server, own_usage().cpu_s - self.own);
        sheet.note("wall_s", wall);
        sheet.note("server_cpu_s", server);
        sheet.note("generator_cpu_s", own);
        sheet.note("other_cpu_s", (machine_cpu_s() - self.machine - server - own).max(0.0));
        sheet.note("peak_mb", usage.peak_kb / 1024.0);
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_of_few_values() {
        let cases: [(&[f64], Option<f64>, f64); 4] = [
            (&[], None, 0.0),
            (&[3.0], Some(3.0), 3.0),
            (&[1.0, 4.0], Some(2.5), 4.0),
            (&[1.0, 2.0, 9.0], Some(2.0), 9.0),
        ];
        for (sorted, middle, high) in cases {
            assert_eq!(median(sorted).map(f64::to_bits), middle.map(f64::to_bits), "{sorted:?}");
            assert_eq!(percentile(sorted, 0.99).to_bits(), high.to_bits(), "{sorted:?}");
        }
    }

    #[test]
    fn a_book_keeps_subjects_apart() {
        let mut book = Book::default();
        for (subject, value) in [(OURS, 1.0), ("samod", 2.0), ("npm", 4.0), ("npm", 6.0), (FLOOR, 0.5)] {
            book.note(subject, "upload", "wall_s", value);
        }
        assert_eq!(book.median(OURS, "upload", "wall_s").map(f64::to_bits), Some(1.0_f64.to_bits()));
        let peers: Vec<u64> = book.peers("upload", "wall_s").into_iter().map(f64::to_bits).collect();
        assert_eq!(peers, [5.0_f64.to_bits(), 2.0_f64.to_bits()]);
    }
}
