//! 表Ⅱ-1: how many schools meet each item, and the whole rule.

use duxue_document::school::Stage;

use super::Form;
use super::cell::{Cell, Shown};
use super::head::Branch;
use super::reasons::{Known, Reason};
use super::resources::{Row, Schools, heads, items, stage_label};
use crate::assess::Outcome;
use crate::number::Exact;
use crate::standard::Text;

pub(super) fn pass_counts(known: &Known, schools: &Schools) -> Form {
    let mut rows = Vec::new();
    let columns = items(known.standard).count();
    for stage in Stage::ALL {
        let item =
            |column: usize| schools.of(stage).filter_map(move |row| Some((row, row.items.get(column)?.0)));
        let mut each: Vec<Passing> = (0..columns).map(|column| Passing::of(item(column))).collect();
        each.push(Passing::of(schools.of(stage).map(|row| (row, row.rule))));
        let mut line = |zh: &str, en: &str, shown: fn(&Passing) -> Shown| {
            let cell = |passing: &Passing| {
                if schools.is_empty() {
                    return Cell::unknown(|| vec![known.no_register()]);
                }
                Cell::shown(shown(passing), || passing.reasons.clone())
            };
            let labels = [stage_label(stage), Cell::said(Text::new(zh, en))];
            rows.push(labels.into_iter().chain(each.iter().map(cell)).collect());
        };
        line("达标学校总数", "schools that pass", Passing::number);
        line("达标学校比例(%)", "share (%)", Passing::share);
    }
    let name = Text::new("表Ⅱ-1 小学、初中资源配置基本情况", "Form Ⅱ-1 Resources of schools");
    let head = heads(known.standard, Branch::figures("综合评估", "school rule"));
    Form::new("II-1", name, head, rows).grouped(1)
}

/// How many rows pass, of how many.
#[derive(Default)]
struct Passing {
    rows: usize,
    /// Certainly and possibly passing, of the rows that certainly count.
    passes: usize,
    may_pass: usize,
    /// Rows that may not count: those that would pass, and those that would not.
    open_passing: usize,
    open_failing: usize,
    reasons: Vec<Reason>,
}

impl Passing {
    fn of<'r>(rows: impl Iterator<Item = (&'r Row, Outcome)>) -> Self {
        let mut passing = Self::default();
        for (row, outcome) in rows {
            let may_pass = outcome != Outcome::NotMet;
            if row.doubtful.is_some() {
                passing.open_passing += usize::from(may_pass);
                passing.open_failing += usize::from(!outcome.passes());
                passing.reasons.extend(row.doubts());
            } else {
                passing.rows += 1;
                passing.passes += usize::from(outcome.passes());
                passing.may_pass += usize::from(may_pass);
            }
            if outcome == Outcome::Undetermined {
                passing.reasons.extend(row.reasons());
            }
        }
        passing
    }

    fn number(&self) -> Shown {
        Shown::count(self.passes, Some(self.may_pass + self.open_passing))
    }

    /// In per cent with one decimal; the least where every doubtful row that
    /// may fail counts, the most where every one that may pass does.
    fn share(&self) -> Shown {
        let percent = |part: usize, all: usize| {
            let (part, all) = (i128::try_from(part).ok()?, i128::try_from(all).ok()?);
            (all > 0).then(|| Exact::quotient(part * 100, all))
        };
        let least = percent(self.passes, self.rows + self.open_failing);
        let most = percent(self.may_pass + self.open_passing, self.rows + self.open_passing);
        match (least, most) {
            (None, None) => Shown { text: "——".to_owned(), open: false },
            (least, most) => {
                let most = most.unwrap_or(Exact::ZERO);
                Shown::between(&least.unwrap_or(most.clone()), Some(&most), 1)
            }
        }
    }
}
