//! Addresses of entries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::school::FigureKey;
use crate::{FieldId, IdError, ItemId, PhotoHash, QuestionId};

/// The maps of items in a survey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// 班级
    Classes,
    /// 用房
    Rooms,
    /// 运动场地
    Grounds,
    /// 仪器设备
    Equipment,
}

impl ItemKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Classes, Self::Rooms, Self::Grounds, Self::Equipment];

    /// The name of the top-level map in a survey document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Rooms => "rooms",
            Self::Grounds => "grounds",
            Self::Equipment => "equipment",
        }
    }
}

impl FromStr for ItemKind {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(IdError { kind: "ItemKind" })
    }
}

/// An item's address, written like `rooms/01J9ZK`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemKey {
    /// The map it is in.
    pub kind: ItemKind,
    /// The item.
    pub item: ItemId,
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.item)
    }
}

impl FromStr for ItemKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (kind, item) = text.split_once('/').ok_or(IdError { kind: "ItemKey" })?;
        Ok(Self { kind: kind.parse()?, item: item.parse()? })
    }
}

impl TryFrom<String> for ItemKey {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ItemKey> for String {
    fn from(key: ItemKey) -> String {
        key.to_string()
    }
}

/// The parts of a survey that an inspector marks complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// 班级
    Classes,
    /// 用房
    Rooms,
    /// 运动场地
    Grounds,
    /// 仪器设备
    Equipment,
    /// 教师与其他数量
    Quantities,
    /// 核查清单
    Checklist,
}

impl Section {
    /// Every section, in the order of a visit.
    pub const ALL: [Self; 6] =
        [Self::Classes, Self::Rooms, Self::Grounds, Self::Equipment, Self::Quantities, Self::Checklist];

    /// The section's key in the `sections` map.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Rooms => "rooms",
            Self::Grounds => "grounds",
            Self::Equipment => "equipment",
            Self::Quantities => "quantities",
            Self::Checklist => "checklist",
        }
    }
}

/// The address of one entry (one register) in a survey or county document,
/// written like `rooms/01J9ZK/size` or `quantities/pupils:primary`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EntryPath {
    /// A field of an item.
    Item {
        /// The map it is in.
        kind: ItemKind,
        /// The item.
        item: ItemId,
        /// The field, such as `size`, `identity` or `removed`.
        field: FieldId,
    },
    /// A quantity of one part of the school (or of the county, `whole`).
    Quantity(FigureKey),
    /// The answer to a checklist item.
    Answer(QuestionId),
    /// The inspector's mark that a section is complete.
    Section(Section),
    /// A photo and what it supports.
    Evidence(PhotoHash),
}

impl EntryPath {
    /// The item that the entry is a field of, if it is one.
    #[must_use]
    pub fn item(&self) -> Option<ItemKey> {
        match self {
            Self::Item { kind, item, .. } => Some(ItemKey { kind: *kind, item: item.clone() }),
            _ => None,
        }
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item { kind, item, field } => write!(f, "{}/{item}/{field}", kind.as_str()),
            Self::Quantity(key) => write!(f, "quantities/{key}"),
            Self::Answer(question) => write!(f, "answers/{question}"),
            Self::Section(section) => write!(f, "sections/{}", section.as_str()),
            Self::Evidence(photo) => write!(f, "evidence/{photo}"),
        }
    }
}

impl FromStr for EntryPath {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { kind: "EntryPath" };
        let (head, rest) = text.split_once('/').ok_or(error.clone())?;
        match head {
            "quantities" => rest.parse().map(Self::Quantity),
            "answers" => rest.parse().map(Self::Answer),
            "evidence" => rest.parse().map(Self::Evidence),
            "sections" => {
                Section::ALL.into_iter().find(|s| s.as_str() == rest).map(Self::Section).ok_or(error)
            }
            _ => {
                let kind = head.parse()?;
                let (item, field) = rest.split_once('/').ok_or(error)?;
                Ok(Self::Item { kind, item: item.parse()?, field: field.parse()? })
            }
        }
    }
}

impl TryFrom<String> for EntryPath {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<EntryPath> for String {
    fn from(path: EntryPath) -> String {
        path.to_string()
    }
}
