//! `/sync`: the upgrade to a WebSocket that speaks automerge-repo's protocol.

use std::sync::Arc;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;
use crate::clock::now_ms;
use crate::hub::session::Admission;
use crate::transport::{self, Stop, Upgrade};

use super::with::{self, Query, Token};

/// The route of this module. `stop` is the one that the server runs with.
#[must_use]
pub fn routes(app: &Arc<App>, stop: &Stop) -> BoxedFilter<(Response,)> {
    warp::path!("sync")
        .and(with::app(app))
        .and(with::token())
        .and(with::query())
        .and(transport::ws(stop.clone(), app.sockets()))
        .map(|app: Arc<App>, token: Token, query: Query, upgrade: Upgrade| {
            let admission = admission(&app, token, &query);
            let upgrade = match &admission {
                Admission::Caller { .. } => upgrade,
                // All that is heard of a stranger is its first word.
                Admission::Stranger => upgrade.within(app.sockets().stranger_bytes),
            };
            upgrade.run(move |socket, progress, mut stopping| async move {
                let stopping = async move { stopping.wait().await };
                app.hub.session(admission, Arc::clone(&app.accounts), socket, progress, stopping).await;
            })
        })
        .boxed()
}

/// npm clients cannot set headers, so the token may be in the query.
fn admission(app: &App, token: Token, query: &Query) -> Admission {
    let token = token.0.or_else(|| query.get("token").map(str::to_owned));
    let caller = token.as_deref().and_then(|token| app.accounts.caller(token, now_ms()));
    match (caller, token) {
        (Some(caller), Some(token)) => Admission::Caller { caller, token },
        _ => Admission::Stranger,
    }
}
