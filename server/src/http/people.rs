//! Who manages people: their list, and their devices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duxue_document::{DeviceId, PersonId};
use duxue_protocol::api::{AssignmentView, DeviceView, PersonView};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::accounts::Caller;
use crate::accounts::rows::Person;
use crate::app::App;
use crate::audit::By;
use crate::clock::now_ms;
use crate::fault;
use crate::policy::Service;
use crate::rounds::Round;

use super::accounts::administrator;
use super::reply::{self, Answer, finish};
use super::with::{self, Query, Token};

/// The routes of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    let list = warp::path!("api" / "people")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and(with::query())
        .map(|app: Arc<App>, token: Token, query: Query| reply::shown(list(&app, &token, &query)));
    let revoke = warp::path!("api" / "devices" / String)
        .and(warp::delete())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |device, app, token| finish(within, revoke(device, app, token)));
    list.or(revoke).unify().boxed()
}

fn list(app: &App, token: &Token, query: &Query) -> Answer {
    match query.get("round") {
        Some(round) => {
            let (caller, round) = token.in_round(app, round, Service::Assign)?;
            let here: BTreeSet<&PersonId> = round.assignments.keys().map(|(person, _)| person).collect();
            let people = here.into_iter().filter_map(|person| app.accounts.person(person));
            let people: Vec<Person> = people.collect();
            reply::json(&views(app, &caller, people, &[Arc::clone(&round)]))
        }
        None => {
            let caller = administrator(app, token)?;
            reply::json(&views(app, &caller, app.accounts.people(), &app.rounds.all()))
        }
    }
}

fn views(app: &App, caller: &Caller, people: Vec<Person>, rounds: &[Arc<Round>]) -> Vec<PersonView> {
    let mut devices: BTreeMap<PersonId, Vec<DeviceView>> = BTreeMap::new();
    for device in app.accounts.devices() {
        let view = DeviceView {
            device: device.id,
            name: device.name,
            enrolled_ms: device.enrolled_ms,
            revoked_ms: device.revoked_ms,
        };
        devices.entry(device.person).or_default().push(view);
    }
    let view = |person: Person| PersonView {
        assignments: rounds.iter().flat_map(|round| assignments(round, &person.id)).collect(),
        devices: match app.accounts.may_enrol(&app.rounds, caller, &person.id) {
            true => devices.remove(&person.id).unwrap_or_default(),
            false => Vec::new(),
        },
        person: person.id,
        name: person.name,
        login: person.login.filter(|_| caller.administrator),
        administrator: person.administrator,
    };
    people.into_iter().map(view).collect()
}

fn assignments(round: &Round, person: &PersonId) -> Vec<AssignmentView> {
    let standing = round.assignments_of(person).filter(|row| row.stands);
    let view = |row: &crate::rounds::rows::AssignmentRow| AssignmentView {
        round: round.row.id.clone(),
        role: row.role,
        schools: row.schools.clone(),
    };
    standing.map(view).collect()
}

async fn revoke(device: String, app: Arc<App>, token: Token) -> Answer {
    let caller = token.caller(&app)?;
    let id: DeviceId = device.parse().map_err(|_| fault::not_found())?;
    let device = app.accounts.device(&id).ok_or_else(fault::not_found)?;
    // Whoever may give the person a device may take one. Someone without any
    // assignment is nobody's but the administrators'.
    let rounds = app.rounds.all();
    let assigned = |round: &&Arc<Round>| round.assignments_of(&device.person).next().is_some();
    let known = rounds.iter().filter(assigned).any(|round| round.may(&caller, Service::Assign));
    let may = known && app.accounts.may_enrol(&app.rounds, &caller, &device.person);
    if !(may || caller.administrator) {
        return Err(fault::not_found());
    }
    app.accounts.revoke(&id, &By::from(&caller), now_ms()).await?;
    Ok(reply::nothing())
}
