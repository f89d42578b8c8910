//! Reads a file as lines in which code, comments and test code are told apart.
//!
//! It is a lexer, not a parser: what stands in a macro is read like any other
//! code, and a file that does not compile yet can be checked too.

/// A file of the repository.
pub struct SourceFile {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line of a file.
pub struct Line {
    /// As it stands in the file.
    pub raw: String,
    /// Without comments, and with the contents of literals blanked. Empty in
    /// files that are not Rust.
    pub code: String,
    /// The text of comments on the line.
    pub comment: String,
    /// Whether the line is in code that only tests compile.
    pub test: bool,
}

impl SourceFile {
    /// Reads a file's text.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        if !path.ends_with(".rs") {
            let lines = text.lines().map(|raw| Line {
                raw: raw.to_owned(),
                code: String::new(),
                comment: String::new(),
                test: false,
            });
            return Self { path: path.to_owned(), lines: lines.collect() };
        }
        let mut lines = split(text);
        if is_test_path(path) {
            lines.iter_mut().for_each(|line| line.test = true);
        } else {
            mark_tests(&mut lines);
        }
        Self { path: path.to_owned(), lines }
    }

    /// Whether the file is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The comments on a line and in the block of comment lines above it.
    #[must_use]
    pub fn remark(&self, index: usize) -> String {
        let only_comment = |line: &&Line| line.code.trim().is_empty() && !line.comment.is_empty();
        let above = self.lines[..index].iter().rev().take_while(only_comment);
        let mut parts: Vec<&str> = above.map(|line| line.comment.as_str()).collect();
        parts.reverse();
        parts.push(&self.lines[index].comment);
        parts.join(" ")
    }
}

/// Files that only tests compile: integration tests, benches, fixtures, and
/// modules that by their name hold tests.
fn is_test_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = path.split('/').any(|part| matches!(part, "tests" | "benches" | "testing"));
    folder || matches!(name, "tests.rs" | "testing.rs") || name.ends_with("_tests.rs")
}

/// What the lexer is in.
enum State {
    Code,
    LineComment,
    /// Depth of nesting.
    BlockComment(usize),
    Text,
    /// Number of `#`.
    RawText(usize),
}

fn split(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut state = State::Code;
    for raw in text.lines() {
        let (code, comment, next) = lex_line(raw, state);
        state = if matches!(next, State::LineComment) { State::Code } else { next };
        lines.push(Line { raw: raw.to_owned(), code, comment, test: false });
    }
    lines
}

fn lex_line(raw: &str, mut state: State) -> (String, String, State) {
    let chars: Vec<char> = raw.chars().collect();
    let (mut code, mut comment) = (String::new(), String::new());
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        let (after, width) = match state {
            State::Code => lex_code(&chars, at, &mut code),
            State::LineComment => {
                comment.push(chars[at]);
                (State::LineComment, 1)
            }
            State::BlockComment(depth) => match (chars[at], next) {
                ('*', Some('/')) if depth == 1 => (State::Code, 2),
                ('*', Some('/')) => (State::BlockComment(depth - 1), 2),
                ('/', Some('*')) => (State::BlockComment(depth + 1), 2),
                (other, _) => {
                    comment.push(other);
                    (State::BlockComment(depth), 1)
                }
            },
            State::Text => match chars[at] {
                '\\' => (State::Text, 2),
                '"' => {
                    code.push('"');
                    (State::Code, 1)
                }
                _ => (State::Text, 1),
            },
            State::RawText(hashes) => {
                let closing = (1..=hashes).all(|n| chars.get(at + n) == Some(&'#'));
                if chars[at] == '"' && closing {
                    code.push('"');
                    (State::Code, 1 + hashes)
                } else {
                    (State::RawText(hashes), 1)
                }
            }
        };
        state = after;
        at += width;
    }
    (code, comment, state)
}

/// One step in code: the state after it and the number of characters read.
fn lex_code(chars: &[char], at: usize, code: &mut String) -> (State, usize) {
    let next = chars.get(at + 1).copied();
    match (chars[at], next) {
        ('/', Some('/')) => return (State::LineComment, 2),
        ('/', Some('*')) => return (State::BlockComment(1), 2),
        ('"', _) => {
            code.push('"');
            return (State::Text, 1);
        }
        ('\'', _) => {
            if let Some(width) = char_literal(chars, at) {
                code.push_str("' '");
                return (State::Code, width);
            }
        }
        ('r', Some('"' | '#')) if !code.ends_with(|c: char| c.is_alphanumeric() && c != 'b') => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if chars.get(at + 1 + hashes) == Some(&'"') {
                code.push('"');
                return (State::RawText(hashes), 2 + hashes);
            }
        }
        _ => {}
    }
    code.push(chars[at]);
    (State::Code, 1)
}

/// The width of a character literal at `at`; `None` for a lifetime.
fn char_literal(chars: &[char], at: usize) -> Option<usize> {
    if chars.get(at + 1) == Some(&'\\') {
        let end = chars.iter().skip(at + 3).position(|c| *c == '\'')?;
        return Some(end + 4);
    }
    (chars.get(at + 2) == Some(&'\'')).then_some(3)
}

/// Marks the items under `#[cfg(test)]` and `#[test]`, up to the end of their block.
fn mark_tests(lines: &mut [Line]) {
    let mut depth = 0_i64;
    // Depth at which the marked item started, and whether its block is open.
    let mut marked: Option<(i64, bool)> = None;
    for line in lines {
        let code = line.code.trim();
        let starts = code.contains("#[cfg(test)]")
            || code.contains("#[cfg(any(test")
            || code.contains("#[test]")
            || code.contains("#[tokio::test");
        if marked.is_none() && starts {
            marked = Some((depth, false));
        }
        line.test = marked.is_some();
        for c in line.code.chars() {
            match c {
                '{' => {
                    depth += 1;
                    marked = marked.map(|(from, _)| (from, true));
                }
                '}' => depth -= 1,
                ';' => marked = marked.filter(|(from, open)| *open || *from != depth),
                _ => {}
            }
            marked = marked.filter(|(from, open)| !*open || depth > *from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        SourceFile::new("a/src/lib.rs", text).lines.into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let rows = [
            ("a(); // b()", "a(); "),
            ("a(/* b() */ c)", "a( c)"),
            (r#"a("b.unwrap()")"#, r#"a("")"#),
            (r#"a("\"b()")"#, r#"a("")"#),
            (r###"a(r#"b" c()"#)"###, r#"a("")"#),
            ("a('\"', b)", "a(' ', b)"),
            ("a('\\'', b)", "a(' ', b)"),
            ("fn a<'x>(b: &'x str)", "fn a<'x>(b: &'x str)"),
        ];
        for (text, expected) in rows {
            assert_eq!(code(text), [expected], "{text}");
        }
        assert_eq!(code("/* a\n/* b */ c\n*/ d"), ["", "", " d"]);
        assert_eq!(code("a(\"b\nc()\nd\", e)"), ["a(\"", "", "\", e)"]);
    }

    #[test]
    fn test_code_ends_with_its_block() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}";
        let file = SourceFile::new("a/src/lib.rs", text);
        let test: Vec<bool> = file.lines.iter().map(|line| line.test).collect();
        assert_eq!(test, [false, true, true, true, true, false, true, true, false]);
        assert!(SourceFile::new("a/tests/b.rs", "fn a() {}").lines[0].test);
    }

    #[test]
    fn a_remark_is_on_the_line_or_in_the_block_above() {
        let file = SourceFile::new("a/src/lib.rs", "// one\n// two\na(); // three\nb();");
        assert_eq!(file.remark(2), " one  two  three");
        assert_eq!(file.remark(3), "");
    }
}
