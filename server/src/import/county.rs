//! The county sheet: one item a row with its unit and value, as in the
//! county form.

use std::collections::BTreeMap;

use duxue_document::QuestionId;
use duxue_document::school::{Declared, FigureKey, Part};

use super::cells::{Row, figure, shorten};
use super::columns::{self, Measure};
use super::grid::Sheet;
use super::problems;
use super::report::{At, Report};
use super::words::{self, Unit};

/// A county figure that the sheet may declare.
#[derive(Debug)]
pub(super) struct CountyQuantity {
    pub id: &'static str,
    pub measure: Measure,
    /// The first is the one that our own sheets use.
    pub names: &'static [&'static str],
}

const fn item(id: &'static str, measure: Measure, names: &'static [&'static str]) -> CountyQuantity {
    CountyQuantity { id, measure, names }
}

/// Every county figure, in the order of the form.
pub(super) const COUNTY_QUANTITIES: &[CountyQuantity] = &[
    item("public_funds_standard_primary_yuan", Measure::Money, &["规定的小学生均公用经费标准", "小学生均公用经费基准定额"]),
    item("public_funds_standard_junior_yuan", Measure::Money, &["规定的初中生均公用经费标准", "初中生均公用经费基准定额"]),
    item("special_school_funds_yuan", Measure::Money, &["特殊教育学校经费总额", "特殊教育学校公用经费"]),
    item("special_school_pupils", Measure::Count, &["特殊教育学校学生人数", "特殊教育学生数"]),
    item(
        "teacher_mean_wage_yuan",
        Measure::Money,
        &["上年度义务教育学校教师年平均工资收入水平不含民办学校", "义务教育学校教师年平均工资收入"],
    ),
    item("civil_servant_mean_wage_yuan", Measure::Money, &["当地公务员年平均工资收入", "当地公务员平均工资收入"]),
    item("rotation_eligible_teachers", Measure::Count, &["符合交流条件教师总数", "符合交流轮岗条件教师总数"]),
    item("rotated_teachers", Measure::Count, &["实际交流轮岗教师数", "交流轮岗教师数"]),
    item("rotated_backbone_teachers", Measure::Count, &["实际交流骨干教师数量", "交流轮岗的骨干教师数"]),
    item("quality_senior_places", Measure::Count, &["优质高中招生计划总人数", "优质高中招生名额总数"]),
    item("quality_senior_allocated_places", Measure::Count, &["优质高中招生分配指标数", "优质高中分配名额"]),
    item("quality_senior_rural_places", Measure::Count, &["向农村学校分配指标数", "分配农村学校的名额"]),
    item("migrant_children", Measure::Count, &["符合条件的随迁子女总人数", "符合条件的随迁子女数"]),
    item("migrant_children_public", Measure::Count, &["在县域内公办学校就读的随迁子女人数", "在公办学校就读的随迁子女人数"]),
    item("migrant_children_purchased", Measure::Count, &["在政府购买服务的民办学校就读随迁子女人数"]),
    item("disabled_children", Measure::Count, &["适龄残疾儿童少年总数", "残疾儿童少年总数"]),
    item("disabled_children_enrolled", Measure::Count, &["适龄残疾儿童少年入学总人数", "残疾儿童少年入学人数"]),
];

/// Items of the form that say who fills it in.
const IGNORED: &[&str] = &["区县名称", "区县代码", "填报年度", "填报人", "联系电话"];

struct Columns {
    item: u32,
    unit: Option<u32>,
    value: u32,
    first_data_row: u32,
}

/// Finds the header 填报项目 and 填报值 near the top.
fn find(sheet: &Sheet) -> Option<Columns> {
    for (row, cells) in sheet.cells.iter().take(20) {
        let column = |names: &[&str]| {
            cells.keys().copied().find(|column| names.contains(&words::key(sheet.text(*row, *column)).as_str()))
        };
        let item = column(&["填报项目", "项目", "指标", "项目名称", "指标名称"]);
        let value = column(&["填报值", "数值", "值", "数据"]);
        if let (Some(item), Some(value)) = (item, value) {
            let unit = column(&["单位", "计量单位"]);
            return Some(Columns { item, unit, value, first_data_row: row + 1 });
        }
    }
    None
}

/// Reads the sheet if it is a county sheet.
pub(super) fn read(sheet: &Sheet, report: &mut Report) -> Option<Declared> {
    let columns = find(sheet)?;
    let mut declared = Declared::default();
    let mut seen = BTreeMap::new();
    for row in sheet.cells.range(columns.first_data_row..).map(|(row, _)| *row) {
        let row = Row { sheet, row };
        let item = sheet.text(row.row, columns.item);
        let at = row.at(columns.item);
        let name = words::key(item);
        if item.is_empty() || IGNORED.contains(&name.as_str()) || name.starts_with('注') {
            continue;
        }
        if seen.insert(name, at).is_some() {
            report.error(at, problems::COUNTY_ITEM_DUPLICATE.with_detail(shorten(item)));
            continue;
        }
        if let Some(question) = question(item) {
            if let Some(yes) = row.yes_no(columns.value, report) {
                declared.answers.insert(question, yes);
            }
        } else {
            read_figure(&row, &columns, item, at, &mut declared, report);
        }
    }
    Some(declared)
}

fn question(item: &str) -> Option<QuestionId> {
    let word: String = words::half_width(item).chars().take_while(char::is_ascii_graphic).collect();
    columns::question(&word)
}

fn read_figure(row: &Row<'_>, columns: &Columns, item: &str, at: At, declared: &mut Declared, report: &mut Report) {
    let Some(quantity) = quantity(item) else {
        report.error(at, problems::COUNTY_ITEM_UNKNOWN.with_detail(shorten(item)));
        return;
    };
    let Some(text) = row.text(columns.value, report) else { return };
    let unit = unit_of(row, columns, item);
    let Some(shift) = quantity.measure.shift(unit) else {
        let problem = if unit.is_none() { problems::UNIT_MISSING } else { problems::UNIT_WRONG };
        report.error(at, problem.with_detail(shorten(item)));
        return;
    };
    let Some(value) = figure(&text, quantity.measure, shift, row.at(columns.value), report) else { return };
    if let Ok(id) = duxue_document::QuantityId::new(quantity.id) {
        let key = FigureKey { quantity: id, part: Part::Whole };
        if declared.figures.insert(key, value).is_some_and(|earlier| earlier != value) {
            report.error(at, problems::COUNTY_ITEM_DUPLICATE.with_detail(quantity.id));
        }
    }
}

/// The unit beside the item, or in its name.
fn unit_of(row: &Row<'_>, columns: &Columns, item: &str) -> Option<Unit> {
    let beside = columns.unit.map_or("", |column| row.sheet.text(row.row, column));
    words::title(&format!("({beside})")).unit.or_else(|| words::title(item).unit)
}

/// Finds a county figure by its id or one of its names.
fn quantity(item: &str) -> Option<&'static CountyQuantity> {
    if let Some(quantity) = COUNTY_QUANTITIES.iter().find(|quantity| quantity.id == item) {
        return Some(quantity);
    }
    let bare = strip_unit(item);
    let name = words::key(&bare);
    COUNTY_QUANTITIES.iter().find(|quantity| quantity.names.contains(&name.as_str()))
}

/// The name without a unit in brackets at its end.
fn strip_unit(item: &str) -> String {
    let item = words::half_width(item);
    match item.rsplit_once('(') {
        Some((before, unit)) if words::title(&format!("({unit}")).unit.is_some() => before.to_owned(),
        _ => item,
    }
}
