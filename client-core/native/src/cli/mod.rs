//! The command line `duxue`. Every subcommand is one function over a
//! [`context::Context`]; what it prints goes through [`out::Out`].
//!
//! Exit codes: 0 done; 1 refused or wrong, the message says what; 2 the
//! command line itself is wrong; 3 not finished: something still waits, or the
//! server cannot be reached; 4 a receipt does not hold; 5 the home folder
//! cannot be used.

mod account;
mod args;
mod aside;
mod batch;
mod by_hand;
mod capture;
mod check;
mod context;
mod county;
mod desk;
mod find;
mod forms;
mod history;
mod out;
mod photos;
mod preview;
mod result;
mod rule;
mod sheet;
mod shown;
mod survey;
mod sync;
mod times;
mod words;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Sub};
use batch::Target;
use context::{Context, Failure};
use out::Out;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let out = Out::new(args.json, args.lang);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(5);
        }
    };
    // Two TLS providers are compiled in by way of dependencies; one is named,
    // so that neither library has to guess.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match runtime.block_on(run(args, &out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.problem(&failure.problem);
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(args: Args, out: &Out) -> Result<(), Failure> {
    if let Sub::VerifyReceipt { file, key } = &args.command {
        return photos::verify_file(&args, file, key.as_deref(), out).await;
    }
    let mut context = Context::open(&args, out).await?;
    let cx = &mut context;
    match args.command {
        Sub::Enrol { server, code, name } => account::enrol(cx, server, code, name).await,
        Sub::Login { server, name } => account::login(cx, server, name).await,
        Sub::Packet => account::packet(cx).await,
        Sub::Whoami => account::whoami(cx),
        Sub::Schools => survey::schools(cx),
        Sub::Survey { school } => survey::survey(cx, &school).await,
        Sub::Preview { school } => survey::preview(cx, &school),
        Sub::Capture { school, batch } => {
            let target = Target::School(cx.subject(&school)?);
            capture::batch(cx, &target, &batch).await
        }
        Sub::Room { action: args::RoomAction::Add(room) } => {
            capture::one(cx, &room.school.clone(), room.record()).await
        }
        Sub::Class { action: args::ClassAction::Add(class) } => {
            capture::one(cx, &class.school.clone(), class.record()).await
        }
        Sub::Ground { action: args::GroundAction::Add(ground) } => {
            capture::one(cx, &ground.school.clone(), ground.record()).await
        }
        Sub::Equipment { action: args::EquipmentAction::Add(piece) } => {
            capture::one(cx, &piece.school.clone(), piece.record()).await
        }
        Sub::Quantity { action: args::QuantityAction::Set(quantity) } => {
            capture::one(cx, &quantity.school.clone(), quantity.record()).await
        }
        Sub::Answer { school, question, answer, note } => {
            let record = batch::Record::answer(question, answer == args::YesNo::Yes, note);
            capture::one(cx, &school, record).await
        }
        Sub::Set { school, entry, values, note } => capture::set(cx, &school, &entry, &values, note).await,
        Sub::Complete { school, section, not } => capture::complete(cx, &school, &section, !not).await,
        Sub::Photo { action } => photos::photo(cx, action).await,
        Sub::Copy { school, item, values } => capture::copy(cx, &school, &item, &values).await,
        Sub::Undo { school, entry } => capture::undo(cx, &school, &entry).await,
        Sub::Remove { school, item, reason } => capture::remove(cx, &school, &item, reason).await,
        Sub::History { school, entry } => history::history(cx, &school, &entry).await,
        Sub::County { action } => county::county(cx, action).await,
        Sub::Sync { watch, timeout } => sync::sync(cx, watch, timeout).await,
        Sub::Outbox => sync::outbox(cx),
        Sub::Receipts { verify } => photos::receipts(cx, verify),
        Sub::Conflicts { school } => desk::conflicts(cx, school.as_deref()).await,
        Sub::Rule(args) => rule::rule(cx, args).await,
        Sub::Accept { school, entries, saw } => desk::judge(cx, &school, &entries, &saw, None).await,
        Sub::Return { school, entries, reason, saw } => {
            desk::judge(cx, &school, &entries, &saw, Some(reason)).await
        }
        Sub::Assessment { school } => desk::assessment(cx, school.as_deref()).await,
        Sub::Forms { form, csv } => forms::forms(cx, form.as_deref(), csv).await,
        Sub::WhatIf { changes } => desk::what_if(cx, &changes).await,
        Sub::Import { file, dry_run } => desk::import(cx, &file, dry_run).await,
        Sub::Held { show: Some(number), .. } => preview::show(cx, number).await,
        Sub::Held { admit, leave, show: None } => {
            let decide = admit.map(|number| (number, true)).or(leave.map(|number| (number, false)));
            desk::held(cx, decide).await
        }
        Sub::SetAside => aside::list(cx).await,
        Sub::VerifyReceipt { .. } => Ok(()),
    }
}
