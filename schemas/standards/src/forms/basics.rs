//! 表Ⅰ: population in 万人 with two decimals, everything else whole.

use duxue_document::school::{SchoolKind, Stage};

use super::cell::{Cell, Shown};
use super::head::Branch;
use super::reasons::Known;
use super::{Form, sums};
use crate::number::Amount;
use crate::standard::Text;

/// 自然情况 and 经济情况: quantity, head, decimals.
const NATURE: [(&str, &str, &str, u32); 4] = [
    ("population_10k", "人口总数(万人)", "population (10 000)", 2),
    ("rural_population_10k", "农业人口数(万人)", "rural population (10 000)", 2),
    ("townships", "乡镇数(个)", "townships", 0),
    ("villages", "行政村数(个)", "villages", 0),
];
const ECONOMY: [(&str, &str, &str, u32); 4] = [
    ("gdp_per_person_yuan", "年人均国内生产总值(元)", "yearly GDP per person (yuan)", 0),
    ("revenue_per_person_yuan", "年人均地方财政收入(元)", "yearly local revenue per person (yuan)", 0),
    ("rural_income_yuan", "农民年人均纯收入(元)", "yearly net income per rural person (yuan)", 0),
    (
        "urban_income_yuan",
        "城镇居民年人均可支配收入(元)",
        "yearly disposable income per urban person (yuan)",
        0,
    ),
];
/// 普通中小学校数.
const KINDS: [(SchoolKind, &str, &str); 5] = [
    (SchoolKind::Primary, "小学", "primary"),
    (SchoolKind::NineYear, "九年一贯制学校", "nine-year"),
    (SchoolKind::Junior, "初中", "junior"),
    (SchoolKind::CompleteSecondary, "完全中学", "complete secondary"),
    (SchoolKind::TwelveYear, "十二年一贯制学校", "twelve-year"),
];

pub(super) fn basics(known: &Known) -> Form {
    let mut row = Vec::new();
    for (quantity, _, _, decimals) in NATURE.iter().chain(&ECONOMY) {
        row.push(county(known, quantity, *decimals));
    }
    for kind in KINDS.map(|(kind, ..)| kind).into_iter().chain([SchoolKind::Special]) {
        row.push(schools(known, kind));
    }
    row.extend(teaching_points(known));
    for quantity in ["classes", "pupils"] {
        for stage in Stage::ALL {
            row.push(of_stage(known, quantity, stage));
        }
    }
    for (stage, staff) in Stage::ALL.into_iter().zip(["staff_primary", "staff_junior"]) {
        row.push(county(known, staff, 0));
        row.push(of_stage(known, "teachers", stage));
    }
    let name = Text::new("表Ⅰ 义务教育优质均衡发展县(市、区)基本情况", "Form Ⅰ Basic facts of the county");
    Form::new("I", name, head(), vec![row]).note(
        "注:“人口总数”和“农业人口数”按常住人口统计,数字保留两位小数。L5—L8列数字保留整数。",
        "Note: population and rural population are of residents, with two decimals. L5–L8 are whole numbers.",
    )
}

fn head() -> Vec<Branch> {
    let facts = |facts: &[(&str, &str, &str, u32)]| -> Vec<Branch> {
        facts.iter().map(|(_, zh, en, _)| Branch::figures(zh, en)).collect()
    };
    let stages = || vec![Branch::figures("小学", "primary"), Branch::figures("初中", "junior")];
    let staff = |zh: &str, en: &str| {
        let teachers = Branch::figures("其中专任教师", "full-time teachers among them");
        Branch::group(zh, en, vec![Branch::figures("合计", "all"), teachers])
    };
    vec![
        Branch::group("自然情况", "nature", facts(&NATURE)),
        Branch::group("经济情况", "economy", facts(&ECONOMY)),
        Branch::group(
            "普通中小学校数(所)",
            "schools",
            KINDS.iter().map(|(_, zh, en)| Branch::figures(zh, en)).collect(),
        ),
        Branch::figures("特殊教育学校(所)", "special schools"),
        Branch::group(
            "小学教学点数(个)",
            "teaching points",
            vec![Branch::figures("计", "all"), Branch::figures("其中:50人及以上", "of 50 pupils or more")],
        ),
        Branch::group("教学班数(个)", "classes", stages()),
        Branch::group("在校学生数(人)", "pupils", stages()),
        Branch::group("教职工数(人)", "staff", vec![staff("小学", "primary"), staff("初中", "junior")]),
    ]
}

fn county(known: &Known, quantity: &str, decimals: u32) -> Cell {
    let shown = Shown::bounds(known.county(quantity), decimals);
    Cell::shown(shown, || known.county_reasons(quantity))
}

/// Schools of a kind; branch sites (不计校数) are not schools of their own.
fn schools(known: &Known, kind: SchoolKind) -> Cell {
    let own = known.inputs().filter(|input| input.school.kind == kind && input.school.parent.is_none());
    let number = own.count();
    counted(known, Shown::count(number, Some(number)))
}

/// 计 and 其中50人及以上. A teaching point belongs to a school by its nature,
/// so those with a parent are counted too.
fn teaching_points(known: &Known) -> [Cell; 2] {
    let points: Vec<sums::Sites> = known
        .inputs()
        .filter(|input| input.school.kind == SchoolKind::TeachingPoint)
        .map(|input| vec![input])
        .collect();
    let (large, reasons) = sums::with_pupils(known, &points, |pupils| pupils >= Amount::whole(50));
    let large = if large.open { Cell::shown(large, || reasons) } else { counted(known, large) };
    [counted(known, Shown::count(points.len(), Some(points.len()))), large]
}

/// A count of schools; without a register nobody knows how many there are.
fn counted(known: &Known, shown: Shown) -> Cell {
    let empty = known.assessor.inputs().is_empty();
    if empty { Cell::unknown(|| vec![known.no_register()]) } else { Cell::plain(shown.text) }
}

fn of_stage(known: &Known, quantity: &str, stage: Stage) -> Cell {
    let (shown, reasons) = sums::of_stage(known, quantity, stage);
    if shown.open { Cell::shown(shown, || reasons) } else { counted(known, shown) }
}
