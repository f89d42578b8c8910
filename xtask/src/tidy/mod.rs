//! `cargo xtask tidy`: the rules that no compiler checks.
//!
//! Each rule has a name, a reason that it prints, and a test with a sample
//! that breaks it. Rules over files are in [`rules`], rules over the
//! dependency graph in [`graph`], rules over the documentation in [`documents`].

pub mod documents;
pub mod graph;
pub mod rules;
pub mod scan;
pub mod sizes;

use std::path::Path;

use crate::process::{Failure, Outcome, command, output, root};
use scan::SourceFile;

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root.
    pub path: String,
    /// Line from 1; 0 where the finding is about the whole.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What is there.
    pub what: String,
    /// Whether it only warns.
    pub warning: bool,
}

/// Checks the repository.
///
/// # Errors
/// [`Failure`] with the number of findings, after printing each with its rule's reason.
pub fn step() -> Outcome {
    let files = files(&root())?;
    let mut findings: Vec<Finding> = rules::RULES.iter().flat_map(|rule| rule.check(&files)).collect();
    findings.extend(sizes::check(&files));
    findings.extend(documents::check(&files, &|path| root().join(path).exists()));
    // Where the graph cannot be read, what the files show is still worth saying.
    let graph = graph::load();
    findings.extend(graph.as_ref().map(graph::check).unwrap_or_default());
    findings.sort();
    report(&findings, files.len())?;
    graph.map(drop)
}

fn report(findings: &[Finding], files: usize) -> Outcome {
    for finding in findings {
        let level = if finding.warning { "warning" } else { "error" };
        println!("{level}: {}:{}: {} [{}]", finding.path, finding.line, finding.what, finding.rule);
    }
    let mut broken: Vec<&str> = findings.iter().filter(|f| !f.warning).map(|f| f.rule).collect();
    let count = broken.len();
    broken.sort_unstable();
    broken.dedup();
    for rule in &broken {
        println!("  {rule}: {}", reason(rule));
    }
    if count == 0 {
        println!("{files} files are tidy ({} warnings)", findings.len());
        return Ok(());
    }
    Err(Failure(format!("{count} findings under {} rules", broken.len())))
}

/// Why a rule is there.
fn reason(rule: &str) -> &'static str {
    let of_files = rules::RULES.iter().map(|rule| (rule.name, rule.why));
    let of_others = [sizes::REASONS, documents::REASONS, graph::REASONS].concat();
    of_files.chain(of_others).find(|(name, _)| *name == rule).map_or("", |(_, why)| why)
}

/// Every text file that git knows or would add, without lock files and data.
fn files(root: &Path) -> Outcome<Vec<SourceFile>> {
    let list = output(&mut command("git", &["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    let mut files = Vec::new();
    for path in list.lines().filter(|path| is_text(path)) {
        // A file that git still lists may have been removed a moment ago.
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            files.push(SourceFile::new(path, &text));
        }
    }
    if files.is_empty() {
        return Err(Failure("git lists no files here: tidy needs a checkout".to_owned()));
    }
    Ok(files)
}

fn is_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let endings =
        ["rs", "toml", "md", "py", "yaml", "yml", "json", "jsonl", "csv", "txt", "ts", "js", "mjs", "html"];
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    name != "Cargo.lock" && (endings.contains(&ending) || !name.contains('.') || path.starts_with(".ci/"))
}
