//! What every subcommand needs: the open driver, the output, the school.

use std::path::PathBuf;

use duxue_client_core::{Command, CommandError, Reply, Subject};
use duxue_document::{OpId, RoundId, SchoolId};
use duxue_protocol::api::{Role, RoundSummary};
use duxue_protocol::problem::Problem;

use super::args::Args;
use super::find;
use super::out::Out;
use super::result::Names;
use super::shown::Viewer;
use crate::driver::Driver;

/// Why a subcommand ended without success.
#[derive(Debug)]
pub struct Failure {
    pub problem: Problem,
    code: u8,
}

impl Failure {
    /// Something still waits; exit code 3.
    pub fn waiting(problem: Problem) -> Self {
        Self { problem, code: 3 }
    }

    /// A receipt that does not hold; exit code 4.
    pub fn invalid(problem: Problem) -> Self {
        Self { problem, code: 4 }
    }

    pub fn exit_code(&self) -> u8 {
        self.code
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = match problem.code.as_ref() {
            "network.unreachable" => 3,
            "store.locked" | "store.io" | "store.damaged" | "store.newer" | "store.unreadable" => 5,
            _ => 1,
        };
        Self { problem, code }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        error.problem().into()
    }
}

/// An open home folder with the command line's settings.
pub struct Context {
    pub driver: Driver,
    pub out: Out,
    /// The home folder.
    pub home: PathBuf,
    round: Option<String>,
}

impl Context {
    pub async fn open(args: &Args, out: &Out) -> Result<Self, Failure> {
        let home = home(args)?;
        let driver = Driver::open(&home, args.insecure).await?;
        Ok(Self { driver, out: *out, home, round: args.round.clone() })
    }

    pub async fn run(&mut self, command: Command) -> Result<Reply, Failure> {
        Ok(self.driver.run(command).await?)
    }

    /// A school by its code or name, or by a part of its name that only one has.
    pub fn subject(&self, text: &str) -> Result<Subject, Failure> {
        let known = self.driver.engine().packets().flat_map(|packet| {
            packet.packet.schools.iter().map(|school| (&packet.packet.round.id, &school.school))
        });
        Ok(find::school(known, self.round.as_deref(), text)?)
    }

    /// The round: the one named, or the only one.
    pub fn round(&self) -> Result<RoundSummary, Failure> {
        let mut rounds: Vec<&RoundSummary> =
            self.driver.engine().packets().map(|packet| &packet.packet.round).collect();
        if let Some(wanted) = &self.round {
            rounds.retain(|round| round.id.as_str() == wanted);
        }
        match rounds.as_slice() {
            [round] => Ok((*round).clone()),
            [] => Err(Problem::new(
                "client.no_round",
                "还没有任务包：请先运行 duxue packet",
                "there is no work packet: run duxue packet first",
            )
            .into()),
            _ => Err(find::ambiguous_round(rounds.iter().map(|round| &round.id)).into()),
        }
    }

    /// Who looks at this round, for remembering what was shown.
    pub fn viewer<'a>(&'a self, round: &'a RoundId) -> Result<Viewer<'a>, Failure> {
        let identity = self.driver.engine().identity().ok_or(CommandError::NotLoggedIn)?;
        Ok(Viewer { home: &self.home, person: &identity.person, round })
    }

    pub fn wanted_round(&self) -> Result<Option<RoundId>, Failure> {
        self.round.as_ref().map(|round| parsed(round)).transpose()
    }

    /// Names of indicators in a round.
    pub fn names(&self, round: &RoundId) -> Names {
        Names::of(self.driver.engine().packets().find(|packet| packet.packet.round.id == *round))
    }

    /// Whether the person has a role in the round.
    pub fn has_role(&self, round: &RoundId, role: Role) -> bool {
        let mut packets = self.driver.engine().packets();
        packets.any(|packet| packet.packet.round.id == *round && packet.packet.roles.contains(&role))
    }

    /// The name of whoever wrote an op, or the beginning of its actor.
    pub fn person(&self, round: &RoundId, op: &OpId) -> String {
        let name = self.driver.engine().name_of(round, op.actor());
        name.unwrap_or_else(|| op.actor().chars().take(8).collect())
    }

    /// Says so where the round's figures are made up.
    pub fn synthetic(&self, round: &RoundId) {
        let mut known = self.driver.engine().packets().map(|packet| &packet.packet.round);
        if known.any(|known| known.id == *round && known.settings.synthetic) {
            self.out.line("（本县数据为合成演示数据）", "(this county's figures are synthetic)");
        }
    }

    /// The name of a school as people know it.
    pub fn school_name(&self, school: &SchoolId) -> String {
        let schools = self.driver.engine().packets().flat_map(|packet| &packet.packet.schools);
        let mut named = schools.filter(|known| known.school.id == *school);
        named.next().map_or_else(|| school.to_string(), |known| known.school.name.clone())
    }
}

/// The home folder.
pub fn home(args: &Args) -> Result<PathBuf, Failure> {
    if let Some(home) = &args.home {
        return Ok(home.clone());
    }
    std::env::home_dir().map(|home| home.join(".duxue")).ok_or_else(|| {
        Problem::new(
            "store.io",
            "找不到用户目录：请用 --home 指定数据目录",
            "there is no home directory: name one with --home",
        )
        .into()
    })
}

/// Reads an id or a path from the command line.
pub fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| {
        Problem::new("cli.bad_argument", "参数写得不对", "an argument cannot be read")
            .with_detail(format!("{text}: {error}"))
            .into()
    })
}
