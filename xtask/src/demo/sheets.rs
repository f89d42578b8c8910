//! The county as the sheets that the server imports: the columns of form
//! II-2 with the raw quantities, and the county form.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, XlsxError};

use super::averages::real;
use super::school::{School, Stage};
use super::{COUNTY_CODE, COUNTY_NAME, County};
use crate::process::{Failure, Outcome};

/// A cell as a person fills it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing was filled in.
    Empty,
    /// Words, ids and lists.
    Text(String),
    /// A number in hundredths.
    Hundredths(u64),
}

impl Cell {
    fn count(value: u64) -> Self {
        Self::Hundredths(value * 100)
    }

    /// The cell in plain notation.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => text.clone(),
            Self::Hundredths(value) => decimal(*value),
        }
    }
}

type Column = (&'static str, fn(&School) -> Cell);

/// A figure of one stage, empty where the school has no such part.
fn of(school: &School, stage: usize, figure: fn(&Stage) -> u64) -> Cell {
    school.stages[stage].as_ref().map_or(Cell::Empty, |stage| Cell::count(figure(stage)))
}

fn list(school: &School, areas: &[u64]) -> Cell {
    if school.stages.iter().all(Option::is_none) {
        return Cell::Empty;
    }
    let areas: Vec<String> = areas.iter().map(|area| decimal(*area)).collect();
    Cell::Text(if areas.is_empty() { "无".to_owned() } else { areas.join(";") })
}

fn sizes(school: &School, stage: usize) -> Cell {
    school.stages[stage].as_ref().map_or(Cell::Empty, |stage| {
        let sizes: Vec<String> = stage.classes.iter().map(ToString::to_string).collect();
        Cell::Text(sizes.join(";"))
    })
}

fn largest(stage: &Stage) -> u64 {
    stage.classes.iter().copied().max().unwrap_or(0)
}

fn word(text: &str) -> Cell {
    if text.is_empty() { Cell::Empty } else { Cell::Text(text.to_owned()) }
}

/// Latitude and longitude with four decimals.
fn degrees(value: u64) -> Cell {
    Cell::Text(format!("{}.{:04}", value / 10_000, value % 10_000))
}

const COLUMNS: [Column; 54] = [
    ("学校标识码", |s| word(&s.id)),
    ("学校名称", |s| word(&s.name)),
    ("行政区划代码", |_| word(COUNTY_CODE)),
    ("办学类型", |s| word(s.kind)),
    ("主校标识码", |s| word(s.parent.as_deref().unwrap_or_default())),
    ("附设班", |s| word(s.attached)),
    ("城乡分类", |s| word(s.setting)),
    ("举办者类型", |s| word(s.sponsor)),
    ("建校年份", |s| word(s.built)),
    ("是否寄宿制", |s| word(s.boarding)),
    ("是否人口密度过高的中心城区学校", |_| word("否")),
    ("纬度", |s| degrees(s.place.0)),
    ("经度", |s| degrees(s.place.1)),
    ("小学在校生数", |s| of(s, 0, Stage::pupils)),
    ("初中在校生数", |s| of(s, 1, Stage::pupils)),
    ("高中在校生数", |s| s.senior.map_or(Cell::Empty, Cell::count)),
    ("小学年级数", |s| of(s, 0, |stage| stage.grades)),
    ("初中年级数", |s| of(s, 1, |stage| stage.grades)),
    ("小学班级数", |s| of(s, 0, |stage| stage.classes.len() as u64)),
    ("初中班级数", |s| of(s, 1, |stage| stage.classes.len() as u64)),
    ("小学最大班额", |s| of(s, 0, largest)),
    ("初中最大班额", |s| of(s, 1, largest)),
    ("小学专任教师数", |s| of(s, 0, |stage| stage.teachers)),
    ("初中专任教师数", |s| of(s, 1, |stage| stage.teachers)),
    ("小学高于规定学历教师数", |s| of(s, 0, |stage| stage.above_degree)),
    ("初中高于规定学历教师数", |s| of(s, 1, |stage| stage.above_degree)),
    ("小学县级及以上骨干教师数", |s| of(s, 0, |stage| stage.backbone)),
    ("初中县级及以上骨干教师数", |s| of(s, 1, |stage| stage.backbone)),
    ("小学体育、艺术专任教师数", |s| of(s, 0, |stage| stage.pe_art)),
    ("初中体育、艺术专任教师数", |s| of(s, 1, |stage| stage.pe_art)),
    ("小学体育、艺术交流轮岗、兼职、走教教师数", |s| {
        of(s, 0, |stage| stage.pe_art_shared)
    }),
    ("小学持有教师资格证的专任教师数", |s| of(s, 0, |stage| stage.teachers)),
    ("初中持有教师资格证的专任教师数", |s| of(s, 1, |stage| stage.teachers)),
    ("小学近5年培训满360学时专任教师数", |s| of(s, 0, |stage| stage.teachers)),
    ("初中近5年培训满360学时专任教师数", |s| of(s, 1, |stage| stage.teachers)),
    ("教学及辅助用房面积（平方米）", |s| Cell::Hundredths(s.whole.teaching_area)),
    ("室内体育用房面积（平方米）", |s| Cell::Hundredths(s.whole.indoor_sports_area)),
    ("室外运动场地面积（平方米）", |s| Cell::Hundredths(s.whole.outdoor_sports_area)),
    ("教学仪器设备资产值（账面原值）（万元）", |s| {
        s.whole.equipment_value.map_or(Cell::Empty, |yuan| Cell::Hundredths(yuan / 100))
    }),
    ("网络多媒体教室数", |s| Cell::count(s.whole.multimedia_rooms)),
    ("音乐教室面积（平方米）", |s| list(s, &s.whole.music)),
    ("美术教室面积（平方米）", |s| list(s, &s.whole.art)),
    ("小学各班人数", |s| sizes(s, 0)),
    ("初中各班人数", |s| sizes(s, 1)),
    ("计算机台数", |s| Cell::count(s.whole.computers)),
    ("图书册数", |s| Cell::count(s.whole.books)),
    ("进城务工人员随迁子女在校生数", |s| Cell::count(s.whole.migrants)),
    ("上一年度公用经费预算总额（元）", |s| Cell::count(s.whole.public_funds)),
    ("上一年度教师培训经费预算总额（元）", |s| Cell::count(s.whole.training_funds)),
    ("A3-3", |_| word("是")),
    ("A3-5", |_| word("是")),
    ("A3-6", |_| word("是")),
    ("A3-7", |_| word("是")),
    ("A3-8", |_| word("是")),
];

/// The school sheet: the names of the columns, then a row a school.
#[must_use]
pub fn school_rows(county: &County) -> Vec<Vec<Cell>> {
    let header = COLUMNS.iter().map(|(name, _)| word(name)).collect();
    let schools = county.schools.iter().map(|school| COLUMNS.iter().map(|(_, cell)| cell(school)).collect());
    std::iter::once(header).chain(schools).collect()
}

/// The county sheet: item, unit and value.
#[must_use]
pub fn county_rows() -> Vec<Vec<Cell>> {
    super::rows(include_str!("data/county.csv")).map(|row| row.into_iter().map(word).collect()).collect()
}

/// A sheet as CSV in UTF-8 with the mark that Excel needs to see it.
#[must_use]
pub fn csv(rows: &[Vec<Cell>]) -> Vec<u8> {
    let mut text = String::from('\u{feff}');
    for row in rows {
        let cells: Vec<String> = row.iter().map(Cell::text).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// The county as one workbook with a sheet of notes, the schools and the county form.
///
/// # Errors
/// [`Failure`] if the workbook cannot be written, which no input makes happen.
pub fn xlsx(county: &County) -> Outcome<Vec<u8>> {
    workbook(county).map_err(|error| Failure(format!("the workbook cannot be written: {error}")))
}

fn workbook(county: &County) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    // The file says nothing of when it was made, so that it is the same each time.
    let created = ExcelDateTime::from_ymd(2026, 9, 1)?;
    workbook.set_properties(&DocProperties::new().set_title(COUNTY_NAME).set_creation_datetime(&created));
    let notes = workbook.add_worksheet().set_name("说明")?;
    let lines = [
        format!("{COUNTY_NAME}：本表全部数据为合成数据，与任何真实地区、学校无关。"),
        "All figures in this workbook are synthetic. No real county or school is described.".to_owned(),
        "由 cargo xtask demo 按固定种子围绕公开平均值生成，并有意包含不达标、临界和缺失的情形。".to_owned(),
    ];
    for (row, line) in (0..).zip(lines) {
        notes.write(row, 0, line)?;
    }
    let bold = Format::new().set_bold();
    for (name, rows) in [("学校", school_rows(county)), ("县级", county_rows())] {
        let sheet = workbook.add_worksheet().set_name(name)?;
        sheet.write_with_format(0, 0, format!("{COUNTY_NAME} {name}"), &bold)?;
        for (row, cells) in (1..).zip(&rows) {
            for (column, cell) in (0..).zip(cells) {
                match cell {
                    Cell::Empty => {}
                    Cell::Text(text) => drop(sheet.write(row, column, text)?),
                    Cell::Hundredths(value) => drop(sheet.write(row, column, real(*value) / 100.0)?),
                }
            }
        }
        sheet.set_freeze_panes(2, 2)?;
    }
    workbook.save_to_buffer()
}

/// Hundredths in plain notation without trailing zeros.
fn decimal(hundredths: u64) -> String {
    match (hundredths / 100, hundredths % 100) {
        (whole, 0) => whole.to_string(),
        (whole, rest) if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
        (whole, rest) => format!("{whole}.{rest:02}"),
    }
}
