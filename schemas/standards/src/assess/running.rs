//! The county's tallies, changed by one school's difference: what a school
//! added can be taken out again, so no change walks the other schools.

use duxue_document::collections::{BTreeMap, BTreeSet};

use duxue_document::SchoolId;
use duxue_document::school::Stage;

use super::Outcome;
use super::county::{IndicatorTally, Tally};
use super::outcome::{Grade, Levels, Span};
use super::verdict::Verdict;
use crate::input::Review;

/// Whether a school's results come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Add,
    TakeOut,
}

impl Step {
    pub fn count(self, number: &mut usize, by: usize) {
        match self {
            Self::Add => *number += by,
            Self::TakeOut => *number -= by,
        }
    }
}

/// How many results have each grade; the lowest is that of all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Grades {
    below: usize,
    floor: usize,
    met: usize,
}

impl Grades {
    fn change(&mut self, grade: Grade, step: Step) {
        let number = match grade {
            Grade::Below => &mut self.below,
            Grade::Floor => &mut self.floor,
            Grade::Met => &mut self.met,
        };
        step.count(number, 1);
    }

    fn lowest(self) -> Grade {
        match self {
            Self { below: 1.., .. } => Grade::Below,
            Self { floor: 1.., .. } => Grade::Floor,
            _ => Grade::Met,
        }
    }
}

/// The results of one indicator over rows or schools.
#[derive(Debug, Clone, Default)]
struct Results {
    tally: Tally,
    failing: BTreeSet<SchoolId>,
    strict: (Grades, Grades),
    relief: (Grades, Grades),
}

impl Results {
    /// One that may not count must be met only if it does.
    fn change(&mut self, school: &SchoolId, levels: Levels, counts: bool, step: Step) {
        let outcome = levels.outcome();
        step.count(&mut self.tally.all, 1);
        step.count(self.tally.number_of(outcome), 1);
        if outcome == Outcome::NotMet {
            match step {
                Step::Add => self.failing.insert(school.clone()),
                Step::TakeOut => self.failing.remove(school),
            };
        }
        let levels = levels.unless_exempt(counts, true);
        for (grades, span) in [(&mut self.strict, levels.strict), (&mut self.relief, levels.relief)] {
            grades.0.change(span.low, step);
            grades.1.change(span.high, step);
        }
    }

    /// All must be met.
    fn levels(&self) -> Levels {
        let span = |grades: (Grades, Grades)| Span { low: grades.0.lowest(), high: grades.1.lowest() };
        Levels { strict: span(self.strict), relief: span(self.relief) }
    }

    fn under(&self, id: &str) -> IndicatorTally {
        let levels = self.levels();
        IndicatorTally {
            id: id.to_owned(),
            outcome: levels.outcome(),
            tally: self.tally,
            failing: self.failing.iter().cloned().collect(),
            levels,
        }
    }
}

/// Of one stage.
#[derive(Debug, Clone, Default)]
struct StageResults {
    rows: usize,
    rows_open: usize,
    /// By the indicator's place among those of stages.
    indicators: BTreeMap<usize, Results>,
    rule: Results,
}

/// Of all schools.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    stages: BTreeMap<Stage, StageResults>,
    /// By the indicator's place among those of schools.
    schools: BTreeMap<usize, Results>,
    pub review: Review,
}

impl Running {
    /// Adds a school's results, or takes them out.
    pub fn change(&mut self, school: &Verdict, step: Step) {
        let id = &school.id;
        for row in school.stages.iter().filter(|row| row.counts != Some(false)) {
            let stage = self.stages.entry(row.stage).or_default();
            let counts = row.counts == Some(true);
            step.count(if counts { &mut stage.rows } else { &mut stage.rows_open }, 1);
            for (position, result) in row.indicators.iter().enumerate() {
                stage.indicators.entry(position).or_default().change(id, result.levels, counts, step);
            }
            if let Some(levels) = row.rule {
                stage.rule.change(id, levels, counts, step);
            }
        }
        for (position, result) in school.indicators.iter().enumerate() {
            self.schools.entry(position).or_default().change(id, result.levels, true, step);
        }
        step.count(&mut self.review.entries, school.review.entries);
        step.count(&mut self.review.unreviewed, school.review.unreviewed);
    }

    /// Rows of a stage that count, and those of which it is open.
    pub fn rows(&self, stage: Stage) -> (usize, usize) {
        self.stages.get(&stage).map_or((0, 0), |own| (own.rows, own.rows_open))
    }

    /// An indicator of a stage.
    pub fn of_stage(&self, stage: Stage, position: usize, id: &str) -> IndicatorTally {
        let own = self.stages.get(&stage).and_then(|own| own.indicators.get(&position));
        own.map_or_else(|| Results::default().under(id), |results| results.under(id))
    }

    /// The school rule of a stage.
    pub fn rule(&self, stage: Stage) -> IndicatorTally {
        self.stages.get(&stage).map_or_else(|| Results::default().under("rule"), |own| own.rule.under("rule"))
    }

    /// An indicator of schools.
    pub fn of_schools(&self, position: usize, id: &str) -> IndicatorTally {
        let own = self.schools.get(&position);
        own.map_or_else(|| Results::default().under(id), |results| results.under(id))
    }
}
