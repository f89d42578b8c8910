//! What a column of the school sheet may be called and what it means.
//!
//! Names follow 表 II-2, the school form and the yearbook of education
//! statistics; [`super::words::title`] takes part and unit out of a header
//! before it is looked up here.

use std::str::FromStr;

use duxue_document::school::{FigureKey, Part, RoomPurpose};
use duxue_document::{QuantityId, QuestionId};

use super::words::Unit;

/// A property of the school itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attribute {
    Id,
    Name,
    Jurisdiction,
    Kind,
    Parent,
    Attached,
    Setting,
    Sponsor,
    BuiltYear,
    Boarding,
    DenseCentre,
    Latitude,
    Longitude,
    Stage,
}

/// What the values of a figure must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Whole numbers.
    Count,
    /// Square metres.
    Area,
    /// Yuan; the header says whether cells are in 元 or 万元.
    Money,
    /// Percent.
    Percent,
    /// Tens of thousands of people.
    TenThousandPeople,
    /// A number without unit.
    Decimal,
}

impl Measure {
    /// The power of ten from the header's unit to the figure's; `None` where
    /// the unit cannot be this measure's.
    pub fn shift(self, unit: Option<Unit>) -> Option<u32> {
        match (self, unit) {
            (Self::Count, None | Some(Unit::Count)) | (Self::Area, None | Some(Unit::SquareMetre)) => Some(0),
            (Self::Money, Some(Unit::Yuan)) | (Self::Decimal, None) => Some(0),
            (Self::Percent, None | Some(Unit::Percent)) => Some(0),
            (Self::TenThousandPeople, Some(Unit::TenThousandPeople)) => Some(0),
            (Self::Money, Some(Unit::TenThousandYuan)) => Some(4),
            _ => None,
        }
    }

    /// The unit that our own sheets state.
    pub fn unit_word(self) -> &'static str {
        match self {
            Self::Count | Self::Decimal => "",
            Self::Area => "平方米",
            Self::Money => "元",
            Self::Percent => "%",
            Self::TenThousandPeople => "万人",
        }
    }
}

/// A quantity that the sheet may declare.
#[derive(Debug)]
pub(super) struct Quantity {
    pub id: &'static str,
    pub measure: Measure,
    /// Whether it is given by part (小学, 初中 …) or for the whole school.
    pub by_part: bool,
    /// The first is the one that our own sheets use.
    pub names: &'static [&'static str],
}

const fn by_part(id: &'static str, names: &'static [&'static str]) -> Quantity {
    Quantity { id, measure: Measure::Count, by_part: true, names }
}

const fn whole(id: &'static str, measure: Measure, names: &'static [&'static str]) -> Quantity {
    Quantity { id, measure, by_part: false, names }
}

/// Every quantity of the school sheet, in the order of our own sheets.
pub(super) const QUANTITIES: &[Quantity] = &[
    by_part(
        "pupils",
        &[
            "在校生数",
            "在校学生数",
            "学生人数",
            "学生数",
            "在校生人数",
            "在校人数",
            "在校生总数",
            "在校学生人数",
        ],
    ),
    by_part("classes", &["班级数", "班数", "教学班数", "班级总数", "班级个数"]),
    by_part("grades", &["年级数"]),
    by_part("max_class_size", &["最大班额", "最大班额学生数", "班额"]),
    by_part("teachers", &["专任教师数", "专任教师总人数", "专任教师总数", "专任教师人数", "专任教师"]),
    by_part(
        "teachers_above_required_degree",
        &["高于规定学历教师数", "高于规定学历专任教师数", "高于规定学历教师人数", "高于规定学历专任教师人数"],
    ),
    by_part(
        "teachers_backbone",
        &[
            "县级及以上骨干教师数",
            "县级以上骨干教师数",
            "骨干教师数",
            "县级及以上骨干教师人数",
            "骨干教师人数",
        ],
    ),
    by_part(
        "teachers_pe_art",
        &[
            "体育艺术专任教师数",
            "体育艺术美术音乐专任教师数",
            "体艺专任教师数",
            "音体美专任教师数",
            "体音美专任教师数",
        ],
    ),
    by_part(
        "teachers_pe_art_shared",
        &[
            "体育艺术交流轮岗兼职走教教师数",
            "体育艺术美术音乐交流轮岗兼职走教教师数",
            "走教体艺教师数",
            "交流轮岗兼职走教的体育艺术教师数",
        ],
    ),
    by_part(
        "teachers_certified",
        &[
            "持有教师资格证的专任教师数",
            "持有教师资格证的专任教师人数",
            "持有教师资格证的专任教师总数",
            "持证专任教师数",
        ],
    ),
    by_part(
        "teachers_trained_360h",
        &[
            "近5年培训满360学时专任教师数",
            "近5年培训满360学时专任教师人数",
            "完成5年360学时培训教师数",
            "五年培训满360学时的教师数",
        ],
    ),
    by_part(
        "teachers_mid_title",
        &["中级及以上专业技术职务教师数", "中级及以上职称教师数", "中级以上职称教师数"],
    ),
    whole(
        "teaching_area_m2",
        Measure::Area,
        &["教学及辅助用房面积", "教学及辅助用房总面积", "教学辅助用房面积"],
    ),
    whole("indoor_sports_area_m2", Measure::Area, &["室内体育用房面积", "学校体育馆面积", "体育馆面积"]),
    whole(
        "outdoor_sports_area_m2",
        Measure::Area,
        &["室外运动场地面积", "运动场地面积", "校内体育场面积", "体育场面积"],
    ),
    whole(
        "relief_onsite_sports_area_m2",
        Measure::Area,
        &[
            "校内其他专用运动场地面积",
            "校内其他体育场面积",
            "校园其他专用运动场地面积",
            "校内地下楼顶等专用运动场地面积",
        ],
    ),
    whole(
        "relief_leased_sports_area_m2",
        Measure::Area,
        &[
            "校外租赁体育场馆面积",
            "校外租赁场馆面积",
            "校外周边租借体育场馆面积",
            "就近便利到达的校外周边体育场馆面积",
            "校外周边租赁体育场馆面积",
        ],
    ),
    whole(
        "equipment_value_yuan",
        Measure::Money,
        &[
            "教学仪器设备资产值",
            "教学仪器设备资产值账面原值",
            "教学仪器设备值",
            "设备值",
            "教学仪器设备值账面原值",
        ],
    ),
    whole("multimedia_rooms", Measure::Count, &["网络多媒体教室数", "网络多媒体教室间数", "网络多媒体教室"]),
    whole(
        "music_rooms",
        Measure::Count,
        &["音乐教室数", "音乐教室总间数", "音乐教室间数", "音乐专用教室数", "音乐专用教室"],
    ),
    whole(
        "art_rooms",
        Measure::Count,
        &["美术教室数", "美术教室总间数", "美术教室间数", "美术专用教室数", "美术专用教室"],
    ),
    whole("computers", Measure::Count, &["计算机台数", "学校计算机总台数", "计算机数", "教学用计算机台数"]),
    whole("books", Measure::Count, &["图书册数", "图书数", "图书"]),
    whole(
        "migrant_pupils",
        Measure::Count,
        &[
            "进城务工人员随迁子女在校生数",
            "进城务工人员随迁子女在校生人数",
            "随迁子女在校生人数",
            "随迁子女数",
        ],
    ),
    whole(
        "public_funds_yuan",
        Measure::Money,
        &[
            "上一年度公用经费预算总额",
            "公用经费预算总额",
            "上年度公用经费预算总额",
            "公用经费",
            "年度公用经费",
        ],
    ),
    whole(
        "training_funds_yuan",
        Measure::Money,
        &[
            "上一年度教师培训经费预算总额",
            "教师培训经费预算总额",
            "上年度教师培训经费预算总额",
            "教师培训经费",
        ],
    ),
];

/// Names of the attributes; the first is the one that our own sheets use.
pub(super) const ATTRIBUTES: &[(Attribute, &[&str])] = &[
    (Attribute::Id, &["学校标识码", "学校代码", "标识码", "学校机构标识码", "学校机构代码"]),
    (Attribute::Name, &["学校名称", "校名", "学校机构名称"]),
    (Attribute::Jurisdiction, &["行政区划代码", "区县代码", "区划代码"]),
    (Attribute::Kind, &["办学类型", "学校类型", "学校类别", "学校办学类型"]),
    (Attribute::Parent, &["主校标识码", "所属学校标识码", "上级学校标识码", "中心校标识码"]),
    (Attribute::Attached, &["附设班"]),
    (Attribute::Setting, &["城乡分类", "城乡类型", "城乡类别"]),
    (Attribute::Sponsor, &["举办者类型", "举办者", "举办者类型代码"]),
    (Attribute::BuiltYear, &["建校年份", "建校时间", "建校年", "建校于"]),
    (Attribute::Boarding, &["是否寄宿制", "寄宿制", "是否寄宿制学校"]),
    (
        Attribute::DenseCentre,
        &[
            "是否人口密度过高的中心城区学校",
            "是否人口密度过高的大城市中心城区学校",
            "人口密度过高的中心城区学校",
        ],
    ),
    (Attribute::Latitude, &["纬度"]),
    (Attribute::Longitude, &["经度"]),
    (Attribute::Stage, &["学段"]),
];

const ROOMS: &[(RoomPurpose, &[&str])] = &[
    (RoomPurpose::Music, &["音乐教室面积", "音乐教室单间面积", "音乐专用教室面积", "音乐教室逐间面积"]),
    (RoomPurpose::Art, &["美术教室面积", "美术教室单间面积", "美术专用教室面积", "美术教室逐间面积"]),
];

const CLASS_SIZES: &[&str] = &["各班人数", "班级人数", "各班学生数"];

/// Parts of a sum that forms ask for in place of the sum.
#[derive(Debug)]
pub(super) struct Component {
    pub of: &'static str,
    pub names: &'static [&'static str],
    /// The stages in which it counts: 专科 is above the required degree in
    /// primary schools only.
    pub parts: &'static [Part],
}

const BOTH: &[Part] = &[Part::Primary, Part::Junior];

pub(super) const COMPONENTS: &[Component] = &[
    Component {
        of: "teachers_above_required_degree",
        names: &["专科学历教师人数", "专科学历教师数", "专科学历专任教师数"],
        parts: &[Part::Primary],
    },
    Component {
        of: "teachers_above_required_degree",
        names: &["本科学历教师人数", "本科学历教师数", "本科学历专任教师数"],
        parts: BOTH,
    },
    Component {
        of: "teachers_above_required_degree",
        names: &["硕士学历教师人数", "硕士学历教师数", "硕士研究生毕业学历教师人数", "硕士学历专任教师数"],
        parts: BOTH,
    },
    Component {
        of: "teachers_above_required_degree",
        names: &[
            "博士研究生学历教师人数",
            "博士学历教师数",
            "博士研究生毕业学历教师人数",
            "博士学历专任教师数",
        ],
        parts: BOTH,
    },
    Component {
        of: "teachers_pe_art", names: &["体育专任教师人数", "体育专任教师数"], parts: BOTH
    },
    Component {
        of: "teachers_pe_art", names: &["音乐专任教师人数", "音乐专任教师数"], parts: BOTH
    },
    Component {
        of: "teachers_pe_art", names: &["美术专任教师人数", "美术专任教师数"], parts: BOTH
    },
    Component {
        of: "teachers_pe_art", names: &["艺术专任教师人数", "艺术专任教师数"], parts: BOTH
    },
];

/// Columns that are known and say nothing that is imported: ordinals,
/// remarks, and the results of 表 II-2, which are computed here.
const IGNORED: &[&str] = &[
    "序号",
    "备注",
    "说明",
    "每百名学生拥有高于规定学历教师数",
    "每百名学生拥有县级及以上骨干教师数",
    "每百名学生拥有体育艺术美术音乐专任教师数",
    "生均教学及辅助用房面积",
    "生均体育运动场馆面积",
    "生均教学仪器设备值",
    "每百名学生拥有网络多媒体教室数",
    "该校综合评估是否达标",
    "是否达标",
    "是否2010年及之前规划并建成",
    "是否2016年及之前规划并建成",
];

/// What a column is.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Ignored,
    Attribute(Attribute),
    /// A figure of the part that the header names; without one, of the
    /// school's only part, or a total.
    Figure {
        quantity: &'static Quantity,
        part: Option<Part>,
        shift: u32,
    },
    Component {
        index: usize,
        part: Option<Part>,
    },
    Rooms(RoomPurpose),
    ClassSizes {
        part: Option<Part>,
    },
    Answer(QuestionId),
}

/// Why a header names no column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    Unknown,
    UnitMissing,
    UnitWrong,
}

/// The quantity with this id.
pub(super) fn quantity(id: &str) -> Option<&'static Quantity> {
    QUANTITIES.iter().find(|quantity| quantity.id == id)
}

/// Finds what a header means: `key` without part and unit.
pub(super) fn resolve(key: &str, unit: Option<Unit>, part: Option<Part>) -> Result<Target, HeaderError> {
    if IGNORED.contains(&key) || key.starts_with("备注") {
        return Ok(Target::Ignored);
    }
    if let Some((attribute, _)) = ATTRIBUTES.iter().find(|(_, names)| names.contains(&key)) {
        return Ok(Target::Attribute(*attribute));
    }
    if let Some((purpose, _)) = ROOMS.iter().find(|(_, names)| names.contains(&key)) {
        return match unit {
            None | Some(Unit::SquareMetre) => Ok(Target::Rooms(*purpose)),
            Some(_) => Err(HeaderError::UnitWrong),
        };
    }
    if CLASS_SIZES.contains(&key) {
        return Ok(Target::ClassSizes { part });
    }
    if let Some(index) = COMPONENTS.iter().position(|component| component.names.contains(&key)) {
        return Ok(Target::Component { index, part });
    }
    let quantity =
        QUANTITIES.iter().find(|quantity| quantity.names.contains(&key)).ok_or(HeaderError::Unknown)?;
    figure(quantity, unit, part)
}

fn figure(
    quantity: &'static Quantity,
    unit: Option<Unit>,
    part: Option<Part>,
) -> Result<Target, HeaderError> {
    let Some(shift) = quantity.measure.shift(unit) else {
        return Err(if unit.is_none() { HeaderError::UnitMissing } else { HeaderError::UnitWrong });
    };
    // A whole-school quantity by part is another quantity, which no rule asks.
    if part.is_some() && !quantity.by_part {
        return Err(HeaderError::Unknown);
    }
    Ok(Target::Figure { quantity, part, shift })
}

/// Headers in the machine's own words: a figure key such as `pupils:primary`
/// (in the quantity's own unit), or a checklist item such as `A3-3 章程`.
pub(super) fn resolve_code(text: &str) -> Option<Target> {
    let word: String = super::words::half_width(text).chars().take_while(|c| c.is_ascii_graphic()).collect();
    if let Ok(key) = FigureKey::from_str(&word) {
        let quantity = quantity(key.quantity.as_str())?;
        return match (quantity.by_part, key.part) {
            (true, Part::Whole) => Some(Target::Figure { quantity, part: None, shift: 0 }),
            (true, part) => Some(Target::Figure { quantity, part: Some(part), shift: 0 }),
            (false, Part::Whole) => Some(Target::Figure { quantity, part: None, shift: 0 }),
            (false, _) => None,
        };
    }
    question(&word).map(Target::Answer)
}

/// A checklist item's id: `A2-1`, `A3-5`, `V-1`, `E-1`.
pub(super) fn question(word: &str) -> Option<QuestionId> {
    let (head, tail) = word.split_once('-')?;
    let mut letters = head.chars();
    let known = matches!(letters.next(), Some('A' | 'E' | 'V')) && letters.all(|c| c.is_ascii_digit());
    let item = !tail.is_empty()
        && tail.split('-').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric()));
    if known && item { QuestionId::new(word).ok() } else { None }
}

/// The figure key of a quantity that this file lists.
pub(super) fn key_of(quantity: &Quantity, part: Part) -> Option<FigureKey> {
    Some(FigureKey { quantity: QuantityId::new(quantity.id).ok()?, part })
}
