//! The command line's shape.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::by_hand::{ClassArgs, EquipmentArgs, GroundArgs, QuantityArgs, RoomArgs};

/// 语言 / language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// 中文
    Zh,
    /// English
    En,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    Yes,
    No,
}

/// 督学：离线采集、同步与评估 / inspection capture offline, sync and assessment.
///
/// 退出码 / exit codes: 0 完成 done; 1 被拒绝或有错 refused or wrong; 2 命令写错 usage;
/// 3 还有内容在等 something still waits; 4 回执无效 a receipt does not hold; 5 数据目录无法使用 home unusable
#[derive(Parser)]
#[command(name = "duxue", version)]
pub struct Args {
    /// 数据目录 / home folder (default: ~/.duxue)
    #[arg(long, global = true, env = "DUXUE_HOME")]
    pub home: Option<PathBuf>,
    /// 输出 JSON / machine-readable output, one JSON value a line
    #[arg(long, global = true)]
    pub json: bool,
    /// 语言 / language
    #[arg(long, global = true, env = "DUXUE_LANG", default_value = "zh")]
    pub lang: Lang,
    /// 督导轮次 / round, if there is more than one
    #[arg(long, global = true)]
    pub round: Option<String>,
    /// 允许不加密的远程地址 / allow http:// to other machines
    #[arg(long, global = true)]
    pub insecure: bool,
    #[command(subcommand)]
    pub command: Sub,
}

#[derive(Subcommand)]
pub enum Sub {
    /// 用一次性代码登记本设备 / join a server with a one-time code
    Enrol {
        /// 服务器地址 / address, https://host[:port]
        #[arg(long)]
        server: String,
        /// 一次性代码 / one-time code
        #[arg(long)]
        code: String,
        /// 设备名称 / what you call this device
        #[arg(long, default_value = "duxue")]
        name: String,
    },
    /// 桌面用户登录（密码从 DUXUE_PASSWORD、管道或提示读取）/ log in; password from DUXUE_PASSWORD, a pipe or a prompt
    Login {
        /// 服务器地址 / address
        #[arg(long)]
        server: String,
        /// 用户名 / account
        #[arg(long)]
        name: String,
    },
    /// 下载任务包 / fetch the work packet
    Packet,
    /// 当前身份 / who is logged in
    Whoami,
    /// 学校与进度 / schools with progress
    Schools,
    /// 一所学校的调查 / one survey with its open points
    Survey {
        /// 学校标识码或名称 / code or name
        school: String,
    },
    /// 批量录入 / record field sheets from a file
    Capture {
        /// 学校 / school
        school: String,
        /// JSON 行或 CSV 文件，- 为标准输入 / JSON lines or CSV, - for stdin
        #[arg(long)]
        batch: String,
    },
    /// 用房 / rooms
    Room {
        #[command(subcommand)]
        action: RoomAction,
    },
    /// 班级 / classes
    Class {
        #[command(subcommand)]
        action: ClassAction,
    },
    /// 运动场地 / grounds
    Ground {
        #[command(subcommand)]
        action: GroundAction,
    },
    /// 仪器设备 / equipment
    Equipment {
        #[command(subcommand)]
        action: EquipmentAction,
    },
    /// 数量 / quantities
    Quantity {
        #[command(subcommand)]
        action: QuantityAction,
    },
    /// 核查清单 / answer a checklist item
    Answer {
        /// 学校 / school
        school: String,
        /// 条目，如 A2-1 / item
        question: String,
        /// 是否符合 / answer
        answer: YesNo,
        /// 备注 / remark
        #[arg(long)]
        note: Option<String>,
    },
    /// 改写一个条目 / state an entry again: duxue set SCHOOL rooms/ID/size length_m=9 width_m=8
    Set {
        /// 学校 / school
        school: String,
        /// 条目路径 / entry path
        entry: String,
        /// 字段=值 / field=value
        #[arg(required = true)]
        values: Vec<String>,
        /// 备注 / remark
        #[arg(long)]
        note: Option<String>,
    },
    /// 标记一节已完成 / mark a section complete
    Complete {
        /// 学校 / school
        school: String,
        /// classes, rooms, grounds, equipment, quantities, checklist
        section: String,
        /// 取消标记 / take the mark back
        #[arg(long)]
        not: bool,
    },
    /// 照片 / photos
    Photo {
        #[command(subcommand)]
        action: PhotoAction,
    },
    /// 按已有的一项新增 / add an item like another
    Copy {
        /// 学校 / school
        school: String,
        /// 已有的项，如 rooms/ID / the item
        item: String,
        /// 不同之处，如 identity.number=102 / what differs: entry.field=value
        #[arg(required = true)]
        values: Vec<String>,
    },
    /// 撤销本机对一个条目的最后一次填写 / state again what the entry held before
    Undo {
        /// 学校 / school
        school: String,
        /// 条目路径 / entry path
        entry: String,
    },
    /// 学校一个条目的全部历史：谁先后填过什么 / everything ever stated about an entry of a school, and by whom
    History {
        /// 学校 / school
        school: String,
        /// 条目路径 / entry path
        entry: String,
    },
    /// 县级数据（教体局填写）/ the county's own figures and answers, written by the bureau
    County {
        #[command(subcommand)]
        action: CountyAction,
    },
    /// 删除一项（保留记录）/ say that an item is not there; its record stays
    Remove {
        /// 学校 / school
        school: String,
        /// 如 rooms/ID / the item
        item: String,
        /// 原因 / reason
        #[arg(long)]
        reason: String,
    },
    /// 离线指标预览 / offline indicator preview
    Preview {
        /// 学校 / school
        school: String,
    },
    /// 与服务器同步 / sync with the server
    Sync {
        /// 一直保持同步 / stay connected
        #[arg(long)]
        watch: bool,
        /// 多少秒没有进展就停止 / give up after this many seconds without progress
        #[arg(long, default_value = "45")]
        timeout: u64,
    },
    /// 还在本机等待发送的内容 / what is still only here, and why
    Outbox,
    /// 回执 / receipts
    Receipts {
        /// 逐一验证签名 / verify each signature
        #[arg(long)]
        verify: bool,
    },
    /// 待裁决的冲突 / open conflicts with the effect of each choice
    Conflicts {
        /// 学校 / school
        school: Option<String>,
    },
    /// 裁决一个冲突 / rule on a conflict
    Rule(RuleArgs),
    /// 采信条目 / accept entries
    Accept {
        /// 学校 / school
        school: String,
        /// 条目路径 / entry paths
        #[arg(required = true)]
        entries: Vec<String>,
        /// 代替查看记录，供脚本使用：看到的候选操作号和审核意见编号 / for scripts: the op ids of the candidates and the ids of the verdicts seen
        #[arg(long, num_args = 1..)]
        saw: Vec<String>,
    },
    /// 退回条目 / send entries back
    Return {
        /// 学校 / school
        school: String,
        /// 条目路径 / entry paths
        #[arg(required = true)]
        entries: Vec<String>,
        /// 原因 / reason
        #[arg(long)]
        reason: String,
        /// 代替查看记录，供脚本使用：看到的候选操作号和审核意见编号 / for scripts: the op ids of the candidates and the ids of the verdicts seen
        #[arg(long, num_args = 1..)]
        saw: Vec<String>,
    },
    /// 评估结果 / assessment of the county, or of one school
    Assessment {
        /// 学校 / school
        school: Option<String>,
    },
    /// 国家报表 表Ⅰ–Ⅵ / the national forms, filled in
    Forms {
        /// 只看一张表：I、II-1、II-2、III、IV、V、VI / one form only
        #[arg(long)]
        form: Option<String>,
        /// 输出 CSV / as CSV; with several forms, one after another
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// 假设分析 / what if: changes as JSON, - for stdin
    WhatIf {
        /// JSON 文件或 - / JSON file or -
        changes: String,
    },
    /// 导入学校名录和上报数据 / import register and declared figures
    Import {
        /// XLSX 或 CSV / XLSX or CSV
        file: PathBuf,
        /// 只检查 / check only
        #[arg(long)]
        dry_run: bool,
    },
    /// 被扣留待处理的更改 / changes held for a supervisor
    Held {
        /// 接收这一项 / admit this item into its document
        #[arg(long, conflicts_with = "leave")]
        admit: Option<u64>,
        /// 不接收这一项 / leave this item out
        #[arg(long)]
        leave: Option<u64>,
        /// 显示这一项的内容 / show what this item says
        #[arg(long, conflicts_with_all = ["admit", "leave"])]
        show: Option<u64>,
    },
    /// 服务器保留但无法使用的更改 / changes that the server keeps and can never use
    SetAside,
    /// 验证一份回执文件 / verify a receipt file
    VerifyReceipt {
        /// 回执 JSON / receipt JSON
        file: PathBuf,
        /// 服务器公钥（十六进制）/ server key in hex; default: the enrolled server's
        #[arg(long)]
        key: Option<String>,
    },
}

#[derive(Subcommand)]
pub enum RoomAction {
    /// 新增一间用房 / add a room
    Add(RoomArgs),
}

#[derive(Subcommand)]
pub enum ClassAction {
    /// 新增一个班 / add a class
    Add(ClassArgs),
}

#[derive(Subcommand)]
pub enum GroundAction {
    /// 新增一块场地 / add a ground
    Add(GroundArgs),
}

#[derive(Subcommand)]
pub enum EquipmentAction {
    /// 新增一种设备 / add equipment
    Add(EquipmentArgs),
}

#[derive(Subcommand)]
pub enum QuantityAction {
    /// 填写一个数量 / state a quantity
    Set(QuantityArgs),
}

#[derive(Subcommand)]
pub enum CountyAction {
    /// 本机所知的县级数据 / what this device knows of them
    Show,
    /// 填写一个数；两人填得不同时，再填一次即可定下 / state a figure; stating it again settles a conflict
    Set {
        /// 数量，如 survey_satisfaction_percent / quantity
        quantity: String,
        /// 值 / value
        value: String,
        /// 部分 / part
        #[arg(long, default_value = "whole")]
        part: String,
        /// 备注 / remark
        #[arg(long)]
        note: Option<String>,
    },
    /// 回答一个条目，如 A2-1 / answer an item
    Answer {
        /// 条目 / item
        question: String,
        /// 是否符合 / answer
        answer: YesNo,
        /// 备注 / remark
        #[arg(long)]
        note: Option<String>,
    },
    /// 批量录入 / record a sheet of figures and answers from a file
    Capture {
        /// JSON 行或 CSV 文件，- 为标准输入 / JSON lines or CSV, - for stdin
        #[arg(long)]
        batch: String,
    },
}

#[derive(Subcommand)]
pub enum PhotoAction {
    /// 添加照片并关联条目 / add a photo to the entries that it supports
    Add {
        /// 学校 / school
        school: String,
        /// 照片文件 / file
        file: PathBuf,
        /// 条目路径 / entry paths
        #[arg(long = "entry", required = true)]
        entries: Vec<String>,
    },
    /// 本机的照片 / photos on this device
    List,
    /// 重试被拒绝的照片 / try a refused photo again
    Retry {
        /// 照片的 SHA-256（可只写开头，至少 4 位）/ hash or its beginning, 4 characters at least
        photo: String,
    },
    /// 删除已有回执的照片的本机副本 / free local copies that a receipt covers
    Free,
}

#[derive(clap::Args)]
pub struct RuleArgs {
    /// 学校 / school
    pub school: String,
    /// 冲突：条目路径、项或其开头 / the conflict: entry path or item, or its beginning
    pub conflict: String,
    /// 采用第几个候选或其操作号 / candidate by number or op id
    #[arg(long, group = "choice")]
    pub select: Option<String>,
    /// 另定值：字段=值 / another value: field=value
    #[arg(long, group = "choice", num_args = 1..)]
    pub set: Vec<String>,
    /// 是同一项 / the items are one thing
    #[arg(long, group = "choice")]
    pub merge: bool,
    /// 是不同的项 / the items are different things
    #[arg(long, group = "choice")]
    pub separate: bool,
    /// 该项已不在 / the item is gone
    #[arg(long, group = "choice")]
    pub removed: bool,
    /// 该项仍在 / the item is there
    #[arg(long, group = "choice")]
    pub present: bool,
    /// 理由 / reason
    #[arg(long)]
    pub reason: String,
}
