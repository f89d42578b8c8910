//! The words of 表Ⅳ and 表Ⅴ: the items in the order of the forms, and the
//! conclusion of each with the blanks that the form leaves.

use duxue_document::school::{SchoolKind, Stage};

/// A piece of a conclusion.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    /// Words, Chinese and English.
    Say(&'static str, &'static str),
    /// A figure of the county, whole.
    County(&'static str),
    /// A percentage of the county, with one decimal.
    Percent(&'static str),
    /// A sum in yuan, printed in 万元, whole.
    TenThousand(&'static str),
    /// The sum of figures of the county, whole.
    Sum(&'static [&'static str]),
    /// A quantity summed over all schools, whole.
    Schools(&'static str),
    /// One figure of the county in per cent of another, with one decimal.
    Ratio(&'static str, &'static str),
    /// The value of the item's condition at this place, with so many decimals.
    Value(usize, u32),
    /// A figure as the nation supplied it.
    AsGiven(&'static str),
    /// A level from one to four, in Roman numerals.
    Level(&'static str),
    /// How many schools of these kinds have more pupils than that.
    SchoolsAbove(&'static [SchoolKind], u32),
    /// How many classes of the stage have more pupils than that.
    ClassesAbove(Stage, u32),
    /// The pupils of schools with fewer than 100.
    SmallPupils,
    /// Their public funds, in yuan.
    SmallFunds,
}

/// One item.
pub(super) struct Item {
    /// The indicator.
    pub id: &'static str,
    /// Its words on the form.
    pub zh: &'static str,
    /// Its conclusion; empty where the form leaves it to the filer.
    pub says: &'static [Piece],
}

const fn item(id: &'static str, zh: &'static str, says: &'static [Piece]) -> Item {
    Item { id, zh, says }
}

use Piece::{
    AsGiven, ClassesAbove, County, Level, Percent, Ratio, Say, Schools, SchoolsAbove, SmallFunds,
    SmallPupils, Sum, TenThousand, Value,
};

/// 表Ⅳ 政府保障程度.
pub(super) const GOVERNMENT: &[Item] = &[
    item("A2-1", "县域内义务教育学校规划布局合理,符合国家规定要求", &[]),
    item(
        "A2-2",
        "县域内城乡义务教育学校建设标准统一、教师编制标准统一、生均公用经费基准定额统一、基本装备配置标准统一",
        &[],
    ),
    item(
        "A2-3",
        "所有小学、初中每12个班级配备音乐、美术专用教室1间以上;其中,每间音乐专用教室面积不小于96平方米,每间美术专用教室面积不小于90平方米",
        &[],
    ),
    item(
        "A2-4",
        "所有小学、初中学校规模不超过2000人,九年一贯制学校、十二年一贯制学校义务教育阶段规模不超过2500人",
        &[
            Say("超过2000人的小学", "more than 2000 pupils: primary schools "),
            SchoolsAbove(&[SchoolKind::Primary, SchoolKind::TeachingPoint], 2000),
            Say("所,初中", ", junior schools "),
            SchoolsAbove(&[SchoolKind::Junior, SchoolKind::CompleteSecondary], 2000),
            Say("所,超过2500人的一贯制学校", "; combined schools with more than 2500: "),
            SchoolsAbove(&[SchoolKind::NineYear, SchoolKind::TwelveYear], 2500),
            Say("所", ""),
        ],
    ),
    item(
        "A2-5",
        "小学、初中所有班级学生数分别不超过45人、50人",
        &[
            Say("超过45人的小学班级", "primary classes above 45: "),
            ClassesAbove(Stage::Primary, 45),
            Say("个,超过50人的初中班级", ", junior classes above 50: "),
            ClassesAbove(Stage::Junior, 50),
            Say("个", ""),
        ],
    ),
    item(
        "A2-6",
        "不足100人的规模较小学校(包括乡镇中心校附设的村小)按不低于100人核定公用经费",
        &[
            Say("不足100人的规模较小学校学生数", "schools below 100 pupils: pupils "),
            SmallPupils,
            Say("人,公用经费", ", public funds "),
            SmallFunds,
            Say("元", " yuan"),
        ],
    ),
    item(
        "A2-7",
        "特殊教育学校生均公用经费不低于8000元",
        &[
            Say("特殊教育学校公用经费为", "public funds of special schools "),
            TenThousand("special_funds_yuan"),
            Say("万元,特殊教育学生数为", " × 10 000 yuan, pupils "),
            County("special_pupils"),
            Say("人,特殊教育学校生均公用经费为", ", funds per pupil "),
            Value(0, 0),
            Say("元", " yuan"),
        ],
    ),
    item(
        "A2-8",
        "全县义务教育学校教师平均工资收入水平不低于当地公务员平均工资收入水平,按规定足额核定教师绩效工资总量",
        &[
            Say("全县义务教育学校教师年平均工资收入为", "average yearly pay of teachers "),
            County("teacher_salary_yuan"),
            Say("元,当地公务员年平均工资收入", " yuan, of civil servants "),
            County("civil_servant_salary_yuan"),
            Say("元", " yuan"),
        ],
    ),
    item(
        "A2-9",
        "教师5年360学时培训完成率达到100%",
        &[
            Say("完成360学时培训的教师", "teachers with 360 hours "),
            Schools("teachers_trained_360h"),
            Say("人,全县教师", ", all teachers "),
            Schools("teachers"),
            Say("人,教师培训完成率", ", share "),
            Value(0, 1),
            Say("%", " %"),
        ],
    ),
    item("A2-10", "县级教育行政部门在核定的教职工编制总额和岗位总量内,统筹分配各校教职工编制和岗位数量", &[]),
    item(
        "A2-11",
        "全县每年交流轮岗教师的比例不低于符合交流轮岗条件教师总数的10%;其中,骨干教师不低于交流轮岗教师总数的20%",
        &[
            Say("全县符合交流轮岗条件教师总数", "teachers eligible for rotation "),
            County("rotation_eligible_teachers"),
            Say("名,上一年度交流轮岗教师", ", rotated last year "),
            County("rotated_teachers"),
            Say("名,交流轮岗教师占符合交流轮岗条件教师总数的比例", ", share of those eligible "),
            Value(0, 1),
            Say("%;交流轮岗的骨干教师", " %; backbone teachers rotated "),
            County("rotated_backbone_teachers"),
            Say("名,占交流轮岗教师总数的比例", ", share of those rotated "),
            Value(1, 1),
            Say("%", " %"),
        ],
    ),
    item(
        "A2-12",
        "专任教师持有教师资格证上岗率达到100%",
        &[
            Say("全县在岗专任教师", "full-time teachers "),
            Schools("teachers"),
            Say("人,其中持有教师资格证的专任教师", ", with a teaching certificate "),
            Schools("teachers_certified"),
            Say("人,占比", ", share "),
            Value(0, 1),
            Say("%", " %"),
        ],
    ),
    item(
        "A2-13",
        "城区和镇区公办小学、初中(均不含寄宿制学校)就近划片入学比例分别达到100%、95%以上",
        &[
            Say(
                "城区和镇区公办小学、初中(均不含寄宿制学校)就近划片入学比例分别",
                "enrolment by area, public schools in urban and town areas without boarding schools: primary ",
            ),
            Percent("nearby_enrolment_primary_percent"),
            Say("%、", " %, junior "),
            Percent("nearby_enrolment_junior_percent"),
            Say("%", " %"),
        ],
    ),
    item(
        "A2-14",
        "全县优质高中招生名额分配比例不低于50%,并向农村初中倾斜",
        &[
            Say("全县优质高中招生名额总数", "places in good senior schools "),
            County("senior_places"),
            Say("人,分配名额", ", assigned "),
            County("senior_places_assigned"),
            Say("人,占比", ", share "),
            Value(0, 1),
            Say("%。其中分配农村学校的名额", " %. Of these to rural schools "),
            County("senior_places_rural"),
            Say("人,占分配名额总数的", ", share of those assigned "),
            Ratio("senior_places_rural", "senior_places_assigned"),
            Say("%", " %"),
        ],
    ),
    item(
        "A2-15",
        "留守儿童关爱体系健全,全县符合条件的随迁子女在公办学校和政府购买服务的民办学校就读的比例不低于85%",
        &[
            Say("全县符合条件的随迁子女数", "eligible migrant children "),
            County("migrant_children"),
            Say("人,在公办学校就读", ", in public schools "),
            County("migrant_children_public"),
            Say("人,在政府购买服务的民办学校就读", ", in private schools paid by government "),
            County("migrant_children_purchased"),
            Say("人,合计", ", together "),
            Sum(&["migrant_children_public", "migrant_children_purchased"]),
            Say("人,占比", ", share "),
            Value(0, 1),
            Say("%", " %"),
        ],
    ),
];

/// 表Ⅴ 教育质量.
pub(super) const QUALITY: &[Item] = &[
    item(
        "A3-1",
        "全县初中三年巩固率达到95%以上",
        &[
            Say("全县初中毕业班学生数为", "pupils of the last junior grade "),
            County("junior_graduates"),
            Say("人,三年前该年级入学学生数为", ", entrants of that grade three years ago "),
            County("junior_entrants_three_years_ago"),
            Say("人,毕业年级三年转入学生数为", ", transferred in "),
            County("junior_transferred_in"),
            Say("人,死亡学生数为", ", deaths "),
            County("junior_deaths"),
            Say("人,转出学生数为", ", transferred out "),
            County("junior_transferred_out"),
            Say("人,全县初中三年巩固率为", ", retention "),
            Value(0, 1),
            Say("%", " %"),
        ],
    ),
    item(
        "A3-2",
        "全县残疾儿童少年入学率达到95%以上",
        &[
            Say("全县残疾儿童少年为", "children with disabilities "),
            County("disabled_children"),
            Say("人,入学", ", enrolled "),
            County("disabled_children_enrolled"),
            Say("人,入学率为", ", share "),
            Value(0, 1),
            Say("%。其中,在特殊教育学校就读", " %. Of these in special schools "),
            County("disabled_children_special"),
            Say("人,占比", ", share "),
            Ratio("disabled_children_special", "disabled_children_enrolled"),
            Say("%", " %"),
        ],
    ),
    item("A3-3", "所有学校建立章程,实现学校管理与教学信息化", &[]),
    item("A3-4", "全县所有学校按照不低于学校年度公用经费预算总额的5%安排教师培训经费", &[]),
    item("A3-5", "教师能熟练运用信息化手段组织教学,设施设备利用率达到较高水平", &[]),
    item("A3-6", "所有学校德育工作、校园文化建设达到良好以上", &[]),
    item("A3-7", "课程开齐开足,教学秩序规范,综合实践活动有效开展", &[]),
    item("A3-8", "无过重课业负担", &[]),
    item(
        "A3-9",
        "在国家义务教育质量监测中,相关科目学生学业水平达到Ⅲ级以上,且校际差异率低于0.15",
        &[
            Say("语文", "Chinese level "),
            Level("monitoring_chinese_level"),
            Say("级、校际差异率", ", difference "),
            AsGiven("monitoring_chinese_difference"),
            Say(";数学", "; mathematics "),
            Level("monitoring_mathematics_level"),
            Say("级、校际差异率", ", "),
            AsGiven("monitoring_mathematics_difference"),
            Say(";科学", "; science "),
            Level("monitoring_science_level"),
            Say("级、校际差异率", ", "),
            AsGiven("monitoring_science_difference"),
            Say(";体育", "; PE "),
            Level("monitoring_pe_level"),
            Say("级、校际差异率", ", "),
            AsGiven("monitoring_pe_difference"),
            Say(";艺术", "; arts "),
            Level("monitoring_arts_level"),
            Say("级、校际差异率", ", "),
            AsGiven("monitoring_arts_difference"),
            Say(";德育", "; moral education "),
            Level("monitoring_moral_level"),
            Say("级、校际差异率", ", "),
            AsGiven("monitoring_moral_difference"),
            Say("", ""),
        ],
    ),
];
