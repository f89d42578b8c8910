//! 表Ⅱ-2: the resource items by school, values with two decimals. A school of
//! both stages is a row in each. 表Ⅱ-1 and Ⅲ are made from the same rows.

use std::sync::Arc;

use duxue_document::school::{SchoolKind, Stage};

use super::cell::{Cell, Open, Shown};
use super::head::Branch;
use super::reasons::{Known, Reason, figure};
use super::{Form, sums};
use crate::assess::{IndicatorResult, Outcome, SchoolAssessment, StageAssessment};
use crate::figure::Bounds;
use crate::number::Amount;
use crate::standard::{Indicator, Level, Rule, Standard, Text};

/// Columns of 表Ⅱ-2 before those of the items.
const BEFORE: usize = 6;

/// The rows of 表Ⅱ-2.
pub(super) struct Schools {
    rows: Vec<Row>,
}

/// One stage of one school.
pub(super) struct Row {
    school: Arc<SchoolAssessment>,
    stage: Stage,
    /// Whether it is open whether the row counts, and why.
    pub doubtful: Option<Open>,
    pub pupils: Cell,
    grades: Cell,
    classes: Cell,
    pub items: Vec<(Outcome, Cell)>,
    pub rule: Outcome,
    remark: Text,
}

impl Schools {
    /// The rows that count or may count: primary before junior, each by school.
    pub fn read(known: &Known) -> Self {
        let mut rows = Vec::new();
        for stage in Stage::ALL {
            for id in known.assessor.inputs().keys().filter(|id| known.assessor.sites(id).is_some()) {
                let Some(school) = known.assessor.school(id) else { continue };
                let Some(row) = school.stage(stage).filter(|row| row.counts != Some(false)) else { continue };
                rows.push(Row::read(known, school, row));
            }
        }
        Self { rows }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Those of a stage.
    pub fn of(&self, stage: Stage) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.stage == stage)
    }
}

impl Row {
    fn read(known: &Known, school: &Arc<SchoolAssessment>, row: &StageAssessment) -> Self {
        let inputs = known.assessor.inputs();
        let ids = std::iter::once(&school.school.id).chain(&school.branches);
        let sites: sums::Sites = ids.filter_map(|id| inputs.get(id)).map(|input| &**input).collect();
        let part = [row.stage.part()];
        let cell = |quantity: &str, bounds: Bounds| {
            Cell::shown(Shown::bounds(bounds, 0), || sums::why(known, &sites, quantity, &part))
        };
        let added = |quantity: &str| cell(quantity, sums::total(&sites, quantity, &part));
        // Sites share grades: the school has those of the site with the most.
        let grades = sites.iter().map(|site| figure(site, "grades", row.stage.part()));
        let grades = grades.fold(Bounds::exactly(Amount::ZERO), Bounds::larger);
        let why = || sums::why(known, &sites, "pupils", &sums::COMPULSORY);
        Self {
            stage: row.stage,
            doubtful: row.counts.is_none().then(|| Open::because(why())),
            pupils: added("pupils"),
            grades: cell("grades", grades),
            classes: added("classes"),
            items: items(known.standard)
                .filter_map(|item| row.indicators.iter().find(|result| result.id == item.id))
                .map(|result| (result.outcome, value(known, result)))
                .collect(),
            rule: row.rule.as_ref().map_or(Outcome::Undetermined, |rule| rule.outcome),
            remark: remark(known.standard, row),
            school: Arc::clone(school),
        }
    }

    /// What leaves its items open.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> + '_ {
        self.items
            .iter()
            .filter_map(|(_, cell)| cell.open.as_ref())
            .flat_map(|open| open.reasons.iter().cloned())
    }

    /// What leaves open whether it counts.
    pub fn doubts(&self) -> impl Iterator<Item = Reason> + '_ {
        self.doubtful.iter().flat_map(|open| open.reasons.iter().cloned())
    }
}

/// The items of the school rule.
pub(super) fn items(standard: &Standard) -> impl Iterator<Item = &Indicator> {
    let rule = standard.school_rule.as_ref().map(|rule| rule.items.as_slice()).unwrap_or_default();
    standard.indicators.iter().filter(|item| item.level == Level::Stage && rule.contains(&item.id))
}

/// The item with its unit, as the heads have it.
fn item_head(standard: &Standard, item: &Indicator) -> Branch {
    let unit = item.conditions.first().and_then(|condition| match &condition.rule {
        Rule::PerPupils { of, per: 1, .. } => Some(&standard.quantities.get(&of.plus.first()?.id)?.unit),
        _ => None,
    });
    let name = &item.name;
    Branch::of(unit.map_or_else(
        || name.clone(),
        |unit| Text::new(format!("{}({})", name.zh, unit.zh), format!("{} ({})", name.en, unit.en)),
    ))
}

/// The value with two decimals, and whether rounding hides its result.
fn value(known: &Known, result: &IndicatorResult) -> Cell {
    let Some(condition) = result.conditions.first() else { return Cell::default() };
    let printed = condition.value.as_ref().map(|range| range.printed.as_str());
    // Zero may be printed only where it is known to be zero.
    let shown = Shown::of_printed(printed.unwrap_or("≥0"));
    let note = condition.rounding.first().map(|flag| {
        let (zh, en) = if flag.would_be_met { ("不达标", "not met") } else { ("达标", "met") };
        Text::new(
            format!("印作{},标准{};按精确值{zh}", flag.rounded, flag.limit),
            format!("printed {}, required {}; the exact value is {en}", flag.rounded, flag.limit),
        )
    });
    Cell { note, ..Cell::shown(shown, || known.why_result(result)) }
}

/// 备注: which items are met and which reach 85 %, by the numbers that their
/// columns have on this form.
fn remark(standard: &Standard, row: &StageAssessment) -> Text {
    let results: Vec<(usize, &IndicatorResult)> = items(standard)
        .enumerate()
        .filter_map(|(place, item)| Some((place, row.indicators.iter().find(|result| result.id == item.id)?)))
        .collect();
    let marks = |wanted: &dyn Fn(&IndicatorResult) -> bool| {
        let such = results.iter().filter(|(_, result)| wanted(result));
        such.map(|(place, _)| format!("L{}", BEFORE + 1 + place)).collect::<Vec<_>>()
    };
    let lists = [
        ("项达标", "met", marks(&|result| result.outcome.passes())),
        (
            "项按过渡期办法达标",
            "of these by a relief",
            marks(&|result| result.outcome == Outcome::Conditional),
        ),
        (
            "项达到85%",
            "at least 85 %",
            marks(&|result| result.outcome == Outcome::NotMet && result.reaches_floor()),
        ),
        (
            "项不到85%",
            "below 85 %",
            marks(&|result| result.outcome == Outcome::NotMet && !result.reaches_floor()),
        ),
        ("项待定", "undetermined", marks(&|result| result.outcome == Outcome::Undetermined)),
    ];
    let filled = || lists.iter().filter(|(.., marks)| !marks.is_empty());
    let zh = filled().map(|(zh, _, marks)| format!("{}{zh}:{}", marks.len(), marks.join("、")));
    let en = filled().map(|(_, en, marks)| format!("{} {en}: {}", marks.len(), marks.join(", ")));
    Text::new(zh.collect::<Vec<_>>().join(";"), en.collect::<Vec<_>>().join("; "))
}

/// 表Ⅱ-2: values with two decimals.
pub(super) fn schools(known: &Known, schools: &Schools) -> Form {
    let mut rows = Vec::new();
    for stage in Stage::ALL {
        for (number, row) in (1..).zip(schools.of(stage)) {
            let mut cells = vec![
                Cell::plain(number.to_string()),
                Cell { open: row.doubtful.clone(), ..Cell::plain(row.school.school.name.clone()) },
                Cell::plain(row.school.school.sponsor.to_string()),
                row.pupils.clone(),
                row.grades.clone(),
                row.classes.clone(),
            ];
            cells.extend(row.items.iter().map(|(_, cell)| cell.clone()));
            cells.push(Cell::outcome(row.rule, || row.reasons().chain(row.doubts()).collect()));
            cells.push(Cell::said(row.remark.clone()));
            rows.push(cells);
        }
    }
    let mut head = vec![
        Branch::figures("序号", "number"),
        Branch::words("学校名称", "school"),
        Branch::figures("举办者类型", "sponsor"),
        Branch::figures("在校生数", "pupils"),
        Branch::figures("年级数", "grades"),
        Branch::figures("班级数", "classes"),
    ];
    head.extend(items(known.standard).map(|item| item_head(known.standard, item)));
    head.push(Branch::words("该校综合评估是否达标", "school passes"));
    let remark = Branch::words(
        "备注(注明有哪几项指标达标,哪几项指标达到85%)",
        "remark (items met, items that reach 85 %)",
    );
    head.push(remark.unmarked());
    let name = Text::new("表Ⅱ-2 小学、初中资源配置基本情况(分学校)", "Form Ⅱ-2 Resources by school");
    let (zh, en) = numbers(schools);
    Form::new("II-2", name, head, rows)
        .note(zh, en)
        .note(
            "2.举办者类型处填写代码:中央教育部门为1、中央其他部门为2、省级教育部门为3、省级其他部门为4、地级教育部门为5、\
             地级其他部门为6、县级教育部门为7、县级其他部门为8、地方企业为9、民办为10。",
            "2. Sponsor: education authority of the state 1, other authority of the state 2, of the province 3 and 4, of the city 5 \
             and 6, of the county 7 and 8, local enterprise 9, private 10.",
        )
        .note("3.L7—L13数值均保留两位小数。", "3. L7–L13 have two decimals.")
}

/// Note 1: how many schools there are in the list, and of which kinds.
fn numbers(schools: &Schools) -> (String, String) {
    let count = |stage: Stage, kinds: &[SchoolKind]| {
        let of_kind = || {
            let own = schools.of(stage);
            own.filter(|row| kinds.is_empty() || kinds.contains(&row.school.school.kind))
        };
        let doubtful = of_kind().filter(|row| row.doubtful.is_some()).count();
        Shown::count(of_kind().count() - doubtful, Some(of_kind().count())).text
    };
    let combined = [SchoolKind::NineYear, SchoolKind::TwelveYear];
    let primary = count(Stage::Primary, &[]);
    let primary_combined = count(Stage::Primary, &combined);
    let points = count(Stage::Primary, &[SchoolKind::TeachingPoint]);
    let junior = count(Stage::Junior, &[]);
    let junior_combined = count(Stage::Junior, &combined);
    let secondary = count(Stage::Junior, &[SchoolKind::CompleteSecondary]);
    (
        format!(
            "注:1.小学学校总数{primary}所(其中:一贯制学校的小学部有{primary_combined}所,50人及以上教学点有{points}个),\
             初中学校总数{junior}所(其中:一贯制学校的初中部{junior_combined}所,完全中学的初中部{secondary}所)。"
        ),
        format!(
            "Notes: 1. Primary schools: {primary} (primary parts of combined schools {primary_combined}, teaching points of 50 pupils \
             or more {points}); junior schools: {junior} (junior parts of combined schools {junior_combined}, of complete \
             secondary schools {secondary})."
        ),
    )
}

pub(super) fn stage_label(stage: Stage) -> Cell {
    Cell::said(match stage {
        Stage::Primary => Text::new("小学", "primary"),
        Stage::Junior => Text::new("初中", "junior"),
    })
}

/// The heads of 表Ⅱ-1 and Ⅲ.
pub(super) fn heads(standard: &Standard, last: Branch) -> Vec<Branch> {
    let labels = [Branch::label("学段", "stage"), Branch::label("项目", "line")];
    labels.into_iter().chain(items(standard).map(|item| item_head(standard, item))).chain([last]).collect()
}
