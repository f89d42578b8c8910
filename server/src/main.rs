//! `duxue-server`: runs the server, or changes a data folder while it is not
//! running.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use duxue_protocol::api::{Assignment, NewRound, Role};
use duxue_server::accounts::NewPerson;
use duxue_server::audit::By;
use duxue_server::clock::now_ms;
use duxue_server::fault::Fault;
use duxue_server::{Config, Server, import, transport};
use tracing_subscriber::EnvFilter;

/// 督学服务器 · Duxue's server: sync, durable documents, photos, assessment.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The settings, in TOML.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// The data folder; overrides the settings.
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves until interrupted.
    Serve {
        /// Where to listen; overrides the settings.
        #[arg(long)]
        listen: Option<std::net::SocketAddr>,
    },
    /// Adds a person who logs in with a password, read from standard input.
    AddUser {
        /// The log-in name.
        login: String,
        /// The name as shown.
        #[arg(long)]
        name: Option<String>,
        /// The id; made up if absent.
        #[arg(long)]
        id: Option<duxue_document::PersonId>,
        /// Whether the person operates the server.
        #[arg(long)]
        administrator: bool,
        /// A round in which the person gets a role.
        #[arg(long, requires = "role")]
        round: Option<duxue_document::RoundId>,
        /// The role: `supervisor` or `bureau`.
        #[arg(long, requires = "round")]
        role: Option<String>,
    },
    /// Opens a round.
    OpenRound {
        /// Its id.
        id: duxue_document::RoundId,
        /// Its name.
        #[arg(long)]
        name: String,
        /// The county, six digits.
        #[arg(long)]
        county: duxue_document::JurisdictionCode,
        /// The standard.
        #[arg(long, default_value = "cn-youzhi-2017")]
        standard: String,
        /// The date that the assessment speaks of.
        #[arg(long)]
        as_of: Option<String>,
        /// Marks the county's figures as synthetic on every result.
        #[arg(long)]
        synthetic: bool,
    },
    /// Imports register and declared figures from XLSX or CSV.
    Import {
        /// The round.
        round: duxue_document::RoundId,
        /// The file.
        file: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let mut config = Config::read(arguments.config.as_ref())?;
    if let Some(data) = arguments.data {
        config.data = data;
    }
    match arguments.command {
        Command::Serve { listen } => {
            config.listen = listen.unwrap_or(config.listen);
            serve(config).await
        }
        Command::AddUser { login, name, id, administrator, round, role } => {
            let server = open(config).await?;
            let mut password = String::new();
            std::io::stdin().read_line(&mut password).map_err(|error| error.to_string())?;
            let password = password.trim_end_matches(['\r', '\n']).to_owned();
            let new = NewPerson {
                id,
                name: name.unwrap_or_else(|| login.clone()),
                login: Some((login, password)),
                administrator,
            };
            let app = server.app();
            let person = app.accounts.add_person(new, &By::CommandLine, now_ms()).await.map_err(said)?;
            if let (Some(round), Some(role)) = (round, role) {
                let assignment = Assignment {
                    person: person.id.clone(),
                    role: role_named(&role)?,
                    schools: std::collections::BTreeSet::new(),
                    ended: false,
                };
                app.rounds.assign(&round, assignment, &By::CommandLine, now_ms()).await.map_err(said)?;
            }
            println!("{}", person.id);
            server.close().await;
            Ok(())
        }
        Command::OpenRound { id, name, county, standard, as_of, synthetic } => {
            let server = open(config).await?;
            let mut settings = duxue_protocol::api::RoundSettings { synthetic, ..Default::default() };
            settings.as_of = as_of.unwrap_or(settings.as_of);
            let new = NewRound { id, name, jurisdiction: county, standard, overlays: Vec::new(), settings };
            let round = server.app().open_round(new, &By::CommandLine).await.map_err(said)?;
            println!("{}", round.row.id);
            server.close().await;
            Ok(())
        }
        Command::Import { round, file } => {
            let server = open(config).await?;
            let app = server.app();
            let known = app.rounds.get(&round).ok_or("没有该轮次。 · There is no such round.")?;
            let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let parsed = import::parse(&bytes, &name, &known.row.jurisdiction, &app.imports());
            let report = parsed.report(parsed.errors.is_empty());
            println!("{}", serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?);
            if !parsed.errors.is_empty() {
                return Err(
                    "文件有错误，未写入任何内容。 · The file has errors; nothing was written.".to_owned()
                );
            }
            let by = By::CommandLine;
            app.rounds.import(&round, parsed.schools, parsed.county, &by, now_ms()).await.map_err(said)?;
            server.close().await;
            Ok(())
        }
    }
}

async fn open(config: Config) -> Result<Server, String> {
    let administrator = config.administrator.clone();
    let server = Server::open(config).await.map_err(|error| error.to_string())?;
    announce(&server, &administrator);
    Ok(server)
}

fn announce(server: &Server, administrator: &str) {
    if let Some(password) = server.first_password() {
        println!("administrator: {administrator}\npassword: {password}");
    }
}

async fn serve(config: Config) -> Result<(), String> {
    if let Some(enough) =
        transport::allow_files(usize::try_from(config.limits.connections).unwrap_or(usize::MAX))
    {
        tracing::warn!(enough, "the system gives fewer open files than limits.connections needs");
    }
    let listener = transport::listen(config.listen).await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let server = open(config).await?;
    println!("listening: {address}");
    tracing::info!(%address, "listening");
    server.run(listener, interrupted()).await.map_err(|error| error.to_string())?;
    Ok(())
}

/// Done at SIGINT or SIGTERM.
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn role_named(name: &str) -> Result<Role, String> {
    match name {
        "supervisor" => Ok(Role::Supervisor),
        "bureau" => Ok(Role::Bureau),
        _ => Err(format!("没有角色“{name}”。 · There is no role `{name}`.")),
    }
}

fn said(fault: Fault) -> String {
    let detail = fault.problem.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{} · {}{detail}", fault.problem.message_zh, fault.problem.message_en)
}
