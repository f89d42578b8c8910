//! Assessments as tables. They are read as JSON, so that an older program still
//! shows what a newer server says.

use std::collections::BTreeMap;

use duxue_client_core::Packet;
use serde_json::Value;

use super::out::Out;

/// Names of indicators, from the standard of the round's packet.
pub struct Names(BTreeMap<String, (String, String)>);

impl Names {
    pub fn of(packet: Option<&Packet>) -> Self {
        let standard = packet.and_then(|packet| packet.standard.as_ref().ok());
        let indicators = standard.into_iter().flat_map(|standard| &standard.indicators);
        Self(
            indicators
                .map(|indicator| {
                    (indicator.id.clone(), (indicator.name.zh.clone(), indicator.name.en.clone()))
                })
                .collect(),
        )
    }

    fn of_indicator(&self, out: &Out, id: &str) -> String {
        match (self.0.get(id), id) {
            (Some((zh, en)), _) => format!("{id} {}", out.say(zh, en)),
            (None, "rule") => out.say("综合（七项达六）", "school rule (six of seven)").to_owned(),
            (None, "mean") => out.say("综合", "mean of all").to_owned(),
            (None, _) => id.to_owned(),
        }
    }
}

fn outcome(out: &Out, value: &Value) -> String {
    match value.as_str().unwrap_or_default() {
        "met" => out.say("✓ 达标", "✓ met").to_owned(),
        "not_met" => out.say("✗ 未达标", "✗ not met").to_owned(),
        "conditional" => out.say("△ 有条件达标", "△ conditional").to_owned(),
        "undetermined" => out.say("? 未定", "? undetermined").to_owned(),
        other => other.to_owned(),
    }
}

fn stage(out: &Out, value: &Value) -> String {
    match value.as_str().unwrap_or_default() {
        "primary" => out.say("小学", "primary").to_owned(),
        "junior" => out.say("初中", "junior").to_owned(),
        other => other.to_owned(),
    }
}

/// A text in both languages, or a plain one.
pub fn text<'a>(out: &Out, value: &'a Value) -> &'a str {
    value[out.say("zh", "en")].as_str().or_else(|| value.as_str()).unwrap_or_default()
}

pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What to do: what is lacking, what is missing, what is in conflict.
fn to_do(out: &Out, indicator: &Value) -> String {
    let lacking = list(&indicator["conditions"])
        .flat_map(|condition| list(&condition["lacking"]))
        .map(|lacking| text(out, &lacking["text"]).to_owned());
    let missing = list(&indicator["missing"]).map(|missing| text(out, &missing["text"]).to_owned());
    let open = list(&indicator["open"])
        .map(|open| format!("{}: {}", out.say("冲突", "conflict"), subject(&open["subject"])));
    let rounding =
        list(&indicator["conditions"]).flat_map(|condition| list(&condition["rounding"])).map(|flag| {
            let rounded = flag["rounded"].as_str().unwrap_or_default();
            format!("{} {rounded}", out.say("四舍五入会改变结果：", "rounding would change it:"))
        });
    lacking.chain(missing).chain(open).chain(rounding).collect::<Vec<_>>().join("\n")
}

/// What a conflict is about, as `duxue rule` takes it.
fn subject(subject: &Value) -> String {
    let items: Vec<&str> = list(&subject["items"]).filter_map(Value::as_str).collect();
    match (subject["path"].as_str().or_else(|| subject["item"].as_str()), items.as_slice()) {
        (Some(path), _) => path.to_owned(),
        (None, []) => subject.as_str().map_or_else(|| subject.to_string(), str::to_owned),
        (None, items) => items.join(" + "),
    }
}

/// `L7/primary` and `not_met 2.16`, in words.
pub fn effect(out: &Out, indicator: &str, result: &str) -> String {
    let words = |word: &str| match word {
        "primary" | "junior" => stage(out, &Value::from(word)),
        "CV" => out.say("差异系数", "coefficient").to_owned(),
        "rule" => out.say("综合", "school rule").to_owned(),
        other => other.to_owned(),
    };
    let indicator: Vec<String> = indicator.split('/').map(words).collect();
    let (word, value) = result.split_once(' ').unwrap_or((result, ""));
    format!("{}: {} {value}", indicator.join(" "), outcome(out, &Value::from(word))).trim_end().to_owned()
}

fn joined(conditions: &Value, pick: impl Fn(&Value) -> Option<&str>) -> String {
    list(conditions).filter_map(pick).collect::<Vec<_>>().join("\n")
}

fn row(out: &Out, names: &Names, scope: String, indicator: &Value) -> Vec<String> {
    let conditions = &indicator["conditions"];
    vec![
        scope,
        names.of_indicator(out, indicator["id"].as_str().unwrap_or_default()),
        joined(conditions, |condition| condition["value"]["printed"].as_str()),
        joined(conditions, |condition| condition["threshold"].as_str()),
        outcome(out, &indicator["outcome"]),
        to_do(out, indicator),
    ]
}

const INDICATOR_HEADER: [(&str, &str); 6] = [
    ("学段", "stage"),
    ("指标", "indicator"),
    ("值", "value"),
    ("标准", "threshold"),
    ("结果", "result"),
    ("差距与所缺", "gap and what is missing"),
];

/// A school's indicators: value, threshold, result, gap, what is missing.
pub fn school(out: &Out, names: &Names, assessment: &Value) {
    let mut rows = Vec::new();
    for part in list(&assessment["stages"]) {
        let scope = stage(out, &part["stage"]);
        for indicator in list(&part["indicators"]) {
            rows.push(row(out, names, scope.clone(), indicator));
        }
        if let Some(rule) = part.get("rule") {
            let (least, most) = (&rule["met"][0], &rule["met"][1]);
            let met = if least == most { least.to_string() } else { format!("{least}–{most}") };
            let name = names.of_indicator(out, "rule");
            rows.push(vec![
                scope,
                name,
                met,
                String::new(),
                outcome(out, &rule["outcome"]),
                text(out, &rule["remark"]).to_owned(),
            ]);
        }
    }
    let whole = out.say("全校", "school");
    rows.extend(
        list(&assessment["indicators"]).map(|indicator| row(out, names, whole.to_owned(), indicator)),
    );
    out.table(&INDICATOR_HEADER, rows);
    for alarm in list(&assessment["alarms"]) {
        let words = text(out, &alarm["text"]);
        out.line(format!("注意：{words}"), format!("note: {words}"));
    }
}

/// The county: verdict, dimensions, schools × indicators, coefficients, gaps.
pub fn county(out: &Out, names: &Names, assessment: &Value) {
    let county = &assessment["county"];
    let verdict = outcome(out, &county["outcome"]);
    out.line(format!("县级结论：{verdict}"), format!("county: {verdict}"));
    let dimensions = list(&county["dimensions"]).map(|dimension| {
        let because: Vec<&str> = list(&dimension["because"]).filter_map(Value::as_str).collect();
        let name =
            format!("{} {}", dimension["id"].as_str().unwrap_or_default(), text(out, &dimension["name"]));
        vec![name, outcome(out, &dimension["outcome"]), because.join(" ")]
    });
    out.table(&[("方面", "dimension"), ("结果", "result"), ("取决于", "because of")], dimensions.collect());
    schools_by_indicator(out, assessment);
    coefficients(out, names, county);
    let own = list(&county["indicators"]).map(|indicator| row(out, names, String::new(), indicator));
    let rows: Vec<Vec<String>> = own.collect();
    if !rows.is_empty() {
        out.table(&INDICATOR_HEADER, rows);
    }
}

fn mark(value: &Value) -> &'static str {
    match value.as_str().unwrap_or_default() {
        "met" => "✓",
        "not_met" => "✗",
        "conditional" => "△",
        "undetermined" => "?",
        _ => "",
    }
}

/// One row a school and stage, one column an indicator.
fn schools_by_indicator(out: &Out, assessment: &Value) {
    let parts: Vec<(&Value, &Value)> = list(&assessment["schools"])
        .flat_map(|school| list(&school["stages"]).map(move |part| (school, part)))
        .collect();
    let mut columns: Vec<&str> = Vec::new();
    for id in
        parts.iter().flat_map(|(_, part)| list(&part["indicators"])).filter_map(|found| found["id"].as_str())
    {
        if !columns.contains(&id) {
            columns.push(id);
        }
    }
    if parts.is_empty() {
        return;
    }
    let mut header = vec![("学校", "school"), ("学段", "stage"), ("学生", "pupils")];
    header.extend(columns.iter().map(|id| (*id, *id)));
    header.push(("综合", "rule"));
    let cell = |part: &Value, id: &str| {
        let found = list(&part["indicators"]).find(|indicator| indicator["id"].as_str() == Some(id));
        found.map_or_else(String::new, |found| {
            let value = found["conditions"][0]["value"]["printed"].as_str().unwrap_or_default();
            format!("{} {value}", mark(&found["outcome"]))
        })
    };
    let rows = parts.iter().map(|(school, part)| {
        let mut row = vec![
            school["school"]["name"].as_str().unwrap_or_default().to_owned(),
            stage(out, &part["stage"]),
            part["pupils"].as_str().unwrap_or_default().to_owned(),
        ];
        row.extend(columns.iter().map(|id| cell(part, id)));
        row.push(if part["counts"] == Value::Bool(false) {
            out.say("不计", "not counted").to_owned()
        } else {
            outcome(out, &part["rule"]["outcome"])
        });
        row
    });
    out.table(&header, rows.collect());
}

/// As on the form; where rounding hides which side of the limit it is on, with
/// six decimals beside.
fn coefficient(found: &Value) -> String {
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    if list(&found["rounding"]).next().is_none() {
        return text("printed").to_owned();
    }
    format!("{} ({})", text("printed"), text("six_decimals"))
}

fn coefficients(out: &Out, names: &Names, county: &Value) {
    let rows = list(&county["stages"]).flat_map(|summary| {
        let scope = stage(out, &summary["stage"]);
        list(&summary["coefficients"]).map(move |found| {
            vec![
                scope.clone(),
                names.of_indicator(out, found["id"].as_str().unwrap_or_default()),
                found["county_mean"]["printed"].as_str().unwrap_or_default().to_owned(),
                coefficient(found),
                found["limit"].as_str().map(|limit| format!("≤ {limit}")).unwrap_or_default(),
                found.get("outcome").map(|value| outcome(out, value)).unwrap_or_default(),
            ]
        })
    });
    out.table(
        &[
            ("学段", "stage"),
            ("指标", "indicator"),
            ("全县平均", "county mean"),
            ("差异系数", "coefficient"),
            ("限值", "limit"),
            ("结果", "result"),
        ],
        rows.collect(),
    );
}

/// What changes between two assessments.
pub fn what_if(out: &Out, names: &Names, answer: &Value) {
    for (zh, en, part) in [("现在", "now", "before"), ("假设之后", "then", "after")] {
        if let Some(found) = answer.get(part) {
            out.line(zh, en);
            county(out, names, found);
        }
    }
}
