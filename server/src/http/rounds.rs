//! Rounds: opening, importing, assigning, the work packet, held changes and
//! receipts.

use std::collections::BTreeSet;
use std::sync::Arc;

use duxue_protocol::api::{
    Assignment, HeldDecided, HeldDecision, HeldView, Instead, NewRound, PacketSchool, ReceiptRequest, Role,
    RoundSummary, SetAsideView, Waiting, WorkPacket,
};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::app::App;
use crate::audit::By;
use crate::clock::now_ms;
use crate::fault;
use crate::feed::Change;
use crate::hub::rows::{HeldRow, SetAsideRow};
use crate::import;
use crate::policy::{self, Service};
use crate::readmodel;
use crate::receipts;
use crate::rounds::{DocumentName, Writing};

use super::accounts::administrator;
use super::reply::{self, Answer, Body, finish};
use super::with::{self, Query, Token};

/// The routes of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    let list = warp::path!("api" / "rounds")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .map(|app: Arc<App>, token: Token| reply::shown(list(&app, &token)));
    let open = warp::path!("api" / "rounds")
        .and(warp::post())
        .and(with::app(app))
        .and(with::token())
        .and(with::body())
        .and_then(move |app, token, body| finish(within, open(app, token, body)));
    let packet = warp::path!("api" / "rounds" / String / "packet")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, app, token| finish(within, packet(round, app, token)));
    let standard = warp::path!("api" / "rounds" / String / "standard")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .map(|round: String, app: Arc<App>, token: Token| reply::shown(standard(&round, &app, &token)));
    let waiting = warp::path!("api" / "rounds" / String / "waiting")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, app, token| finish(within, waiting(round, app, token)));
    let import = warp::path!("api" / "rounds" / String / "import")
        .and(warp::post())
        .and(with::app(app))
        .and(with::token())
        .and(with::query())
        .and(with::body())
        .and_then(move |round, app, token, query, body| {
            finish(within, import(round, app, token, query, body))
        });
    let template = warp::path!("api" / "rounds" / String / "import" / "template")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .map(|round: String, app: Arc<App>, token: Token| reply::shown(template(&round, &app, &token)));
    let assign = warp::path!("api" / "rounds" / String / "assignments")
        .and(warp::post())
        .and(with::app(app))
        .and(with::token())
        .and(with::body())
        .and_then(move |round, app, token, body| finish(within, assign(round, app, token, body)));
    let held = warp::path!("api" / "rounds" / String / "held")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, app, token| finish(within, held(round, app, token)));
    let set_aside = warp::path!("api" / "rounds" / String / "set-aside")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, app, token| finish(within, set_aside(round, app, token)));
    let decide = warp::path!("api" / "rounds" / String / "held" / u64)
        .and(warp::post())
        .and(with::app(app))
        .and(with::token())
        .and(with::body())
        .and_then(move |round, number, app, token, body| {
            finish(within, decide(round, number, app, token, body))
        });
    let receipts = warp::path!("api" / "receipts")
        .and(warp::post())
        .and(with::app(app))
        .and(with::token())
        .and(with::body())
        .and_then(move |app, token, body| finish(within, receipt(app, token, body)));
    list.or(open)
        .unify()
        .or(packet)
        .unify()
        .or(standard)
        .unify()
        .or(waiting)
        .unify()
        .or(import)
        .unify()
        .or(template)
        .unify()
        .or(assign)
        .unify()
        .or(held)
        .unify()
        .or(set_aside)
        .unify()
        .or(decide)
        .unify()
        .or(receipts)
        .unify()
        .boxed()
}

fn list(app: &App, token: &Token) -> Answer {
    let caller = token.caller(app)?;
    let rounds = app.rounds.all();
    let seen = rounds.iter().filter(|round| round.may(&caller, Service::Packet));
    reply::json(&seen.map(|round| round.summary()).collect::<Vec<RoundSummary>>())
}

async fn open(app: Arc<App>, token: Token, body: Body) -> Answer {
    let caller = administrator(&app, &token)?;
    let new: NewRound = reply::read(&app, body).await?;
    let round = app.open_round(new, &By::from(&caller)).await?;
    reply::json_with(StatusCode::CREATED, &round.summary())
}

async fn packet(round: String, app: Arc<App>, token: Token) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Packet)?;
    let journal = app.store.last().0;
    let mut schools = Vec::new();
    for (id, (school, declared)) in &round.schools {
        if round.may_for(&caller, Service::Packet, id) {
            let survey =
                round.school_documents(id).find(|name| name.kind == duxue_document::DocumentKind::Survey);
            let assigned =
                survey.is_some_and(|survey| round.access(&caller.person, &survey).write == Writing::Yes);
            schools.push(PacketSchool { school: school.clone(), declared: declared.clone(), assigned });
        }
    }
    let seen = schools.iter().flat_map(|row| round.school_documents(&row.school.id));
    let actors = app.actors(seen).await?;
    let standards = app.standard_texts(&round)?;
    reply::json(&WorkPacket {
        round: round.summary(),
        roles: round.roles(&caller),
        schools,
        county: round.may(&caller, Service::Desk).then(|| round.county.clone()),
        standards,
        actors,
        server_time_ms: now_ms(),
        journal,
    })
}

fn standard(round: &str, app: &App, token: &Token) -> Answer {
    let (_, round) = token.in_round(app, round, Service::Packet)?;
    reply::json(&*readmodel::standard(&round.row)?)
}

async fn waiting(round: String, app: Arc<App>, token: Token) -> Answer {
    let (_, round) = token.in_round(&app, &round, Service::Assign)?;
    let held = app.hub.held(&round.row.id).await?;
    let open = held.iter().filter(|row| row.decision.is_none()).count();
    let set_aside = app.hub.set_aside(&round.row.id).await?.len();
    reply::json(&Waiting { held: open as u64, set_aside: set_aside as u64 })
}

async fn import(round: String, app: Arc<App>, token: Token, query: Query, body: Body) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Import)?;
    let bytes = reply::bytes(body, app.imports().bytes, "import_bytes", app.request_time()).await?;
    let jurisdiction = round.row.jurisdiction.clone();
    let filename = query.get("filename").unwrap_or("file").to_owned();
    let limits = app.imports();
    let parsed =
        tokio::task::spawn_blocking(move || import::parse(&bytes, &filename, &jurisdiction, &limits))
            .await
            .map_err(|_| fault::internal())?;
    // The report is the answer, with errors too: it says whether anything was
    // written, and where each error is.
    if query.get("dry_run") == Some("true") || !parsed.errors.is_empty() {
        return reply::json(&parsed.report(false));
    }
    let report = parsed.report(true);
    let by = By::from(&caller);
    app.rounds.import(&round.row.id, parsed.schools, parsed.county, &by, now_ms()).await?;
    app.register_changed(&round.row.id);
    reply::json(&report)
}

fn template(round: &str, app: &App, token: &Token) -> Answer {
    let (_, round) = token.in_round(app, round, Service::Import)?;
    let standard = readmodel::standard(&round.row)?;
    reply::json(&import::template::template(&standard, &round.row.jurisdiction))
}

async fn assign(round: String, app: Arc<App>, token: Token, body: Body) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Assign)?;
    let assignment: Assignment = reply::read(&app, body).await?;
    if assignment.role != Role::Inspector && !caller.administrator {
        // Whoever rules must not be able to review, or to let others do so.
        return Err(fault::not_found());
    }
    let known = app.accounts.person(&assignment.person).is_some();
    if !known && caller.administrator {
        return Err(fault::invalid().with_detail("person"));
    }
    // Someone of another county is to the others as if not there.
    let may_name = known && app.rounds.is_known_to(&caller, &assignment.person);
    if !caller.administrator && !may_name {
        return Err(fault::not_found());
    }
    app.rounds.assign(&round.row.id, assignment, &By::from(&caller), now_ms()).await?;
    app.hub.rights_changed(&round.row.id).await;
    app.register_changed(&round.row.id);
    Ok(reply::nothing())
}

async fn held(round: String, app: Arc<App>, token: Token) -> Answer {
    let (_, round) = token.in_round(&app, &round, Service::Held)?;
    let mut views = Vec::new();
    for row in app.hub.held(&round.row.id).await? {
        let Some(name) = app.rounds.document(&row.document).filter(|name| name.round == round.row.id) else {
            continue;
        };
        views.push(HeldView {
            number: row.number,
            document: row.document,
            kind: name.kind,
            school: name.school,
            by: app.binding(&row.person, row.device.as_ref()),
            reason: row.reason,
            received_ms: row.received_ms,
            hashes: row.hashes,
            released_by: policy::roles(Service::Held).filter(|_| row.decision.is_none()).collect(),
            admitted: row.decision.map(|decision| decision.admitted),
        });
    }
    reply::json(&views)
}

async fn set_aside(round: String, app: Arc<App>, token: Token) -> Answer {
    let (_, round) = token.in_round(&app, &round, Service::Held)?;
    let view = |(name, row): (DocumentName, SetAsideRow)| SetAsideView {
        hash: row.hash,
        document: name.id(),
        kind: name.kind,
        school: name.school,
        by: row.delivery.map(|delivery| app.binding(&delivery.person, delivery.device.as_ref())),
        reason: row.reason,
        received_ms: row.at_ms,
        journal: row.journal,
        released_by: Vec::new(),
        instead: Instead::StatedAgain,
    };
    let views: Vec<SetAsideView> = app.hub.set_aside(&round.row.id).await?.into_iter().map(view).collect();
    reply::json(&views)
}

async fn decide(round: String, number: u64, app: Arc<App>, token: Token, body: Body) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Held)?;
    let HeldDecision { admit, with } = reply::read(&app, body).await?;
    let numbers: BTreeSet<u64> = with.into_iter().chain([number]).collect();
    let rows = app.hub.held(&round.row.id).await?.into_iter().filter(|row| numbers.contains(&row.number));
    let rows: Vec<HeldRow> = rows.collect();
    let row = rows.iter().find(|row| row.number == number).ok_or_else(fault::not_found)?;
    if rows.len() < numbers.len() || rows.iter().any(|other| other.document != row.document) {
        return Err(fault::invalid().with_detail("with"));
    }
    let name = app.rounds.document(&row.document).filter(|name| name.round == round.row.id);
    let name = name.ok_or_else(fault::not_found)?;
    if rows.iter().any(|row| row.person == caller.person) {
        return Err(fault::own_held());
    }
    let numbers = numbers.into_iter().collect();
    let set_aside = app.hub.decide_together(&name, numbers, admit, &caller.person).await?;
    let change =
        Change { journal: app.store.last().0, what: "held", school: name.school, kind: Some(name.kind) };
    app.feed.note(&round.row.id, change);
    reply::json(&HeldDecided { set_aside })
}

async fn receipt(app: Arc<App>, token: Token, body: Body) -> Answer {
    let caller = token.caller(&app)?;
    let request: ReceiptRequest = reply::read(&app, body).await?;
    reply::json(&receipts::answer(&app, &caller, request).await?)
}
