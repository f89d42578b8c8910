//! Schools, stages and declared figures: what is known before anyone looks.

use crate::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Decimal, JurisdictionCode, QuantityId, SchoolId};

/// 学段: the two stages of compulsory education.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// 小学
    Primary,
    /// 初中
    Junior,
}

impl Stage {
    /// Both, primary first.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Junior];

    /// The part of a school that this stage is.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::Primary => Part::Primary,
            Self::Junior => Part::Junior,
        }
    }
}

/// The part of a school that a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// 全校
    Whole,
    /// 小学部
    Primary,
    /// 初中部
    Junior,
    /// 高中部
    Senior,
    /// 附设幼儿班
    Kindergarten,
    /// 附设特教班
    Special,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 6] =
        [Self::Whole, Self::Primary, Self::Junior, Self::Senior, Self::Kindergarten, Self::Special];

    /// The part's name in entry paths and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Primary => "primary",
            Self::Junior => "junior",
            Self::Senior => "senior",
            Self::Kindergarten => "kindergarten",
            Self::Special => "special",
        }
    }
}

impl std::str::FromStr for Part {
    type Err = crate::IdError;
    fn from_str(text: &str) -> Result<Self, crate::IdError> {
        Self::ALL.into_iter().find(|part| part.as_str() == text).ok_or(crate::IdError { kind: "Part" })
    }
}

/// 学校类别 (办学类型).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchoolKind {
    /// 小学
    Primary,
    /// 初中
    Junior,
    /// 九年一贯制学校
    NineYear,
    /// 十二年一贯制学校
    TwelveYear,
    /// 完全中学
    CompleteSecondary,
    /// 高级中学, only with attached classes
    Senior,
    /// 职业学校, only with attached classes
    Vocational,
    /// 特殊教育学校
    Special,
    /// 教学点
    TeachingPoint,
}

/// 城乡分类.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// 城区
    Urban,
    /// 镇区
    Town,
    /// 乡村
    Rural,
}

/// One row of the school register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct School {
    /// 学校标识码.
    pub id: SchoolId,
    /// 学校名称.
    pub name: String,
    /// The county.
    pub jurisdiction: JurisdictionCode,
    /// 办学类型.
    pub kind: SchoolKind,
    /// The school that a branch site (不计校数) belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SchoolId>,
    /// 附设班: parts that the kind does not have by itself.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub attached: BTreeSet<Part>,
    /// 城区, 镇区 or 乡村.
    pub setting: Setting,
    /// 举办者类型, 1 to 10 as in 表 II-2; 10 is private.
    pub sponsor: u8,
    /// 建校年: year in which the school was planned and built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_year: Option<u16>,
    /// 寄宿制.
    #[serde(default)]
    pub boarding: bool,
    /// 人口密度过高的中心城区学校 (relief for sports space).
    #[serde(default)]
    pub dense_centre: bool,
    /// Latitude and longitude in degrees, WGS 84.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(Decimal, Decimal)>,
}

/// Which figure: a quantity of one part of a school.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FigureKey {
    /// The quantity.
    pub quantity: QuantityId,
    /// The part of the school.
    pub part: Part,
}

impl std::fmt::Display for FigureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.quantity, self.part.as_str())
    }
}

impl std::str::FromStr for FigureKey {
    type Err = crate::IdError;
    fn from_str(text: &str) -> Result<Self, crate::IdError> {
        let (quantity, part) = text.rsplit_once(':').ok_or(crate::IdError { kind: "FigureKey" })?;
        Ok(Self { quantity: quantity.parse()?, part: part.parse()? })
    }
}

impl TryFrom<String> for FigureKey {
    type Error = crate::IdError;
    fn try_from(text: String) -> Result<Self, crate::IdError> {
        text.parse()
    }
}

impl From<FigureKey> for String {
    fn from(key: FigureKey) -> String {
        key.to_string()
    }
}

/// 用房: what a room is for, as far as a rule asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomPurpose {
    /// 普通教室
    Classroom,
    /// 音乐专用教室
    Music,
    /// 美术专用教室
    Art,
    /// 理化生实验室 or 科学教室
    Laboratory,
    /// 计算机教室
    Computer,
    /// 图书阅览室
    Library,
    /// 室内体育用房
    IndoorSports,
    /// 心理辅导室
    Counselling,
    /// 其他
    Other,
}

/// A room that the school declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredRoom {
    /// What the school calls it.
    pub name: String,
    /// What it is for.
    pub purpose: RoomPurpose,
    /// 使用面积 (net), m².
    pub area_m2: Decimal,
}

/// A class that the school declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredClass {
    /// The stage it is in.
    pub stage: Stage,
    /// Number of pupils.
    pub pupils: u32,
}

/// What a school or county reported before anyone looked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Figures in the unit that the quantity's name says.
    pub figures: BTreeMap<FigureKey, Decimal>,
    /// Music, art and other rooms; absent if the list was not reported, which
    /// is not the same as an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Vec<DeclaredRoom>>,
    /// Classes; absent if not reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<DeclaredClass>>,
    /// Yes/no answers by checklist item.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<crate::QuestionId, bool>,
}
