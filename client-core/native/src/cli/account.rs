//! Enrolling, logging in, fetching the packet.

use std::io::{BufRead, IsTerminal, Write};

use duxue_client_core::identity::server_address;
use duxue_client_core::{Command, CommandError, Reply};

use super::context::{Context, Failure};
use crate::driver::insecure_problem;
use crate::network;

pub async fn enrol(cx: &mut Context, server: String, code: String, name: String) -> Result<(), Failure> {
    check_address(cx, &server)?;
    let reply = cx.run(Command::Enrol { server, code, device_name: name }).await?;
    welcome(cx, &reply);
    packet(cx).await
}

pub async fn login(cx: &mut Context, server: String, name: String) -> Result<(), Failure> {
    check_address(cx, &server)?;
    let password = password(cx)?;
    let reply = cx.run(Command::Login { server, name, password }).await?;
    welcome(cx, &reply);
    packet(cx).await
}

/// Known before anything secret is sent.
fn check_address(cx: &Context, server: &str) -> Result<(), Failure> {
    let address = server_address(server).ok_or(CommandError::BadAddress)?;
    if network::is_allowed(&address, cx.driver.is_insecure()) {
        Ok(())
    } else {
        Err(insecure_problem().into())
    }
}

fn welcome(cx: &Context, reply: &Reply) {
    if let Reply::Session { person, device, expires_ms } = reply {
        cx.out.json(&serde_json::json!({ "person": person, "device": device, "expires_ms": expires_ms }));
        cx.out.line(format!("已登录：{person}"), format!("logged in as {person}"));
    }
}

/// From the environment, a pipe, or a prompt.
fn password(cx: &Context) -> Result<String, Failure> {
    if let Ok(password) = std::env::var("DUXUE_PASSWORD") {
        return Ok(password);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let _ = write!(std::io::stderr(), "{}: ", cx.out.say("密码", "password"));
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|error| CommandError::BadValue(error.to_string()))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

pub async fn packet(cx: &mut Context) -> Result<(), Failure> {
    let round = cx.wanted_round()?;
    let reply = cx.run(Command::FetchPacket { round }).await?;
    if let Reply::Packets { rounds, schools } = &reply {
        cx.out.json(&serde_json::json!({ "rounds": rounds, "schools": schools }));
        let names = rounds.iter().map(|round| round.as_str()).collect::<Vec<_>>().join(", ");
        cx.out.line(
            format!("任务包已保存：{names}，{schools} 所学校"),
            format!("work packet saved: {names}, {schools} schools"),
        );
    }
    Ok(())
}

pub fn whoami(cx: &Context) -> Result<(), Failure> {
    let identity = cx.driver.engine().identity().ok_or(CommandError::NotLoggedIn)?;
    cx.out.json(&serde_json::json!({
        "person": identity.person, "device": identity.device, "server": identity.server,
        "clock_offset_ms": identity.clock_offset_ms, "server_key": identity.server_key,
    }));
    let (person, server) = (&identity.person, &identity.server);
    cx.out.line(format!("{person}，服务器 {server}"), format!("{person} at {server}"));
    Ok(())
}
