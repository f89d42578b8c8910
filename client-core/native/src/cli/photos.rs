//! Photos and receipts.

use std::path::Path;

use duxue_client_core::photo::PhotoState;
use duxue_client_core::{Command, CommandError, NewPhoto, Reply};
use duxue_document::PhotoHash;
use duxue_protocol::problem::Problem;
use duxue_protocol::receipt::Receipt;

use super::args::{Args, PhotoAction};
use super::context::{self, Context, Failure, parsed};
use super::out::{Out, bytes};
use super::times;
use crate::driver::Driver;

pub async fn photo(cx: &mut Context, action: PhotoAction) -> Result<(), Failure> {
    match action {
        PhotoAction::Add { school, file, entries } => {
            let subject = cx.subject(&school)?;
            let entries = entries.iter().map(|entry| parsed(entry)).collect::<Result<_, _>>()?;
            let photo = store(cx, &file)?;
            let hash = photo.photo;
            cx.run(Command::AttachPhoto { subject, photo, entries, place: None }).await?;
            cx.out.json(&serde_json::json!({ "saved": true, "photo": hash }));
            cx.out.line(format!("已保存照片 {hash}"), format!("saved photo {hash}"));
            Ok(())
        }
        PhotoAction::List => {
            list(cx);
            Ok(())
        }
        PhotoAction::Retry { photo } => {
            let photo = pick(cx.driver.engine().photos().map(|record| record.photo), &photo)?;
            cx.run(Command::RetryPhoto { photo }).await?;
            super::sync::sync(cx, false, 45).await
        }
        PhotoAction::Free => {
            // Only what the server has now may go from here.
            super::sync::hear(cx).await?;
            let Reply::Freed { photos, bytes: count } = cx.run(Command::FreePhotos).await? else {
                return Err(CommandError::BadAnswer.into());
            };
            cx.out.json(&serde_json::json!({ "freed": photos, "bytes": count }));
            let (number, size) = (photos.len(), bytes(count));
            cx.out.line(
                format!("已删除 {number} 张有回执的照片副本，腾出 {size}"),
                format!("freed {number} photos that receipts cover, {size}"),
            );
            Ok(())
        }
    }
}

/// The shortest beginning of a hash that names a photo.
const HASH_LEAST: usize = 4;

/// The one photo whose hash begins so.
fn pick(known: impl Iterator<Item = PhotoHash>, beginning: &str) -> Result<PhotoHash, Failure> {
    if beginning.len() < HASH_LEAST {
        return Err(Problem::new(
            "cli.bad_argument",
            "请写照片 SHA-256 的至少前 4 位：用 duxue photo list 查看",
            "give at least 4 characters of the photo's hash: see duxue photo list",
        )
        .with_detail(beginning)
        .into());
    }
    let beginning = beginning.to_lowercase();
    let found: Vec<PhotoHash> = known.filter(|known| known.to_string().starts_with(&beginning)).collect();
    match found.as_slice() {
        [photo] => Ok(*photo),
        [] => Err(CommandError::UnknownPhoto.problem().with_detail(beginning).into()),
        _ => Err(Problem::new(
            "photo.ambiguous",
            "有几张照片符合：请把 SHA-256 写长一些",
            "several photos match: write more of the hash",
        )
        .with_detail(found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        .into()),
    }
}

/// Stores a photo's bytes under their hash.
pub fn store(cx: &Context, file: &Path) -> Result<NewPhoto, Failure> {
    let stored = cx.driver.store().put_photo(file);
    let (photo, length, media) = stored.map_err(|error| {
        Problem::new("photo.not_stored", "照片没有保存", "the photo was not stored")
            .with_detail(format!("{}: {error}", file.display()))
    })?;
    Ok(NewPhoto::new(photo, length, media))
}

fn list(cx: &Context) {
    let records: Vec<_> = cx.driver.engine().photos().collect();
    cx.out.json(&records);
    let row = |record: &&duxue_client_core::photo::PhotoRecord| {
        let state = match &record.state {
            PhotoState::Waiting => cx.out.say("等待发送", "waiting").to_owned(),
            PhotoState::Uploading { sent, .. } => format!("{} / {}", bytes(*sent), bytes(record.length)),
            PhotoState::Sent => cx.out.say("已发送，等回执", "sent, no receipt yet").to_owned(),
            PhotoState::Receipted { .. } => cx.out.say("有回执", "receipted").to_owned(),
            PhotoState::Freed { .. } => cx.out.say("有回执，本机已删", "receipted, freed here").to_owned(),
            PhotoState::Stuck { problem } => {
                format!("{}: {}", cx.out.say("被拒绝", "refused"), cx.out.words(problem))
            }
        };
        let hash = record.photo.to_string();
        vec![hash[..12].to_owned(), cx.school_name(&record.subject.school), bytes(record.length), state]
    };
    cx.out.table(
        &[("照片", "photo"), ("学校", "school"), ("大小", "size"), ("状态", "state")],
        records.iter().map(row).collect(),
    );
}

pub fn receipts(cx: &Context, verify: bool) -> Result<(), Failure> {
    let engine = cx.driver.engine();
    let key = engine.identity().map(|identity| identity.server_key.clone());
    let key = key.ok_or(CommandError::NotLoggedIn)?;
    let mut rows = Vec::new();
    let mut broken = 0;
    for receipt in engine.receipts() {
        let said = receipt.verify(&key);
        if verify {
            cx.out.json(&serde_json::json!({ "receipt": receipt, "holds": said.is_ok() }));
        } else {
            cx.out.json(receipt);
        }
        let (time, what) = match &said {
            Ok(said) => {
                let (journal, documents, photos) = (said.journal, said.heads.len(), said.photos.len());
                let zh = format!("日志号 {journal}：文档 {documents} 份，照片 {photos} 张");
                let en = format!("journal number {journal}: {documents} documents, {photos} photos");
                (times::moment(said.server_time_ms), cx.out.say(&zh, &en).to_owned())
            }
            Err(error) => {
                broken += 1;
                (String::new(), error.to_string())
            }
        };
        let holds = match (&said, verify) {
            (_, false) => "",
            (Ok(_), true) => cx.out.say("有效", "holds"),
            (Err(_), true) => cx.out.say("无效", "does not hold"),
        };
        rows.push(vec![time, what, holds.to_owned()]);
    }
    cx.out.table(&[("服务器时间", "server time"), ("内容", "states"), ("签名", "signature")], rows);
    if verify && broken > 0 { Err(Failure::invalid(invalid())) } else { Ok(()) }
}

fn invalid() -> Problem {
    Problem::new("receipt.invalid", "回执无效", "the receipt does not hold")
}

/// Verifies a receipt file; needs no home folder when the key is given.
pub async fn verify_file(args: &Args, file: &Path, key: Option<&str>, out: &Out) -> Result<(), Failure> {
    let key = match key {
        Some(key) => key.to_lowercase(),
        None => {
            let driver = Driver::open(&context::home(args)?, args.insecure).await?;
            let identity = driver.engine().identity().cloned().ok_or(CommandError::NotLoggedIn)?;
            identity.server_key
        }
    };
    let text = super::capture::read_source(&file.display().to_string())?;
    let receipt: Receipt = serde_json::from_str(&text)
        .map_err(|error| Failure::invalid(invalid().with_detail(error.to_string())))?;
    let said =
        receipt.verify(&key).map_err(|error| Failure::invalid(invalid().with_detail(error.to_string())))?;
    out.json(&serde_json::json!({ "holds": true, "statement": said }));
    let (heads, photos) = (said.heads.len(), said.photos.len());
    out.line(
        format!("回执有效：日志号 {}，{heads} 份文档，{photos} 张照片", said.journal),
        format!("the receipt holds: journal number {}, {heads} documents, {photos} photos", said.journal),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_names_a_photo_only_where_no_other_begins_so() {
        let hash = |first: u8, second: u8| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&[first, second]);
            PhotoHash(bytes)
        };
        let known = [hash(0xab, 0xcd), hash(0xab, 0xce), hash(0xff, 0x00)];
        for (beginning, expected) in [
            ("abcd", Ok(known[0])),
            ("ABCE", Ok(known[1])),
            ("ff00", Ok(known[2])),
            ("", Err("cli.bad_argument")),
            ("abc", Err("cli.bad_argument")),
            ("0000", Err("capture.unknown_photo")),
        ] {
            let found = pick(known.iter().copied(), beginning).map_err(|failure| failure.problem.code);
            assert_eq!(found, expected.map_err(Into::into), "{beginning}");
        }
        let twice = [hash(0xab, 0xcd), PhotoHash([0xab; 32]), PhotoHash([0xab; 32])];
        let found = pick(twice.into_iter(), "abab").map_err(|failure| failure.problem.code);
        assert_eq!(found, Err("photo.ambiguous".into()));
    }
}
