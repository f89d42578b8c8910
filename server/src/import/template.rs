//! The workbook that a county fills in: the columns that the reader knows, as
//! far as the round's standard asks for them, and a sheet that explains each.
//!
//! Titles and examples come from the writer whose sheets the reader reads
//! back, so they cannot drift apart.

use std::collections::BTreeMap;

use duxue_document::school::{
    Declared, DeclaredClass, DeclaredRoom, FigureKey, Part, RoomPurpose, School, SchoolKind, Setting, Stage,
};
use duxue_document::{Decimal, JurisdictionCode, SchoolId};
use duxue_protocol::api::{ImportTemplate, TemplateSheet};
use duxue_standards::Standard;
use duxue_standards::standard::{Level, Quantity, Text};

use super::columns::Attribute;
use super::write::{self, Column};

/// The sheet of explanations; the reader passes over it.
pub const NOTES: &str = "填写说明";

/// What a figure of the example is: a school of nine years with four classes.
const EXAMPLE: &[(&str, &str, u32)] = &[
    ("pupils", "primary", 81),
    ("pupils", "junior", 90),
    ("classes", "primary", 2),
    ("classes", "junior", 2),
    ("grades", "primary", 6),
    ("grades", "junior", 3),
    ("max_class_size", "primary", 41),
    ("max_class_size", "junior", 45),
    ("teachers", "primary", 9),
    ("teachers", "junior", 10),
    ("teachers_above_required_degree", "primary", 8),
    ("teachers_above_required_degree", "junior", 7),
    ("teachers_backbone", "primary", 1),
    ("teachers_backbone", "junior", 1),
    ("teachers_pe_art", "primary", 1),
    ("teachers_pe_art", "junior", 1),
    ("teachers_pe_art_shared", "primary", 0),
    ("teachers_pe_art_shared", "junior", 0),
    ("teachers_certified", "primary", 9),
    ("teachers_certified", "junior", 10),
    ("teachers_trained_360h", "primary", 9),
    ("teachers_trained_360h", "junior", 10),
    ("teachers_mid_title", "primary", 4),
    ("teachers_mid_title", "junior", 5),
    ("teaching_area_m2", "whole", 1380),
    ("indoor_sports_area_m2", "whole", 0),
    ("outdoor_sports_area_m2", "whole", 2400),
    ("relief_onsite_sports_area_m2", "whole", 0),
    ("relief_leased_sports_area_m2", "whole", 0),
    ("equipment_value_yuan", "whole", 468_000),
    ("multimedia_rooms", "whole", 6),
    ("music_rooms", "whole", 1),
    ("art_rooms", "whole", 1),
    ("computers", "whole", 40),
    ("books", "whole", 5000),
    ("migrant_pupils", "whole", 12),
    ("public_funds_yuan", "whole", 220_000),
    ("training_funds_yuan", "whole", 12_000),
];

/// The sheets of the workbook for a round with this standard.
#[must_use]
pub fn template(standard: &Standard, county: &JurisdictionCode) -> ImportTemplate {
    let columns = columns(standard);
    let titles = columns.iter().map(|(title, _)| title.clone()).collect();
    let county_sheet = TemplateSheet { name: "县级数据".to_owned(), rows: county_rows(standard) };
    let notes = notes(standard, county, &columns, &county_sheet.rows);
    ImportTemplate {
        sheets: vec![
            TemplateSheet { name: "学校".to_owned(), rows: vec![titles] },
            county_sheet,
            TemplateSheet { name: NOTES.to_owned(), rows: notes },
        ],
    }
}

/// The columns that the standard asks for, its questions among them.
fn columns(standard: &Standard) -> Vec<(String, Column)> {
    let asked = |column: &Column| match column {
        Column::Figure(key) => standard.quantities.get(&key.quantity).is_some_and(|known| !known.county),
        Column::Rooms(RoomPurpose::Music) => has(standard, "music_rooms"),
        Column::Rooms(_) => has(standard, "art_rooms"),
        Column::ClassSizes(_) => has(standard, "max_class_size"),
        Column::Attribute(_) | Column::Answer(_) => true,
    };
    let mut columns: Vec<_> = write::columns(&[]).into_iter().filter(|(_, column)| asked(column)).collect();
    for (question, level, name) in standard.questions() {
        if level != Level::County {
            columns.push((format!("{question} {}", name.zh), Column::Answer(question)));
        }
    }
    columns
}

fn has(standard: &Standard, quantity: &str) -> bool {
    quantity_of(standard, quantity).is_some()
}

fn quantity_of<'s>(standard: &'s Standard, id: &str) -> Option<&'s Quantity> {
    standard.quantities.values().find(|quantity| quantity.id.as_str() == id)
}

/// The county's items with their units and no value.
fn county_rows(standard: &Standard) -> Vec<Vec<String>> {
    let mut sheet = write::county_sheet(&Declared::default()).into_iter();
    let head = sheet.next();
    let items = super::county::COUNTY_QUANTITIES.iter().zip(sheet);
    let asked = items.filter(|(item, _)| has(standard, item.id)).map(|(_, row)| row);
    let questions = standard.questions().into_iter().filter(|(_, level, _)| *level == Level::County);
    let questions =
        questions.map(|(id, _, name)| vec![format!("{id} {}", name.zh), String::new(), String::new()]);
    head.into_iter().chain(asked).chain(questions).collect()
}

/// A row for each column and item. Each begins with a number, so that the
/// reader does not take the names here for a header.
fn notes(
    standard: &Standard,
    county: &JurisdictionCode,
    columns: &[(String, Column)],
    items: &[Vec<String>],
) -> Vec<Vec<String>> {
    let example = example(county);
    let mut rows = vec![
        row([
            "“学校”表一行一所学校,“县级数据”表一行一项。不知道的留空,空白不等于0;确实没有的填0。",
            "",
            "One row a school, one row a county item. Leave unknown cells empty: empty is not 0. Enter 0 for none.",
            "",
            "",
        ]),
        row(["编号与列名", "必填", "说明", "Explanation", "示例 Example"]),
    ];
    for (number, (title, column)) in (1..).zip(columns) {
        let text = about(standard, column);
        let required = if is_required(column) { "必填 required" } else { "" };
        let shown = example.as_ref().map(|(school, declared)| match column {
            Column::Answer(_) => "是".to_owned(),
            column => write::cell(column, school, declared),
        });
        rows.push(row([
            &format!("{number} {title}"),
            required,
            &text.zh,
            &text.en,
            &shown.unwrap_or_default(),
        ]));
    }
    rows.push(row(["县级数据各项", "", "说明", "Explanation", ""]));
    let known: BTreeMap<&str, &str> = super::county::COUNTY_QUANTITIES
        .iter()
        .map(|item| (item.names.first().copied().unwrap_or_default(), item.id))
        .collect();
    for (number, item) in (1..).zip(items.iter().skip(1)) {
        let [name, unit, ..] = item.as_slice() else { continue };
        let text = match known.get(name.as_str()).and_then(|id| quantity_of(standard, id)) {
            Some(quantity) => of_quantity(quantity, ""),
            None => question_words(standard, name),
        };
        let unit = if unit.is_empty() { String::new() } else { format!("({unit})") };
        rows.push(row([&format!("{number} {name}{unit}"), "", &text.zh, &text.en, ""]));
    }
    rows
}

fn row(cells: [&str; 5]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn said(zh: impl Into<String>, en: impl Into<String>) -> Text {
    Text { zh: zh.into(), en: en.into() }
}

fn is_required(column: &Column) -> bool {
    use Attribute::{Id, Kind, Name, Setting, Sponsor};
    matches!(column, Column::Attribute(Id | Name | Kind | Setting | Sponsor))
}

fn about(standard: &Standard, column: &Column) -> Text {
    match column {
        Column::Attribute(attribute) => of_attribute(*attribute),
        Column::Figure(key) => {
            let part = match key.part {
                Part::Whole => "",
                Part::Primary => "primary",
                Part::Junior => "junior",
                Part::Senior => "senior",
                Part::Kindergarten => "kindergarten",
                Part::Special => "special",
            };
            let quantity = standard.quantities.get(&key.quantity);
            quantity.map_or_else(Text::default, |quantity| of_quantity(quantity, part))
        }
        Column::Rooms(_) => said(
            "逐间使用面积,用分号隔开;没有填“无”。音乐、美术两列要么都填,要么都不填",
            "net area of each room, separated by semicolons; 无 if there is none. Fill both room lists or neither",
        ),
        Column::ClassSizes(_) => said(
            "逐班人数,用分号隔开;与班级数、最大班额、在校生数一致。各学段要么都填,要么都不填",
            "pupils of each class, separated by semicolons; must agree with classes, largest class and pupils. Fill every stage or none",
        ),
        Column::Answer(question) => question_words(standard, question.as_str()),
    }
}

fn of_attribute(attribute: Attribute) -> Text {
    match attribute {
        Attribute::Id => said("10位数字", "the school's code, ten digits"),
        Attribute::Name => said("学校全称", "full name"),
        Attribute::Jurisdiction => {
            said("6位县级代码;填写时须为本县", "six-digit code of the county; this county's if given")
        }
        Attribute::Kind => said(
            "小学、初中、九年一贯制、十二年一贯制、完全中学、教学点、特殊教育学校;高中、职业学校只在有附设班时填",
            "小学 primary, 初中 junior, 九年一贯制 nine-year, 十二年一贯制 twelve-year, 完全中学 complete secondary, 教学点 teaching point,              特殊教育学校 special; senior and vocational schools only with attached classes",
        ),
        Attribute::Parent => {
            said("不计校数的校区、分校填主校的标识码", "for a branch site: the code of its school")
        }
        Attribute::Attached => said(
            "附设小学班、附设初中班、附设高中班、附设幼儿班、附设特教班;用分号隔开",
            "attached classes (小学班, 初中班, 高中班, 幼儿班, 特教班), separated by semicolons",
        ),
        Attribute::Setting => said("城区、镇区、乡村", "城区 urban, 镇区 town, 乡村 rural"),
        Attribute::Sponsor => said(
            "代码1至10:中央教育部门1、中央其他部门2、省级教育部门3、省级其他部门4、地级教育部门5、地级其他部门6、县级教育部门7、县级其他部门8、地方企业9、民办10",
            "code 1 to 10 as on form Ⅱ-2: state 1 and 2, province 3 and 4, city 5 and 6, county 7 and 8, enterprise 9, private 10",
        ),
        Attribute::BuiltYear => said("规划并建成的年份", "year in which it was planned and built"),
        Attribute::Boarding => said("是或否", "boarding school: 是 yes, 否 no"),
        Attribute::DenseCentre => {
            said("是或否;过渡期场地办法只适用于填“是”的学校", "in a dense city centre: 是 yes, 否 no")
        }
        Attribute::Latitude => said("WGS 84,度", "WGS 84, degrees"),
        Attribute::Longitude => {
            said("WGS 84,度;经纬度要么都填,要么都不填", "WGS 84, degrees; fill both or neither")
        }
        Attribute::Stage => {
            said("一行一个学段时填小学或初中", "小学 or 初中, where a school has a row for each stage")
        }
    }
}

fn of_quantity(quantity: &Quantity, part: &str) -> Text {
    let (unit, kind) = (
        &quantity.unit,
        if quantity.decimals == 0 {
            ("整数", "whole number")
        } else {
            ("可有小数", "decimals allowed")
        },
    );
    let of = if part.is_empty() { String::new() } else { format!(", {part}") };
    said(
        format!("{};单位:{};{}。{}", quantity.name.zh, unit.zh, kind.0, quantity.clause),
        format!("{}{of}; in {}; {}", quantity.name.en, unit.en, kind.1),
    )
}

/// A question by its id, or by a title that begins with it.
fn question_words(standard: &Standard, title: &str) -> Text {
    let id = title.split(' ').next().unwrap_or_default();
    let found = standard.questions().into_iter().find(|(question, ..)| question.as_str() == id);
    found.map_or_else(Text::default, |(.., name)| {
        said(format!("{};填是或否", name.zh), format!("{}; 是 yes or 否 no", name.en))
    })
}

/// The school of the examples.
fn example(county: &JurisdictionCode) -> Option<(School, Declared)> {
    let mut declared = Declared::default();
    for (quantity, part, value) in EXAMPLE {
        let key: FigureKey = format!("{quantity}:{part}").parse().ok()?;
        declared.figures.insert(key, Decimal::from(*value));
    }
    let room =
        |purpose, area: u32| DeclaredRoom { name: String::new(), purpose, area_m2: Decimal::from(area) };
    declared.rooms = Some(vec![room(RoomPurpose::Music, 96), room(RoomPurpose::Art, 90)]);
    let class = |stage, pupils| DeclaredClass { stage, pupils };
    declared.classes = Some(vec![
        class(Stage::Primary, 40),
        class(Stage::Primary, 41),
        class(Stage::Junior, 45),
        class(Stage::Junior, 45),
    ]);
    let school = School {
        id: SchoolId::new("3601000000").ok()?,
        name: "示例学校".to_owned(),
        jurisdiction: county.clone(),
        kind: SchoolKind::NineYear,
        parent: None,
        attached: [].into(),
        setting: Setting::Town,
        sponsor: 7,
        built_year: Some(2012),
        boarding: false,
        dense_centre: false,
        place: None,
    };
    Some((school, declared))
}
