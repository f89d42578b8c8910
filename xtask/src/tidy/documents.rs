//! Documentation that names what is not there is worse than none.

use std::collections::BTreeSet;

use super::Finding;
use super::scan::SourceFile;

/// Why the rules are there.
pub const REASONS: &[(&str, &str)] = &[
    ("map", "the map and the tree differ; a map that lies is worse than none"),
    ("command", "the documentation names a command that cargo xtask does not have"),
];

const MAP: &str = "ARCHITECTURE.md";

/// Paths, links and commands in the Markdown files that do not exist, and
/// crates that the map does not name. `exists` answers for a path from the root.
#[must_use]
pub fn check(files: &[SourceFile], exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let tops: BTreeSet<&str> =
        files.iter().filter_map(|file| file.path.split_once('/').map(|(top, _)| top)).collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, line) in file.lines.iter().enumerate() {
            let mut add = |rule, what: String| {
                let path = file.path.clone();
                findings.push(Finding { path, line: index + 1, rule, what, warning: false });
            };
            for path in named_paths(&line.raw, file.path == MAP, &tops) {
                if !exists(path) {
                    add("map", format!("`{path}` does not exist"));
                }
            }
            for link in links(&line.raw) {
                let from_root = if folder.is_empty() { link.to_owned() } else { format!("{folder}/{link}") };
                if !exists(&from_root) {
                    add("map", format!("the link to {link} leads nowhere"));
                }
            }
            for command in commands(&line.raw) {
                if !known_command(command) {
                    add("command", format!("`cargo xtask {command}`"));
                }
            }
        }
    }
    findings.extend(unnamed_crates(files));
    findings
}

/// Whether `cargo xtask` has the sub-command.
fn known_command(name: &str) -> bool {
    ["test", "run", "demo", "bench", "bench-hook"].contains(&name)
        || crate::steps::STEPS.iter().any(|step| step.name == name)
}

/// Paths in code spans, without a final `/*` or `/`. In the map, the first
/// cell of a table is a path even if its folder is gone.
fn named_paths<'a>(line: &'a str, map: bool, tops: &BTreeSet<&str>) -> Vec<&'a str> {
    let first_cell = line.strip_prefix("| `").and_then(|rest| rest.split_once('`')).map(|(path, _)| path);
    let spans = line.split('`').skip(1).step_by(2);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '*');
    spans
        .filter(|span| span.chars().all(plain) && !span.starts_with('/') && !span.starts_with('*'))
        .filter(|span| {
            let top = span.split('/').next().unwrap_or(span);
            (span.contains('/') && tops.contains(top)) || (map && first_cell == Some(span))
        })
        .map(|span| span.trim_end_matches('*').trim_end_matches('/'))
        .filter(|span| !span.contains('*'))
        .collect()
}

/// Targets of Markdown links into the repository, without anchors.
fn links(line: &str) -> Vec<&str> {
    let targets = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split(')').next());
    targets
        .filter_map(|target| target.split('#').next())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .collect()
}

fn commands(line: &str) -> Vec<&str> {
    let call = "cargo xtask ";
    let words = line.match_indices(call).map(|(at, _)| &line[at + call.len()..]);
    words
        .filter_map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next())
        .filter(|word| !word.is_empty() && !word.starts_with('-'))
        .collect()
}

/// Crates of the workspace that the map's table does not name.
fn unnamed_crates(files: &[SourceFile]) -> Vec<Finding> {
    let Some(map) = files.iter().find(|file| file.path == MAP) else {
        let what = "there is no map".to_owned();
        return vec![Finding { path: MAP.to_owned(), line: 0, rule: "map", what, warning: false }];
    };
    let manifests = files.iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml"));
    manifests
        .filter(|folder| {
            let row = format!("| `{folder}`");
            !map.lines.iter().any(|line| line.raw.starts_with(&row))
        })
        .map(|folder| Finding {
            path: MAP.to_owned(),
            line: 0,
            rule: "map",
            what: format!("the table does not name the crate `{folder}`"),
            warning: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(map: &str) -> Vec<String> {
        let files = [
            SourceFile::new(MAP, map),
            SourceFile::new("server/Cargo.toml", ""),
            SourceFile::new("server/src/hub.rs", ""),
            SourceFile::new("docs/a.md", "[b](b.md) [root](../server) and `cargo xtask test`"),
        ];
        let there = ["server", "server/src", "server/src/hub.rs", "docs/b.md", "docs/../server"];
        check(&files, &|path| there.contains(&path)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_map_must_name_what_there_is_and_only_that() {
        let row = "| `server` | the server |\n";
        assert_eq!(found(row), [""; 0]);
        assert_eq!(
            found(&format!("{row}see `server/src/hub.rs`, `rooms/size`, `/api/me` and `server/*`")),
            [""; 0]
        );
        assert_eq!(found("no table"), ["the table does not name the crate `server`"]);
        assert_eq!(found(&format!("{row}| `gone` | was here |")), ["`gone` does not exist"]);
        assert_eq!(found(&format!("{row}see `server/src/sync`")), ["`server/src/sync` does not exist"]);
        assert_eq!(
            found(&format!("{row}see [the hub](server/hub.md#top)")),
            ["the link to server/hub.md leads nowhere"]
        );
        assert_eq!(found(&format!("{row}`cargo xtask dance`")), ["`cargo xtask dance`"]);
    }
}
