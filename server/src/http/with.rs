//! Filters that routes share. None of them rejects.

use std::convert::Infallible;
use std::sync::Arc;

use duxue_document::{RoundId, SchoolId};
use futures_util::{Stream, StreamExt};
use warp::http::HeaderMap;
use warp::{Buf, Filter, Rejection};

use crate::accounts::Caller;
use crate::app::App;
use crate::clock::now_ms;
use crate::fault::{self, Fault};
use crate::policy::Service;
use crate::rounds::Round;
use crate::transport::{Peer, Source};

use super::reply::Body;

/// The app.
pub fn app(app: &Arc<App>) -> impl Filter<Extract = (Arc<App>,), Error = Infallible> + Clone + use<> {
    let app = Arc::clone(app);
    warp::any().map(move || Arc::clone(&app))
}

/// The token of the `Authorization` header, checked by nobody yet.
#[derive(Debug, Clone)]
pub struct Token(pub Option<String>);

/// The token that a request carries.
pub fn token() -> impl Filter<Extract = (Token,), Error = Infallible> + Clone {
    // A header that is not text is no token either.
    let header = warp::header::optional::<String>("authorization").or(warp::any().map(|| None)).unify();
    header.map(|header: Option<String>| Token(header.and_then(|header| bearer(&header).map(str::to_owned))))
}

/// The token in the value of an `Authorization` header.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    header.strip_prefix("Bearer ").map(str::trim)
}

impl Token {
    /// Whose the token is.
    ///
    /// # Errors
    /// `session.missing`.
    pub fn caller(&self, app: &App) -> Result<Caller, Fault> {
        let token = self.0.as_deref().ok_or_else(fault::not_logged_in)?;
        app.accounts.caller(token, now_ms()).ok_or_else(fault::not_logged_in)
    }

    /// Whose the token is, and a round in which that person may use a service.
    ///
    /// # Errors
    /// `session.missing`, or `not_found` for a round that is not there or not
    /// the caller's.
    pub fn in_round(&self, app: &App, round: &str, service: Service) -> Result<(Caller, Arc<Round>), Fault> {
        let caller = self.caller(app)?;
        let id: RoundId = round.parse().map_err(|_| fault::not_found())?;
        let round =
            app.rounds.get(&id).filter(|round| round.may(&caller, service)).ok_or_else(fault::not_found)?;
        Ok((caller, round))
    }

    /// The same for one school.
    ///
    /// # Errors
    /// `session.missing` or `not_found`.
    pub fn in_school(
        &self,
        app: &App,
        round: &str,
        school: &str,
        service: Service,
    ) -> Result<(Caller, Arc<Round>, SchoolId), Fault> {
        let (caller, round) = self.in_round(app, round, service)?;
        let school: SchoolId = school.parse().map_err(|_| fault::not_found())?;
        if !round.may_for(&caller, service, &school) {
            return Err(fault::not_found());
        }
        Ok((caller, round, school))
    }
}

/// Where a request comes from.
pub fn source(app: &Arc<App>) -> impl Filter<Extract = (Source,), Error = Infallible> + Clone + use<> {
    let app = Arc::clone(app);
    warp::ext::optional::<Peer>().and(warp::header::headers_cloned()).map(
        move |peer: Option<Peer>, headers: HeaderMap| {
            let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
            Source::of_request(peer, forwarded.and_then(|value| value.to_str().ok()), &app.proxies)
        },
    )
}

/// The query's text, empty if there is none.
pub fn query() -> impl Filter<Extract = (Query,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify().map(Query)
}

/// A query string. Values here are ids, numbers and words, so nothing in them
/// is escaped.
#[derive(Debug, Clone)]
pub struct Query(pub String);

impl Query {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }
}

/// The body in parts, of any length; see [`super::reply::bytes`].
pub fn body() -> impl Filter<Extract = (Body,), Error = Rejection> + Clone {
    warp::body::stream().map(|parts| -> Body { Box::pin(in_vectors(parts)) })
}

fn in_vectors<B: Buf>(
    parts: impl Stream<Item = Result<B, warp::Error>> + Send,
) -> impl Stream<Item = Result<Vec<u8>, warp::Error>> + Send {
    parts.map(|part| {
        part.map(|mut part| {
            let mut bytes = vec![0; part.remaining()];
            part.copy_to_slice(&mut bytes);
            bytes
        })
    })
}
