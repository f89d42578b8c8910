//! Heads of several lines: groups over columns, and the forms' own column
//! numbers (`L1`, `L2` …) below.

use serde::Serialize;

use crate::standard::Text;

/// One cell of a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Its words; empty over the columns that only name rows.
    pub text: Text,
    /// How many lines it spans.
    pub down: usize,
    /// How many columns it spans.
    pub across: usize,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its whole name, groups first: `教学班数(个)·小学`.
    pub name: Text,
    /// The form's number for it, `L4`, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Whether its cells are figures.
    pub number: bool,
}

/// A column, or a group of them.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    text: Text,
    /// What the column is called where its head is empty.
    called: Option<Text>,
    number: bool,
    marked: bool,
    under: Vec<Branch>,
}

impl Branch {
    /// A column of figures, numbered.
    pub fn figures(zh: &str, en: &str) -> Self {
        Self::of(Text::new(zh, en))
    }

    /// The same.
    pub fn of(text: Text) -> Self {
        Self { text, called: None, number: true, marked: true, under: Vec::new() }
    }

    /// A column of words.
    pub fn words(zh: &str, en: &str) -> Self {
        Self { number: false, ..Self::figures(zh, en) }
    }

    /// A column that names the rows, whose head is empty on the form.
    pub fn label(zh: &str, en: &str) -> Self {
        Self { called: Some(Text::new(zh, en)), number: false, marked: false, ..Self::figures("", "") }
    }

    /// Columns under a common head.
    pub fn group(zh: &str, en: &str, under: Vec<Self>) -> Self {
        Self { under, ..Self::figures(zh, en) }
    }

    /// The same without a number of its own.
    pub fn unmarked(self) -> Self {
        Self { marked: false, ..self }
    }

    fn depth(&self) -> usize {
        1 + self.under.iter().map(Self::depth).max().unwrap_or(0)
    }

    fn width(&self) -> usize {
        self.under.iter().map(Self::width).sum::<usize>().max(1)
    }
}

/// The lines of the head, and the columns.
pub(super) fn lines(branches: &[Branch]) -> (Vec<Vec<Head>>, Vec<Column>) {
    let depth = branches.iter().map(Branch::depth).max().unwrap_or(0);
    let mut lines = vec![Vec::new(); depth];
    let mut columns = Vec::new();
    let mut marks = 0;
    for branch in branches {
        place(branch, 0, &[], &mut lines, &mut columns, &mut marks);
    }
    if marks > 0 {
        let number = |column: &Column| {
            let mark = column.mark.clone().unwrap_or_default();
            Head { text: Text::new(mark.clone(), mark), down: 1, across: 1 }
        };
        lines.push(columns.iter().map(number).collect());
    }
    (lines, columns)
}

fn place(
    branch: &Branch,
    level: usize,
    above: &[&Text],
    lines: &mut [Vec<Head>],
    columns: &mut Vec<Column>,
    marks: &mut usize,
) {
    let leaf = branch.under.is_empty();
    let down = if leaf { lines.len() - level } else { 1 };
    lines[level].push(Head { text: branch.text.clone(), down, across: branch.width() });
    let path: Vec<&Text> = above.iter().copied().chain([&branch.text]).collect();
    for below in &branch.under {
        place(below, level + 1, &path, lines, columns, marks);
    }
    if leaf {
        let joined =
            |word: fn(&Text) -> &str| path.iter().map(|text| word(text)).collect::<Vec<_>>().join("·");
        let name = branch
            .called
            .clone()
            .unwrap_or_else(|| Text::new(joined(|text| &text.zh), joined(|text| &text.en)));
        let mark = branch.marked.then(|| {
            *marks += 1;
            format!("L{marks}")
        });
        columns.push(Column { name, mark, number: branch.number });
    }
}
