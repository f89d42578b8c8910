//! For the yardstick's own load generator, which knows nothing of rounds and
//! schools: a hook that hands out ids of surveys that its token may write, and
//! a server that it can start as often as it likes on emptied folders.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;
use crate::county::{Template, serve as our_server};
use crate::server::copy_folder;

/// Bytes of a request that can be one.
const REQUEST: u64 = 64 << 10;

/// Prepares the counties, prints how to start the generator, and serves the
/// hook until interrupted.
///
/// # Errors
/// What the server refuses.
pub async fn serve(server: &Path, data: &Path) -> Outcome {
    std::fs::create_dir_all(data).map_err(|error| format!("{}: {error}", data.display()))?;
    let folder = tempfile::tempdir_in(data).map_err(|error| error.to_string())?;
    let template = Template::prepare(server, folder.path().join("template"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let token = template.tokens.first().cloned().unwrap_or_default();
    println!(
        "sync-bench run --label ours --url 'ws://127.0.0.1:{{port}}/sync' \\\n  --token {token} --token-query token \
         --create-hook http://127.0.0.1:{port}/ \\\n  --spawn '{} serve --server {} --from {} --data {{data}} --port {{port}}'",
        own.display(),
        server.display(),
        template.data.display(),
    );
    let next = Arc::new(AtomicUsize::new(0));
    let answers = async {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket, Arc::clone(&template), Arc::clone(&next)));
        }
    };
    tokio::select! {
        () = answers => Err("the hook's socket failed".to_owned()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Hands out one survey after the other, and begins again after the last: the
/// generator empties the folder before each scenario, and none uses so many.
async fn answer(socket: TcpStream, template: Arc<Template>, next: Arc<AtomicUsize>) {
    let mut request = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        match (&mut request).take(REQUEST).read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim().is_empty() => break,
            Ok(_) => {}
        }
        let header = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        length = header.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(length);
    }
    // The id that the generator proposes is not looked at.
    if tokio::io::copy(&mut (&mut request).take(length), &mut tokio::io::sink()).await.is_err() {
        return;
    }
    let index = next.fetch_add(1, Ordering::Relaxed) % template.surveys.len().max(1);
    let Some(survey) = template.surveys.get(index) else { return };
    let body = serde_json::json!({ "documentId": survey.id.to_string() }).to_string();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    let answer = format!("{head}connection: close\r\n\r\n{body}");
    // A generator that has gone needs no answer.
    let _ = request.into_inner().write_all(answer.as_bytes()).await;
}

/// Becomes our server, on a copy of the prepared folder where there is nothing
/// yet. Returns only if it cannot.
pub fn become_server(from: &Path, data: &Path, port: u16, server: &Path) -> String {
    let empty = std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_none());
    if (empty || !data.exists())
        && let Err(error) = copy_folder(from, data)
    {
        return format!("{}: {error}", data.display());
    }
    let mut command = our_server(server, data, port);
    // The generator has one log-in for all its clients.
    command.env("DUXUE_LIMITS_CONNECTIONS_PER_PERSON", "1000");
    command.exec().to_string()
}
