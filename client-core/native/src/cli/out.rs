//! What is printed: tables and sentences for people, JSON for programs.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use duxue_protocol::problem::Problem;
use serde::Serialize;

use super::args::Lang;

/// Where a command's words go.
#[derive(Clone, Copy)]
pub struct Out {
    json: bool,
    lang: Lang,
}

impl Out {
    pub fn new(json: bool, lang: Lang) -> Self {
        Self { json, lang }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a progress bar makes sense.
    pub fn is_live(&self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// The word in the chosen language.
    pub fn say<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        match self.lang {
            Lang::Zh => zh,
            Lang::En => en,
        }
    }

    /// One sentence; nothing in JSON output.
    pub fn line(&self, zh: impl AsRef<str>, en: impl AsRef<str>) {
        if !self.json {
            print(self.say(zh.as_ref(), en.as_ref()));
        }
    }

    /// One JSON value on a line of its own; nothing otherwise.
    pub fn json(&self, value: &impl Serialize) {
        if self.json {
            // A broken pipe or an unserialisable value of our own: nothing
            // sensible is left to print.
            if let Ok(text) = serde_json::to_string(value) {
                print(&text);
            }
        }
    }

    /// A text as it is, such as CSV.
    pub fn raw(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        // As in `print`: a reader that went away is not an error of ours.
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// A table; columns are aligned by display width, so that Chinese lines up.
    pub fn table(&self, header: &[(&str, &str)], rows: Vec<Vec<String>>) {
        if self.json {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(header.iter().map(|(zh, en)| self.say(zh, en)));
        for row in rows {
            table.add_row(row);
        }
        print(&table.to_string());
    }

    /// What went wrong, on standard error; in JSON on standard output too, so
    /// that a program reads one stream.
    pub fn problem(&self, problem: &Problem) {
        if self.json {
            self.json(&serde_json::json!({ "problem": problem }));
            return;
        }
        let (error, words) = (self.say("错误", "error"), self.words(problem));
        let _ = writeln!(std::io::stderr(), "{error}: {words} [{}]", problem.code);
    }

    /// Something that looks wrong but did not stop anything; in JSON on
    /// standard output too.
    pub fn warning(&self, problem: &Problem) {
        if self.json {
            self.json(&serde_json::json!({ "warning": problem }));
            return;
        }
        let _ = writeln!(std::io::stderr(), "{}: {}", self.say("注意", "note"), self.words(problem));
    }

    /// A problem in the chosen language, with what exactly it is about.
    pub fn words(&self, problem: &Problem) -> String {
        let message = self.say(&problem.message_zh, &problem.message_en);
        let detail = problem.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        format!("{message}{detail}")
    }
}

/// A reader that went away (`| head`) is not an error of ours.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} kB", count.div_ceil(1024)),
        _ => format!("{}.{} MB", count / 1_048_576, count % 1_048_576 * 10 / 1_048_576),
    }
}
