//! `cargo xtask run`: a server on an embedded store with the demonstration
//! county, set up through the server's own interface.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::demo::{self, COUNTY_CODE, COUNTY_NAME, County, SEED, field};
use crate::process::{Failure, Outcome, cargo, root, run as finish, target_dir};
use crate::web;

/// The round's id.
const ROUND: &str = "demo-2026";

/// People of the desk: log-in name, name as shown, role, password. The county
/// is synthetic and the server listens on loopback, so these may be known.
const DESK: [(&str, &str, &str, &str); 2] = [
    ("bureau", "示例县教体局", "bureau", "duxue-demo-bureau"),
    ("supervisor", "示例县督导室", "supervisor", "duxue-demo-supervisor"),
];
const ADMINISTRATOR: (&str, &str) = ("admin", "duxue-demo-admin");

/// What to run.
pub struct Options {
    /// Whether to begin with an empty folder.
    pub fresh: bool,
    /// Whether to build with optimisation.
    pub release: bool,
    /// Where to listen.
    pub listen: SocketAddr,
}

/// Builds the programs, sets the county up where it is not yet, says how to
/// log in, and serves until interrupted.
///
/// # Errors
/// [`Failure`] if a program does not build or the server refuses something.
pub fn run(options: &Options) -> Outcome {
    if !options.listen.ip().is_loopback() {
        let why = "the demonstration's passwords are known to everyone, so it listens on loopback only";
        return Err(Failure(format!("{}: {why}", options.listen)));
    }
    let mut build = cargo(&["build", "--locked", "-p", "duxue-server", "-p", "duxue-client"]);
    if options.release {
        build.arg("--release");
    }
    finish(&mut build)?;
    // The server serves without the app too.
    if let Err(Failure(why)) = web::can_build().and_then(|()| web::step()) {
        println!("the web app is not built: {why}");
    }
    let folder = root().join("data/demo");
    if options.fresh && folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
    }
    demo::write(&folder.join("county"))?;
    let programs = target_dir().join(if options.release { "release" } else { "debug" });
    let server = Server {
        program: programs.join("duxue-server"),
        data: folder.join("server"),
        listen: options.listen,
    };
    // Set up by a first start. It is ended by force: what it acknowledged is
    // on disk, and the second start shows it.
    let mut first = server.start()?;
    let codes = set_up(&first.address, &folder.join("county"));
    first.end();
    let codes = codes?;
    write_tour(&programs, &folder, options.listen, &codes)?;
    show(&folder, options.listen, &codes);
    server.become_server()
}

/// Serves a new demonstration county on a free port, by the server in the
/// folder of programs, while `what` runs, which is given the address.
///
/// # Errors
/// As for [`run`], and what `what` gives.
pub fn served(folder: &Path, programs: &Path, what: impl FnOnce(&str) -> Outcome) -> Outcome {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
    }
    demo::write(&folder.join("county"))?;
    let server = Server {
        program: programs.join("duxue-server"),
        data: folder.join("server"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let mut running = server.start()?;
    let outcome = set_up(&running.address, &folder.join("county")).and_then(|_codes| what(&running.address));
    running.end();
    outcome
}

struct Server {
    program: PathBuf,
    data: PathBuf,
    listen: SocketAddr,
}

struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn end(&mut self) {
        // The only error is that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Settings of the person's shell are for other servers.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUXUE_"))
        {
            command.env_remove(name);
        }
        command
            .args(["serve", "--listen", &self.listen.to_string(), "--data"])
            .arg(&self.data)
            .current_dir(root());
        command
            .env("DUXUE_ADMINISTRATOR", ADMINISTRATOR.0)
            .env("DUXUE_ADMINISTRATOR_PASSWORD", ADMINISTRATOR.1);
        if web::is_built() {
            command.env("DUXUE_WEB", web::built());
        }
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn");
        }
        command
    }

    /// Starts the server and waits until it says where it listens.
    fn start(&self) -> Outcome<Running> {
        let failed = |what: String| Failure(format!("{}: {what}", self.program.display()));
        let mut child =
            self.command().stdout(Stdio::piped()).spawn().map_err(|error| failed(error.to_string()))?;
        let lines = child.stdout.take().map(|output| BufReader::new(output).lines());
        let address = lines
            .into_iter()
            .flatten()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening: ").map(str::to_owned));
        match address {
            Some(address) => Ok(Running { child, address }),
            None => {
                let status = child.wait().map_err(|error| failed(error.to_string()))?;
                Err(failed(format!("ended before it listened ({status})")))
            }
        }
    }

    /// Serves in place of this process, so that signals reach the server.
    #[cfg(unix)]
    fn become_server(&self) -> Outcome {
        use std::os::unix::process::CommandExt;
        Err(Failure(self.command().exec().to_string()))
    }

    #[cfg(not(unix))]
    fn become_server(&self) -> Outcome {
        finish(&mut self.command())
    }
}

/// A code for each inspector: name, school, sheet, code.
struct Code {
    inspector: &'static str,
    name: &'static str,
    school: String,
    code: String,
}

/// Makes the round, the county and the people where they are not there yet,
/// and new enrolment codes, since each works once.
fn set_up(address: &str, county: &Path) -> Outcome<Vec<Code>> {
    let mut api = Api { base: format!("http://{address}/api"), token: String::new() };
    let login = json!({ "name": ADMINISTRATOR.0, "password": ADMINISTRATOR.1 });
    let session = api.post("/login", &login)?;
    api.token = session["token"].as_str().unwrap_or_default().to_owned();
    let rounds = api.get("/rounds")?;
    if !rounds.as_array().is_some_and(|rounds| rounds.iter().any(|round| round["id"] == ROUND)) {
        open_round(&api, county)?;
    }
    let mut codes = Vec::new();
    for sheet in field::sheets(&County::draw(SEED)?)? {
        let enrolment = json!({
            "person_name": sheet.name, "person": sheet.inspector, "round": ROUND, "schools": [sheet.school],
        });
        let answer = api.post("/enrolments", &enrolment)?;
        codes.push(Code {
            inspector: sheet.inspector,
            name: sheet.name,
            school: sheet.school,
            code: answer["code"].as_str().unwrap_or_default().to_owned(),
        });
    }
    Ok(codes)
}

fn open_round(api: &Api, county: &Path) -> Outcome {
    let settings = json!({
        "as_of": "2026-09-01", "synthetic": true, "tolerance": { "length_m": "0.02", "width_m": "0.02" },
    });
    api.post(
        "/rounds",
        &json!({
            "id": ROUND, "name": format!("{COUNTY_NAME} 2026 年督导"), "jurisdiction": COUNTY_CODE,
            "standard": "cn-youzhi-2017", "settings": settings,
        }),
    )?;
    let register = county.join("register.xlsx");
    let bytes =
        std::fs::read(&register).map_err(|error| Failure(format!("{}: {error}", register.display())))?;
    api.post_bytes(&format!("/rounds/{ROUND}/import?filename=register.xlsx"), &bytes)?;
    for (login, name, role, password) in DESK {
        let person =
            json!({ "person": login, "name": name, "login": { "name": login, "password": password } });
        api.post("/people", &person)?;
        let assignment = json!({ "person": login, "role": role, "schools": [] });
        api.post(&format!("/rounds/{ROUND}/assignments"), &assignment)?;
    }
    Ok(())
}

/// From the project's folder if it is below it.
fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Writes `tour.sh`, which gives a shell one command for each person, so that
/// the README's tour can be pasted although the codes differ each time.
fn write_tour(programs: &Path, folder: &Path, listen: SocketAddr, codes: &[Code]) -> Outcome {
    let (duxue, data) = (short(&programs.join("duxue")), short(folder));
    let mut lines = vec![
        "# To be read by a shell in the project's folder: . data/demo/tour.sh".to_owned(),
        format!("server=http://{listen}"),
        format!("county={data}/county"),
    ];
    let person = |word: &str, home: &str| format!("{word}() {{ {duxue} --home {data}/{home} \"$@\"; }}");
    for code in codes {
        let word = code.inspector.split('-').next().unwrap_or(code.inspector);
        lines.push(person(word, code.inspector));
        lines.push(format!("{word}_code={}", code.code));
    }
    for (login, _, _, password) in DESK {
        lines.push(person(login, login));
        lines.push(format!("{login}_password={password}"));
    }
    let path = folder.join("tour.sh");
    std::fs::write(&path, lines.join("\n") + "\n")
        .map_err(|error| Failure(format!("{}: {error}", path.display())))
}

fn show(folder: &Path, listen: SocketAddr, codes: &[Code]) {
    println!("\n{COUNTY_NAME} · http://{listen} · synthetic, every figure and name");
    println!("\n桌面账号 / accounts of the desk (known to everyone: for this demonstration only)");
    println!("  {:<12} {}", ADMINISTRATOR.0, ADMINISTRATOR.1);
    for (login, _, _, password) in DESK {
        println!("  {login:<12} {password}");
    }
    println!("\n督学设备的一次性代码 / one-time codes for the inspectors' devices");
    for code in codes {
        println!("  {} {:<10} {}  {}", code.name, code.inspector, code.school, code.code);
    }
    if web::is_built() {
        println!("\n手机端 / the phone's app: http://{listen}/phone/  (或登记链接 / or /phone/#/enrol/CODE)");
        println!("桌面端 / the desk's app: http://{listen}/desk/");
    }
    println!("\n五分钟导览：在另一个终端、本目录中运行，然后照 README 逐行粘贴");
    println!("the five-minute tour: in another terminal, in this folder, then paste the README's lines");
    println!("  . {}/tour.sh", short(folder));
    println!("\n停止 / stop: Ctrl-C. 重新开始 / start again from nothing: cargo xtask run --fresh\n");
}

/// The server's HTTP interface, as far as it is needed here.
struct Api {
    base: String,
    token: String,
}

impl Api {
    fn get(&self, path: &str) -> Outcome<Value> {
        self.answer(path, self.agent().get(self.url(path)).header("Authorization", self.bearer()).call())
    }

    fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        let request = self.agent().post(self.url(path)).header("Authorization", self.bearer());
        self.answer(path, request.header("Content-Type", "application/json").send(body.to_string()))
    }

    fn post_bytes(&self, path: &str, body: &[u8]) -> Outcome<Value> {
        let request = self.agent().post(self.url(path)).header("Authorization", self.bearer());
        self.answer(path, request.send(body))
    }

    fn agent(&self) -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// The answer's JSON, null where there is none.
    fn answer(
        &self,
        path: &str,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Outcome<Value> {
        let failed = |what: String| Failure(format!("the server's answer to {}: {what}", self.url(path)));
        let mut response = sent.map_err(|error| failed(error.to_string()))?;
        let text = response.body_mut().read_to_string().map_err(|error| failed(error.to_string()))?;
        if !response.status().is_success() {
            return Err(failed(format!("{} {text}", response.status())));
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_passwords_are_never_served_to_a_network() {
        let listen = "0.0.0.0:7350".parse().expect("an address");
        let refused = run(&Options { fresh: false, release: false, listen });
        assert!(refused.is_err_and(|failure| failure.0.contains("loopback")));
    }
}
