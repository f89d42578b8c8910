//! What the screens ask for: read from the engine, as JSON.

use duxue_document::collections::BTreeMap;

use duxue_client_core::views::LinkView;
use duxue_client_core::{CommandError, Engine, Statement, Subject};
use duxue_document::{DeviceId, EntryPath, PersonId, QuantityId, QuestionId, RoundId};
use duxue_protocol::api::RoundSummary;
use duxue_protocol::problem::Problem;
use duxue_standards::standard::{Indicator, Quantity, Rule};
use serde::{Deserialize, Serialize};

use crate::{strip, typed};

/// A question of a screen.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// Who and where, and how the connection is.
    Status,
    /// The rounds, with the schools and how far they are.
    Schools,
    /// One school's survey, and what was declared.
    School {
        /// Which.
        subject: Subject,
    },
    /// What a round's standard asks for, to name and order the forms.
    Standard {
        /// The round.
        round: RoundId,
    },
    /// The indicators, as they would be with what is being typed.
    Strip {
        /// Which school.
        subject: Subject,
        /// What is typed and not yet stated.
        #[serde(default)]
        claims: Vec<(EntryPath, Statement)>,
    },
    /// Which of these entries have something to undo.
    Undoable {
        /// The school.
        subject: Subject,
        /// The entries.
        paths: Vec<EntryPath>,
    },
    /// What waits to be sent.
    Outbox,
    /// The server's signed statements, newest first.
    Receipts,
    /// What a supervisor left out of what this person stated, newest first.
    LeftOut,
    /// Photos that this device took.
    Photos,
}

#[derive(Serialize)]
struct Status<'a> {
    ready: bool,
    person: Option<&'a PersonId>,
    device: Option<&'a DeviceId>,
    server: Option<&'a str>,
    expires_ms: Option<i64>,
    link: LinkView,
    drafts: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Standard<'a> {
    id: &'a str,
    quantities: &'a BTreeMap<QuantityId, Quantity>,
    indicators: Vec<Named<'a>>,
    questions: Vec<Question<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a duxue_standards::standard::Text,
    clause: &'a str,
}

/// A checklist item: what an indicator of schools asks to be yes or no.
#[derive(Serialize)]
struct Question<'a> {
    id: &'a QuestionId,
    indicator: &'a str,
    name: &'a duxue_standards::standard::Text,
}

#[derive(Serialize)]
struct ReceiptView {
    server_time_ms: i64,
    journal: u64,
    documents: usize,
    photos: usize,
}

/// Reads a query.
///
/// # Errors
/// What is malformed.
pub fn read(text: &str) -> Result<Query, String> {
    let mut query: Query = duxue_protocol::json::read(text.as_bytes()).map_err(|error| error.to_string())?;
    if let Query::Strip { claims, .. } = &mut query {
        // What is being typed need not fit yet; then it does not count yet.
        let raw = typed::fields(text)?["claims"].as_array().cloned().unwrap_or_default();
        *claims = std::mem::take(claims)
            .into_iter()
            .zip(raw)
            .filter_map(|(claim, raw)| {
                let mut one = [claim];
                typed::claims(&mut one, &serde_json::Value::Array(vec![raw])).ok()?;
                let [claim] = one;
                Some(claim)
            })
            .collect();
    }
    Ok(query)
}

/// Answers a query with JSON.
///
/// # Errors
/// The engine's problem.
pub fn answer(engine: &Engine, query: &Query) -> Result<String, Problem> {
    match query {
        Query::Status => json(&status(engine)),
        Query::Schools => {
            let rounds: Vec<&RoundSummary> = engine.packets().map(|packet| &packet.packet.round).collect();
            json(&(rounds, engine.schools()))
        }
        Query::School { subject } => json(&engine.survey(subject).map_err(|error| error.problem())?),
        Query::Standard { round } => json(&standard(engine, round)?),
        Query::Strip { subject, claims } => {
            let preview = engine.preview_with(subject, claims).map_err(|error| error.problem())?;
            json(&strip::of(&preview, engine.unlikely_claims(subject, claims)))
        }
        Query::Undoable { subject, paths } => json(&engine.can_undo(subject, paths)),
        Query::Outbox => json(&engine.outbox()),
        Query::Receipts => json(&receipts(engine)),
        Query::LeftOut => json(&engine.left_out().collect::<Vec<_>>()),
        Query::Photos => json(&engine.photos().collect::<Vec<_>>()),
    }
}

fn status(engine: &Engine) -> Status<'_> {
    let identity = engine.identity();
    Status {
        ready: engine.is_ready(),
        person: identity.map(|identity| &identity.person),
        device: identity.and_then(|identity| identity.device.as_ref()),
        server: identity.map(|identity| identity.server.as_str()),
        expires_ms: identity.map(|identity| identity.expires_ms),
        link: engine.link_view(),
        drafts: engine.drafts(),
    }
}

fn standard<'a>(engine: &'a Engine, round: &RoundId) -> Result<Standard<'a>, Problem> {
    let packet = engine
        .packets()
        .find(|packet| packet.packet.round.id == *round)
        .ok_or_else(|| CommandError::UnknownRound.problem())?;
    let standard =
        packet.standard.as_ref().map_err(|reason| CommandError::BadStandard(reason.clone()).problem())?;
    let named = |indicator: &'a Indicator| Named {
        id: &indicator.id,
        name: &indicator.name,
        clause: &indicator.clause,
    };
    Ok(Standard {
        id: &standard.id,
        quantities: &standard.quantities,
        indicators: standard.indicators.iter().map(named).collect(),
        questions: standard.indicators.iter().flat_map(questions).collect(),
    })
}

/// The yes-or-no conditions of an indicator that is not about the county.
fn questions(indicator: &Indicator) -> impl Iterator<Item = Question<'_>> {
    let of_school = indicator.level != duxue_standards::standard::Level::County;
    indicator.conditions.iter().filter(move |_| of_school).filter_map(|condition| match &condition.rule {
        Rule::YesNo { question, .. } => Some(Question {
            id: question,
            indicator: &indicator.id,
            name: condition.name.as_ref().unwrap_or(&indicator.name),
        }),
        _ => None,
    })
}

/// Only those whose signature holds for the server that this device joined.
fn receipts(engine: &Engine) -> Vec<ReceiptView> {
    let Some(identity) = engine.identity() else { return Vec::new() };
    let statements = engine.receipts().filter_map(|receipt| receipt.verify(&identity.server_key).ok());
    let mut views: Vec<ReceiptView> = statements
        .map(|statement| ReceiptView {
            server_time_ms: statement.server_time_ms,
            journal: statement.journal,
            documents: statement.heads.len(),
            photos: statement.photos.len(),
        })
        .collect();
    views.reverse();
    views
}

fn json<T: Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| {
        Problem::new("client.internal", "程序内部出错", "an internal error").with_detail(error.to_string())
    })
}
