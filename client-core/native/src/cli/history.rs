//! Everything that was ever stated about one entry.

use duxue_document::EntryPath;
use duxue_document::history::PastClaim;
use duxue_protocol::api::{EntryHistory, Role};

use super::context::{Context, Failure, parsed};
use super::{desk, times, words};

/// An inspector's comes from this device; the desk reads the server's.
pub async fn history(cx: &Context, school: &str, entry: &str) -> Result<(), Failure> {
    let subject = cx.subject(school)?;
    let path: EntryPath = parsed(entry)?;
    let round = &subject.round;
    let (claims, actors) = if cx.has_role(round, Role::Inspector) {
        (cx.driver.engine().history(&subject, &path)?, None)
    } else {
        let segment = path.to_string().replace('/', "%2F");
        let address = format!("/api/rounds/{round}/schools/{}/entries/{segment}/history", subject.school);
        let found: EntryHistory = desk::get(cx, &address).await?;
        (found.claims, Some(found.actors))
    };
    let person = |op: &duxue_document::OpId| {
        let bound = actors.as_ref().and_then(|actors| actors.get(op.actor()));
        bound.map_or_else(|| cx.person(round, op), |binding| binding.person_name.clone())
    };
    let said: Vec<serde_json::Value> =
        claims.iter().map(|past| serde_json::json!({ "by": person(&past.op), "claim": past })).collect();
    cx.out.json(&serde_json::json!({ "path": path, "history": said }));
    if claims.is_empty() {
        cx.out.line("这个条目从未填写过", "nothing was ever stated here");
        return Ok(());
    }
    let number = |op: &duxue_document::OpId| claims.iter().position(|past| past.op == *op).map(|at| at + 1);
    let row = |(index, past): (usize, &PastClaim)| {
        let state = if past.live {
            cx.out.say("现行", "live").to_owned()
        } else {
            let by: Vec<String> = past
                .superseded_by
                .iter()
                .map(|op| number(op).map_or_else(|| op.to_string(), |number| number.to_string()))
                .collect();
            format!("{} {}", cx.out.say("被取代：", "replaced by"), by.join(", "))
        };
        let note = past.claim.note.clone().unwrap_or_default();
        let photos = past.claim.photos.len();
        let photos = if photos == 0 { String::new() } else { photos.to_string() };
        let (value, who) = (words::value(&past.claim.value), person(&past.op));
        let when = times::captured(&cx.out, &past.claim.captured);
        vec![(index + 1).to_string(), value, who, when, state, photos, note]
    };
    cx.out.table(
        &[
            ("序号", "number"),
            ("取值", "value"),
            ("谁", "who"),
            ("设备时间", "device time"),
            ("状态", "state"),
            ("照片", "photos"),
            ("备注", "remark"),
        ],
        claims.iter().enumerate().map(row).collect(),
    );
    Ok(())
}
