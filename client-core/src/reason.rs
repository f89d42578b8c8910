//! Why a connection ended, in words for people.

use duxue_protocol::problem::Problem;

/// The server said nothing while something was owed.
pub const SILENCE: Problem = Problem::new(
    "link.silence",
    "服务器没有回应，稍后自动重新连接",
    "the server says nothing; connecting again soon",
);

/// The connection was not opened, or nobody answered the greeting.
pub const NO_ANSWER: Problem = Problem::new(
    "link.no_answer",
    "服务器没有应答，稍后自动重新连接",
    "the server does not answer; connecting again soon",
);

/// The other side ended the connection without a word.
pub const CLOSED: Problem = Problem::new(
    "link.closed",
    "连接已断开，稍后自动重新连接",
    "the connection ended; connecting again soon",
);

/// A frame that is no message.
pub const BAD_FRAME: Problem = Problem::new(
    "sync.bad_frame",
    "服务器发来的数据无法读取，将重新连接",
    "the server sent something unreadable; connecting again",
);

/// A document was stated again under a new actor, which needs a new connection.
pub const WRITTEN_AGAIN: Problem = Problem::new(
    "sync.written_again",
    "本机数据曾被恢复到较早的状态：尚未送达的内容已重新写入，旧数据另行保留",
    "this device's data was put back to an earlier state: what was not delivered is written again, and the old data is kept aside",
);

/// A document that is only read here is another on the server than it was,
/// which needs a new connection.
pub const TAKEN_AGAIN: Problem = Problem::new(
    "sync.taken_again",
    "服务器的数据曾被恢复到较早的状态：他人的一份资料已重新取得，旧数据另行保留",
    "the server's data was put back to an earlier state: a document of others is fetched again, and the old data is kept aside",
);

/// The server could not merge some of what this device sent.
pub const STATED_AGAIN: Problem = Problem::new(
    "sync.stated_again",
    "服务器无法合并本机的部分内容：已重新写入，旧数据另行保留",
    "the server could not merge some of what this device sent: it is written again, and the old data is kept aside",
);

/// A supervisor left out some of what this device sent.
pub const LEFT_OUT: Problem = Problem::new(
    "sync.left_out",
    "督导负责人未采用本机已送达的部分内容，本机不再计入；其余内容已重新写入，旧数据另行保留",
    "a supervisor left out some of what this device sent, and it no longer counts here; the rest is written again, and the old data is kept aside",
);

/// This device has what a restored server lost of somebody else, who has written
/// something else since.
pub const CLASH: Problem = Problem::new(
    "sync.clash",
    "服务器的数据曾被恢复到较早的状态：本机留有他人的另一份记录，正在送回服务器保存，之后照常同步",
    "the server's data was put back to an earlier state: this device has another record of somebody else's, brings it back to the server, and goes on then",
);

/// What the server sent of a document cannot be used.
pub const BAD_MESSAGE: Problem = Problem::new(
    "sync.bad_message",
    "服务器发来的一份资料本机无法使用：其他资料照常同步，请告诉管理员",
    "what the server sent of one document cannot be used here: all others go on; tell the operator",
);

/// The codes with which the server ends a connection, as `docs/sync.md` lists
/// them, with what they mean to the person with the device.
const SERVER: [(&str, &str, &str); 19] = [
    ("session.", "登录已失效", "the log-in has ended"),
    (
        "held.",
        "等待负责人处理的内容已满：请负责人先处理，之后会自动再送",
        "what waits for a supervisor is full: a supervisor has to decide first; it is sent again later",
    ),
    (
        "scan.over_limit",
        "服务器不接收这份资料：内容超过限额，请告诉管理员",
        "the server does not take this document: it is over a limit; tell the operator",
    ),
    (
        "frame.too_large",
        "服务器不接收这份资料：内容超过限额，请告诉管理员",
        "the server does not take this document: it is over a limit; tell the operator",
    ),
    (
        "scan.",
        "服务器无法读取这份资料，请告诉管理员",
        "the server cannot read this document; tell the operator",
    ),
    (
        "chunk.",
        "服务器无法读取这份资料，请告诉管理员",
        "the server cannot read this document; tell the operator",
    ),
    (
        "sync.",
        "服务器无法读取这份资料，请告诉管理员",
        "the server cannot read this document; tell the operator",
    ),
    (
        "change.set_aside",
        "服务器无法使用这份资料中的一处内容，已另行保留，请告诉管理员",
        "the server cannot use a change of this document and keeps it aside; tell the operator",
    ),
    (
        "journal.person_full",
        "此账号一天内写入的内容已达限额：稍后会自动再送，也请告诉管理员",
        "this account has had as much written as anyone may in a day: it is sent again later; tell the operator",
    ),
    ("restart", "服务器正在重启，稍后自动重新连接", "the server restarts; connecting again soon"),
    ("store.", "服务器暂时无法保存，稍后再试", "the server cannot store anything now; trying again later"),
    (
        "document.heads",
        "这份资料在多台设备上各自修改过多：请让其他设备先同步，稍后再试",
        "too many devices changed this document without knowing of each other: let the others sync first, then try again",
    ),
    (
        "document.full",
        "服务器不接收这份资料：内容超过限额，请告诉管理员",
        "the server does not take this document: it is over a limit; tell the operator",
    ),
    (
        "document.failed",
        "服务器暂时无法处理这份资料，稍后再试",
        "the server failed with this document; trying again later",
    ),
    (
        "connections.too_many",
        "此账号的连接太多：请关闭其他设备上的程序",
        "too many connections of this account: close others",
    ),
    ("documents.too_many", "同步的资料太多，请告诉管理员", "too many documents at once; tell the operator"),
    (
        "join.",
        "服务器不接受这次连接，请告诉管理员",
        "the server does not accept this connection; tell the operator",
    ),
    ("ping.", "连接中断过久，稍后自动重新连接", "the connection was away too long; connecting again soon"),
    ("", "服务器结束了连接，稍后自动重新连接", "the server ended the connection; connecting again soon"),
];

/// The server's last word before it closed. A code that is no code of ours is
/// only the detail: a stranger's text is never a code.
pub fn of_server(message: &str) -> Problem {
    let is_code = message.len() <= 64
        && !message.is_empty()
        && message.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
    let row = SERVER.iter().find(|(prefix, ..)| is_code && message.starts_with(prefix));
    match row {
        Some((_, zh, en)) => Problem {
            code: message.to_owned().into(),
            message_zh: (*zh).into(),
            message_en: (*en).into(),
            detail: None,
        },
        None => CLOSED.with_detail(message.chars().take(200).collect::<String>()),
    }
}

/// Whether a refusal is about what one document holds, so that the others
/// could go on without it.
pub fn is_about_a_document(message: &str) -> bool {
    const ABOUT: [&str; 7] = ["held.", "scan.", "chunk.", "sync.", "change.", "document.", "frame.too_large"];
    ABOUT.iter().any(|prefix| message.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_code_and_words_in_both_languages() {
        let cases = [
            ("held.person_full", "held.person_full", true),
            ("journal.person_full", "journal.person_full", false),
            ("scan.over_limit", "scan.over_limit", true),
            ("document.failed", "document.failed", true),
            ("documents.too_many", "documents.too_many", false),
            ("store.full", "store.full", false),
            ("something.new", "something.new", false),
            ("<b>Hello</b>", "link.closed", false),
            ("", "link.closed", false),
        ];
        for (message, code, about) in cases {
            let problem = of_server(message);
            assert_eq!(problem.code, code);
            assert!(!problem.message_zh.is_ascii() && problem.message_en.is_ascii(), "{problem:?}");
            assert_eq!(is_about_a_document(message), about, "{message}");
        }
        assert_ne!(of_server("scan.over_limit").message_en, of_server("scan.checksum").message_en);
    }
}
