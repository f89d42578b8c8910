//! The types of conditions, whom they are for, and the reliefs from them.

use duxue_document::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use duxue_document::school::{Part, SchoolKind, Setting, Stage};
use duxue_document::{QuantityId, QuestionId};

use super::{Named, Text};
use crate::number::Amount;

/// One typed condition.
#[derive(Debug, Clone, Serialize)]
pub struct Condition {
    /// What it asks, where the indicator has several.
    pub name: Option<Text>,
    /// The rule.
    pub rule: Rule,
    /// The schools that it is for; empty means all.
    pub who: Who,
    /// Transitional reliefs.
    pub reliefs: Vec<Relief>,
    /// What is lacking when it is not met, for the gap's words.
    pub lack: Option<Lack>,
}

/// The unit of a gap.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lack {
    /// `m²`, `名体育艺术教师` / `PE or art teachers`.
    pub unit: Text,
    /// Decimals to which the gap is rounded up.
    pub decimals: u32,
}

/// Quantities added and subtracted. A stage quantity is taken for the stage
/// (at stage level) or summed over the stages of compulsory education.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Added.
    pub plus: Vec<Named>,
    /// Subtracted.
    pub minus: Vec<Named>,
    /// Only this part, instead of the level's own.
    pub part: Option<Part>,
}

/// A limit with the number of decimals in which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The value.
    pub value: Amount,
    /// Decimals as written: 2 for `0.50`.
    pub decimals: u32,
}

/// How a value is held against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// ≥ 不低于, 以上
    AtLeast,
    /// > 高于
    Above,
    /// ≤ 不超过
    AtMost,
    /// < 低于
    Below,
}

/// A limit by stage of schools, or one for all.
pub type ByStage = BTreeMap<Stage, Limit>;

/// A kind of room of which one is needed for so many classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomNeed {
    /// The list of these rooms, a quantity made from rooms.
    pub rooms: Named,
    /// Smallest net area that counts, m², by stage; the largest of a school's
    /// stages applies.
    pub area_m2: ByStage,
    /// What is lacking, for the gap.
    pub unit: Text,
}

/// The types of conditions. There is no expression language.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Rule {
    /// `of` per so many pupils of the stage, held against a limit by stage.
    /// Whole-school resources of combined schools are split by weight.
    PerPupils {
        /// The resource.
        of: Sum,
        /// 1 or 100.
        per: u32,
        /// Limit.
        at_least: ByStage,
    },
    /// `of ÷ over`, held against a limit.
    Share {
        /// Numerator.
        of: Sum,
        /// Denominator.
        over: Sum,
        /// How.
        compare: Compare,
        /// Limit as a number (0.1 for 10 %).
        limit: Limit,
        /// At county level: sums over schools instead of county figures.
        over_schools: bool,
        /// Printed times this: 100 for a percentage.
        printed_times: u32,
    },
    /// A quantity held against a limit.
    Bound {
        /// What.
        of: Sum,
        /// How.
        compare: Compare,
        /// Limit by kind of school; `default` for the others.
        limit: LimitByKind,
    },
    /// A quantity held against another (year on year: this year against last).
    Against {
        /// What.
        of: Sum,
        /// How.
        compare: Compare,
        /// The other.
        than: Sum,
        /// Whether the other is the same figure a year before.
        year_on_year: bool,
    },
    /// One room of each kind, of a smallest area, for each `classes` or part of it.
    RoomsPerClasses {
        /// 12.
        classes: u32,
        /// The number of classes.
        of: Named,
        /// Rooms needed.
        rooms: Vec<RoomNeed>,
    },
    /// No class above the limit.
    EveryClassAtMost {
        /// The list of class sizes.
        of: Named,
        /// Limit by stage.
        limit: ByStage,
    },
    /// An answer that must be yes (or no).
    YesNo {
        /// The checklist item.
        question: QuestionId,
        /// What it must be.
        expect: bool,
    },
    /// Schools below `pupils` are funded as if they had that many: funds ≥
    /// pupils × the county's norm.
    FundedAs {
        /// 公用经费 of the school, yuan a year.
        funds: Named,
        /// The county's norm per pupil by stage, yuan a year.
        norm: BTreeMap<Stage, Named>,
        /// 100.
        pupils: Amount,
    },
}

/// A limit by kind of school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitByKind {
    /// For kinds not named.
    pub default: Limit,
    /// For these kinds.
    pub kinds: BTreeMap<SchoolKind, Limit>,
}

/// Which schools something is for. Every condition given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Kinds; empty means every kind.
    pub kinds: BTreeSet<SchoolKind>,
    /// Settings; empty means every setting.
    pub settings: BTreeSet<Setting>,
    /// At least so many pupils in the school's compulsory stages.
    pub pupils_at_least: Option<Amount>,
    /// Fewer pupils than this.
    pub pupils_below: Option<Amount>,
    /// 人口密度过高的中心城区学校.
    pub dense_centre: bool,
    /// Planned and built in or before this year.
    pub built_until: Option<u16>,
    /// Every class smaller than this.
    pub every_class_below: Option<Amount>,
    /// 随迁子女 more than this share of the pupils.
    pub migrant_share_above: Option<Amount>,
}

impl Who {
    /// Whether it names everyone.
    #[must_use]
    pub fn is_everyone(&self) -> bool {
        self == &Self::default()
    }
}

/// A dated transitional relief: it makes a pass conditional, with a due date.
#[derive(Debug, Clone, Serialize)]
pub struct Relief {
    /// Its id.
    pub id: String,
    /// Its words.
    pub name: Text,
    /// Where it stands.
    pub clause: String,
    /// First day, `YYYY-MM-DD`.
    pub from: String,
    /// Last day.
    pub until: String,
    /// Full requirement due so many years after recognition.
    pub due_years: u16,
    /// For which schools; any of them.
    pub who: Vec<Who>,
    /// What it changes.
    pub effect: Effect,
}

/// What a relief changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// These quantities also count.
    AlsoCount(Vec<Named>),
    /// Another limit by kind.
    Limit(LimitByKind),
    /// Other smallest areas, by list of rooms and stage.
    Areas(BTreeMap<QuantityId, ByStage>),
}
