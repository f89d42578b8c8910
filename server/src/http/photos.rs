//! Who may send and see photos; the routes themselves are in [`crate::photos`].

use std::sync::Arc;

use duxue_document::{RoundId, SchoolId};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::accounts::Caller;
use crate::app::App;
use crate::clock::now_ms;
use crate::fault::{self, Fault};
use crate::photos::{Authorize, Reaches, Reader, Uploader};

/// The routes of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let (sender, viewer) = (Arc::clone(app), Arc::clone(app));
    let upload: Authorize<Uploader> = Arc::new(move |token| {
        let caller = caller(&sender, token)?;
        let (person, device) = (caller.person.clone(), caller.device.clone());
        let may_read = may_see(&sender, caller.clone());
        Ok(Uploader { person, device, may_write: may_send(&sender, caller), may_read })
    });
    let read: Authorize<Reader> =
        Arc::new(move |token| Ok(Reader { may_read: may_see(&viewer, caller(&viewer, token)?) }));
    app.photos.routes(upload, read)
}

fn may_see(app: &Arc<App>, caller: Caller) -> Reaches {
    let app = Arc::clone(app);
    Arc::new(move |round: &RoundId, school: &SchoolId| app.rounds.shows_photos(&caller, round, school))
}

fn may_send(app: &Arc<App>, caller: Caller) -> Reaches {
    let app = Arc::clone(app);
    Arc::new(move |round: &RoundId, school: &SchoolId| app.rounds.takes_photos(&caller, round, school))
}

fn caller(app: &App, token: Option<&str>) -> Result<Caller, Fault> {
    token.and_then(|token| app.accounts.caller(token, now_ms())).ok_or_else(fault::not_logged_in)
}
