//! One idea a file, functions that fit a screen. Tests are not counted.

use super::Finding;
use super::scan::SourceFile;

const FILE_WARN: usize = 600;
const FILE_MOST: usize = 1000;
const FUNCTION_WARN: usize = 100;
const FUNCTION_MOST: usize = 150;

/// Why the rules are there.
pub const REASONS: &[(&str, &str)] = &[
    ("long-file", "a file holds one idea; move a part that can be named into a file of its own"),
    ("long-function", "a function fits a screen; branches stay in the parent, leaves move out"),
];

/// Files and functions that are too long.
#[must_use]
pub fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let length = file.lines.iter().filter(|line| !line.test).count();
        if length > FILE_WARN {
            findings.push(finding(file, 0, "long-file", length, length <= FILE_MOST));
        }
        for (start, length) in functions(file) {
            if length > FUNCTION_WARN {
                findings.push(finding(file, start, "long-function", length, length <= FUNCTION_MOST));
            }
        }
    }
    findings
}

fn finding(file: &SourceFile, line: usize, rule: &'static str, length: usize, warning: bool) -> Finding {
    Finding { path: file.path.clone(), line, rule, what: format!("{length} lines"), warning }
}

/// First line (from 1) and length of each function that has a body.
fn functions(file: &SourceFile) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut depth = 0_i64;
    // Start, depth outside of the body, and whether the body is open.
    let mut open: Vec<(usize, i64, bool)> = Vec::new();
    for (index, line) in file.lines.iter().enumerate() {
        if !line.test && is_function(&line.code) {
            open.push((index + 1, depth, false));
        }
        for c in line.code.chars() {
            match c {
                '{' => {
                    depth += 1;
                    if let Some(last) = open.last_mut() {
                        last.2 = true;
                    }
                }
                '}' => depth -= 1,
                // A declaration without a body, in a trait.
                ';' if open.last().is_some_and(|(_, outside, body)| !body && *outside == depth) => {
                    open.pop();
                }
                _ => {}
            }
            if let Some((start, _, _)) = open.pop_if(|(_, outside, body)| *body && depth <= *outside) {
                found.push((start, index + 2 - start));
            }
        }
    }
    found
}

fn is_function(code: &str) -> bool {
    let words: Vec<&str> = code.split_whitespace().take_while(|word| !word.contains('{')).collect();
    let at = words.iter().position(|word| *word == "fn");
    let qualifier =
        |word: &&str| matches!(*word, "pub" | "async" | "const" | "unsafe") || word.starts_with("pub(");
    at.is_some_and(|at| words[..at].iter().all(qualifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_functions_and_files_is_counted_outside_tests() {
        let body = |lines: usize| "    a();\n".repeat(lines);
        let text = format!(
            "trait A {{\n    fn b(&self);\n}}\npub fn c() {{\n{}}}\nasync fn d() {{\n{}}}\nfn e() {{}}\n",
            body(110),
            body(200)
        );
        let file = SourceFile::new("server/src/a.rs", &text);
        let seen: Vec<_> =
            check(std::slice::from_ref(&file)).into_iter().map(|f| (f.line, f.what, f.warning)).collect();
        assert_eq!(seen, [(4, "112 lines".to_owned(), true), (116, "202 lines".to_owned(), false)]);

        let long = SourceFile::new("server/src/a.rs", &"\n".repeat(1001));
        assert_eq!(check(&[long])[0].rule, "long-file");
        let tests = format!("#[cfg(test)]\nmod tests {{\nfn a() {{\n{}}}\n}}\n", body(1100));
        assert_eq!(check(&[SourceFile::new("server/src/a.rs", &tests)]), []);
    }
}
