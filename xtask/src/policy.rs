//! `cargo xtask deny`: licences, bans and sources of dependencies, from `deny.toml`.
//!
//! A small part of what cargo-deny does, so that the check needs no tool that
//! is not on the machine. Where cargo-deny is installed it runs as well.

use serde::Deserialize;
use serde_json::Value;

use crate::process::{Failure, Outcome, cargo, output, root, run, works};

/// The part of `deny.toml` that is read here.
#[derive(Debug, Deserialize)]
pub struct Policy {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    name: String,
    reason: String,
}

/// Checks every crate that cargo resolved, for all platforms.
///
/// # Errors
/// [`Failure`] that lists what the policy does not allow.
pub fn step() -> Outcome {
    let path = root().join("deny.toml");
    let text =
        std::fs::read_to_string(&path).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    let policy: Policy = toml::from_str(&text).map_err(|error| Failure(format!("deny.toml: {error}")))?;
    let metadata = output(&mut cargo(&["metadata", "--locked", "--format-version", "1"]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| Failure(format!("cargo metadata: {error}")))?;
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    if packages.is_empty() {
        return Err(Failure("cargo metadata lists no packages".to_owned()));
    }
    let problems: Vec<String> = packages.iter().flat_map(|package| policy.problems(package)).collect();
    if !problems.is_empty() {
        return Err(Failure(format!("the policy in deny.toml does not allow:\n{}", problems.join("\n"))));
    }
    println!("{} crates within the policy", packages.len());
    if works(&mut cargo(&["deny", "--version"])) {
        run(&mut cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    }
    Ok(())
}

impl Policy {
    /// What the policy has against a package of `cargo metadata`.
    fn problems(&self, package: &Value) -> Vec<String> {
        let name = package["name"].as_str().unwrap_or("?");
        let mut problems = Vec::new();
        match package["license"].as_str() {
            Some(expression) if self.allows(expression) => {}
            Some(expression) => problems.push(format!("{name}: licence {expression}")),
            None => problems.push(format!("{name}: no licence expression")),
        }
        // No source means a path in this repository.
        if package["source"].as_str().is_some_and(|source| !source.starts_with("registry+")) {
            problems.push(format!("{name}: from {}", package["source"]));
        }
        for ban in self.bans.deny.iter().filter(|ban| ban.name == name) {
            problems.push(format!("{name}: banned, because {}", ban.reason));
        }
        problems
    }

    /// Whether an SPDX expression can be satisfied by allowed licences. AND
    /// binds more tightly than OR; the old `A/B` means OR.
    fn allows(&self, expression: &str) -> bool {
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        self.any(&mut rest).is_some_and(|allowed| allowed && rest.is_empty())
    }

    fn any(&self, words: &mut &[&str]) -> Option<bool> {
        let mut allowed = self.all(words)?;
        while words.first() == Some(&"OR") {
            *words = &words[1..];
            allowed |= self.all(words)?;
        }
        Some(allowed)
    }

    fn all(&self, words: &mut &[&str]) -> Option<bool> {
        let mut allowed = self.single(words)?;
        while words.first() == Some(&"AND") {
            *words = &words[1..];
            allowed &= self.single(words)?;
        }
        Some(allowed)
    }

    fn single(&self, words: &mut &[&str]) -> Option<bool> {
        let (first, rest) = words.split_first()?;
        *words = rest;
        if *first == "(" {
            let allowed = self.any(words)?;
            let (closing, rest) = words.split_first()?;
            *words = rest;
            return (*closing == ")").then_some(allowed);
        }
        let mut licence = (*first).to_owned();
        if let ["WITH", exception, rest @ ..] = *words {
            licence = format!("{first} WITH {exception}");
            *words = rest;
        }
        Some(self.licenses.allow.contains(&licence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let licenses = Licences { allow: ["MIT", "Apache-2.0", "A WITH B"].map(str::to_owned).to_vec() };
        let ban = Ban { name: "bad".to_owned(), reason: "it is".to_owned() };
        Policy { licenses, bans: Bans { deny: vec![ban] } }
    }

    #[test]
    fn expressions_are_read_as_spdx_reads_them() {
        let rows = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0", false),
            ("GPL-3.0 OR MIT AND Apache-2.0", true),
            ("(GPL-3.0 OR MIT) AND Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0", false),
            ("A WITH B", true),
            ("A", false),
            ("MIT OR", false),
            ("(MIT", false),
            ("", false),
        ];
        for (expression, allowed) in rows {
            assert_eq!(policy().allows(expression), allowed, "{expression}");
        }
    }

    #[test]
    fn licence_source_and_ban_are_each_a_problem() {
        let package = |name: &str, licence: Option<&str>, source: &str| {
            policy()
                .problems(&serde_json::json!({ "name": name, "license": licence, "source": source }))
                .len()
        };
        assert_eq!(package("good", Some("MIT"), "registry+a"), 0);
        assert_eq!(package("good", None, "registry+a"), 1);
        assert_eq!(package("good", Some("GPL-3.0"), "registry+a"), 1);
        assert_eq!(package("good", Some("MIT"), "git+a"), 1);
        assert_eq!(package("bad", Some("MIT"), "registry+a"), 1);
    }
}
