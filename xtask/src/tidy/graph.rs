//! Rules over the dependency graph: what the pure crates stand on, and which
//! of our crates know each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Finding;
use crate::process::{Failure, Outcome, cargo, output};
use crate::wasm::PURE;

/// Why the rules are there.
pub const REASONS: &[(&str, &str)] = &[
    (
        "pure-graph",
        "the pure crates stand on nothing that does I/O, so that they run in a browser and under a test's clock",
    ),
    (
        "direction",
        "server and client-core stand on schemas and do not know each other; only tests and xtask know them all",
    ),
];

/// Crates that do I/O, at whatever depth they come in.
const IMPURE: [&str; 12] = [
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "hyper",
    "reqwest",
    "warp",
    "sled",
    "tempfile",
    "object_store",
    "rustls",
];

/// Crates that may not be direct dependencies of a pure crate: randomness is
/// handed in. (Automerge itself draws on one of them.)
const IMPURE_DIRECT: [&str; 3] = ["getrandom", "rand", "fastrand"];

/// Which of our crates each of our crates may know.
const MAY_KNOW: [(&str, &[&str]); 11] = [
    ("duxue-document", &[]),
    ("duxue-protocol", &["duxue-document"]),
    ("duxue-standards", &["duxue-document"]),
    ("duxue-client-core", &["duxue-document", "duxue-protocol", "duxue-standards"]),
    ("duxue-client", &["duxue-client-core", "duxue-document", "duxue-protocol", "duxue-standards"]),
    ("duxue-client-wasm", &["duxue-client-core", "duxue-document", "duxue-protocol", "duxue-standards"]),
    ("duxue-server", &["duxue-document", "duxue-protocol", "duxue-standards"]),
    ("duxue-tests", &["*"]),
    ("xtask", &[]),
    ("duxue-bindgen", &[]),
    // It measures the server from outside, so it does not know it.
    ("duxue-bench", &["duxue-document", "duxue-protocol", "duxue-standards"]),
];

/// A dependency as far as the rules ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Name of the crate.
    pub to: String,
    /// Whether only tests need it.
    pub dev: bool,
}

/// Dependencies by name of crate; our own crates are listed in `ours`.
#[derive(Debug, Default)]
pub struct Graph {
    /// Names of the members of the workspace.
    pub ours: BTreeSet<String>,
    /// What each crate needs, on any platform.
    pub edges: BTreeMap<String, BTreeSet<Edge>>,
}

/// The graph as cargo resolved it.
///
/// # Errors
/// [`Failure`] if `cargo metadata` fails or says something else than it always said.
pub fn load() -> Outcome<Graph> {
    let text = output(&mut cargo(&["metadata", "--locked", "--format-version", "1"]))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Failure(format!("cargo metadata is not JSON: {error}")))?;
    read(&value).ok_or_else(|| Failure("cargo metadata has another form than expected".to_owned()))
}

fn read(value: &Value) -> Option<Graph> {
    let mut graph = Graph::default();
    let mut names = BTreeMap::new();
    for package in value["packages"].as_array()? {
        names.insert(package["id"].as_str()?, package["name"].as_str()?);
    }
    for member in value["workspace_members"].as_array()? {
        graph.ours.insert((*names.get(member.as_str()?)?).to_owned());
    }
    for node in value["resolve"]["nodes"].as_array()? {
        let from = graph.edges.entry((*names.get(node["id"].as_str()?)?).to_owned()).or_default();
        for dependency in node["deps"].as_array()? {
            let to = (*names.get(dependency["pkg"].as_str()?)?).to_owned();
            for kind in dependency["dep_kinds"].as_array()? {
                // What only builds the crate does not run in it.
                if kind["kind"] != "build" {
                    from.insert(Edge { to: to.clone(), dev: kind["kind"] == "dev" });
                }
            }
        }
    }
    Some(graph)
}

/// Where the graph breaks a rule.
#[must_use]
pub fn check(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in PURE {
        for path in impure_paths(graph, name) {
            findings.push(finding("pure-graph", format!("{name} stands on {path}")));
        }
    }
    for name in &graph.ours {
        let Some((_, may)) = MAY_KNOW.iter().find(|(of, _)| of == name) else {
            findings
                .push(finding("direction", format!("{name} has no row in the table of who may know whom")));
            continue;
        };
        let edges = graph.edges.get(name).into_iter().flatten();
        for edge in edges.filter(|edge| graph.ours.contains(&edge.to)) {
            if !may.contains(&"*") && !may.contains(&edge.to.as_str()) {
                findings.push(finding("direction", format!("{name} knows {}", edge.to)));
            }
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

fn finding(rule: &'static str, what: String) -> Finding {
    Finding { path: "Cargo.toml".to_owned(), line: 0, rule, what, warning: false }
}

/// The ways from a pure crate to one that does I/O, without what only tests need.
fn impure_paths(graph: &Graph, name: &str) -> Vec<String> {
    let needs = |name: &str| {
        let edges = graph.edges.get(name).into_iter().flatten();
        edges.filter(|edge| !edge.dev).map(|edge| edge.to.clone()).collect::<Vec<_>>()
    };
    let mut found: Vec<String> = Vec::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut ahead: Vec<(String, String)> = Vec::new();
    for direct in needs(name) {
        if IMPURE_DIRECT.contains(&direct.as_str()) {
            found.push(direct.clone());
        }
        ahead.push((direct.clone(), direct));
    }
    while let Some((name, path)) = ahead.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        if IMPURE.contains(&name.as_str()) {
            found.push(path);
            continue;
        }
        ahead.extend(needs(&name).into_iter().map(|next| (next.clone(), format!("{path} > {next}"))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &[(&str, &str, bool)]) -> Vec<String> {
        let mut graph =
            Graph { ours: MAY_KNOW.iter().map(|row| row.0.to_owned()).collect(), ..Graph::default() };
        for (from, to, dev) in rows {
            graph
                .edges
                .entry((*from).to_owned())
                .or_default()
                .insert(Edge { to: (*to).to_owned(), dev: *dev });
        }
        check(&graph).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_pure_crates_stand_on_nothing_that_does_io() {
        let through = [("duxue-protocol", "a", false), ("a", "b", false), ("b", "mio", false)];
        assert_eq!(found(&through), ["duxue-protocol stands on a > b > mio"]);
        assert_eq!(found(&[("duxue-document", "getrandom", false)]), ["duxue-document stands on getrandom"]);
        assert_eq!(
            found(&[("duxue-document", "automerge", false), ("automerge", "getrandom", false)]),
            [""; 0]
        );
        assert_eq!(found(&[("duxue-document", "tempfile", true)]), [""; 0]);
        assert_eq!(found(&[("duxue-client", "tokio", false)]), [""; 0]);
    }

    #[test]
    fn our_crates_know_each_other_in_one_direction() {
        assert_eq!(
            found(&[("duxue-server", "duxue-client-core", true)]),
            ["duxue-server knows duxue-client-core"]
        );
        assert_eq!(
            found(&[("duxue-client-core", "duxue-server", false)]),
            ["duxue-client-core knows duxue-server"]
        );
        assert_eq!(
            found(&[("duxue-document", "duxue-protocol", false)]),
            ["duxue-document knows duxue-protocol"]
        );
        assert_eq!(
            found(&[("duxue-tests", "duxue-server", false), ("duxue-server", "duxue-protocol", false)]),
            [""; 0]
        );
        let unknown = Graph { ours: ["duxue-new".to_owned()].into(), ..Graph::default() };
        assert_eq!(check(&unknown).len(), 1);
    }
}
