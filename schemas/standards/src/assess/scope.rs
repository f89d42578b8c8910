//! Which schools and stages count, and whom a rule or relief is for.

use duxue_document::school::{Part, Stage};
use serde::Serialize;

use super::per_pupil::{Pupils, pupils_of};
use super::unit::{Case, Unit};
use crate::figure::Bounds;
use crate::number::Amount;
use crate::standard::{Named, Standard, Text, Who};

/// Whether something holds: certainly, possibly, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holds {
    pub certain: bool,
    pub possible: bool,
}

impl Holds {
    const YES: Self = Self { certain: true, possible: true };

    fn exactly(holds: bool) -> Self {
        Self { certain: holds, possible: holds }
    }

    fn and(self, other: Self) -> Self {
        Self { certain: self.certain && other.certain, possible: self.possible && other.possible }
    }

    pub fn or(self, other: Self) -> Self {
        Self { certain: self.certain || other.certain, possible: self.possible || other.possible }
    }

    fn not(self) -> Self {
        Self { certain: !self.possible, possible: !self.certain }
    }

    fn at_least(bounds: Bounds, limit: Amount) -> Self {
        Self { certain: bounds.low >= limit, possible: bounds.high.is_none_or(|high| high >= limit) }
    }
}

/// Why a stage of a school is not a row of 表 II-2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotCounted {
    /// Stable code: `kind`, `sponsor`, `too_small`, `no_pupils`.
    pub code: &'static str,
    /// For people.
    pub text: Text,
}

/// The stages that a school may have rows for.
pub(crate) fn stages(unit: &Unit) -> Vec<Stage> {
    let has = |stage: &Stage| {
        unit.campuses.iter().any(|campus| {
            let own = unit.standard.scope.stages.get(&campus.school.kind);
            own.is_some_and(|own| own.contains(stage)) || campus.school.attached.contains(&stage.part())
        })
    };
    Stage::ALL.into_iter().filter(has).collect()
}

/// Whether a stage counts, and if certainly not, why.
pub(crate) fn counted(case: &Case, stage: Stage) -> (Holds, Option<NotCounted>) {
    let scope = &case.unit.standard.scope;
    let Some(school) = case.unit.school() else { return (Holds::YES, None) };
    let no = |code, zh: &str, en: &str| {
        (Holds::exactly(false), Some(NotCounted { code, text: Text::new(zh, en) }))
    };
    if !scope.stages.contains_key(&school.kind) {
        return no("kind", "此类学校不计入", "schools of this kind do not count");
    }
    if scope.without_sponsors.contains(&school.sponsor) {
        return no("sponsor", "此类举办者的学校不计入", "schools of this sponsor do not count");
    }
    let mut holds = Holds::YES;
    if let Some(least) = scope.min_pupils.get(&school.kind) {
        let large = Holds::at_least(all_pupils(case), *least);
        if !large.possible {
            return no("too_small", "学生数不足,不计入", "too few pupils to count");
        }
        holds = holds.and(large);
    }
    let Pupils { low, high } = pupils_of(case, stage);
    if high == Some(0) {
        return no("no_pupils", "本学段没有学生", "the stage has no pupils");
    }
    (holds.and(Holds { certain: low > 0, possible: true }), None)
}

/// The pupils of the compulsory stages in all campuses.
pub(crate) fn all_pupils(case: &Case) -> Bounds {
    let pupils = case.unit.standard.special.pupils.as_ref();
    pupils.map_or(Bounds::unknown(None), |pupils| summed(case, pupils))
}

fn summed(case: &Case, quantity: &Named) -> Bounds {
    (0..case.unit.campuses.len())
        .map(|campus| case.compulsory(campus, quantity))
        .fold(Bounds::exactly(Amount::ZERO), Bounds::plus)
}

/// Whether a rule or relief is for the school.
pub(crate) fn is_for(case: &Case, who: &Who) -> Holds {
    let Some(school) = case.unit.school() else { return Holds::exactly(who.is_everyone()) };
    let mut holds = Holds::exactly(who.kinds.is_empty() || who.kinds.contains(&school.kind))
        .and(Holds::exactly(who.settings.is_empty() || who.settings.contains(&school.setting)))
        .and(Holds::exactly(!who.dense_centre || school.dense_centre));
    if !holds.possible {
        return holds;
    }
    if let Some(year) = who.built_until {
        let built = school
            .built_year
            .map_or(Holds { certain: false, possible: true }, |built| Holds::exactly(built <= year));
        holds = holds.and(built);
    }
    if let Some(least) = who.pupils_at_least {
        holds = holds.and(Holds::at_least(all_pupils(case), least));
    }
    if let Some(below) = who.pupils_below {
        holds = holds.and(Holds::at_least(all_pupils(case), below).not());
    }
    if let Some(below) = who.every_class_below {
        holds = holds.and(every_class_below(case, below));
    }
    if let Some(share) = who.migrant_share_above {
        holds = holds.and(migrants_above(case, share));
    }
    holds
}

fn every_class_below(case: &Case, limit: Amount) -> Holds {
    let Some(sizes) = &case.unit.standard.special.max_class_size else {
        return Holds { certain: false, possible: true };
    };
    let mut holds = Holds::YES;
    for campus in 0..case.unit.campuses.len() {
        for part in [Part::Primary, Part::Junior] {
            let Some((figure, choice)) = case.figure(campus, sizes, part) else { continue };
            let large = |bounds: Bounds| bounds.low >= limit;
            let count = figure.count(choice, large, |bounds| bounds.high.is_none_or(|high| high >= limit));
            holds = holds.and(Holds { certain: count.most == Some(0), possible: count.least == 0 });
        }
    }
    holds
}

/// migrants > share × pupils.
fn migrants_above(case: &Case, share: Amount) -> Holds {
    let migrants = case.unit.standard.special.migrant_pupils.as_ref();
    let migrants = migrants.map_or(Bounds::unknown(None), |migrants| summed(case, migrants));
    let pupils = all_pupils(case);
    let above = |migrants: Amount, pupils: Amount| migrants.exact() > pupils.exact().times(&share.exact());
    Holds {
        certain: pupils.high.is_some_and(|high| above(migrants.low, high)),
        possible: migrants.high.is_none_or(|high| above(high, pupils.low)),
    }
}

impl Standard {
    /// The weights of the split as whole numbers in the same proportion.
    pub(crate) fn whole_weights(&self) -> &duxue_document::collections::BTreeMap<Part, i128> {
        &self.weights
    }
}
