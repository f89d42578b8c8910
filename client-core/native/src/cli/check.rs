//! Whether a command will be taken, before anything of a sheet is captured.
//!
//! It asks what the engine asks when it runs the command.

use duxue_client_core::{Command, CommandError, Statement, validate};
use duxue_document::consolidated::fields;
use duxue_document::{Captured, Claim, EntryPath, FieldId, write};
use duxue_protocol::problem::Problem;

use super::batch::in_new_item;

/// Checks a command that a record of a sheet came to.
///
/// # Errors
/// The problem that running it would end with.
pub fn check(command: &Command) -> Result<(), Problem> {
    let claims = match command {
        Command::PutClaims { claims, .. } | Command::PutCounty { claims, .. } => claims.clone(),
        Command::AddItem { kind, fields: stated, .. } => {
            if !stated.keys().any(|field| field.as_str() == fields::IDENTITY) {
                return Err(CommandError::BadValue(fields::IDENTITY.to_owned()).problem());
            }
            let claim = |(field, statement): (&FieldId, &Statement)| {
                Ok((in_new_item(*kind, field.clone())?, statement.clone()))
            };
            stated.iter().map(claim).collect::<Result<_, Problem>>()?
        }
        _ => return Ok(()),
    };
    for (path, statement) in &claims {
        validate::check_statement(path, statement).map_err(|error| error.problem())?;
    }
    let claims: Vec<(EntryPath, Claim)> = claims.into_iter().map(claim).collect();
    write::check_claims(&claims).map_err(|error| {
        let (zh, en) = error.message();
        let code = error.code().into();
        Problem { code, message_zh: zh.into(), message_en: en.into(), detail: None }
    })
}

fn claim((path, statement): (EntryPath, Statement)) -> (EntryPath, Claim) {
    let Statement { value, photos, note, .. } = statement;
    (path, Claim { value, captured: Captured::default(), photos, note })
}
