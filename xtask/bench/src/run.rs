//! One run after the other, and in each every row, and in each row every
//! server: what disturbs the machine disturbs all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::county::Template;
use crate::photo;
use crate::rows::{Sizes, assessment, fan_in, hot, kill, memory, photos, reopen, upload};
use crate::server::{Kind, Server};
use crate::sheet::{Book, FLOOR, OURS, Sheet};
use crate::table::{self, ROWS};
use crate::{Outcome, Run, floors};

/// Rows that peers have too: they know nothing of photos and assessments.
const SHARED: [&str; 8] = ["upload", "visible", "loop-2", "loop-10", "fan-in", "memory", "reopen", "kill"];

/// Measures what the options ask for and prints it.
///
/// # Errors
/// What cannot be prepared. What cannot be measured is printed with the reason,
/// and fails the whole in the end where it is ours.
pub async fn run(options: Run) -> Outcome {
    let mut sizes = if options.quick { Sizes::quick() } else { Sizes::full() };
    if let Some(seconds) = options.limit {
        sizes.limit = Duration::from_secs(seconds);
    }
    let runs = options.runs.unwrap_or(if options.quick { 1 } else { 3 });
    let rows = wanted(&options.rows)?;
    std::fs::create_dir_all(&options.place.data)
        .map_err(|error| format!("{}: {error}", options.place.data.display()))?;
    // Removed at the end, whatever happens.
    let folder = tempfile::tempdir_in(&options.place.data).map_err(|error| error.to_string())?;
    let mut kinds = vec![Kind::Ours { program: options.place.server.clone() }];
    if let Some(peers) = &options.peers {
        kinds.extend(found_peers(peers)?);
    }
    eprintln!("preparing synthetic counties");
    let template = Template::prepare(&options.place.server, folder.path().join("template"))?;
    let mut bench = Bench { sizes, kinds, template, folder: folder.path().to_owned(), book: Book::default() };
    for run in 1..=runs {
        bench.machine()?;
        for row in &rows {
            eprintln!("run {run} of {runs}: {row}");
            bench.row(row).await;
        }
    }
    let peers: Vec<&str> = bench.kinds.iter().skip(1).map(Kind::name).collect();
    println!(
        "medians of {runs} runs on {} cores{}",
        crate::process::cores(),
        if options.quick { "; with so little load the targets say nothing" } else { "" }
    );
    print!("{}", table::text(&bench.book, &peers));
    if let Some(path) = &options.json {
        let text = table::json(&bench.book, &sizes, runs).to_string();
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    match bench.book.failures.iter().find(|failure| failure.0 == OURS || failure.0 == FLOOR) {
        Some((subject, row, why)) => Err(format!("{row}, {subject}: {why}")),
        None => Ok(()),
    }
}

fn wanted(named: &[String]) -> Outcome<Vec<&'static str>> {
    let all = || ROWS.iter().map(|(row, _)| *row).filter(|row| *row != "machine");
    if let Some(unknown) = named.iter().find(|name| !all().any(|row| row == name.as_str())) {
        return Err(format!("there is no row {unknown}; rows are {}", all().collect::<Vec<_>>().join(", ")));
    }
    Ok(all().filter(|row| named.is_empty() || named.iter().any(|name| name == row)).collect())
}

/// The peers that are built.
fn found_peers(folder: &Path) -> Outcome<Vec<Kind>> {
    let folder = match std::env::var_os("DUXUE_YARDSTICK") {
        Some(named) if folder.as_os_str().is_empty() => PathBuf::from(named),
        _ => folder.to_owned(),
    };
    let folder =
        std::path::absolute(&folder).map_err(|_| "--peers needs a folder, or DUXUE_YARDSTICK".to_owned())?;
    let program = folder.join("samod-server/target/release/samod-server");
    let (script, packages) = (folder.join("npm-server/run.mjs"), folder.join("npm-server/node_modules"));
    let mut found = Vec::new();
    if program.is_file() {
        found.push(Kind::Samod { program });
    } else {
        eprintln!("no samod: `cargo build --release` in samod-server makes it");
    }
    if script.is_file() && packages.is_dir() {
        found.push(Kind::Npm { script });
    } else {
        eprintln!("no npm: `npm install --ignore-scripts` in npm-server makes it");
    }
    if found.is_empty() { Err(format!("{}: no peer is built there", folder.display())) } else { Ok(found) }
}

struct Bench {
    sizes: Sizes,
    /// Ours first.
    kinds: Vec<Kind>,
    template: Arc<Template>,
    folder: PathBuf,
    book: Book,
}

impl Bench {
    /// What this machine can do now.
    fn machine(&mut self) -> Outcome {
        let (flush, echo) = (floors::flush(&self.folder, Duration::ZERO)?, floors::echo()?);
        let rested = floors::flush(&self.folder, Duration::from_secs_f64(1.0 / self.sizes.rate))?;
        let decode_ms = floors::decode(&photo::base()?)?;
        let figures = [
            ("machine", "flush_p50_ms", flush.p50_ms),
            ("machine", "flush_p99_ms", flush.p99_ms),
            ("machine", "flush_rested_p50_ms", rested.p50_ms),
            ("machine", "flush_rested_p99_ms", rested.p99_ms),
            ("machine", "echo_p50_ms", echo.p50_ms),
            ("machine", "decode_ms", decode_ms),
            // An edit is sent, flushed, and sent on: no less can be.
            ("visible", "visible_p50_ms", rested.p50_ms + echo.p50_ms),
            ("visible", "visible_p99_ms", rested.p99_ms + echo.p99_ms),
            ("loop-2", "edit_ms", flush.p50_ms + echo.p50_ms),
            ("loop-10", "edit_ms", flush.p50_ms + echo.p50_ms),
        ];
        for (row, metric, value) in figures {
            self.book.note(FLOOR, row, metric, value);
        }
        Ok(())
    }

    async fn row(&mut self, row: &'static str) {
        let mut sheet = Sheet::default();
        let outcome = self.floor(row, &mut sheet);
        self.keep(FLOOR, row, outcome, sheet);
        if row == "assessment" {
            let mut sheet = Sheet::default();
            let outcome = assessment::run(&self.sizes, &mut sheet);
            return self.keep(OURS, row, outcome, sheet);
        }
        for kind in self.kinds.clone() {
            let name = kind.name();
            let ours = name == OURS;
            let failed = self.book.failures.iter().any(|failure| failure.0 == name && failure.1 == row);
            if failed || !(ours || SHARED.contains(&row)) {
                continue;
            }
            let mut sheet = Sheet::default();
            let outcome = self.load(&kind, row, &mut sheet).await;
            self.keep(name, row, outcome, sheet);
        }
    }

    fn keep(&mut self, subject: &str, row: &str, outcome: Outcome, sheet: Sheet) {
        for (metric, value) in sheet.0 {
            self.book.note(subject, row, metric, value);
        }
        if let Err(why) = outcome {
            eprintln!("  {row}, {subject}: {why}");
            self.book.failures.push((subject.to_owned(), row.to_owned(), why));
        }
    }

    fn floor(&self, row: &str, sheet: &mut Sheet) -> Outcome {
        match row {
            "upload" => upload::floor(&self.sizes, sheet),
            "fan-in" => fan_in::floor(&self.sizes, sheet),
            "reopen" => reopen::floor(&self.sizes, sheet),
            "photos" => photos::floor(&self.sizes, &self.folder, sheet),
            _ => Ok(()),
        }
    }

    async fn load(&self, kind: &Kind, row: &str, sheet: &mut Sheet) -> Outcome {
        let mut server = Server::fresh(kind, &self.template, &self.folder).await?;
        let (server, sizes) = (&mut server, &self.sizes);
        match row {
            "upload" => upload::run(server, sizes, sheet).await,
            "visible" => hot::run(server, sizes, 10, true, sheet).await,
            "loop-2" => hot::run(server, sizes, 2, false, sheet).await,
            "loop-10" => hot::run(server, sizes, 10, false, sheet).await,
            "fan-in" => fan_in::run(server, sizes, sheet).await,
            "memory" => memory::run(server, sizes, sheet).await,
            "reopen" => reopen::run(server, sizes, sheet).await,
            "kill" => kill::run(server, sizes, sheet).await,
            "photos" => photos::run(server, sizes, sheet).await,
            other => Err(format!("there is no row {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_measured_in_the_table_s_order_and_unknown_ones_are_refused() {
        let named = |names: &[&str]| wanted(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(named(&["fan-in", "upload"]), Ok(vec!["upload", "fan-in"]));
        assert_eq!(named(&[]).map(|rows| rows.len()), Ok(ROWS.len() - 1));
        assert!(named(&["uplod"]).is_err_and(|error| error.contains("uplod")));
    }
}
