//! A standard: what its files say, read and checked.

mod merge;
mod named;
mod read;
mod rule;

use duxue_document::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use duxue_document::path::Section;
use duxue_document::school::{Part, RoomPurpose, SchoolKind, Stage};
use duxue_document::{Decimal, QuantityId, QuestionId};

use crate::number::Amount;

pub use named::Named;
pub use read::StandardError;
pub use rule::{
    ByStage, Compare, Condition, Effect, Lack, Limit, LimitByKind, Relief, RoomNeed, Rule, Sum, Who,
};

/// A text in both languages, Chinese first.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Text {
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Text {
    pub(crate) fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

/// One file that a standard was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// The file's id, such as `cn-youzhi-2017`.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its text, lower-case hex.
    pub sha256: String,
}

/// A standard with its overlays merged in. Only [`Standard::load`] makes one.
#[derive(Debug, Clone, Serialize)]
pub struct Standard {
    /// The base file's id.
    pub id: String,
    /// Its name.
    pub name: Text,
    /// The regulation.
    pub source: String,
    /// Base first, then overlays in order.
    pub files: Vec<FileHash>,
    /// What is measured, by id.
    pub quantities: BTreeMap<QuantityId, Quantity>,
    /// Dimensions in the order of the regulation.
    pub dimensions: Vec<Dimension>,
    /// Indicators in the order of the regulation.
    pub indicators: Vec<Indicator>,
    /// The rule that joins the resource items of one school and stage.
    pub school_rule: Option<SchoolRule>,
    /// The differences between schools that are tested.
    pub difference: Option<Difference>,
    /// Which schools count.
    pub scope: Scope,
    /// Weights by which a combined school's resources are split.
    pub split: BTreeMap<Part, Amount>,
    /// The same as whole numbers in the same proportion (50 : 55 : 66).
    #[serde(skip)]
    pub(crate) weights: BTreeMap<Part, i128>,
    /// The quantities that the rules themselves know by name.
    #[serde(skip)]
    pub(crate) special: Special,
    /// Quantities printed in 表 I, in order.
    pub county_facts: Vec<QuantityId>,
}

/// Quantities that scope, split and reliefs ask for, where the standard has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Special {
    /// By which schools are weighted and split.
    pub pupils: Option<Named>,
    pub max_class_size: Option<Named>,
    pub migrant_pupils: Option<Named>,
    /// Summed over all schools by indicators of the county, each once.
    pub over_schools: Vec<Named>,
}

/// The basis of an area; one never fills the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// 建筑面积
    Gross,
    /// 使用面积
    Net,
}

/// Where a figure may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// The quantity's own register, as an inspector verified it.
    Register,
    /// The sum, count or list over items of a section marked complete.
    Items,
    /// What the school or county reported.
    Declared,
}

/// How items make a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum ItemRule {
    /// Number of rooms with networked multimedia.
    MultimediaRooms,
    /// The rooms of a purpose, each with its net area.
    Rooms {
        /// 用途.
        purpose: RoomPurpose,
    },
    /// Number of classes of the stage.
    ClassCount,
    /// The classes of the stage, each with its pupils.
    ClassSizes,
    /// Sum of the pupils in the classes of the stage.
    ClassPupils,
    /// Sum over equipment of pieces × unit value.
    EquipmentValue,
    /// Sum of the areas of grounds of these kinds.
    Grounds {
        /// Outdoor.
        outdoor: bool,
        /// On the roof or in the basement.
        onsite: bool,
        /// Leased.
        leased: bool,
    },
}

impl ItemRule {
    /// The section whose completion makes the items count.
    #[must_use]
    pub fn section(self) -> Section {
        match self {
            Self::MultimediaRooms | Self::Rooms { .. } => Section::Rooms,
            Self::ClassCount | Self::ClassSizes | Self::ClassPupils => Section::Classes,
            Self::EquipmentValue => Section::Equipment,
            Self::Grounds { .. } => Section::Grounds,
        }
    }
}

/// What is measured, and what is known of it before it is.
#[derive(Debug, Clone, Serialize)]
pub struct Quantity {
    /// Its id; ends in the unit where it has one.
    pub id: QuantityId,
    /// Its place in the order of the files.
    #[serde(skip)]
    pub(crate) number: usize,
    /// Its name.
    pub name: Text,
    /// Its unit.
    pub unit: Text,
    /// Whether it is a figure of the county, not of a school.
    pub county: bool,
    /// The parts of a school that it is counted for.
    pub parts: BTreeSet<Part>,
    /// Sources, the first that has something wins.
    pub sources: Vec<SourceKind>,
    /// How items make it.
    pub items: Option<ItemRule>,
    /// Area basis.
    pub basis: Option<Basis>,
    /// Decimals; a value with more does not fit.
    pub decimals: u32,
    /// The largest value possible at all (a percentage: 100). Bounds what is missing.
    pub bound: Option<Amount>,
    /// A larger value is unlikely and raises an alarm.
    pub plausible_max: Option<Amount>,
    /// Declared and observed that differ by more raise an alarm.
    pub tolerance: Amount,
    /// Where the definition stands.
    pub clause: String,
}

impl Quantity {
    /// Whether it can have such a value at all: not negative, with no more
    /// decimals than it has, and within its bound. Another value never counts.
    #[must_use]
    pub fn takes(&self, value: Decimal) -> bool {
        let amount = Amount::from(value);
        let unit = 10_i128.pow(12_u32.saturating_sub(self.decimals));
        !value.is_negative() && amount.parts() % unit == 0 && self.bound.is_none_or(|bound| amount <= bound)
    }

    /// Whether such a value is above what is plausible.
    #[must_use]
    pub fn is_implausible(&self, value: Decimal) -> bool {
        self.plausible_max.is_some_and(|max| Amount::from(value) > max)
    }
}

/// A group of indicators that must all be met.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dimension {
    /// `A1` …
    pub id: String,
    /// Its name.
    pub name: Text,
    /// Where it stands.
    pub clause: String,
}

/// What an indicator is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// One stage of one school: a row of 表 II-2.
    Stage,
    /// One school.
    School,
    /// The county.
    County,
}

/// One indicator: all of its conditions must hold.
#[derive(Debug, Clone, Serialize)]
pub struct Indicator {
    /// `L4`, `A2-11` …
    pub id: String,
    /// Its dimension.
    pub dimension: String,
    /// Its name.
    pub name: Text,
    /// What it is about.
    pub level: Level,
    /// Decimals of the form.
    pub decimals: u32,
    /// Where it stands.
    pub clause: String,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

/// How the resource items of a school and stage make one result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchoolRule {
    /// The items.
    pub items: Vec<String>,
    /// So many must be met.
    pub met_at_least: usize,
    /// The others must reach this share of their requirement.
    pub floor: Amount,
    /// Where it stands.
    pub clause: String,
    /// Its dimension.
    pub dimension: String,
}

/// What is tested of the differences between schools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceTest {
    /// Every coefficient.
    Each,
    /// The mean of the coefficients.
    Mean,
}

/// The coefficients of variation between schools, weighted by pupils.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Of these indicators.
    pub items: Vec<String>,
    /// What is tested.
    pub test: DifferenceTest,
    /// Largest coefficient by stage.
    pub at_most: ByStage,
    /// Decimals of the form for county means.
    pub mean_decimals: u32,
    /// Decimals of the form for coefficients.
    pub decimals: u32,
    /// Where it stands.
    pub clause: String,
    /// Its dimension.
    pub dimension: String,
}

/// Which schools the resource items are for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Stages that a kind has by itself; attached classes add theirs. A kind
    /// not named does not count at all.
    pub stages: BTreeMap<SchoolKind, BTreeSet<Stage>>,
    /// Sponsors that do not count.
    pub without_sponsors: BTreeSet<u8>,
    /// A school of the kind with fewer pupils does not count.
    pub min_pupils: BTreeMap<SchoolKind, Amount>,
    /// Where it stands.
    pub clause: String,
}

impl Standard {
    /// Reads a base file and overlays in order.
    ///
    /// # Errors
    /// Everything that is wrong in the files, each with its place.
    pub fn load(files: &[&str]) -> Result<Self, Vec<StandardError>> {
        merge::load(files)
    }

    /// An indicator by id.
    #[must_use]
    pub fn indicator(&self, id: &str) -> Option<&Indicator> {
        self.indicators.iter().find(|indicator| indicator.id == id)
    }

    /// The words of a yes/no question.
    pub(crate) fn words_of_question(&self, id: &str) -> Option<&Text> {
        self.indicators.iter().find_map(|indicator| {
            let own = indicator.conditions.iter().find(
                |condition| matches!(&condition.rule, Rule::YesNo { question, .. } if question.as_str() == id),
            )?;
            Some(own.name.as_ref().unwrap_or(&indicator.name))
        })
    }

    /// Every yes/no question that the standard asks of a level, with its words.
    #[must_use]
    pub fn questions(&self) -> Vec<(QuestionId, Level, &Text)> {
        let mut questions = Vec::new();
        for indicator in &self.indicators {
            for condition in &indicator.conditions {
                if let Rule::YesNo { question, .. } = &condition.rule {
                    let name = condition.name.as_ref().unwrap_or(&indicator.name);
                    questions.push((question.clone(), indicator.level, name));
                }
            }
        }
        questions
    }
}
