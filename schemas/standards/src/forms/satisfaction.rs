//! 表Ⅵ: all respondents, and the parents among them.

use super::Form;
use super::cell::{Cell, Shown};
use super::head::Branch;
use super::reasons::Known;
use crate::figure::Bounds;
use crate::number::{Amount, Exact};
use crate::standard::Text;

/// L1–L6: the quantity, and its decimals. L7 is worked out.
const COLUMNS: [(&str, u32); 6] = [
    ("questionnaires", 0),
    ("valid", 0),
    ("satisfied", 0),
    ("satisfaction_percent", 1),
    ("interviewed", 0),
    ("interviewed_satisfied", 0),
];

pub(super) fn satisfaction(known: &Known) -> Form {
    let row = |zh: &str, en: &str, whose: &str| {
        let own = COLUMNS.iter().map(|(name, decimals)| {
            let quantity = format!("survey_{whose}{name}");
            let shown = Shown::bounds(known.county(&quantity), *decimals);
            Cell::shown(shown, || known.county_reasons(&quantity))
        });
        let satisfied = format!("survey_{whose}interviewed_satisfied");
        let asked = format!("survey_{whose}interviewed");
        std::iter::once(Cell::said(Text::new(zh, en)))
            .chain(own)
            .chain([percent(known, &satisfied, &asked)])
            .collect()
    };
    let rows = vec![row("计", "all", ""), row("其中:家长", "parents among them", "parents_")];
    let valid = Branch::group(
        "其中:回收有效问卷数",
        "valid ones returned",
        vec![Branch::figures("计", "all"), Branch::figures("其中:满意问卷数", "satisfied among them")],
    );
    let head = vec![
        Branch::label("调查对象", "respondents"),
        Branch::group("问卷总数", "questionnaires", vec![Branch::figures("计", "all"), valid]),
        Branch::figures("问卷调查综合满意度(%)", "satisfaction by questionnaire (%)"),
        Branch::group(
            "实地走访人数",
            "people interviewed",
            vec![Branch::figures("计", "all"), Branch::figures("其中:满意人数", "satisfied among them")],
        ),
        Branch::figures("实地走访满意度(%)", "satisfaction of those interviewed (%)"),
    ];
    let name = Text::new("表Ⅵ 社会认可度调查情况", "Form Ⅵ Public satisfaction");
    Form::new("VI", name, head, rows)
}

/// One county figure as a percentage of another, with one decimal.
pub(super) fn percent(known: &Known, of: &str, over: &str) -> Cell {
    let shown = share(known.county(of), known.county(over));
    Cell::shown(shown, || [known.county_reasons(of), known.county_reasons(over)].concat())
}

/// Bounds of a share in per cent. Where nobody was asked there is none.
pub(super) fn share(of: Bounds, over: Bounds) -> Shown {
    if over.high == Some(Amount::ZERO) {
        return Shown { text: "——".to_owned(), open: false };
    }
    let hundred = |amount: Amount| amount.exact().times(&Exact::quotient(100, 1));
    let low = over.high.and_then(|over| hundred(of.low).over(&over.exact())).unwrap_or(Exact::ZERO);
    let high = of.high.and_then(|of| hundred(of).over(&over.low.exact()));
    Shown::between(&low, high.as_ref(), 1)
}
