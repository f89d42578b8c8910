//! Log-in, enrolment, people.

use std::sync::Arc;

use duxue_protocol::api::{
    Challenge, DeviceSession, Enrol, Enrolment, Login, Me, NewChallenge, NewEnrolment, NewPerson,
    PersonSummary, Role, Session,
};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::accounts::{Caller, NewSession};
use crate::app::App;
use crate::audit::By;
use crate::clock::now_ms;
use crate::fault::{self, Fault};
use crate::policy::Service;
use crate::random;
use crate::transport::Source;

use super::reply::{self, Answer, Body, finish};
use super::with::{self, Token};

/// The routes of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    let login = warp::path!("api" / "login")
        .and(warp::post())
        .and(with::app(app))
        .and(with::source(app))
        .and(with::body())
        .and_then(move |app, source, body| finish(within, login(app, source, body)));
    let enrol = warp::path!("api" / "enrol")
        .and(warp::post())
        .and(with::app(app))
        .and(with::body())
        .and_then(move |app, body| finish(within, enrol(app, body)));
    let enrolments = warp::path!("api" / "enrolments")
        .and(warp::post())
        .and(with::app(app))
        .and(with::token())
        .and(with::body())
        .and_then(move |app, token, body| finish(within, enrolments(app, token, body)));
    let people = warp::path!("api" / "people")
        .and(warp::post())
        .and(with::app(app))
        .and(with::token())
        .and(with::body())
        .and_then(move |app, token, body| finish(within, people(app, token, body)));
    let me = warp::path!("api" / "me")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .map(|app: Arc<App>, token: Token| reply::shown(me(&app, &token)));
    let logout = warp::path!("api" / "session")
        .and(warp::delete())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |app, token| finish(within, logout(app, token)));
    let challenges = warp::path!("api" / "challenges")
        .and(warp::post())
        .and(with::app(app))
        .and(with::body())
        .and_then(move |app, body| finish(within, challenges(app, body)));
    let device_sessions = warp::path!("api" / "device-sessions")
        .and(warp::post())
        .and(with::app(app))
        .and(with::body())
        .and_then(move |app, body| finish(within, device_sessions(app, body)));
    login
        .or(enrol)
        .unify()
        .or(enrolments)
        .unify()
        .or(people)
        .unify()
        .or(me)
        .unify()
        .or(logout)
        .unify()
        .or(challenges)
        .unify()
        .or(device_sessions)
        .unify()
        .boxed()
}

async fn login(app: Arc<App>, source: Source, body: Body) -> Answer {
    let Login { name, password } = reply::read_small(&app, body).await?;
    let session = app.accounts.login(&name, password, source, now_ms()).await?;
    reply::json(&session_of(&app, session))
}

async fn enrol(app: Arc<App>, body: Body) -> Answer {
    let Enrol { code, public_key, device_name } = reply::read_small(&app, body).await?;
    let session = app.accounts.enrol(&app.rounds, &code, &public_key, &device_name, now_ms()).await?;
    reply::json(&session_of(&app, session))
}

async fn enrolments(app: Arc<App>, token: Token, body: Body) -> Answer {
    // Who is nobody sends nothing.
    token.caller(&app)?;
    let NewEnrolment { person_name, person, round, schools } = reply::read(&app, body).await?;
    let (caller, round) = token.in_round(&app, round.as_str(), Service::Assign)?;
    if let Some(school) = schools.iter().find(|school| !round.schools.contains_key(*school)) {
        return Err(fault::invalid().with_detail(school.to_string()));
    }
    let person = match person {
        Some(person) if app.accounts.person(&person).is_some() => {
            if !app.accounts.may_enrol(&app.rounds, &caller, &person) {
                return Err(fault::not_found());
            }
            person
        }
        // The same answer as for a person of another county: who is known
        // there is nobody's business.
        Some(_) if !caller.administrator => return Err(fault::not_found()),
        person => {
            let new = crate::accounts::NewPerson {
                id: person,
                name: person_name,
                login: None,
                administrator: false,
            };
            app.accounts.add_person(new, &By::from(&caller), now_ms()).await?.id
        }
    };
    let (code, expires_ms) =
        app.accounts.new_code(&app.rounds, &caller, &person, &round.row.id, schools, now_ms()).await?;
    reply::json_with(StatusCode::CREATED, &Enrolment { code, person, expires_ms })
}

async fn people(app: Arc<App>, token: Token, body: Body) -> Answer {
    let caller = administrator(&app, &token)?;
    let new: NewPerson = reply::read(&app, body).await?;
    let new = crate::accounts::NewPerson {
        id: new.person,
        name: new.name,
        login: new.login.map(|login| (login.name, login.password)),
        administrator: new.administrator,
    };
    let person = app.accounts.add_person(new, &By::from(&caller), now_ms()).await?;
    reply::json_with(StatusCode::CREATED, &PersonSummary { person: person.id, name: person.name })
}

fn me(app: &App, token: &Token) -> Answer {
    let caller = token.caller(app)?;
    let name = app.accounts.person(&caller.person).map(|person| person.name).unwrap_or_default();
    let rounds = app.rounds.all();
    let roles = rounds
        .iter()
        .map(|round| (round.row.id.clone(), round.roles(&caller)))
        .filter(|(_, roles): &(_, std::collections::BTreeSet<Role>)| !roles.is_empty())
        .collect();
    reply::json(&Me { person: caller.person, name, device: caller.device, roles })
}

async fn logout(app: Arc<App>, token: Token) -> Answer {
    let caller = token.caller(&app)?;
    app.accounts.logout(token.0.as_deref().unwrap_or_default(), &caller, now_ms()).await?;
    Ok(reply::nothing())
}

async fn challenges(app: Arc<App>, body: Body) -> Answer {
    let NewChallenge { device } = reply::read_small(&app, body).await?;
    reply::json(&Challenge { challenge: app.accounts.challenge(&device, now_ms())? })
}

async fn device_sessions(app: Arc<App>, body: Body) -> Answer {
    let DeviceSession { device, challenge, signature } = reply::read_small(&app, body).await?;
    let session = app.accounts.device_session(&device, &challenge, &signature, now_ms()).await?;
    reply::json(&session_of(&app, session))
}

/// The answer for those who do not operate the server is that there is no
/// such thing.
///
/// # Errors
/// `session.missing` or `not_found`.
pub fn administrator(app: &App, token: &Token) -> Result<Caller, Fault> {
    let caller = token.caller(app)?;
    if caller.administrator { Ok(caller) } else { Err(fault::not_found()) }
}

fn session_of(app: &App, session: NewSession) -> Session {
    Session {
        token: session.token,
        person: session.caller.person,
        device: session.caller.device,
        expires_ms: session.caller.expires_ms,
        server_key: random::hex(app.key.verifying_key().as_bytes()),
        server_time_ms: now_ms(),
    }
}
