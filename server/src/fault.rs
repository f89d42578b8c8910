//! Errors of the HTTP interface: a status and a [`Problem`].
//!
//! "Not yours" is the same answer as "not there": [`not_found`].

use duxue_protocol::problem::Problem;
use warp::http::StatusCode;

use crate::store::StoreError;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub problem: Problem,
}

impl Fault {
    const fn new(status: StatusCode, code: &'static str, zh: &'static str, en: &'static str) -> Self {
        Self { status, problem: Problem::new(code, zh, en) }
    }

    /// The same fault, saying what exactly.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.problem = self.problem.with_detail(detail);
        self
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $zh:literal, $en:literal;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub const fn $name() -> Fault {
                Fault::new(StatusCode::$status, $code, $zh, $en)
            }
        )*

        /// Every fault there is, for tests and the API description.
        pub const ALL: &[fn() -> Fault] = &[$($name),*];
    };
}

faults! {
    /// No such thing, or not one that the session may see.
    not_found = NOT_FOUND, "not_found", "没有这项内容，或无权查看。", "Not there, or not yours to see.";
    /// The method does not fit the path.
    method = METHOD_NOT_ALLOWED, "method", "此地址不支持该操作。", "This address does not support that method.";
    /// No valid token.
    not_logged_in = UNAUTHORIZED, "session.missing", "请先登录；登录可能已过期。", "Log in first; the session may have expired.";
    /// Unknown name or wrong password: one answer for both.
    login_refused = UNAUTHORIZED, "login.refused", "用户名或密码不正确。", "Name or password is not right.";
    /// Too many failures for a name.
    login_too_many = TOO_MANY_REQUESTS, "login.too_many", "尝试次数过多，请稍后再试。", "Too many attempts; try again later.";
    /// The person has as many sessions as anyone may.
    too_many_sessions = TOO_MANY_REQUESTS, "login.sessions", "此账号的登录太多：请在其他设备或窗口退出登录后再试。", "This account has too many log-ins; log out elsewhere first.";
    /// Unknown, used or expired code: one answer for all.
    code_refused = UNAUTHORIZED, "enrol.refused", "登记代码无效、已使用或已过期。", "The code is not valid, was used or has expired.";
    /// The device's answer to its challenge does not hold.
    device_refused = UNAUTHORIZED, "device.refused", "设备验证未通过，请重新注册设备。", "The device could not prove itself; enrol it again.";
    /// The body or a parameter cannot be read.
    bad_request = BAD_REQUEST, "request.malformed", "请求内容无法识别。", "The request cannot be read.";
    /// A value is of the right form but makes no sense.
    invalid = UNPROCESSABLE_ENTITY, "request.invalid", "请求中的值不成立。", "A value in the request does not hold.";
    /// The body is too large.
    too_large = PAYLOAD_TOO_LARGE, "request.too_large", "内容超过大小限制。", "The body is larger than the limit.";
    /// The body needs a Content-Length.
    length_required = LENGTH_REQUIRED, "request.length_required", "请求须注明内容长度。", "The request must state its content length.";
    /// The content type is not one that the route takes.
    media_type = UNSUPPORTED_MEDIA_TYPE, "request.media_type", "不支持该内容类型。", "This content type is not supported.";
    /// The request took too long.
    timeout = REQUEST_TIMEOUT, "request.timeout", "请求处理超时，请重试。", "The request took too long; try again.";
    /// Something with this id is there already.
    exists = CONFLICT, "exists", "该编号已存在。", "Something with this id is there already.";
    /// The named standard is not known to this server.
    unknown_standard = UNPROCESSABLE_ENTITY, "round.standard", "本服务器没有该标准。", "This server does not know the standard.";
    /// The item was already decided.
    decided = CONFLICT, "held.decided", "该项已处理。", "This item was decided already.";
    /// The item waits for others, which the detail names.
    held_waits = CONFLICT, "held.waits", "该项依赖于其他尚未采纳的更改，请先处理那些更改，或一并采纳。", "This item depends on changes that are not let in; decide about those first, or let them in together.";
    /// More than one commit takes.
    held_too_much = CONFLICT, "held.too_much", "一次处理的更改太多，请分几次处理。", "That is too much for one decision; decide about a part of it first.";
    /// Whoever captures must not review or rule in the same round, and the reverse.
    duties = CONFLICT, "assignment.duties", "同一轮次中，采集与审核、裁决须由不同的人承担。", "In one round, whoever captures may not review or rule.";
    /// Nobody decides about changes of their own.
    own_held = CONFLICT, "held.own", "本人的更改须由他人处理。", "Somebody else has to decide about your own changes.";
    /// The person has had as much written as anyone may in a day.
    journal_person_full = TOO_MANY_REQUESTS, "journal.person_full", "此账号一天内写入的内容已达限额，请稍后再试，或告诉管理员。", "This account has had as much written as anyone may in a day; try again later, or tell the operator.";
    /// The disk is full.
    store_full = INSUFFICIENT_STORAGE, "store.full", "服务器磁盘已满，内容未保存，请通知管理员。", "The server's disk is full; nothing was saved. Tell the operator.";
    /// The disk failed, or the store is closing.
    store_failed = SERVICE_UNAVAILABLE, "store.failed", "服务器暂时无法保存或读取，请稍后重试。", "The server cannot save or read just now; try again later.";
    /// What is stored of a document is damaged.
    document_damaged = INTERNAL_SERVER_ERROR, "document.damaged", "服务器上的这份资料已损坏，已报告管理员。", "This document is damaged on the server; the operator was told.";
    /// Not ready yet, or shutting down.
    not_ready = SERVICE_UNAVAILABLE, "not_ready", "服务尚未就绪。", "The service is not ready.";
    /// A defect of ours.
    internal = INTERNAL_SERVER_ERROR, "internal", "服务器内部错误，已记录。", "An internal error; it was recorded.";
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        match error {
            StoreError::Full => store_full(),
            _ => store_failed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_its_own_code_and_both_languages() {
        let mut codes = BTreeSet::new();
        for fault in ALL {
            let fault = fault();
            assert!(codes.insert(fault.problem.code.to_string()), "{} twice", fault.problem.code);
            assert!(fault.problem.message_zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)));
            assert!(fault.problem.message_en.is_ascii() && fault.problem.message_en.ends_with('.'));
            assert!(fault.status.is_client_error() || fault.status.is_server_error());
        }
    }
}
