//! Effects as plain JavaScript objects, each with `effect` as its kind.

use duxue_client_core::{Effect, HttpBody, StorageTask};
use js_sys::{Array, Object, Reflect, Uint8Array};
use serde::Serialize;
use wasm_bindgen::JsValue;

/// The effect as `web/src/core/effects.ts` types it.
pub fn plain(effect: Effect) -> Object {
    match effect {
        Effect::Storage { id, task: StorageTask::LoadRange { prefix } } => {
            object("load", &[("id", id.0.into()), ("prefix", prefix.into())])
        }
        Effect::Storage { id, task: StorageTask::Write { puts, deletes } } => {
            let puts: Array = puts
                .into_iter()
                .map(|(key, bytes)| Array::of2(&key.into(), &Uint8Array::from(bytes.as_slice())))
                .collect();
            let deletes: Array = deletes.into_iter().map(JsValue::from).collect();
            object("write", &[("id", id.0.into()), ("puts", puts.into()), ("deletes", deletes.into())])
        }
        Effect::Connect { link, url } => object("connect", &[("link", link.0.into()), ("url", url.0.into())]),
        Effect::SendFrame { link, bytes } => {
            let bytes = Uint8Array::from(bytes.as_slice());
            object("send", &[("link", link.0.into()), ("bytes", bytes.into())])
        }
        Effect::Close { link } => object("close", &[("link", link.0.into())]),
        Effect::Http { id, request } => {
            let headers: Array = request
                .headers
                .into_iter()
                .map(|(name, value)| Array::of2(&name.into(), &value.into()))
                .collect();
            let mut fields = vec![
                ("id", id.0.into()),
                ("method", request.method.into()),
                ("url", request.url.into()),
                ("headers", headers.into()),
            ];
            match request.body {
                HttpBody::Empty => {}
                HttpBody::Json(text) => fields.push(("json", text.into())),
                HttpBody::Photo { photo, offset, length } => {
                    fields.push(("photo", photo.to_string().into()));
                    fields.push(("offset", offset.into()));
                    fields.push(("length", length.into()));
                }
            }
            object("http", &fields)
        }
        Effect::SetTimer { at_ms } => object("timer", &[("at_ms", at_ms.into())]),
        Effect::FreePhoto { photo } => object("free_photo", &[("photo", photo.to_string().into())]),
        Effect::Reply { id, result: Ok(reply) } => {
            object("reply", &[("id", id.0.into()), ("reply", json(&reply))])
        }
        Effect::Reply { id, result: Err(problem) } => {
            object("reply", &[("id", id.0.into()), ("problem", json(&problem))])
        }
        Effect::Notice(notice) => object("notice", &[("notice", json(&notice))]),
    }
}

fn object(kind: &str, fields: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in [("effect", kind.into())].iter().chain(fields) {
        // A plain object takes every property.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object
}

/// JSON text of our own types.
fn json<T: Serialize>(value: &T) -> JsValue {
    JsValue::from_str(&serde_json::to_string(value).unwrap_or_default())
}
