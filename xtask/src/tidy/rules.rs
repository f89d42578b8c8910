//! Rules over the lines of files.

use super::Finding;
use super::scan::{Line, SourceFile};

/// A rule over lines.
pub struct Rule {
    /// Short name, printed with each finding.
    pub name: &'static str,
    /// Why the rule is there and what to do instead.
    pub why: &'static str,
    /// Which files it is about, by path.
    applies: fn(&str) -> bool,
    /// What breaks it on a line.
    breaks: fn(&Line) -> Option<String>,
    /// A remark that allows it on the line or in the comment above.
    allowed_by: Option<&'static str>,
}

impl Rule {
    /// Every place in the files where the rule is broken.
    pub fn check(&self, files: &[SourceFile]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for file in files.iter().filter(|file| (self.applies)(&file.path)) {
            for (index, line) in file.lines.iter().enumerate() {
                let allowed = || self.allowed_by.is_some_and(|remark| file.remark(index).contains(remark));
                let Some(what) = (self.breaks)(line).filter(|_| !allowed()) else { continue };
                let path = file.path.clone();
                findings.push(Finding { path, line: index + 1, rule: self.name, what, warning: false });
            }
        }
        findings
    }
}

/// Every rule over lines.
pub const RULES: [Rule; 12] = [
    Rule {
        name: "pure",
        why: "schemas and client-core get time, randomness and bytes handed in, so that the phone, the server and \
              a test run the same code; do I/O in a shell",
        applies: is_pure,
        breaks: |line| outside_tests(line, IMPURE),
        allowed_by: None,
    },
    Rule {
        name: "flush-async",
        why: "concurrent flush_async deadlocks in sled 0.34; commit through the store's one committer",
        applies: is_rust,
        breaks: |line| has_word(&line.code, &["flush_async"]),
        allowed_by: None,
    },
    Rule {
        name: "serde-cbor",
        why: "serde_cbor is no longer maintained: it stays in one module for the wire and one for stored records, so \
              that it can be replaced in a day",
        applies: |path| is_rust(path) && !CBOR_HOMES.iter().any(|home| path.starts_with(home)),
        breaks: |line| outside_tests(line, &["serde_cbor"]),
        allowed_by: None,
    },
    Rule {
        name: "one-reading",
        why: "conflicts, verdicts, rulings and declared figures meet in `consolidate`; who reads values out of a \
              document elsewhere misses one of them",
        applies: |path| {
            let ours = ["server/src/", "client-core/", "schemas/standards/", "schemas/protocol/"];
            is_rust(path) && ours.iter().any(|folder| path.starts_with(folder)) && path.contains("/src/")
        },
        breaks: |line| outside_tests(line, &["ROOT", "map_range", "list_range", "hydrate"]),
        allowed_by: None,
    },
    Rule {
        name: "unwrap",
        why: "what comes from outside, disk or network never stops the process; return a typed error, or say why it \
              cannot happen in a comment with the words `cannot fail: …` on the line or above",
        applies: |path| {
            let ours = ["server/", "client-core/", "schemas/"].iter().any(|folder| path.starts_with(folder));
            ours && path.contains("/src/")
        },
        breaks: |line| outside_tests_text(line, &[".unwrap()", ".expect(", ".unwrap_err()", ".expect_err("]),
        allowed_by: Some("cannot fail:"),
    },
    Rule {
        name: "sleep",
        why: "a test that sleeps is slow or flaky, mostly both; wait for the event. Where a foreign process can only \
              be polled, bound it and say so with `polls: …`",
        applies: is_rust,
        breaks: |line| has_word(&line.code, &["sleep", "sleep_until"]).filter(|_| line.test),
        allowed_by: Some("polls:"),
    },
    Rule {
        name: "ignored-test",
        why: "an ignored test is a claim that nobody checks; assert what holds today or delete it",
        applies: is_rust,
        breaks: |line| contains(&line.code, &["#[ignore"]),
        allowed_by: None,
    },
    Rule {
        name: "leftover",
        why: "work that is left goes into an issue, not into a comment",
        applies: |_| true,
        breaks: |line| has_word(&line.raw, &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")]),
        allowed_by: None,
    },
    Rule {
        name: "floats",
        why: "figures are decimals and quotients are exact; a float in a comparison flips verdicts at the threshold. \
              Where a float only passes through, say so with `not compared: …`",
        applies: |path| {
            path.starts_with("schemas/document/src/") || path.starts_with("schemas/standards/src/")
        },
        breaks: |line| outside_tests(line, &["f32", "f64"]),
        allowed_by: Some("not compared:"),
    },
    Rule {
        name: "hash-order",
        why: "the order of a HashMap is drawn at random, so a result made from it is not repeatable; use a BTreeMap, \
              or say why the order cannot show with `never iterated: …`",
        applies: is_pure,
        breaks: |line| {
            outside_tests(line, &["HashMap", "HashSet"])
                .filter(|_| !is_import(line) && !line.code.contains("::new()"))
        },
        allowed_by: Some("never iterated:"),
    },
    Rule {
        name: "machine",
        why: "names of package registries' hosts and paths of one machine mean nothing elsewhere",
        applies: |_| true,
        breaks: |line| contains(&line.raw, MACHINE),
        allowed_by: None,
    },
    Rule {
        name: "lock-file",
        why: "a resolved address in package-lock.json ties the build to one registry mirror; omit it with \
              omit-lockfile-registry-resolved",
        applies: |path| path.ends_with("package-lock.json"),
        breaks: |line| contains(&line.raw, &["\"resolved\""]),
        allowed_by: None,
    },
];

/// Words that a pure crate has no use for.
const IMPURE: &[&str] = &[
    "tokio",
    "warp",
    "sled",
    "getrandom",
    "reqwest",
    "hyper",
    "SystemTime",
    "Instant",
    "OsRng",
    "SysRng",
    "ThreadRng",
    "thread_rng",
    "RandomState",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "fs::",
    "net::",
    "env::",
    "process::",
    "thread::",
];

/// The one module for the wire and the one for stored records.
const CBOR_HOMES: &[&str] = &["schemas/protocol/src/wire", "server/src/store/codec", "xtask/src/tidy/"];

/// Composed, so that this file does not break its own rule.
const MACHINE: &[&str] = &[
    concat!("crates", ".io"),
    concat!("registry.", "npmjs"),
    concat!("pypi", ".org"),
    concat!("deb.", "debian.org"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tmp", "/t/"),
];

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn is_pure(path: &str) -> bool {
    let pure =
        ["schemas/document/src/", "schemas/protocol/src/", "schemas/standards/src/", "client-core/src/"];
    is_rust(path) && pure.iter().any(|folder| path.starts_with(folder))
}

fn is_import(line: &Line) -> bool {
    let code = line.code.trim();
    code.starts_with("use ") || code.starts_with("pub use ")
}

fn outside_tests(line: &Line, words: &[&str]) -> Option<String> {
    has_word(&line.code, words).filter(|_| !line.test)
}

fn outside_tests_text(line: &Line, texts: &[&str]) -> Option<String> {
    contains(&line.code, texts).filter(|_| !line.test)
}

fn contains(text: &str, any: &[&str]) -> Option<String> {
    any.iter().find(|one| text.contains(**one)).map(|one| format!("`{one}`"))
}

/// Whether one of the words is there, not as a part of a longer name. A word
/// that ends with `::` is the last part of a path before what is used of it.
fn has_word(text: &str, words: &[&str]) -> Option<String> {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let found = words.iter().find(|word| {
        text.match_indices(**word).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            !inside(before) && (word.ends_with("::") || !inside(after))
        })
    });
    found.map(|word| format!("`{word}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines at which any rule is broken, as `rule:line`.
    fn broken(path: &str, text: &str) -> Vec<String> {
        let files = [SourceFile::new(path, text)];
        let findings = RULES.iter().flat_map(|rule| rule.check(&files));
        findings.map(|finding| format!("{}:{}", finding.rule, finding.line)).collect()
    }

    #[test]
    fn every_rule_finds_what_breaks_it_and_nothing_else() {
        let pure = "schemas/document/src/a.rs";
        let server = "server/src/a.rs";
        let left = concat!("// TO", "DO: more");
        let rows: &[(&str, &str, &[&str])] = &[
            (pure, "use tokio::sync::Notify;", &["pure:1"]),
            (pure, "use std::{fs, io};\nfs::read(a);", &["pure:2"]),
            (pure, "let now = SystemTime::now();", &["pure:1"]),
            (pure, "use std::collections::HashMap;\nlet map: HashMap<A, B>;", &["hash-order:2"]),
            (pure, "// never iterated: looked up by key\nlet map: HashMap<A, B>;", &[]),
            (pure, "let warped = InstantMessage;", &[]),
            (pure, "#[cfg(test)]\nmod tests {\n use std::fs;\n}", &[]),
            ("client-core/native/src/a.rs", "use tokio::fs;", &[]),
            (server, "tree.flush_async().await", &["flush-async:1"]),
            (server, "// flush_async deadlocks\ntree.flush()", &[]),
            (server, "serde_cbor::from_slice(b)", &["serde-cbor:1"]),
            ("schemas/protocol/src/wire.rs", "serde_cbor::from_slice(b)", &[]),
            (server, "doc.get(automerge::ROOT, \"rooms\")", &["one-reading:1"]),
            (server, "headers.get_all(name)", &[]),
            ("schemas/document/src/read.rs", "doc.get(ROOT, \"rooms\")", &[]),
            (server, "a.lock().unwrap();", &["unwrap:1"]),
            (server, "a.expect(\"b\");", &["unwrap:1"]),
            (server, "// A length of four was checked, so this cannot fail: see above.\na.unwrap();", &[]),
            (server, "a.unwrap_or_default();", &[]),
            (server, "#[test]\nfn a() {\n b.unwrap();\n}\nfn c() {\n d.unwrap();\n}", &["unwrap:6"]),
            ("tests/src/a.rs", "a.unwrap();", &[]),
            ("tests/tests/a.rs", "tokio::time::sleep(a).await;", &["sleep:1"]),
            ("tests/tests/a.rs", "// polls: the server has no other sign\nsleep(a);", &[]),
            (server, "tokio::time::sleep(a).await;", &[]),
            (server, "#[test]\n#[ignore]\nfn a() {}", &["ignored-test:2"]),
            ("docs/a.md", left, &["leftover:1"]),
            (pure, "fn a(b: f64) {}", &["floats:1"]),
            (pure, "// not compared: only shown\nfn a(b: f64) {}", &[]),
            ("docs/a.md", concat!("see crates", ".io"), &["machine:1"]),
            ("docs/a.md", concat!("cd /wo", "rk/main"), &["machine:1"]),
            ("web/package-lock.json", "\"resolved\": \"a\"", &["lock-file:1"]),
            ("web/package-lock.json", "\"version\": \"1\"", &[]),
        ];
        for (path, text, expected) in rows {
            assert_eq!(broken(path, text), *expected, "{path}: {text}");
        }
        for rule in &RULES {
            let hit = rows.iter().any(|row| row.2.iter().any(|found| found.starts_with(rule.name)));
            assert!(hit, "no sample breaks {}", rule.name);
        }
    }
}
