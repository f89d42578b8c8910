//! The data of the national declaration forms 表 I–VI, rounded as they ask.

use serde::Serialize;

use duxue_document::QuantityId;
use duxue_document::school::{FigureKey, Part, SchoolKind, Stage};

use crate::assess::{Assessor, CountyAssessment, IndicatorResult, Outcome, StageAssessment, StageSummary};
use crate::figure::{Bounds, SharedFigure};
use crate::number::{Amount, Exact};
use crate::standard::{Indicator, Level, Standard, Text};

/// One form as rows of printed cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Form {
    /// `I`, `II-1`, `II-2`, `III`, `IV`, `V`, `VI`.
    pub id: &'static str,
    /// Its title.
    pub name: Text,
    /// Column heads.
    pub columns: Vec<Text>,
    /// Rows of as many cells as columns; a cell is empty where nothing is
    /// known, a range where it is open.
    pub rows: Vec<Vec<String>>,
}

/// All forms that the standard has indicators for.
#[must_use]
pub fn forms(assessor: &Assessor) -> Vec<Form> {
    let county = assessor.county();
    let standard = assessor.standard();
    let mut all = vec![
        basics(assessor),
        pass_counts(standard, &county),
        schools(assessor),
        differences(standard, &county),
    ];
    for (id, dimension) in [("IV", "A2"), ("V", "A3")] {
        if standard.dimensions.iter().any(|d| d.id == dimension) {
            all.push(items(assessor, &county, id, dimension));
        }
    }
    if standard.dimensions.iter().any(|d| d.id == "A4") {
        all.push(satisfaction(assessor));
    }
    all
}

fn head(names: &[(&str, &str)]) -> Vec<Text> {
    names.iter().map(|(zh, en)| Text::new(*zh, *en)).collect()
}

fn shown(bounds: Bounds, decimals: u32) -> String {
    let print = |amount: Amount| amount.exact().printed(decimals);
    match bounds.high {
        Some(high) if high == bounds.low => print(high),
        Some(high) => format!("{}–{}", print(bounds.low), print(high)),
        None if bounds.low == Amount::ZERO => String::new(),
        None => format!("≥{}", print(bounds.low)),
    }
}

fn verdict(outcome: Outcome) -> String {
    outcome.words().zh
}

fn county_cell(assessor: &Assessor, id: &QuantityId, decimals: u32) -> String {
    let key = FigureKey { quantity: id.clone(), part: Part::Whole };
    let figure = assessor.county_input().figures.get(&key);
    figure.map(|figure| shown(figure.total(&[]), decimals)).unwrap_or_default()
}

/// 表 I: population in 万人 with two decimals, all else whole.
fn basics(assessor: &Assessor) -> Form {
    let standard = assessor.standard();
    let mut columns = Vec::new();
    let mut row = Vec::new();
    let (facts, staff): (Vec<_>, Vec<_>) =
        standard.county_facts.iter().partition(|id| !id.as_str().starts_with("staff_"));
    let fact = |id: &QuantityId| {
        let decimals = if id.as_str().ends_with("_10k") { 2 } else { 0 };
        let name = standard.quantities.get(id).map(|quantity| quantity.name.clone()).unwrap_or_default();
        (name, county_cell(assessor, id, decimals))
    };
    let mut add = |(name, cell): (Text, String)| {
        columns.push(name);
        row.push(cell);
    };
    facts.into_iter().map(fact).for_each(&mut add);
    for (kind, zh, en) in [
        (SchoolKind::Primary, "小学(所)", "primary schools"),
        (SchoolKind::NineYear, "九年一贯制学校(所)", "nine-year schools"),
        (SchoolKind::Junior, "初中(所)", "junior schools"),
        (SchoolKind::CompleteSecondary, "完全中学(所)", "complete secondary schools"),
        (SchoolKind::TwelveYear, "十二年一贯制学校(所)", "twelve-year schools"),
        (SchoolKind::Special, "特殊教育学校(所)", "special schools"),
        (SchoolKind::TeachingPoint, "小学教学点(个)", "teaching points"),
    ] {
        let alone = assessor.inputs().values().filter(|i| i.school.kind == kind && i.school.parent.is_none());
        add((Text::new(zh, en), alone.count().to_string()));
    }
    add((
        Text::new("其中:50人及以上教学点(个)", "teaching points of 50 pupils or more"),
        large_points(assessor),
    ));
    for (quantity, zh, en) in [
        ("classes", "教学班数", "classes"),
        ("pupils", "在校学生数", "pupils"),
        ("teachers", "专任教师数", "full-time teachers"),
    ] {
        for (stage, stage_zh) in [(Stage::Primary, "小学"), (Stage::Junior, "初中")] {
            let name = Text::new(format!("{stage_zh}{zh}"), format!("{en}, {}", stage.part().as_str()));
            add((name, shown(over_schools(assessor, quantity, stage), 0)));
        }
    }
    staff.into_iter().map(fact).for_each(&mut add);
    Form { id: "I", name: Text::new("基本情况", "Basic facts"), columns, rows: vec![row] }
}

fn large_points(assessor: &Assessor) -> String {
    let points = assessor.inputs().values().filter(|i| i.school.kind == SchoolKind::TeachingPoint);
    let mut certain = 0_usize;
    let mut possible = 0_usize;
    for point in points {
        let pupils = figure(point.figures.iter(), "pupils", Part::Primary);
        certain += usize::from(pupils.low >= Amount::whole(50));
        possible += usize::from(pupils.high.is_none_or(|high| high >= Amount::whole(50)));
    }
    if certain == possible { certain.to_string() } else { format!("{certain}–{possible}") }
}

fn figure<'a>(
    figures: impl Iterator<Item = (&'a FigureKey, &'a SharedFigure)>,
    quantity: &str,
    part: Part,
) -> Bounds {
    let mut own = figures.filter(|(key, _)| key.quantity.as_str() == quantity && key.part == part);
    own.next().map_or(Bounds::exactly(Amount::ZERO), |(_, figure)| figure.total(&[]))
}

fn over_schools(assessor: &Assessor, quantity: &str, stage: Stage) -> Bounds {
    let each = assessor.inputs().values().map(|input| figure(input.figures.iter(), quantity, stage.part()));
    each.fold(Bounds::exactly(Amount::ZERO), Bounds::plus)
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Primary => "小学",
        Stage::Junior => "初中",
    }
}

fn stage_items(standard: &Standard) -> Vec<&Indicator> {
    standard.indicators.iter().filter(|indicator| indicator.level == Level::Stage).collect()
}

fn item_columns(standard: &Standard, first: &[(&str, &str)], last: &[(&str, &str)]) -> Vec<Text> {
    let items = stage_items(standard).into_iter().map(|indicator| indicator.name.clone());
    head(first).into_iter().chain(items).chain(head(last)).collect()
}

/// 表 II-1: schools that meet each item, and the whole.
fn pass_counts(standard: &Standard, county: &CountyAssessment) -> Form {
    let mut rows = Vec::new();
    for summary in &county.stages {
        let (mut counts, mut shares) = (Vec::new(), Vec::new());
        for item in &summary.items {
            // A number is given only where nothing is open.
            let passing =
                (item.tally.undetermined == 0 && summary.rows_open == 0).then(|| item.tally.passing());
            counts.push(passing.map(|n| n.to_string()).unwrap_or_default());
            shares.push(passing.and_then(|n| share(n, item.tally.all)).unwrap_or_default());
        }
        for (name, cells) in [("达标学校总数", counts), ("达标学校比例(%)", shares)] {
            let label = format!("{} {name}", stage_name(summary.stage));
            rows.push(std::iter::once(label).chain(cells).collect());
        }
    }
    let columns = item_columns(
        standard,
        &[("学段", "stage")],
        if standard.school_rule.is_some() { &[("综合评估", "whole")] } else { &[] },
    );
    Form {
        id: "II-1", name: Text::new("资源配置基本情况", "Resources, schools that pass"), columns, rows
    }
}

fn share(part: usize, all: usize) -> Option<String> {
    let (part, all) = (i128::try_from(part).ok()?, i128::try_from(all).ok()?);
    (all > 0).then(|| Exact::quotient(part * 100, all).printed(1))
}

/// 表 II-2: one row for each school and stage; values with two decimals.
fn schools(assessor: &Assessor) -> Form {
    let standard = assessor.standard();
    let mut rows = Vec::new();
    for stage in Stage::ALL {
        let mut number = 0;
        for id in assessor.inputs().keys() {
            let Some(school) = assessor.school(id).filter(|school| school.school.id == *id) else { continue };
            let Some(row) = school.stage(stage).filter(|row| row.counts != Some(false)) else { continue };
            number += 1;
            let input = assessor.inputs().get(id);
            let count = |quantity| {
                input.map(|i| shown(figure(i.figures.iter(), quantity, stage.part()), 0)).unwrap_or_default()
            };
            let mut cells = vec![
                number.to_string(),
                school.school.name.clone(),
                school.school.sponsor.to_string(),
                row.pupils.clone(),
                count("grades"),
                count("classes"),
            ];
            cells.extend(row.indicators.iter().map(cell));
            cells.extend(whole(row));
            rows.push(cells);
        }
    }
    let first = [
        ("序号", "number"),
        ("学校名称", "school"),
        ("举办者类型", "sponsor"),
        ("在校生数", "pupils"),
        ("年级数", "grades"),
        ("班级数", "classes"),
    ];
    let last: &[(&str, &str)] = if standard.school_rule.is_some() {
        &[("综合评估是否达标", "passes"), ("备注", "remark")]
    } else {
        &[]
    };
    let columns = item_columns(standard, &first, last);
    Form {
        id: "II-2", name: Text::new("资源配置基本情况(分学校)", "Resources by school"), columns, rows
    }
}

fn cell(result: &IndicatorResult) -> String {
    result.value().map(|value| value.printed.clone()).unwrap_or_default()
}

fn whole(row: &StageAssessment) -> Vec<String> {
    row.rule.iter().flat_map(|rule| [verdict(rule.outcome), rule.remark.zh.clone()]).collect()
}

/// 表 III: county means with two decimals, coefficients with three.
fn differences(standard: &Standard, county: &CountyAssessment) -> Form {
    let row =
        |summary: &StageSummary, name: &str, cell: &dyn Fn(&crate::assess::CoefficientResult) -> String| {
            let label = format!("{} {name}", stage_name(summary.stage));
            std::iter::once(label).chain(summary.coefficients.iter().map(cell)).collect::<Vec<_>>()
        };
    let mean = |coefficient: &crate::assess::CoefficientResult| {
        let nothing = if coefficient.id == "mean" { "——" } else { "" };
        coefficient.county_mean.as_ref().map_or(nothing.to_owned(), |mean| mean.printed.clone())
    };
    let with_rows = county.stages.iter().filter(|summary| summary.rows + summary.rows_open > 0);
    let rows = with_rows
        .flat_map(|summary| {
            [
                row(summary, "全县平均值", &mean),
                row(summary, "差异系数", &|coefficient| coefficient.printed.clone()),
            ]
        })
        .collect();
    let columns = item_columns(standard, &[("学段", "stage")], &[("综合", "mean")]);
    Form {
        id: "III",
        name: Text::new("县域义务教育校际均衡情况", "Differences between schools"),
        columns,
        rows,
    }
}

/// 表 IV and V: each item with its values, or how many schools meet it.
fn items(assessor: &Assessor, county: &CountyAssessment, id: &'static str, dimension: &str) -> Form {
    let standard = assessor.standard();
    let own = standard.indicators.iter().filter(|indicator| indicator.dimension == dimension);
    let rows = own
        .map(|indicator| {
            let result = county.indicators.iter().find(|result| result.id == indicator.id);
            let tally = county.school_indicators.iter().find(|tally| tally.id == indicator.id);
            let conclusion = match (result, tally) {
                (Some(result), _) => conditions(indicator, result),
                (None, Some(tally)) => format!(
                    "达标{}所,不达标{}所,待定{}所",
                    tally.tally.passing(),
                    tally.tally.not_met,
                    tally.tally.undetermined
                ),
                (None, None) => String::new(),
            };
            let outcome = result.map(|r| r.outcome).or(tally.map(|t| t.outcome));
            let number = indicator.id.split_once('-').map_or("", |(_, number)| number);
            vec![
                format!("{number}. {}", indicator.name.zh),
                conclusion,
                outcome.map(verdict).unwrap_or_default(),
            ]
        })
        .collect();
    let name = if id == "IV" {
        Text::new("政府保障程度评估指标", "Government support")
    } else {
        Text::new("教育质量评估指标", "Quality of education")
    };
    let columns = head(&[("名称", "item"), ("指标值或简要结论", "value or conclusion"), ("是否达标", "met")]);
    Form { id, name, columns, rows }
}

fn conditions(indicator: &Indicator, result: &IndicatorResult) -> String {
    let each = result.conditions.iter().zip(&indicator.conditions);
    let words = each.map(|(result, condition)| {
        let name = condition.name.as_ref().map(|name| format!("{}:", name.zh)).unwrap_or_default();
        let percent = match &condition.rule {
            crate::standard::Rule::Share { printed_times: 100, .. } => "%",
            _ => "",
        };
        match &result.value {
            Some(value) => format!("{name}{}{percent}", value.printed),
            None => format!("{name}{}", verdict(result.outcome)),
        }
    });
    words.collect::<Vec<_>>().join(";")
}

/// 表 VI: all respondents, and the parents among them.
fn satisfaction(assessor: &Assessor) -> Form {
    let names = [
        ("questionnaires", "问卷总数", "questionnaires", 0),
        ("valid", "回收有效问卷数", "valid", 0),
        ("satisfied", "满意问卷数", "satisfied", 0),
        ("satisfaction_percent", "综合满意度(%)", "satisfaction (%)", 1),
        ("interviewed", "实地走访人数", "interviewed", 0),
        ("interviewed_satisfied", "满意人数", "satisfied among them", 0),
    ];
    let cells = |prefix: &str| {
        names
            .iter()
            .map(move |(id, _, _, decimals)| {
                let id = QuantityId::new(format!("survey_{prefix}{id}")).ok();
                id.map(|id| county_cell(assessor, &id, *decimals)).unwrap_or_default()
            })
            .collect::<Vec<_>>()
    };
    let rows = [("计", ""), ("其中:家长", "parents_")]
        .into_iter()
        .map(|(label, prefix)| {
            let mut row = vec![label.to_owned()];
            row.extend(cells(prefix));
            row.push(walked(assessor, prefix));
            row
        })
        .collect();
    let mut columns = head(&[("", "")]);
    columns.extend(names.iter().map(|(_, zh, en, _)| Text::new(*zh, *en)));
    columns.push(Text::new("实地走访满意度(%)", "satisfaction of those interviewed (%)"));
    Form { id: "VI", name: Text::new("社会认可度调查情况", "Public satisfaction"), columns, rows }
}

/// 满意人数 ÷ 走访人数.
fn walked(assessor: &Assessor, prefix: &str) -> String {
    let get = |name: &str| {
        let quantity = QuantityId::new(format!("survey_{prefix}{name}")).ok()?;
        let figure = assessor.county_input().figures.get(&FigureKey { quantity, part: Part::Whole })?;
        figure.total(&[]).value()
    };
    let share = get("interviewed_satisfied").zip(get("interviewed")).and_then(|(satisfied, all)| {
        let times = satisfied.exact().times(&Exact::quotient(100, 1));
        times.over(&all.exact())
    });
    share.map(|share| share.printed(1)).unwrap_or_default()
}
