//! What can go wrong, with a stable code and words for people.

use duxue_protocol::problem::Problem;

/// A command that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The store is not read yet, or cannot be used.
    #[error("the store is not open")]
    NotReady,
    /// Another person's work on this device is not on the server yet.
    #[error("another person's work waits")]
    OtherPersonsWork,
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// The server does not accept the log-in any more.
    #[error("the log-in has ended")]
    LoginNeeded,
    /// There is no packet of the round, or the school is not in it.
    #[error("the school is not in a work packet")]
    UnknownSchool,
    /// There is no packet of the round.
    #[error("the round has no work packet")]
    UnknownRound,
    /// The person may not write that document.
    #[error("not assigned")]
    NotAllowed,
    /// The value does not fit the entry.
    #[error("{0}")]
    BadValue(String),
    /// There is no such item.
    #[error("no such item")]
    UnknownItem,
    /// There is nothing to undo.
    #[error("nothing to undo")]
    NothingToUndo,
    /// A photo is named that was never added.
    #[error("unknown photo")]
    UnknownPhoto,
    /// Photos that an earlier receipt covers, and the server has not said on
    /// this connection that it has them.
    #[error("not confirmed on this connection")]
    Unconfirmed,
    /// The server's address cannot be used.
    #[error("not a server address")]
    BadAddress,
    /// The change is in memory but not on disk.
    #[error("the disk is full")]
    DiskFull,
    /// The change is in memory but not on disk.
    #[error("the store failed: {0}")]
    StoreFailed(String),
    /// The document could not be written.
    #[error("{0}")]
    Write(String),
    /// No answer came from the server.
    #[error("no answer from the server")]
    Unreachable(Box<Problem>),
    /// The server's answer cannot be read.
    #[error("the server's answer cannot be read")]
    BadAnswer,
    /// The server refused, in its own words.
    #[error("refused by the server")]
    Refused(Box<Problem>),
    /// A standard in the packet cannot be used.
    #[error("the standard cannot be used: {0}")]
    BadStandard(String),
}

impl CommandError {
    /// The error as people and programs see it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (code, zh, en) = match self {
            Self::Refused(problem) | Self::Unreachable(problem) => return (**problem).clone(),
            Self::NotReady => ("client.not_ready", "本机数据还没有打开", "the local data is not open yet"),
            Self::NotLoggedIn => (
                "client.not_logged_in",
                "还没有登录：请先运行 duxue enrol 或 duxue login",
                "nobody is logged in: run duxue enrol or duxue login first",
            ),
            Self::OtherPersonsWork => (
                "client.other_persons_work",
                "本机还有另一个人未送达的内容：请那个人先运行 duxue sync，或用 --home 换一个数据目录登录",
                "another person's work on this device is not delivered yet: that person runs duxue sync first, or log in with another --home",
            ),
            Self::LoginNeeded => (
                "client.login_needed",
                "登录已失效：请重新运行 duxue login 或 duxue enrol；本机数据不受影响",
                "the log-in has ended: run duxue login or duxue enrol again; local data is untouched",
            ),
            Self::UnknownSchool => (
                "client.unknown_school",
                "任务包里没有这所学校：请先运行 duxue packet，或核对学校标识码",
                "the school is not in the work packet: run duxue packet, or check the school's code",
            ),
            Self::UnknownRound => (
                "client.no_round",
                "还没有任务包：请先运行 duxue packet",
                "there is no work packet: run duxue packet first",
            ),
            Self::NotAllowed => (
                "client.not_allowed",
                "您在本轮督导中没有写这份资料的权限",
                "you may not write this document in this round",
            ),
            Self::BadValue(_) => ("capture.bad_value", "填写的值不符合要求", "the value does not fit"),
            Self::UnknownItem => ("capture.unknown_item", "没有这一项", "there is no such item"),
            Self::NothingToUndo => (
                "capture.nothing_to_undo",
                "没有可以撤销的内容：此前没有填写过",
                "nothing to undo: nothing was stated here before",
            ),
            Self::UnknownPhoto => ("capture.unknown_photo", "没有这张照片", "there is no such photo"),
            Self::Unconfirmed => (
                "photo.unconfirmed",
                "服务器还没有在本次连接中确认这些照片，本机照片没有删除：请联网，稍后再试",
                "the server has not confirmed these photos on this connection, and none was deleted: go online and try again in a moment",
            ),
            Self::BadAddress => (
                "client.bad_address",
                "服务器地址不对，应为 https://主机[:端口]",
                "not a server address; it should be https://host[:port]",
            ),
            Self::DiskFull => (
                "store.full",
                "存储空间已满：刚才的内容还没有保存，只在内存中，会自动重试。请先腾出空间，不要关闭",
                "the disk is full: this is not saved, only in memory, and will be retried; free some space before closing",
            ),
            Self::StoreFailed(_) => (
                "store.failed",
                "写入失败：刚才的内容还没有保存，只在内存中，会自动重试",
                "writing failed: this is not saved, only in memory, and will be retried",
            ),
            Self::Write(_) => ("capture.write", "无法写入", "it could not be written"),
            Self::BadAnswer => {
                ("network.bad_answer", "看不懂服务器的回答", "the server's answer cannot be read")
            }
            Self::BadStandard(_) => {
                ("standard.invalid", "任务包中的标准文件无效", "the standard in the work packet is not valid")
            }
        };
        let problem = Problem::new(code, zh, en);
        match self {
            Self::BadValue(detail)
            | Self::StoreFailed(detail)
            | Self::Write(detail)
            | Self::BadStandard(detail) => problem.with_detail(detail.clone()),
            _ => problem,
        }
    }
}

/// No answer came from the server; `detail` is what the system says of it.
#[must_use]
pub fn unreachable(detail: impl Into<String>) -> Problem {
    Problem::new(
        "network.unreachable",
        "连不上服务器：离线也可以继续采集，联网后再同步",
        "the server cannot be reached: go on capturing offline and sync later",
    )
    .with_detail(detail)
}
