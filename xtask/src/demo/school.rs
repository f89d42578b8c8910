//! One school of the demonstration county.

use rand_chacha::ChaCha8Rng;

use super::averages::{Averages, between, real, uniform, up};
use crate::process::{Failure, Outcome};

/// Requirements for primary and junior, in the unit of the item: teachers or
/// rooms per hundred pupils, m² or yuan per pupil.
const L1: [f64; 2] = [4.2, 5.3];
const L3: [f64; 2] = [0.9, 0.9];
const L4: [f64; 2] = [4.5, 5.8];
const L5: [f64; 2] = [7.5, 10.2];
const L6: [f64; 2] = [2000.0, 2500.0];
const L7: [f64; 2] = [2.3, 2.4];

/// A school with all that it declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct School {
    /// Ten digits that no real school has.
    pub id: String,
    /// Name, marked as synthetic.
    pub name: String,
    /// 办学类型 in words.
    pub kind: &'static str,
    /// 城区, 镇区 or 乡村.
    pub setting: &'static str,
    /// 举办者类型.
    pub sponsor: &'static str,
    /// Year of building.
    pub built: &'static str,
    /// 是 or 否.
    pub boarding: &'static str,
    /// Id of the parent school of a branch site.
    pub parent: Option<String>,
    /// 附设班 in words, or empty.
    pub attached: &'static str,
    /// Latitude and longitude in ten-thousandths of a degree.
    pub place: (u64, u64),
    /// Whether backbone teachers gather here.
    pub key: bool,
    /// The deliberate case, or empty.
    pub case: &'static str,
    /// Primary and junior part, where the school has them.
    pub stages: [Option<Stage>; 2],
    /// Pupils of the senior part.
    pub senior: Option<u64>,
    /// What is declared for the whole school.
    pub whole: Whole,
}

/// What is declared for one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// Pupils of each class.
    pub classes: Vec<u64>,
    /// 年级数.
    pub grades: u64,
    /// 专任教师.
    pub teachers: u64,
    /// 高于规定学历教师.
    pub above_degree: u64,
    /// 县级及以上骨干教师.
    pub backbone: u64,
    /// 体育艺术专任教师.
    pub pe_art: u64,
    /// 交流轮岗、兼职、走教 of them.
    pub pe_art_shared: u64,
}

impl Stage {
    /// 在校生.
    #[must_use]
    pub fn pupils(&self) -> u64 {
        self.classes.iter().sum()
    }
}

/// What is declared for the whole school. Areas are in hundredths of a m².
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    /// 教学及辅助用房, with 室内体育用房.
    pub teaching_area: u64,
    /// 室内体育用房.
    pub indoor_sports_area: u64,
    /// 室外运动场地.
    pub outdoor_sports_area: u64,
    /// 教学仪器设备资产值, yuan; `None` is an empty cell.
    pub equipment_value: Option<u64>,
    /// 网络多媒体教室.
    pub multimedia_rooms: u64,
    /// 音乐教室 one by one.
    pub music: Vec<u64>,
    /// 美术教室 one by one.
    pub art: Vec<u64>,
    /// 计算机.
    pub computers: u64,
    /// 图书.
    pub books: u64,
    /// 随迁子女.
    pub migrants: u64,
    /// 公用经费预算, yuan.
    pub public_funds: u64,
    /// 教师培训经费预算, yuan.
    pub training_funds: u64,
}

impl School {
    pub(super) fn draw(row: &[&'static str], averages: &Averages, random: &mut ChaCha8Rng) -> Outcome<Self> {
        let bad = || Failure(format!("schools.csv: {row:?}"));
        let [
            number,
            name,
            kind,
            setting,
            sponsor,
            built,
            boarding,
            parent,
            attached,
            primary,
            junior,
            senior,
            key,
            case,
        ] = row[..]
        else {
            return Err(bad());
        };
        let count = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<u64>() };
        let number: u64 = number.parse().map_err(|_| bad())?;
        let pupils = [count(primary).map_err(|_| bad())?, count(junior).map_err(|_| bad())?];
        let senior = count(senior).map_err(|_| bad())?;
        let parent = if parent.is_empty() { None } else { Some(id(parent.parse().map_err(|_| bad())?)) };
        let mut school = Self {
            id: id(number),
            name: format!("{name}（合成）"),
            kind,
            setting,
            sponsor,
            built,
            boarding,
            parent,
            attached,
            place: (between(random, 399_200, 400_800), between(random, 1_163_900, 1_165_700)),
            key: key == "1",
            case,
            stages: [None, None],
            senior: (senior > 0).then_some(senior),
            whole: Whole::default(),
        };
        for (stage, pupils) in pupils.into_iter().enumerate().filter(|(_, pupils)| *pupils > 0) {
            school.stages[stage] = Some(school.draw_stage(stage, pupils, averages, random)?);
        }
        school.whole = school.draw_whole(averages, random)?;
        Ok(school)
    }

    fn draw_stage(
        &self,
        stage: usize,
        pupils: u64,
        averages: &Averages,
        random: &mut ChaCha8Rng,
    ) -> Outcome<Stage> {
        let largest = if stage == 0 { 45 } else { 50 };
        let small = matches!(self.kind, "教学点" | "特殊教育学校");
        let grades = if stage == 1 {
            3
        } else if self.kind == "教学点" {
            4
        } else {
            6
        };
        let full = pupils.div_ceil(largest - between(random, 2, 6));
        let classes = even_split(pupils, if small { grades } else { full.max(grades) });
        let per_hundred = |rate: f64| up(rate * real(pupils) / 100.0);
        let above_degree = per_hundred(L1[stage] * averages.above("L1", random)?);
        let pe_art = per_hundred(L3[stage] * averages.above("L3", random)?);
        let backbone_rate = if self.key { 1.9 } else { 0.87 + 0.25 * uniform(random) };
        let backbone = per_hundred(backbone_rate);
        let needed = real(pupils) / if stage == 0 { 15.5 } else { 12.0 };
        let teachers = up(needed).max(above_degree).max(classes.len() as u64).max(pe_art + backbone);
        Ok(Stage { classes, grades, teachers, above_degree, backbone, pe_art, pe_art_shared: 0 })
    }

    fn draw_whole(&self, averages: &Averages, random: &mut ChaCha8Rng) -> Outcome<Whole> {
        let quantity = |item: &str, required: [f64; 2], random: &mut ChaCha8Rng| -> Outcome<f64> {
            Ok(self.needed(required) * averages.above(item, random)?)
        };
        let share = match self.setting {
            "城区" => averages.get("indoor_share_urban")?,
            "镇区" => averages.get("indoor_share_town")?,
            _ => averages.get("indoor_share_rural")?,
        };
        // Tenths of a square metre are what drawings state.
        let net = up(10.0 * quantity("L4", L4, random)?) * 10;
        let indoor = up(real(net) * share / (1.0 - share) / 10.0) * 10;
        let sports = up(10.0 * quantity("L5", L5, random)?) * 10;
        let classes: u64 = self.stages.iter().flatten().map(|stage| stage.classes.len() as u64).sum();
        let rooms = classes.div_ceil(12);
        let pupils: Vec<u64> =
            self.stages.iter().map(|stage| stage.as_ref().map_or(0, Stage::pupils)).collect();
        let all = pupils.iter().sum::<u64>();
        // Schools below a hundred pupils are funded as if they had a hundred.
        let funded = if all < 100 { [100, 0] } else { [pupils[0], pupils[1]] };
        let public_funds =
            if self.kind == "特殊教育学校" { all * 8600 } else { funded[0] * 1150 + funded[1] * 1350 };
        Ok(Whole {
            teaching_area: net + indoor,
            indoor_sports_area: indoor,
            outdoor_sports_area: sports.saturating_sub(indoor),
            equipment_value: Some(up(quantity("L6", L6, random)? / 100.0) * 100),
            multimedia_rooms: up(quantity("L7", L7, random)? / 100.0),
            music: (0..rooms).map(|_| between(random, 960, 1120) * 10).collect(),
            art: (0..rooms).map(|_| between(random, 900, 1080) * 10).collect(),
            computers: all.div_ceil(8),
            books: all * between(random, 22, 32),
            migrants: all * between(random, 2, 14) / 100,
            public_funds,
            training_funds: public_funds * between(random, 52, 70) / 1000,
        })
    }

    /// Pupils weighted as the split of combined schools weighs them, in
    /// hundredths: 1 : 1.1 : 1.32, or 1 : 1.2 without a primary part.
    #[must_use]
    pub fn weighted_pupils(&self) -> u64 {
        let pupils = |stage: usize| self.stages[stage].as_ref().map_or(0, Stage::pupils);
        let senior = self.senior.unwrap_or(0);
        match (pupils(0), pupils(1)) {
            (primary, 0) => primary * 100,
            (0, junior) => junior * 100 + senior * 120,
            (primary, junior) => primary * 100 + junior * 110 + senior * 132,
        }
    }

    /// The whole-school quantity with which every stage just meets its requirement.
    fn needed(&self, [primary, junior]: [f64; 2]) -> f64 {
        let rate = match &self.stages {
            [Some(_), Some(_)] => primary.max(junior / 1.1),
            [Some(_), None] => primary,
            _ => junior,
        };
        rate * real(self.weighted_pupils()) / 100.0
    }
}

/// The id of the school with this number in the table.
#[must_use]
pub fn id(number: u64) -> String {
    format!("{}{number:04}", super::COUNTY_CODE)
}

/// As even classes as whole pupils allow.
fn even_split(pupils: u64, classes: u64) -> Vec<u64> {
    let (size, larger) = (pupils / classes, pupils % classes);
    (0..classes).map(|class| size + u64::from(class < larger)).collect()
}
