//! The indicator strip: what the phone shows of a preview.

use duxue_client_core::Warning;
use duxue_client_core::preview::Preview;
use duxue_document::school::Stage;
use duxue_standards::assess::{IndicatorResult, Outcome};
use duxue_standards::standard::Text;
use serde::Serialize;

/// The strip of a school.
#[derive(Serialize)]
pub struct Strip<'a> {
    /// Always true: only the server's assessment counts.
    provisional: bool,
    standard: &'a str,
    rows: Vec<Row<'a>>,
    /// What looks wrong about what is being typed; nothing is blocked by it.
    warnings: Vec<Warning>,
}

/// The indicators of a stage, or of the school where there is none.
#[derive(Serialize)]
struct Row<'a> {
    stage: Option<Stage>,
    indicators: Vec<Cell<'a>>,
}

#[derive(Serialize)]
struct Cell<'a> {
    id: &'a str,
    outcome: Outcome,
    conditions: Vec<Condition<'a>>,
    /// What to capture.
    missing: Vec<&'a Text>,
    /// Open conflicts that bear on it.
    open: usize,
}

#[derive(Serialize)]
struct Condition<'a> {
    name: Option<&'a Text>,
    outcome: Outcome,
    printed: Option<&'a str>,
    threshold: Option<&'a str>,
    lacking: Vec<&'a Text>,
}

/// Takes from a preview what the strip shows.
pub fn of(preview: &Preview, warnings: Vec<Warning>) -> Strip<'_> {
    let assessment = &preview.assessment;
    let stages = assessment
        .stages
        .iter()
        .map(|row| Row { stage: Some(row.stage), indicators: row.indicators.iter().map(cell).collect() });
    let own = Row { stage: None, indicators: assessment.indicators.iter().map(cell).collect() };
    Strip {
        provisional: preview.provisional,
        standard: &preview.standard,
        rows: stages.chain([own]).filter(|row| !row.indicators.is_empty()).collect(),
        warnings,
    }
}

fn cell(result: &IndicatorResult) -> Cell<'_> {
    let conditions = result.conditions.iter().map(|condition| Condition {
        name: condition.name.as_ref(),
        outcome: condition.outcome,
        printed: condition.value.as_ref().map(|value| value.printed.as_str()),
        threshold: condition.threshold.as_deref(),
        lacking: condition.lacking.iter().map(|lacking| &lacking.text).collect(),
    });
    Cell {
        id: &result.id,
        outcome: result.outcome,
        conditions: conditions.collect(),
        missing: result.missing.iter().map(|missing| &missing.text).collect(),
        open: result.open.len(),
    }
}
