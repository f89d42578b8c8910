//! The national forms cell by cell. What is expected was worked out by hand from
//! the figures here and the notes under the forms.

mod support;

use duxue_document::school::{DeclaredClass, DeclaredRoom, RoomPurpose, School, SchoolKind, Stage};
use duxue_standards::Standard;
use duxue_standards::assess::Assessor;
use duxue_standards::forms::{Cell, Form, NationalForms, forms};
use duxue_standards::input::{InputSettings, SchoolInput, school_input};
use support::{consolidated, county, declared, input, jiben, observe, school, school_id, youzhi};

const NOW: &str = "2026-09-01";

fn of(number: u32, kind: SchoolKind, name: &str, sponsor: u8) -> School {
    School { name: name.to_owned(), sponsor, ..school(number, kind) }
}

/// One stage's part of a school.
fn part(stage: &str, figures: &[(&str, &str)]) -> Vec<(String, String)> {
    figures.iter().map(|(quantity, value)| (format!("{quantity}:{stage}"), (*value).to_owned())).collect()
}

const STAGED: [&str; 8] = [
    "pupils",
    "grades",
    "classes",
    "teachers",
    "teachers_above_required_degree",
    "teachers_backbone",
    "teachers_pe_art",
    "teachers_certified",
];
const WHOLE: [&str; 5] = [
    "teaching_area_m2",
    "indoor_sports_area_m2",
    "outdoor_sports_area_m2",
    "equipment_value_yuan",
    "multimedia_rooms",
];

/// A school from its figures in the order of [`STAGED`] and [`WHOLE`].
fn made(
    standard: &Standard,
    school: School,
    stages: &[(&str, [&str; 8])],
    whole: [&str; 5],
    others: &[(&str, &str)],
) -> SchoolInput {
    let mut figures = Vec::new();
    for (stage, values) in stages {
        let own: Vec<(&str, &str)> =
            STAGED.into_iter().zip(*values).filter(|(_, value)| !value.is_empty()).collect();
        figures.extend(part(stage, &own));
    }
    let whole = WHOLE.into_iter().zip(whole).filter(|(_, value)| !value.is_empty());
    figures
        .extend(whole.chain(others.iter().copied()).map(|(key, value)| (key.to_owned(), value.to_owned())));
    let figures: Vec<(&str, &str)> =
        figures.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    input(standard, school, &figures)
}

/// 甲 with a branch site, 乙 of nine years, 丙 and 丁 teaching points of 50 and 49
/// pupils, 戊 a complete secondary school, 己 a special school.
fn assessor() -> Assessor {
    let mut assessor = Assessor::new(youzhi(), NOW);
    let standard = assessor.standard().clone();
    let schools = [
        made(
            &standard,
            of(1, SchoolKind::Primary, "甲小学", 7),
            &[("primary", ["400", "6", "10", "24", "18", "5", "4", "24"])],
            ["2100", "300", "2900", "839999", "10"],
            &[("max_class_size:primary", "45"), ("public_funds_yuan", "500000")],
        ),
        made(
            &standard,
            School { parent: Some(school_id(1)), ..of(2, SchoolKind::Primary, "甲小学分校", 7) },
            &[("primary", ["20", "3", "3", "3", "2", "0", "1", "3"])],
            ["100", "0", "100", "0", "0"],
            &[],
        ),
        made(
            &standard,
            of(3, SchoolKind::NineYear, "乙学校", 10),
            &[
                ("primary", ["166", "6", "6", "12", "10", "2", "2", "12"]),
                ("junior", ["210", "3", "5", "20", "12", "3", "2", "19"]),
            ],
            ["2385", "0", "3970", "1000000", "11"],
            &[],
        ),
        made(
            &standard,
            of(4, SchoolKind::TeachingPoint, "丙教学点", 7),
            &[("primary", ["50", "4", "4", "4", "3", "1", "1", "4"])],
            ["225", "0", "375", "100000", "2"],
            &[("public_funds_yuan", "93500")],
        ),
        made(
            &standard,
            of(5, SchoolKind::TeachingPoint, "丁教学点", 7),
            &[("primary", ["49", "4", "4", "4", "3", "1", "1", "4"])],
            ["225", "0", "375", "100000", "2"],
            &[("public_funds_yuan", "90000.5")],
        ),
        made(
            &standard,
            of(6, SchoolKind::CompleteSecondary, "戊中学", 5),
            &[
                ("junior", ["2001", "3", "40", "150", "140", "30", "20", "150"]),
                ("senior", ["100", "", "", "", "", "", "", ""]),
            ],
            ["21330", "0", "42660", "6000000", "60"],
            &[("public_funds_yuan", "1500000")],
        ),
        made(&standard, of(7, SchoolKind::Special, "己特殊教育学校", 7), &[], [""; 5], &[]),
    ];
    for school in schools {
        assessor.set_school(school);
    }
    assessor.set_county(county(&standard, &COUNTY, &["A2-1"], &["A2-10"]));
    assessor
}

const COUNTY: [(&str, &str); 17] = [
    ("population_10k", "52.345"),
    ("rural_population_10k", "20"),
    ("townships", "12"),
    ("gdp_per_person_yuan", "81234.5"),
    ("staff_primary", "50"),
    ("special_funds_yuan", "845000"),
    ("special_pupils", "99"),
    ("rotation_eligible_teachers", "0"),
    ("senior_places", "1200"),
    ("senior_places_assigned", "600"),
    ("senior_places_rural", "201"),
    ("monitoring_chinese_level", "3"),
    ("monitoring_chinese_difference", "0.149999"),
    ("survey_questionnaires", "2000"),
    ("survey_interviewed", "300"),
    ("survey_interviewed_satisfied", "281"),
    ("survey_satisfaction_percent", "91.25"),
];

fn form<'f>(forms: &'f [Form], id: &str) -> &'f Form {
    forms.iter().find(|form| form.id == id).unwrap()
}

fn printed(row: &[Cell]) -> Vec<&str> {
    row.iter().map(|cell| cell.printed.as_str()).collect()
}

fn reasons(cell: &Cell) -> Vec<String> {
    let open = cell.open.as_ref().unwrap();
    let each = open.reasons.iter();
    each.map(|reason| format!("{}|{}", reason.school_name.clone().unwrap_or_default(), reason.text.zh))
        .collect()
}

/// 戊: junior area per pupil = T ÷ (2001 + 1.2 × 100) = 21330 ÷ 2121 = 10.0566.
/// 乙: primary T ÷ (166 + 231), junior 1.1 times that: 2385 ÷ 397 = 6.0076, 6.6083.
/// 甲 with its site: 420 pupils; (2200 − 300) ÷ 420 = 4.5238; 839999 ÷ 420 = 1999.9976,
/// which prints as 2000.00 and is not met.
#[test]
fn schools_are_listed_by_stage_with_their_branch_sites_merged_and_combined_schools_split() {
    let forms = forms(&assessor());
    let rows: Vec<Vec<&str>> = form(&forms, "II-2").rows.iter().map(|row| printed(row)).collect();
    let expected: [[&str; 15]; 5] = [
        [
            "1",
            "甲小学",
            "7",
            "420",
            "6",
            "13",
            "4.76",
            "1.19",
            "1.19",
            "4.52",
            "7.86",
            "2000.00",
            "2.38",
            "达标",
            "6项达标:L7、L8、L9、L10、L11、L13;1项达到85%:L12",
        ],
        [
            "2",
            "乙学校",
            "10",
            "166",
            "6",
            "6",
            "6.02",
            "1.20",
            "1.20",
            "6.01",
            "10.00",
            "2518.89",
            "2.77",
            "达标",
            "7项达标:L7、L8、L9、L10、L11、L12、L13",
        ],
        [
            "3",
            "丙教学点",
            "7",
            "50",
            "4",
            "4",
            "6.00",
            "2.00",
            "2.00",
            "4.50",
            "7.50",
            "2000.00",
            "4.00",
            "达标",
            "7项达标:L7、L8、L9、L10、L11、L12、L13",
        ],
        [
            "1",
            "乙学校",
            "10",
            "210",
            "3",
            "5",
            "5.71",
            "1.43",
            "0.95",
            "6.61",
            "11.00",
            "2770.78",
            "3.05",
            "达标",
            "7项达标:L7、L8、L9、L10、L11、L12、L13",
        ],
        [
            "2",
            "戊中学",
            "5",
            "2001",
            "3",
            "40",
            "7.00",
            "1.50",
            "1.00",
            "10.06",
            "20.11",
            "2828.85",
            "2.83",
            "达标",
            "7项达标:L7、L8、L9、L10、L11、L12、L13",
        ],
    ];
    assert_eq!(rows, expected);
    let hidden = form(&forms, "II-2").rows[0][11].note.as_ref().unwrap();
    assert_eq!(hidden.zh, "印作2000.00,标准2000;按精确值不达标");
    assert_eq!(
        form(&forms, "II-2").notes[0].zh,
        "注:1.小学学校总数3所(其中:一贯制学校的小学部有1所,50人及以上教学点有1个),\
         初中学校总数2所(其中:一贯制学校的初中部1所,完全中学的初中部1所)。"
    );
}

#[test]
fn the_county_is_described_with_its_decimals_and_what_is_not_known_is_left_empty() {
    let forms = forms(&assessor());
    let form = form(&forms, "I");
    let expected = [
        "52.35", "20.00", "12", "", "81235", "", "", "", // 自然情况, 经济情况
        "1", "1", "0", "1", "0", "1", // schools by kind: the branch site is none
        "2", "1", // teaching points
        "27", "45", // classes: 10 + 3 + 6 + 4 + 4, 5 + 40
        "685", "2211", // pupils
        "50", "47", "", "170", // staff
    ];
    assert_eq!(printed(&form.rows[0]), expected);
    assert_eq!(form.open_cells, 5);
    assert_eq!(reasons(&form.rows[0][3]), ["|行政村数:没有采集也没有上报"]);
}

#[test]
fn heads_are_grouped_as_on_the_forms() {
    let forms = forms(&assessor());
    let lines = |id: &str| -> Vec<Vec<(String, usize, usize)>> {
        let head = &form(&forms, id).head;
        head.iter()
            .map(|line| line.iter().map(|head| (head.text.zh.clone(), head.down, head.across)).collect())
            .collect()
    };
    let of = |text: &str, down: usize, across: usize| (text.to_owned(), down, across);
    let first = &lines("I")[0];
    assert_eq!(
        *first,
        [
            of("自然情况", 1, 4),
            of("经济情况", 1, 4),
            of("普通中小学校数(所)", 1, 5),
            of("特殊教育学校(所)", 3, 1),
            of("小学教学点数(个)", 1, 2),
            of("教学班数(个)", 1, 2),
            of("在校学生数(人)", 1, 2),
            of("教职工数(人)", 1, 4),
        ]
    );
    assert_eq!(
        lines("I")[2],
        [of("合计", 1, 1), of("其中专任教师", 1, 1), of("合计", 1, 1), of("其中专任教师", 1, 1)]
    );
    assert_eq!(lines("I")[3].last().unwrap().0, "L24");
    let satisfaction = lines("VI");
    assert_eq!(
        satisfaction[..3],
        [
            vec![
                of("", 3, 1),
                of("问卷总数", 1, 3),
                of("问卷调查综合满意度(%)", 3, 1),
                of("实地走访人数", 1, 2),
                of("实地走访满意度(%)", 3, 1),
            ],
            vec![of("计", 2, 1), of("其中:回收有效问卷数", 1, 2), of("计", 2, 1), of("其中:满意人数", 2, 1),],
            vec![of("计", 1, 1), of("其中:满意问卷数", 1, 1)],
        ]
    );
    // Every line covers every column once, on every form.
    for form in &forms {
        let mut free = vec![0_usize; form.columns.len()];
        for (level, line) in form.head.iter().enumerate() {
            let covered: usize = line.iter().map(|head| head.across).sum();
            let open = free.iter().filter(|until| **until <= level).count();
            assert_eq!(covered, open, "{} line {level}", form.id);
            let mut columns =
                (0..free.len()).filter(|column| free[*column] <= level).collect::<Vec<_>>().into_iter();
            for head in line {
                columns.by_ref().take(head.across).for_each(|column| free[column] = level + head.down);
            }
        }
        assert!(free.iter().all(|until| *until == form.head.len()), "{}", form.id);
        assert!(form.rows.iter().all(|row| row.len() == form.columns.len()), "{}", form.id);
    }
    let last = form(&forms, "II-2").columns.iter().map(|column| column.mark.as_deref()).collect::<Vec<_>>();
    assert_eq!(last[13..], [Some("L14"), None]);
}

#[test]
fn counts_and_differences_are_totalled_by_stage() {
    let forms = forms(&assessor());
    let counts = form(&forms, "II-1");
    assert_eq!(counts.grouped, 1);
    let rows: Vec<Vec<&str>> = counts.rows.iter().map(|row| printed(row)).collect();
    assert_eq!(rows[0], ["小学", "达标学校总数", "3", "3", "3", "3", "3", "2", "3", "3"]);
    assert_eq!(
        rows[1],
        ["小学", "达标学校比例(%)", "100.0", "100.0", "100.0", "100.0", "100.0", "66.7", "100.0", "100.0"]
    );
    assert_eq!(rows[2], ["初中", "达标学校总数", "2", "2", "2", "2", "2", "2", "2", "2"]);
    // L1 of primary schools: 33 teachers ÷ 636 pupils = 5.1887; with 4.7619, 6.0241 and 6.0000
    // for 420, 166 and 50 pupils the variance is 0.35419 and the coefficient 0.11470.
    let differences = form(&forms, "III");
    assert_eq!(differences.rows[0][2].printed, "5.19");
    assert_eq!(differences.rows[1][2].printed, "0.115");
    assert_eq!(differences.rows[0][9].printed, "——");
    assert_eq!(differences.open_cells, 0);
}

#[test]
fn sentences_are_filled_with_whole_numbers_and_ratios_of_one_decimal() {
    let forms = forms(&assessor());
    let conclusion = |id: &str, row: usize| form(&forms, id).rows[row][1].printed.as_str();
    let met = |id: &str, row: usize| form(&forms, id).rows[row][2].printed.as_str();
    assert_eq!((conclusion("IV", 0), met("IV", 0)), ("符合", "达标"));
    assert_eq!((conclusion("IV", 9), met("IV", 9)), ("不符合", "不达标"));
    // 戊 has 2001 pupils in its junior part.
    assert_eq!(conclusion("IV", 3), "超过2000人的小学0所,初中1所,超过2500人的一贯制学校0所");
    // 丙 and 丁: 99 pupils, 93 500 + 90 000.5 yuan.
    assert_eq!(conclusion("IV", 5), "不足100人的规模较小学校学生数99人,公用经费183501元");
    // 84.5 万元 rounds to 85; 845 000 ÷ 99 = 8535.35.
    assert_eq!(
        conclusion("IV", 6),
        "特殊教育学校公用经费为85万元,特殊教育学生数为99人,特殊教育学校生均公用经费为8535元"
    );
    assert_eq!(conclusion("IV", 11), "全县在岗专任教师217人,其中持有教师资格证的专任教师216人,占比99.5%");
    assert_eq!(
        conclusion("IV", 13),
        "全县优质高中招生名额总数1200人,分配名额600人,占比50.0%。其中分配农村学校的名额201人,占分配名额总数的33.5%"
    );
    assert!(conclusion("V", 8).starts_with("语文Ⅲ级、校际差异率0.149999;数学____级、校际差异率____"));
    let all = form(&forms, "VI");
    assert_eq!(printed(&all.rows[0]), ["计", "2000", "", "", "91.3", "300", "281", "93.7"]);
    assert_eq!(printed(&all.rows[1]), ["其中:家长", "", "", "", "", "", "", ""]);
}

/// 甲's backbone teachers are not known, and two inspectors differ on 丙's pupils.
#[test]
fn what_is_open_is_empty_or_a_range_with_its_reasons_and_never_zero() {
    let mut assessor = assessor();
    let standard = assessor.standard().clone();
    assessor.set_school(made(
        &standard,
        of(1, SchoolKind::Primary, "甲小学", 7),
        &[("primary", ["400", "6", "10", "24", "18", "", "4", "24"])],
        ["2100", "300", "2900", "840000", "10"],
        &[],
    ));
    let mut point = consolidated(
        of(4, SchoolKind::TeachingPoint, "丙教学点", 7),
        declared(&[("teachers_above_required_degree:primary", "3"), ("classes:primary", "4")]),
    );
    observe(&mut point, "pupils:primary", &["48", "52"]);
    assessor.set_school(school_input(&standard, &point, &InputSettings::default()));

    let national = NationalForms::new(&assessor, 1);
    assert!(!national.is_final);
    assert_eq!(national.open_cells, national.forms.iter().map(|form| form.open_cells).sum::<usize>());
    let forms = &national.forms;
    let schools = form(forms, "II-2");
    let first = &schools.rows[0];
    assert_eq!((first[7].printed.as_str(), first[13].printed.as_str()), ("", ""));
    assert_eq!(reasons(&first[7]), ["甲小学|县级以上骨干教师数(小学部):没有采集也没有上报"]);
    assert_eq!(reasons(&first[13]), reasons(&first[7]));
    assert!(first[14].printed.ends_with("1项待定:L8"), "{}", first[14].printed);
    let third = &schools.rows[2];
    assert_eq!((third[3].printed.as_str(), third[6].printed.as_str()), ("48–52", "5.77–6.25"));
    assert_eq!(reasons(&third[1]), ["丙教学点|在校学生数(小学部):有未裁决的冲突"]);
    assert!(schools.notes[0].zh.contains("小学学校总数2–3所"), "{}", schools.notes[0].zh);
    // 50人及以上: 丙 may have 48; 丁 has 49.
    assert_eq!(form(forms, "I").rows[0][15].printed, "0–1");

    // Two rows count for certain and 丙 may: L1 2–3 of 2–3, L2 1–3.
    let counts: Vec<Vec<&str>> = form(forms, "II-1").rows.iter().map(|row| printed(row)).collect();
    assert_eq!(counts[0][2..4], ["2–3", "1–3"]);
    assert_eq!(counts[1][2..4], ["100.0", "33.3–100.0"]);
    // Of backbone teachers 乙's two are known, for 638 pupils at most: 0.3135.
    let differences = form(forms, "III");
    assert_eq!(
        (differences.rows[0][3].printed.as_str(), differences.rows[1][3].printed.as_str()),
        ("≥0.31", "")
    );
    assert!(reasons(&differences.rows[1][3]).contains(&reasons(&first[7])[0]));
    let bad = forms.iter().flat_map(|form| form.rows.iter().flatten()).filter(|cell| {
        cell.open.is_some() && matches!(cell.printed.as_str(), "0" | "0.0" | "0.00" | "0.000")
    });
    assert_eq!(bad.count(), 0);
}

#[test]
fn without_a_register_nothing_is_counted() {
    let forms = forms(&Assessor::new(youzhi(), NOW));
    for (id, columns) in [("I", 8..24), ("II-1", 2..10), ("III", 2..9)] {
        for cell in &form(&forms, id).rows[0][columns] {
            assert!(cell.printed.is_empty() && cell.open.is_some(), "{id} {cell:?}");
        }
    }
    assert!(form(&forms, "II-2").rows.is_empty());
    assert_eq!(form(&forms, "IV").rows[2][1].printed, "");
}

#[test]
fn a_county_without_junior_schools_has_no_means_there() {
    let mut assessor = Assessor::new(youzhi(), NOW);
    let school = input(&youzhi(), school(1, SchoolKind::Primary), &[("pupils:primary", "100")]);
    assessor.set_school(school);
    let forms = forms(&assessor);
    assert_eq!(printed(&form(&forms, "II-1").rows[2])[2..], ["0"; 8]);
    assert_eq!(printed(&form(&forms, "II-1").rows[3])[2..], ["——"; 8]);
    assert_eq!(printed(&form(&forms, "III").rows[3])[2..], ["——"; 8]);
}

/// A list of classes says how many are too large; a largest class alone does not.
#[test]
fn classes_above_the_limit_are_counted_from_the_list_of_classes() {
    let standard = youzhi();
    let conclusion = |school: SchoolInput| {
        let mut assessor = Assessor::new(youzhi(), NOW);
        assessor.set_school(school);
        form(&forms(&assessor), "IV").rows[4][1].clone()
    };
    let mut reported = declared(&[("pupils:primary", "137")]);
    let class = |pupils| DeclaredClass { stage: Stage::Primary, pupils };
    reported.classes = Some(vec![class(45), class(46), class(46)]);
    reported.rooms = Some(vec![DeclaredRoom {
        name: String::new(),
        purpose: RoomPurpose::Music,
        area_m2: support::decimal("96"),
    }]);
    let listed = consolidated(school(1, SchoolKind::Primary), reported);
    let listed = conclusion(school_input(&standard, &listed, &InputSettings::default()));
    assert_eq!(listed.printed, "超过45人的小学班级2个,超过50人的初中班级0个");
    assert!(listed.open.is_none());
    let largest = conclusion(input(
        &standard,
        school(1, SchoolKind::Primary),
        &[("pupils:primary", "137"), ("max_class_size:primary", "46")],
    ));
    assert_eq!(largest.printed, "超过45人的小学班级≥1个,超过50人的初中班级0个");
    assert_eq!(reasons(&largest), ["学校1|只知道最大班额,不知道超过的班级有几个"]);
}

/// The forms are those of 教督〔2017〕6号.
#[test]
fn the_older_standard_has_no_such_forms() {
    assert!(forms(&Assessor::new(jiben(), NOW)).is_empty());
    assert!(!NationalForms::new(&Assessor::new(jiben(), NOW), 0).is_final);
}
