//! 表Ⅳ and 表Ⅴ: each item with its conclusion and whether it is met. Ratios
//! have one decimal, everything else is whole.

use duxue_document::school::{Part, SchoolKind};

use super::cell::{Cell, Open, Shown};
use super::head::Branch;
use super::official::{GOVERNMENT, Item, Piece, QUALITY};
use super::reasons::{Known, Reason, key};
use super::satisfaction::share;
use super::{Form, sums};
use crate::assess::{ConditionResult, CountyAssessment, IndicatorResult, IndicatorTally, Outcome};
use crate::figure::Bounds;
use crate::number::{Amount, Exact};
use crate::standard::{Indicator, Rule, Text};

/// What stands where a figure is not known yet.
const BLANK: &str = "____";

pub(super) fn government(known: &Known, county: &CountyAssessment) -> Form {
    let name = Text::new("表Ⅳ 政府保障程度评估指标", "Form Ⅳ Government support");
    form(known, county, ("IV", name), "A2", GOVERNMENT).note(
        "注:表中所有比例数值保留一位小数,其余保留整数。",
        "Note: ratios have one decimal, all other figures are whole.",
    )
}

pub(super) fn quality(known: &Known, county: &CountyAssessment) -> Form {
    let name = Text::new("表Ⅴ 教育质量评估指标", "Form Ⅴ Quality of education");
    form(known, county, ("V", name), "A3", QUALITY)
}

fn form(
    known: &Known,
    county: &CountyAssessment,
    (id, name): (&'static str, Text),
    dimension: &str,
    items: &[Item],
) -> Form {
    let mut rows = Vec::new();
    for (number, item) in (1..).zip(items) {
        let Some(indicator) = known.standard.indicator(item.id) else { continue };
        let label = Text::new(format!("{number}. {}", item.zh), format!("{number}. {}", indicator.name.en));
        let (conclusion, met) = row(known, county, item, indicator);
        rows.push(vec![Cell::said(label), conclusion, met]);
    }
    let head = vec![
        Branch::words("名称", "item").unmarked(),
        Branch::words("指标值或简要结论", "value or conclusion").unmarked(),
        Branch::words("是否达标", "met").unmarked(),
    ];
    let form = Form::new(id, name, head, rows);
    let own = known.standard.indicators.iter().filter(|indicator| indicator.dimension == dimension);
    match own.filter(|indicator| items.iter().all(|item| item.id != indicator.id)).count() {
        0 => form,
        more => form.note(
            format!("另有地方指标{more}项,不在国家报表之内。"),
            format!("{more} more local indicators are not on the national form."),
        ),
    }
}

fn row(known: &Known, county: &CountyAssessment, item: &Item, indicator: &Indicator) -> (Cell, Cell) {
    let result = county.indicators.iter().find(|result| result.id == item.id);
    let tally = county.school_indicators.iter().find(|tally| tally.id == item.id);
    let (outcome, reasons) = match (result, tally) {
        (Some(result), _) => (result.outcome, known.why_result(result)),
        (None, Some(tally)) => (tally.outcome, of_schools(known, tally)),
        (None, None) => (Outcome::Undetermined, Vec::new()),
    };
    let conclusion = match (item.says, result, tally) {
        ([], Some(result), _) => answers(indicator, result, &reasons),
        ([], None, Some(tally)) => counts(tally, &reasons),
        (says, ..) => filled(known, says, indicator, result),
    };
    (conclusion, Cell::outcome(outcome, || reasons))
}

/// The schools that leave an item open, with what is missing there.
fn of_schools(known: &Known, tally: &IndicatorTally) -> Vec<Reason> {
    if known.assessor.inputs().is_empty() {
        return vec![known.no_register()];
    }
    if tally.tally.undetermined == 0 {
        return Vec::new();
    }
    let schools = known.assessor.inputs().keys().filter(|id| known.assessor.sites(id).is_some());
    let open = schools.filter_map(|id| {
        let result = known.assessor.school(id)?.indicator(&tally.id, None)?;
        (result.outcome == Outcome::Undetermined).then(|| known.why_result(result))
    });
    open.flatten().collect()
}

/// 符合 or 不符合, by condition where there are several.
fn answers(indicator: &Indicator, result: &IndicatorResult, reasons: &[Reason]) -> Cell {
    let word = |outcome: Outcome| match outcome {
        Outcome::Undetermined => (BLANK, BLANK),
        outcome if outcome.passes() => ("符合", "yes"),
        _ => ("不符合", "no"),
    };
    let each = result.conditions.iter().zip(&indicator.conditions).map(|(result, condition)| {
        let (zh, en) = word(result.outcome);
        match &condition.name {
            Some(name) => Text::new(format!("{}:{zh}", name.zh), format!("{}: {en}", name.en)),
            None => Text::new(zh, en),
        }
    });
    let each: Vec<Text> = each.collect();
    let joined = |pick: fn(&Text) -> &str, with: &str| each.iter().map(pick).collect::<Vec<_>>().join(with);
    let cell = Cell::said(Text::new(joined(|text| &text.zh, ";"), joined(|text| &text.en, "; ")));
    let is_open = result.conditions.iter().any(|condition| condition.outcome == Outcome::Undetermined);
    Cell { open: is_open.then(|| Open::because(reasons.iter().cloned())), ..cell }
}

/// How many schools meet the item.
fn counts(tally: &IndicatorTally, reasons: &[Reason]) -> Cell {
    let count = tally.tally;
    if count.all == 0 {
        return Cell::unknown(|| reasons.to_vec());
    }
    let (passing, not_met, open) = (count.passing(), count.not_met, count.undetermined);
    let mut zh = format!("共{}所,达标{passing}所,不达标{not_met}所", count.all);
    let mut en = format!("{} schools: {passing} met, {not_met} not met", count.all);
    if open > 0 {
        zh.push_str(&format!(",待定{open}所"));
        en.push_str(&format!(", {open} undetermined"));
    }
    let cell = Cell::said(Text::new(zh, en));
    Cell { open: (open > 0).then(|| Open::because(reasons.iter().cloned())), ..cell }
}

/// The form's sentence with its blanks filled.
fn filled(known: &Known, says: &[Piece], indicator: &Indicator, result: Option<&IndicatorResult>) -> Cell {
    let (mut zh, mut en) = (String::new(), String::new());
    let (mut open, mut reasons) = (false, Vec::new());
    for piece in says {
        if let Piece::Say(chinese, english) = piece {
            zh.push_str(chinese);
            en.push_str(english);
            continue;
        }
        let (shown, why) = blank(known, *piece, indicator, result);
        let text = if shown.text.is_empty() { BLANK } else { &shown.text };
        zh.push_str(text);
        en.push_str(text);
        if shown.open {
            open = true;
            reasons.extend(why);
        }
    }
    Cell { open: open.then(|| Open::because(reasons)), ..Cell::said(Text::new(zh, en)) }
}

/// What fills a blank, and what leaves it open.
fn blank(
    known: &Known,
    piece: Piece,
    indicator: &Indicator,
    result: Option<&IndicatorResult>,
) -> (Shown, Vec<Reason>) {
    let county = |quantity: &str, decimals: u32| {
        (Shown::bounds(known.county(quantity), decimals), known.county_reasons(quantity))
    };
    match piece {
        Piece::Say(..) => (Shown { text: String::new(), open: false }, Vec::new()),
        Piece::County(quantity) => county(quantity, 0),
        Piece::Percent(quantity) => county(quantity, 1),
        Piece::TenThousand(quantity) => {
            let bounds = known.county(quantity);
            let scaled = |amount: Amount| amount.exact().times(&Exact::quotient(1, 10_000));
            let high = bounds.high.map(scaled);
            (Shown::between(&scaled(bounds.low), high.as_ref(), 0), known.county_reasons(quantity))
        }
        Piece::Sum(quantities) => {
            let each = quantities.iter().map(|quantity| known.county(quantity));
            let sum = each.fold(Bounds::exactly(Amount::ZERO), Bounds::plus);
            (Shown::bounds(sum, 0), quantities.iter().flat_map(|one| known.county_reasons(one)).collect())
        }
        Piece::Schools(quantity) => over_schools(known, quantity),
        Piece::Ratio(of, over) => {
            let reasons = [known.county_reasons(of), known.county_reasons(over)].concat();
            (share(known.county(of), known.county(over)), reasons)
        }
        Piece::Value(place, decimals) => {
            let condition = result.and_then(|result| result.conditions.get(place));
            let shown = condition.and_then(|found| value(indicator, place, found, decimals));
            let reasons = result.map(|result| known.why_result(result)).unwrap_or_default();
            (shown.unwrap_or(Shown { text: String::new(), open: true }), reasons)
        }
        Piece::AsGiven(quantity) => as_given(known, quantity, |value| value.to_string()),
        Piece::Level(quantity) => as_given(known, quantity, roman),
        Piece::SchoolsAbove(kinds, limit) => {
            let limit = Amount::whole(limit);
            sums::with_pupils(known, &sums::schools(known, kinds), |pupils| pupils > limit)
        }
        Piece::ClassesAbove(stage, limit) => sums::classes_above(known, stage, limit),
        Piece::SmallPupils => {
            sums::of_small_schools(known, &small_schools(known), "pupils", &sums::COMPULSORY)
        }
        Piece::SmallFunds => {
            sums::of_small_schools(known, &small_schools(known), "public_funds_yuan", &[Part::Whole])
        }
    }
}

/// The kinds of schools that may be small; special schools are not among them.
fn small_schools<'a>(known: &Known<'a>) -> Vec<sums::Sites<'a>> {
    let kinds = [
        SchoolKind::Primary,
        SchoolKind::TeachingPoint,
        SchoolKind::Junior,
        SchoolKind::NineYear,
        SchoolKind::TwelveYear,
        SchoolKind::CompleteSecondary,
    ];
    sums::schools(known, &kinds)
}

fn over_schools(known: &Known, quantity: &str) -> (Shown, Vec<Reason>) {
    let sites: sums::Sites = known.inputs().collect();
    if sites.is_empty() {
        return (Shown { text: String::new(), open: true }, vec![known.no_register()]);
    }
    let shown = Shown::bounds(sums::total(&sites, quantity, &sums::COMPULSORY), 0);
    let reasons = if shown.open { sums::why(known, &sites, quantity, &sums::COMPULSORY) } else { Vec::new() };
    (shown, reasons)
}

/// A condition's value with the decimals of the form.
fn value(indicator: &Indicator, place: usize, found: &ConditionResult, decimals: u32) -> Option<Shown> {
    let range = found.value.as_ref()?;
    let times = match &indicator.conditions.get(place)?.rule {
        Rule::Share { printed_times, .. } => *printed_times,
        _ => 1,
    };
    let scale = Exact::quotient(times.into(), 1);
    let high = range.high.as_ref().map(|high| high.times(&scale));
    Some(Shown::between(&range.low.times(&scale), high.as_ref(), decimals))
}

/// A single value as it was supplied; a range in words where it is not single.
fn as_given(known: &Known, quantity: &str, print: impl Fn(Amount) -> String) -> (Shown, Vec<Reason>) {
    let bounds = known.county(quantity);
    let shown = match bounds.value() {
        Some(value) => Shown { text: print(value), open: false },
        None => match bounds.high {
            Some(high) => Shown { text: format!("{}–{}", print(bounds.low), print(high)), open: true },
            None => Shown { text: String::new(), open: true },
        },
    };
    (shown, key(quantity, Part::Whole).map(|key| known.why("", &key)).unwrap_or_default())
}

fn roman(level: Amount) -> String {
    match level.as_whole() {
        Some(1) => "Ⅰ".to_owned(),
        Some(2) => "Ⅱ".to_owned(),
        Some(3) => "Ⅲ".to_owned(),
        Some(4) => "Ⅳ".to_owned(),
        _ => level.to_string(),
    }
}
