//! What is captured by hand, one thing a command, as records of a sheet.

use super::args::YesNo;
use super::batch::Record;

#[derive(clap::Args)]
pub struct RoomArgs {
    /// 学校 / school
    pub school: String,
    /// 楼 / building
    #[arg(long)]
    building: Option<String>,
    /// 房号 / number
    #[arg(long)]
    number: String,
    /// classroom, music, art, laboratory, computer, library, indoor_sports, counselling, other
    #[arg(long)]
    purpose: String,
    /// primary, junior
    #[arg(long)]
    stage: Option<String>,
    #[command(flatten)]
    size: SizeArgs,
    /// 网络多媒体教室 / networked multimedia
    #[arg(long)]
    multimedia: Option<YesNo>,
    #[command(flatten)]
    extra: Extra,
}

#[derive(clap::Args)]
pub struct SizeArgs {
    /// 长（米）/ length in metres
    #[arg(long, requires = "width", conflicts_with = "area")]
    length: Option<String>,
    /// 宽（米）/ width in metres
    #[arg(long, requires = "length", conflicts_with = "area")]
    width: Option<String>,
    /// 面积（平方米）/ area in m²
    #[arg(long)]
    area: Option<String>,
    /// 测量方法，如 tape、laser / how it was measured
    #[arg(long)]
    method: Option<String>,
}

#[derive(clap::Args)]
pub struct Extra {
    /// 照片 / photos
    #[arg(long = "photo")]
    photos: Vec<String>,
    /// 备注 / remark
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
pub struct ClassArgs {
    /// 学校 / school
    pub school: String,
    /// primary, junior
    #[arg(long)]
    stage: String,
    /// 年级 / grade
    #[arg(long)]
    grade: String,
    /// 班号 / number
    #[arg(long)]
    number: String,
    /// 学生数 / pupils
    #[arg(long)]
    pupils: Option<String>,
    #[command(flatten)]
    extra: Extra,
}

#[derive(clap::Args)]
pub struct GroundArgs {
    /// 学校 / school
    pub school: String,
    /// outdoor, rooftop, basement, leased
    #[arg(long)]
    kind: String,
    /// 名称 / name
    #[arg(long)]
    name: String,
    #[command(flatten)]
    size: SizeArgs,
    #[command(flatten)]
    extra: Extra,
}

#[derive(clap::Args)]
pub struct EquipmentArgs {
    /// 学校 / school
    pub school: String,
    /// 目录编号 / catalogue code
    #[arg(long)]
    code: String,
    /// 名称 / name
    #[arg(long)]
    name: String,
    /// 所在房间 / room
    #[arg(long)]
    room: Option<String>,
    /// 件数 / pieces
    #[arg(long)]
    count: Option<String>,
    /// 单价（元）/ yuan a piece
    #[arg(long)]
    unit_value: Option<String>,
    #[command(flatten)]
    extra: Extra,
}

#[derive(clap::Args)]
pub struct QuantityArgs {
    /// 学校 / school
    pub school: String,
    /// 数量，如 pupils:primary 或 computers / quantity with its part; part defaults to whole
    quantity: String,
    /// 值 / value
    value: String,
    #[command(flatten)]
    extra: Extra,
}

impl RoomArgs {
    pub fn record(self) -> Record {
        let mut record = Record::of("room", self.extra.photos, self.extra.note);
        record.put("building", self.building);
        record.put("number", Some(self.number));
        record.put("purpose", Some(self.purpose));
        record.put("stage", self.stage);
        record.put("multimedia", self.multimedia.map(|answer| (answer == YesNo::Yes).to_string()));
        self.size.put(&mut record);
        record
    }
}

impl SizeArgs {
    fn put(self, record: &mut Record) {
        record.put("length_m", self.length);
        record.put("width_m", self.width);
        record.put("area_m2", self.area);
        record.put("method", self.method);
    }
}

impl ClassArgs {
    pub fn record(self) -> Record {
        let mut record = Record::of("class", self.extra.photos, self.extra.note);
        record.put("stage", Some(self.stage));
        record.put("grade", Some(self.grade));
        record.put("number", Some(self.number));
        record.put("pupils", self.pupils);
        record
    }
}

impl GroundArgs {
    pub fn record(self) -> Record {
        let mut record = Record::of("ground", self.extra.photos, self.extra.note);
        record.put("kind", Some(self.kind));
        record.put("name", Some(self.name));
        self.size.put(&mut record);
        record
    }
}

impl EquipmentArgs {
    pub fn record(self) -> Record {
        let mut record = Record::of("equipment", self.extra.photos, self.extra.note);
        record.put("code", Some(self.code));
        record.put("name", Some(self.name));
        record.put("room", self.room);
        record.put("count", self.count);
        record.put("unit_value_yuan", self.unit_value);
        record
    }
}

impl QuantityArgs {
    pub fn record(self) -> Record {
        let mut record = Record::of("quantity", self.extra.photos, self.extra.note);
        record.put("quantity", Some(self.quantity));
        record.put("value", Some(self.value));
        record
    }
}
