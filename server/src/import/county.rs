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

/// Every county figure of the national standard, in its order; a test holds
/// the two together.
pub(super) const COUNTY_QUANTITIES: &[CountyQuantity] = &[
    item("population_10k", Measure::TenThousandPeople, &["人口总数"]),
    item("rural_population_10k", Measure::TenThousandPeople, &["农业人口数"]),
    item("townships", Measure::Count, &["乡镇数"]),
    item("villages", Measure::Count, &["行政村数"]),
    item("gdp_per_person_yuan", Measure::Money, &["年人均国内生产总值"]),
    item("revenue_per_person_yuan", Measure::Money, &["年人均地方财政收入"]),
    item("rural_income_yuan", Measure::Money, &["农民年人均纯收入"]),
    item("urban_income_yuan", Measure::Money, &["城镇居民年人均可支配收入"]),
    item("staff_primary", Measure::Count, &["小学教职工数"]),
    item("staff_junior", Measure::Count, &["初中教职工数"]),
    item(
        "public_funds_norm_primary_yuan",
        Measure::Money,
        &["小学生均公用经费基准定额", "规定的小学生均公用经费标准"],
    ),
    item(
        "public_funds_norm_junior_yuan",
        Measure::Money,
        &["初中生均公用经费基准定额", "规定的初中生均公用经费标准"],
    ),
    item("special_funds_yuan", Measure::Money, &["特殊教育学校公用经费", "特殊教育学校经费总额"]),
    item("special_pupils", Measure::Count, &["特殊教育学生数", "特殊教育学校学生人数"]),
    item(
        "teacher_salary_yuan",
        Measure::Money,
        &["义务教育学校教师年平均工资收入", "上年度义务教育学校教师年平均工资收入水平不含民办学校"],
    ),
    item(
        "civil_servant_salary_yuan",
        Measure::Money,
        &["当地公务员年平均工资收入", "当地公务员平均工资收入"],
    ),
    item("rotation_eligible_teachers", Measure::Count, &["符合交流轮岗条件教师总数", "符合交流条件教师总数"]),
    item("rotated_teachers", Measure::Count, &["上一年度交流轮岗教师数", "实际交流轮岗教师数"]),
    item("rotated_backbone_teachers", Measure::Count, &["交流轮岗的骨干教师数", "实际交流骨干教师数量"]),
    item("nearby_enrolment_primary_percent", Measure::Percent, &["城区和镇区公办小学就近划片入学比例"]),
    item("nearby_enrolment_junior_percent", Measure::Percent, &["城区和镇区公办初中就近划片入学比例"]),
    item("senior_places", Measure::Count, &["优质高中招生名额总数", "优质高中招生计划总人数"]),
    item("senior_places_assigned", Measure::Count, &["优质高中分配名额", "优质高中招生分配指标数"]),
    item("senior_places_rural", Measure::Count, &["分配农村学校的名额", "向农村学校分配指标数"]),
    item("migrant_children", Measure::Count, &["符合条件的随迁子女数", "符合条件的随迁子女总人数"]),
    item(
        "migrant_children_public",
        Measure::Count,
        &["在公办学校就读的随迁子女数", "在县域内公办学校就读的随迁子女人数"],
    ),
    item(
        "migrant_children_purchased",
        Measure::Count,
        &["在政府购买服务的民办学校就读的随迁子女数", "在政府购买服务的民办学校就读随迁子女人数"],
    ),
    item("junior_graduates", Measure::Count, &["初中毕业班学生数"]),
    item("junior_entrants_three_years_ago", Measure::Count, &["三年前该年级入学学生数"]),
    item("junior_transferred_in", Measure::Count, &["毕业年级三年转入学生数"]),
    item("junior_transferred_out", Measure::Count, &["毕业年级三年转出学生数"]),
    item("junior_deaths", Measure::Count, &["毕业年级三年死亡学生数"]),
    item("disabled_children", Measure::Count, &["残疾儿童少年数", "适龄残疾儿童少年总数"]),
    item("disabled_children_enrolled", Measure::Count, &["残疾儿童少年入学数", "适龄残疾儿童少年入学总人数"]),
    item("disabled_children_special", Measure::Count, &["在特殊教育学校就读的残疾儿童少年数"]),
    item("monitoring_chinese_level", Measure::Count, &["国家义务教育质量监测语文学业水平"]),
    item("monitoring_chinese_difference", Measure::Decimal, &["语文校际差异率"]),
    item("monitoring_mathematics_level", Measure::Count, &["国家义务教育质量监测数学学业水平"]),
    item("monitoring_mathematics_difference", Measure::Decimal, &["数学校际差异率"]),
    item("monitoring_science_level", Measure::Count, &["国家义务教育质量监测科学学业水平"]),
    item("monitoring_science_difference", Measure::Decimal, &["科学校际差异率"]),
    item("monitoring_pe_level", Measure::Count, &["国家义务教育质量监测体育学业水平"]),
    item("monitoring_pe_difference", Measure::Decimal, &["体育校际差异率"]),
    item("monitoring_arts_level", Measure::Count, &["国家义务教育质量监测艺术学业水平"]),
    item("monitoring_arts_difference", Measure::Decimal, &["艺术校际差异率"]),
    item("monitoring_moral_level", Measure::Count, &["国家义务教育质量监测德育学业水平"]),
    item("monitoring_moral_difference", Measure::Decimal, &["德育校际差异率"]),
    item("survey_questionnaires", Measure::Count, &["问卷总数"]),
    item("survey_valid", Measure::Count, &["回收有效问卷数"]),
    item("survey_satisfied", Measure::Count, &["满意问卷数"]),
    item("survey_satisfaction_percent", Measure::Percent, &["问卷调查综合满意度", "社会认可度"]),
    item("survey_interviewed", Measure::Count, &["实地走访人数"]),
    item("survey_interviewed_satisfied", Measure::Count, &["实地走访满意人数"]),
    item("survey_parents_questionnaires", Measure::Count, &["家长问卷总数"]),
    item("survey_parents_valid", Measure::Count, &["家长回收有效问卷数"]),
    item("survey_parents_satisfied", Measure::Count, &["家长满意问卷数"]),
    item("survey_parents_satisfaction_percent", Measure::Percent, &["家长问卷调查综合满意度"]),
    item("survey_parents_interviewed", Measure::Count, &["家长实地走访人数"]),
    item("survey_parents_interviewed_satisfied", Measure::Count, &["家长实地走访满意人数"]),
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
            cells
                .keys()
                .copied()
                .find(|column| names.contains(&words::key(sheet.text(*row, *column)).as_str()))
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

fn read_figure(
    row: &Row<'_>,
    columns: &Columns,
    item: &str,
    at: At,
    declared: &mut Declared,
    report: &mut Report,
) {
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
