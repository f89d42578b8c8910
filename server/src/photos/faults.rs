//! What can be wrong with an upload.

use duxue_protocol::problem::Problem;
use warp::http::StatusCode;

use crate::fault::Fault;

macro_rules! faults {
    ($($name:ident $status:literal $code:literal $zh:literal $en:literal;)*) => {
        $(pub(super) fn $name() -> Fault {
            let problem = Problem::new(concat!("photo.", $code), $zh, $en);
            Fault { status: StatusCode::from_u16($status).unwrap_or(StatusCode::BAD_REQUEST), problem }
        })*
        #[cfg(test)]
        pub(super) const ALL: &[fn() -> Fault] = &[$($name),*];
    };
}

faults! {
    version 412 "version" "不支持的 tus 协议版本。" "This version of tus is not supported.";
    method 405 "method" "此地址不支持该操作。" "This address does not support that method.";
    header 400 "header" "请求头缺失或有误。" "A header is missing or wrong.";
    metadata 400 "metadata" "Upload-Metadata 须含 sha256、round、school。" "Upload-Metadata must hold sha256, round and school.";
    deferred 400 "deferred" "须在创建时给出 Upload-Length。" "Upload-Length must be given at creation.";
    empty 400 "empty" "照片不能为空。" "A photo cannot be empty.";
    content_type 415 "content_type" "内容类型须为 application/offset+octet-stream。" "The content type must be application/offset+octet-stream.";
    offset 409 "offset" "偏移量与服务器不一致，请先查询。" "The offset differs from the server's; ask for it first.";
    preempted 409 "preempted" "同一照片的另一个连接接管了上传。" "Another connection took over this upload.";
    idle 408 "idle" "连接长时间没有数据，已收到的部分已保存。" "The connection sent nothing for too long; what came is kept.";
    broken_off 400 "broken_off" "连接中断，已收到的部分已保存。" "The connection broke off; what came is kept.";
    checksum_algorithm 400 "checksum_algorithm" "只支持 sha1 和 sha256 校验。" "Only sha1 and sha256 checksums are supported.";
    checksum 460 "checksum" "本段校验不符，已丢弃，请重发本段。" "The checksum of this part does not match; send it again.";
    hash 460 "hash" "照片内容与声明的 SHA-256 不符，请重新上传。" "The photo differs from its declared SHA-256; upload it again.";
    length_differs 409 "length_differs" "同一照片的长度与已收到的不同。" "A photo of this hash is here with another length.";
    gone 410 "gone" "上传已过期，请重新开始。" "The upload has expired; start again.";
    too_large 413 "too_large" "超过大小限制。" "Larger than the limit.";
    too_many 429 "too_many" "未完成的上传太多，请先完成或取消一些。" "Too many unfinished uploads; finish or cancel some.";
    person_full 429 "person_full" "本轮次中您上传的照片已达限额，请联系管理员。" "You have brought as many photos in this round as anyone may; tell the operator.";
    disk_full 507 "disk_full" "服务器磁盘已满，已收到的部分已保存。" "The server's disk is full; what came is kept.";
    no_room 507 "no_room" "服务器磁盘空间不足，暂不接收照片；测量数据照常接收。请通知管理员。" "The server has too little room for photos just now; measurements are still taken. Tell the operator.";
    disk 503 "disk" "服务器暂时无法读写，请稍后重试。" "The server cannot read or write just now; try again later.";
    not_derived 404 "not_derived" "缩略图尚未生成或无法生成。" "There is no thumbnail, or not yet.";
    damaged 500 "damaged" "服务器上的照片已损坏，已报告管理员。" "The photo is damaged on the server; the operator was told.";
}

/// A disk fault as an answer.
pub(super) fn io(error: &std::io::Error) -> Fault {
    tracing::error!(%error, "photo storage failed");
    if error.kind() == std::io::ErrorKind::StorageFull { disk_full() } else { disk() }
}
