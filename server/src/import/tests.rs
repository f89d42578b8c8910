//! Files as people send them, and what comes of them.

use proptest::prelude::*;
use rust_xlsxwriter::{Format, Formula, Workbook};

use duxue_document::school::{
    Declared, DeclaredClass, DeclaredRoom, FigureKey, Part, RoomPurpose, School, SchoolKind, Setting, Stage,
};
use duxue_document::{Decimal, JurisdictionCode, SchoolId};

use crate::config::counted::Counted;

use super::{Limits, Parsed, problems, template, write};

fn county() -> JurisdictionCode {
    JurisdictionCode::new("210112").unwrap()
}

fn key(text: &str) -> FigureKey {
    text.parse().unwrap()
}

fn figure(declared: &Declared, text: &str) -> Option<String> {
    declared.figures.get(&key(text)).map(ToString::to_string)
}

fn parse(bytes: &[u8], filename: &str, county: &JurisdictionCode) -> Parsed {
    super::parse(bytes, filename, county, &Limits::default())
}

fn parse_csv(text: &str) -> Parsed {
    parse(text.as_bytes(), "register.csv", &county())
}

fn codes(parsed: &Parsed) -> Vec<(String, String)> {
    parsed.errors.iter().map(|e| (e.cell.clone(), e.problem.code.replace("import.", ""))).collect()
}

/// The first school of a file that must have no errors.
fn only(parsed: &Parsed) -> &(School, Declared) {
    assert_eq!(parsed.errors, [], "no errors expected");
    &parsed.schools[0]
}

const HEADER: &str =
    "学校标识码,学校名称,办学类型,城乡分类,举办者类型,是否寄宿制,是否人口密度过高的中心城区学校";
const ROW: &str = "2137000001,第一小学,小学,城区,7,否,否";

fn with(columns: &str, cells: &str) -> Parsed {
    parse_csv(&format!("{HEADER},{columns}\n{ROW},{cells}\n"))
}

#[test]
fn a_plain_row_is_a_school_with_figures() {
    let parsed = with(
        "小学在校生数（人）,小学专任教师数,教学仪器设备资产值（万元）,教学及辅助用房面积（㎡）",
        "１２３４,\"1,000\",246.8135,4567.5",
    );
    let (school, declared) = only(&parsed);
    assert_eq!((school.name.as_str(), school.kind, school.sponsor), ("第一小学", SchoolKind::Primary, 7));
    assert_eq!(figure(declared, "pupils:primary").as_deref(), Some("1234"));
    assert_eq!(figure(declared, "teachers:primary").as_deref(), Some("1000"));
    assert_eq!(figure(declared, "equipment_value_yuan:whole").as_deref(), Some("2468135"));
    assert_eq!(figure(declared, "teaching_area_m2:whole").as_deref(), Some("4567.5"));
    assert_eq!(parsed.warnings, []);
}

#[test]
fn a_blank_is_missing_and_never_zero() {
    for blank in ["", " ", "　", "-", "—", "——", "/"] {
        let parsed = with("小学在校生数,小学专任教师数,音乐教室数", &format!("{blank},{blank},0"));
        let (_, declared) = only(&parsed);
        assert_eq!(figure(declared, "pupils:primary"), None, "{blank:?}");
        assert_eq!(figure(declared, "teachers:primary"), None, "{blank:?}");
        assert_eq!(figure(declared, "music_rooms:whole").as_deref(), Some("0"));
        assert_eq!((&declared.rooms, &declared.classes), (&None, &None));
        assert_eq!(parsed.warnings[0].problem.code, "import.pupils_missing");
    }
}

/// Cells and codes.
type Expected<'a> = &'a [(&'a str, &'a str)];

/// Each row: columns and cells beside a valid school, and what is wrong.
#[test]
fn what_is_wrong_is_said_at_the_cell() {
    let cases: &[(&str, &str, Expected)] = &[
        ("小学在校生数", "约300", &[("H2", "not_number")]),
        ("小学在校生数", "-3", &[("H2", "negative")]),
        ("小学在校生数", "30.5", &[("H2", "not_whole")]),
        ("小学在校生数", "99999999999", &[("H2", "not_whole")]),
        ("教学及辅助用房面积", "99999999999999999", &[("H2", "out_of_range")]),
        ("小学在较生数", "300", &[("H1", "header_unknown")]),
        ("小学在校生数,小学学生人数", "300,300", &[("I1", "header_duplicate")]),
        ("教学仪器设备资产值", "12", &[("H1", "unit_missing")]),
        ("教学仪器设备资产值（㎡）", "12", &[("H1", "unit_wrong")]),
        ("小学在校生数（万元）", "12", &[("H1", "unit_wrong")]),
        ("初中在校生数", "12", &[("H2", "part_not_in_school")]),
        ("小学专任教师数,小学高于规定学历教师数", "20,21", &[("I2", "subset")]),
        ("小学专任教师数,小学骨干教师数", "20,21", &[("I2", "subset")]),
        ("教学及辅助用房面积,室内体育用房面积", "100,100.01", &[("I2", "subset")]),
        ("小学年级数", "7", &[("H2", "out_of_range")]),
        ("小学在校生数,小学班级数,小学最大班额", "91,2,45", &[("J2", "class_size")]),
        ("小学在校生数,小学各班人数", "91,45;45", &[("I2", "classes_differ")]),
        ("小学班级数,小学各班人数", "3,45;45", &[("I2", "classes_differ")]),
        ("小学最大班额,小学各班人数", "44,45;45", &[("I2", "classes_differ")]),
        ("小学各班人数", "45;多", &[("H2", "list_item")]),
        ("音乐教室面积,美术教室面积", "96,", &[("H2", "list_partial")]),
        ("音乐教室数,音乐教室面积,美术教室面积", "2,96,无", &[("I2", "rooms_differ")]),
        ("音乐教室面积,美术教室面积", "96;0,无", &[("H2", "list_item")]),
        ("随迁子女数,小学在校生数", "11,10", &[("H2", "subset")]),
        ("在校生数,小学在校生数", "11,10", &[("H2", "total_differs")]),
        ("建校年份", "二零一六", &[("H2", "year")]),
        ("附设班", "附设大学班", &[("H2", "attached_unknown")]),
        ("主校标识码", "2137000009", &[("H2", "parent_unknown")]),
        ("主校标识码", "2137000001", &[("H2", "parent_chain")]),
        ("行政区划代码", "110101", &[("H2", "other_county")]),
        ("纬度,经度", "41.8,", &[("H2", "place")]),
        ("纬度,经度", "91,123.4", &[("H2", "place")]),
        ("A3-3 章程", "大概", &[("H2", "yes_no")]),
        (
            "专科学历教师人数（小学）,本科学历教师人数（小学）,硕士学历教师人数（小学）,博士学历教师数（小学）,小学高于规定学历教师数",
            "1,2,0,0,4",
            &[("L2", "total_differs")],
        ),
    ];
    for (columns, cells, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(c, p)| ((*c).to_owned(), (*p).to_owned())).collect();
        assert_eq!(codes(&with(columns, cells)), expected, "{columns} / {cells}");
    }
}

#[test]
fn a_wrong_register_row_is_said_at_the_cell() {
    let cases: &[(&str, Expected)] = &[
        ("213700001,甲,小学,城区,7,否,否", &[("A2", "school_id")]),
        ("2137000001,,小学,城区,7,否,否", &[("B2", "required")]),
        ("2137000001,甲,幼儿园,城区,7,否,否", &[("C2", "kind_kindergarten")]),
        (
            "2137000001,甲,私塾,海上,11,否,或许",
            &[("C2", "kind_unknown"), ("D2", "setting_unknown"), ("E2", "sponsor"), ("G2", "yes_no")],
        ),
        ("2137000001,甲,高级中学,城区,7,否,否", &[("C2", "kind_without_stage")]),
        (",甲,小学,城区,7,否,否", &[("A2", "required")]),
        ("2137000001,甲,小学,城区,0,否,否", &[("E2", "sponsor")]),
        ("2137000001,甲,小学,城区,7,否,否\n2137000001,乙,小学,城区,7,否,否", &[("A3", "school_duplicate")]),
    ];
    for (rows, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(c, p)| ((*c).to_owned(), (*p).to_owned())).collect();
        assert_eq!(codes(&parse_csv(&format!("{HEADER}\n{rows}\n"))), expected, "{rows}");
    }
}

#[test]
fn what_may_be_left_out_is_warned_of() {
    let parsed =
        parse_csv("学校标识码,学校名称,办学类型,城乡分类,举办者类型\n2137000001,甲,小学,城区,县级教育部门\n");
    assert_eq!(only(&parsed).0.sponsor, 7);
    let warned: Vec<_> =
        parsed.warnings.iter().map(|w| (w.problem.code.as_ref(), w.problem.detail.as_deref())).collect();
    assert_eq!(
        warned,
        [
            ("import.assumed_no", Some("是否寄宿制")),
            ("import.assumed_no", Some("是否人口密度过高的中心城区学校")),
            ("import.pupils_missing", Some("primary")),
        ]
    );
    let missing = parse_csv("学校标识码,学校名称,办学类型,举办者类型\n2137000001,甲,小学,7\n");
    assert_eq!(codes(&missing), [(String::new(), "column_missing".to_owned())]);
}

#[test]
fn totals_and_components_become_figures_only_when_complete() {
    // The unqualified total is the only part's.
    let single = with("在校生数,班级总数", "300,8");
    assert_eq!(figure(&only(&single).1, "pupils:primary").as_deref(), Some("300"));
    // A combined school needs its parts; the total is only checked.
    let combined = |row: &str| {
        parse_csv(&format!(
            "{HEADER},在校生数,小学在校生数,初中在校生数\n2137000001,甲,九年一贯制,城区,7,否,否,{row}\n"
        ))
    };
    assert_eq!(codes(&combined("300,,")), [("H2".to_owned(), "stage_needed".to_owned())]);
    assert_eq!(codes(&combined("300,100,201")), [("H2".to_owned(), "total_differs".to_owned())]);
    assert_eq!(only(&combined("301,100,201")).1.figures.len(), 2);
    assert_eq!(only(&combined("301,100,")).1.figures.len(), 1);
    // 专科 counts in primary schools, not in junior ones.
    let header = format!("{HEADER},专科学历教师人数,本科学历教师人数,硕士学历教师人数,博士学历教师数");
    let degrees = |kind: &str, cells: &str| {
        parse_csv(&format!("{header}\n2137000001,甲,{kind},城区,7,否,否,{cells}\n"))
    };
    let above = |parsed: &Parsed, part: &str| {
        figure(&only(parsed).1, &format!("teachers_above_required_degree:{part}"))
    };
    assert_eq!(above(&degrees("小学", "5,4,3,0"), "primary").as_deref(), Some("12"));
    assert_eq!(above(&degrees("初中", "5,4,3,0"), "junior").as_deref(), Some("7"));
    // A part left empty makes the sum missing, not smaller.
    let partial = degrees("小学", "5,4,,0");
    assert_eq!(above(&partial, "primary"), None);
    assert!(partial.warnings.iter().any(|w| w.problem.code == "import.component_missing"));
}

#[test]
fn lists_keep_single_rooms_and_classes() {
    let parsed = with("音乐教室面积（平方米）,美术教室面积,小学各班人数", "96;７３.５ 54㎡,无,45、44；30");
    let (_, declared) = only(&parsed);
    let rooms: Vec<_> =
        declared.rooms.as_ref().unwrap().iter().map(|r| (r.purpose, r.area_m2.to_string())).collect();
    assert_eq!(rooms, ["96", "73.5", "54"].map(|a| (RoomPurpose::Music, a.to_owned())));
    let classes: Vec<_> = declared.classes.as_ref().unwrap().iter().map(|c| (c.stage, c.pupils)).collect();
    assert_eq!(classes, [45, 44, 30].map(|n| (Stage::Primary, n)));
}

#[test]
fn merged_headers_in_any_order_are_understood() {
    let bold = Format::new();
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("学校").unwrap();
    sheet.merge_range(0, 0, 0, 11, "2024 年某县义务教育学校基本情况（合成数据）", &bold).unwrap();
    // Groups over their columns, single titles merged downwards.
    sheet.merge_range(2, 0, 2, 1, "初中", &bold).unwrap();
    sheet.write(3, 0, "在校生数\n（人）").unwrap();
    sheet.write(3, 1, "班级数").unwrap();
    for (column, title) in
        [(2, "举办者 类型"), (3, "学校名称"), (4, "学校标识码"), (5, "办学类型"), (6, "城乡分类")]
    {
        sheet.merge_range(2, column, 3, column, title, &bold).unwrap();
    }
    sheet.merge_range(2, 7, 2, 8, "小学", &bold).unwrap();
    sheet.write(3, 7, "在校生数（人）").unwrap();
    sheet.write(3, 8, "班级数").unwrap();
    sheet.merge_range(2, 9, 2, 10, "音乐教室", &bold).unwrap();
    sheet.write(3, 9, "间数").unwrap();
    sheet.write(3, 10, "面积").unwrap();
    sheet.merge_range(2, 11, 3, 11, "美术教室面积", &bold).unwrap();
    for column in 0..12 {
        sheet.write(4, column, format!("L{}", column + 1)).unwrap();
    }
    // A blank row, a numeric id, a formula with its stored result, a total.
    sheet.write(6, 0, 210).unwrap();
    sheet.write(6, 1, 6).unwrap();
    sheet.write(6, 2, 7).unwrap();
    sheet.write(6, 3, "乙学校").unwrap();
    sheet.write(6, 4, 2_137_000_002_u64).unwrap();
    sheet.write(6, 5, "九年一贯制学校").unwrap();
    sheet.write(6, 6, "镇区").unwrap();
    sheet.write_formula(6, 7, Formula::new("=83*2").set_result("166")).unwrap();
    sheet.write(6, 8, "６").unwrap();
    sheet.write(6, 9, 1).unwrap();
    sheet.write(6, 10, 96.35).unwrap();
    sheet.write(6, 11, "无").unwrap();
    sheet.write(7, 3, "合计").unwrap();
    sheet.write(7, 7, 166).unwrap();
    let parsed = parse(&workbook.save_to_buffer().unwrap(), "a.xlsx", &county());
    let (school, declared) = only(&parsed);
    assert_eq!(
        (school.id.as_str(), school.kind, school.setting),
        ("2137000002", SchoolKind::NineYear, Setting::Town)
    );
    let figures: Vec<_> = declared.figures.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        figures,
        [
            "classes:primary=6",
            "classes:junior=6",
            "music_rooms:whole=1",
            "pupils:primary=166",
            "pupils:junior=210"
        ]
    );
    assert_eq!(declared.rooms.as_ref().unwrap()[0].area_m2.to_string(), "96.35");
    assert_eq!(parsed.schools.len(), 1);
}

#[test]
fn one_row_a_stage_joins_into_one_school() {
    let header = "序号,学段,学校标识码,学校名称,办学类型,城乡分类,举办者类型,在校生数,年级数,班级数,教学及辅助用房面积,该校综合评估是否达标,备注（注明有哪几项指标达标）";
    let rows = "1,小学,2137000003,丙学校,九年一贯制学校,乡村,7,166,6,6,3000,,\n,,,,,,,,,,,,\n1,初中,2137000003,丙学校,,,,210,3,6,3000,,\n";
    let parsed = parse_csv(&format!("{header}\n{rows}"));
    let (_, declared) = only(&parsed);
    assert_eq!(figure(declared, "pupils:primary").as_deref(), Some("166"));
    assert_eq!(figure(declared, "pupils:junior").as_deref(), Some("210"));
    assert_eq!(figure(declared, "teaching_area_m2:whole").as_deref(), Some("3000"));
    assert_eq!(parsed.schools.len(), 1);
    let contradiction = parse_csv(&format!("{header}\n{}", rows.replace("210,3,6,3000", "210,3,6,3001")));
    assert_eq!(codes(&contradiction), [("K4".to_owned(), "rows_differ".to_owned())]);
    let thrice = parse_csv(&format!("{header}\n{rows}1,初中,2137000003,丙学校,,,,210,3,6,3000,,\n"));
    assert_eq!(codes(&thrice), [("C5".to_owned(), "school_duplicate".to_owned())]);
}

#[test]
fn text_encodings_of_real_spreadsheets_are_read() {
    let text = format!("{HEADER},小学在校生数\n{ROW},300\n");
    let (gbk, _, _) = encoding_rs::GBK.encode(&text);
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for bytes in [
        gbk.into_owned(),
        utf16,
        format!("\u{feff}{text}").into_bytes(),
        text.replace(',', "\t").into_bytes(),
    ] {
        let parsed = parse(&bytes, "a.csv", &county());
        assert_eq!(only(&parsed).0.name, "第一小学");
    }
    let broken = parse(b"\xff\xff\xff,\x81", "a.csv", &county());
    assert_eq!(codes(&broken), [(String::new(), "encoding".to_owned())]);
}

#[test]
fn cells_of_a_text_file_are_named_as_a_spreadsheet_names_them() {
    for newline in ["\n", "\r\n"] {
        let lines = [
            String::new(),
            String::new(),
            format!("{HEADER},\"小学\n在校生数\""),
            String::new(),
            "2137000001,\"第一\n小学\",小学,城区,7,否,否,300".to_owned(),
            "2137000002,第二小学,小学,城区,7,否,否,三百".to_owned(),
        ];
        let text = lines.join("\n").replace('\n', newline);
        assert_eq!(codes(&parse_csv(&text)), [("H6".to_owned(), "not_number".to_owned())], "{newline:?}");
    }
}

/// The workbook as a program writes it that does not compute: a formula
/// without a stored result.
fn without_result(workbook: &[u8], formula: &str) -> Vec<u8> {
    use std::io::{Cursor, Read, Write};
    let mut archive = zip::ZipArchive::new(Cursor::new(workbook)).unwrap();
    let mut written = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).unwrap();
        let mut text = String::new();
        part.read_to_string(&mut text).unwrap();
        written.start_file(part.name().unwrap(), zip::write::SimpleFileOptions::default()).unwrap();
        let computed = format!("<f>{formula}</f><v>0</v>");
        // And one whose stored result is empty text, as Excel stores it.
        let text = text
            .replace("<c r=\"L2\"><f>", "<c r=\"L2\" t=\"str\"><f>")
            .replace("1)</f><v>0</v>", "1)</f><v></v>");
        written.write_all(text.replace(&computed, &format!("<f>{formula}</f>")).as_bytes()).unwrap();
    }
    written.finish().unwrap().into_inner()
}

#[test]
fn formulas_count_with_their_stored_result() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, title) in (0..).zip(HEADER.split(',').chain([
        "小学在校生数",
        "小学班级数",
        "教学及辅助用房面积",
        "图书册数",
        "计算机台数",
    ])) {
        sheet.write(0, column, title).unwrap();
    }
    for (column, cell) in (0..).zip(ROW.split(',')) {
        sheet.write(1, column, cell).unwrap();
    }
    sheet.write_formula(1, 7, Formula::new("=SUM(A1)")).unwrap();
    sheet.write_formula(1, 11, Formula::new("=IF(TRUE,\"\",1)")).unwrap();
    sheet.write_formula(1, 8, Formula::new("=1-1")).unwrap();
    sheet.write_formula(1, 9, Formula::new("=0.1+0.2").set_result("0.30000000000000004")).unwrap();
    sheet.write_formula(1, 10, Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
    let bytes = without_result(&workbook.save_to_buffer().unwrap(), "SUM(A1)");
    let parsed = parse(&bytes, "a.xlsx", &county());
    assert_eq!(
        codes(&parsed),
        [("H2".to_owned(), "formula_empty".to_owned()), ("K2".to_owned(), "cell_error".to_owned())]
    );
    assert_eq!(figure(&parsed.schools[0].1, "computers:whole"), None, "an empty result is a blank");
    assert_eq!(figure(&parsed.schools[0].1, "teaching_area_m2:whole").as_deref(), Some("0.3"));
    assert!(parsed.warnings.iter().any(|w| w.cell == "I2" && w.problem.code == "import.formula_zero"));
}

#[test]
fn the_county_sheet_gives_figures_and_answers() {
    let sheet = "序号,类别,填报项目,单位,填报值,是否必填\n1,基本信息,区县名称,,某县,是\n8,工资收入,上年度义务教育学校教师年平均工资收入水平（不含民办学校）,万元,9.12345,是\n9,工资收入,当地公务员年平均工资收入（元）,,91000,是\n10,教师交流轮岗,符合交流条件教师总数,人,,是\n11,,A2-1 规划布局,,是,\n";
    let parsed = parse_csv(sheet);
    assert_eq!(parsed.errors, []);
    let declared = parsed.county.unwrap();
    let figures: Vec<_> = declared.figures.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(figures, ["civil_servant_salary_yuan:whole=91000", "teacher_salary_yuan:whole=91234.5"]);
    assert_eq!(declared.answers.len(), 1);
    for (row, code) in [
        ("不存在的项目,,3", "county_item_unknown"),
        ("当地公务员年平均工资收入,,3", "unit_missing"),
        ("当地公务员年平均工资收入,人,3", "unit_wrong"),
        ("适龄残疾儿童少年总数,人,-3", "negative"),
        ("适龄残疾儿童少年总数,人,3\n适龄残疾儿童少年总数,人,3", "county_item_duplicate"),
    ] {
        assert_eq!(codes(&parse_csv(&format!("项目,单位,值\n{row}\n")))[0].1, code, "{row}");
    }
}

#[test]
fn files_that_would_exhaust_the_machine_are_refused() {
    // A megabyte of one letter in a shared string: far beyond Excel's ratios.
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for row in 0..2_000 {
        sheet.write(row, 0, "a".repeat(32_000) + &row.to_string()).unwrap();
    }
    let bytes = workbook.save_to_buffer().unwrap();
    let counted = Counted::new();
    assert_eq!(codes(&parse(&bytes, "a.xlsx", &county()))[0].1, "too_big");
    assert_eq!(counted.refused("import_ratio"), 1);
    // One cell in the last corner.
    let mut workbook = Workbook::new();
    workbook.add_worksheet().write(1_048_575, 16_383, 1).unwrap();
    let bytes = workbook.save_to_buffer().unwrap();
    assert_eq!(codes(&parse(&bytes, "a.xlsx", &county()))[0].1, "too_big");
    // Cut in half, and too long.
    assert_eq!(codes(&parse(&bytes[..bytes.len() / 2], "a.xlsx", &county()))[0].1, "not_readable");
    assert_eq!(codes(&parse(&vec![b'a'; Limits::default().bytes + 1], "a.csv", &county()))[0].1, "too_big");
    assert_eq!(codes(&parse(b"hello", "a.csv", &county()))[0].1, "no_schools");
}

#[test]
fn each_limit_of_a_file_can_be_set_and_is_named() {
    let workbook = |sheets: usize, text: &str| {
        let mut workbook = Workbook::new();
        for _ in 0..sheets {
            workbook.add_worksheet().write(1, 1, text).unwrap();
        }
        workbook.save_to_buffer().unwrap()
    };
    let (two, csv) = (workbook(2, "a"), "a,b,c\nd,e,f\n".as_bytes().to_vec());
    let (one, all) = (workbook(1, "a"), Limits::default());
    let cases = [
        ("import_bytes", csv.clone(), Limits { bytes: 5, ..all }),
        ("import_inflated_bytes", two.clone(), Limits { inflated_bytes: 100, ..all }),
        ("import_parts", two.clone(), Limits { parts: 3, ..all }),
        ("import_sheets", two.clone(), Limits { sheets: 1, ..all }),
        ("import_rows", csv.clone(), Limits { rows: 1, ..all }),
        ("import_columns", csv.clone(), Limits { columns: 2, ..all }),
        ("import_cells", csv.clone(), Limits { cells: 4, ..all }),
        ("import_rows", two, Limits { rows: 1, ..all }),
        ("import_cells", one, Limits { cells: 0, ..all }),
    ];
    for (limit, bytes, limits) in cases {
        let counted = Counted::new();
        let parsed = super::parse(&bytes, "a", &county(), &limits);
        assert_eq!(counted.refused(limit), 1, "{limit}");
        let detail = parsed.errors[0].problem.detail.clone().unwrap_or_default();
        assert_eq!(codes(&parsed)[0].1, "too_big", "{limit}");
        assert!(detail.contains(&format!("({limit})")), "{limit}: {detail}");
    }
}

/// Here only the cell is refused, by its place.
#[test]
fn a_cell_has_so_many_characters() {
    // The longest heading has fifteen.
    let limits = Limits { cell_chars: 16, ..Limits::default() };
    for (length, refused) in [(16, 0), (17, 1)] {
        let counted = Counted::new();
        let csv = format!("{HEADER}\n{}\n", ROW.replace("第一小学", &"小".repeat(length)));
        let parsed = super::parse(csv.as_bytes(), "a.csv", &county(), &limits);
        let named = parsed
            .errors
            .iter()
            .filter(|error| error.problem.detail.as_deref().unwrap_or_default().contains("> 16 characters"));
        assert_eq!(
            (named.count() as u64, counted.refused("import_cell_chars")),
            (refused, refused),
            "{length}"
        );
    }
}

#[test]
fn every_code_is_stable_and_has_both_languages() {
    let mut codes: Vec<_> = problems::ALL.iter().map(|problem| problem.code.clone()).collect();
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), problems::ALL.len());
    for problem in problems::ALL {
        assert!(problem.code.starts_with("import."));
        assert!(!problem.message_zh.is_ascii() && problem.message_en.contains(' '));
    }
}

fn decimals() -> impl Strategy<Value = Decimal> {
    (0_u32..1_000_000, 0_u32..1_000_000)
        .prop_map(|(whole, millionths)| format!("{whole}.{millionths:06}").parse().unwrap())
}

/// A school that passes every check, with any subset of figures.
fn schools() -> impl Strategy<Value = (School, Declared)> {
    let kinds = prop_oneof![
        Just(SchoolKind::Primary),
        Just(SchoolKind::Junior),
        Just(SchoolKind::NineYear),
        Just(SchoolKind::TwelveYear),
        Just(SchoolKind::CompleteSecondary),
        Just(SchoolKind::TeachingPoint),
        Just(SchoolKind::Special),
    ];
    let name = "[=+@-]?[\\u4e00-\\u9fa5\",;A-Z()]{1,12}";
    (
        kinds,
        name,
        1..=10_u8,
        any::<[bool; 4]>(),
        proptest::collection::vec(0_u32..60, 1..8),
        decimals(),
        decimals(),
    )
        .prop_map(
            |(kind, name, sponsor, [boarding, dense_centre, listed, figures], sizes, area, value)| {
                let mut declared = Declared::default();
                let stages: Vec<Stage> = match kind {
                    SchoolKind::Special => vec![],
                    _ => Stage::ALL
                        .into_iter()
                        .filter(|s| super::kinds::own_parts(kind).contains(&s.part()))
                        .collect(),
                };
                if listed {
                    let classes = stages.iter().flat_map(|stage| {
                        sizes.iter().map(|pupils| DeclaredClass { stage: *stage, pupils: *pupils })
                    });
                    declared.classes = (!stages.is_empty()).then(|| classes.collect());
                    let room = |(index, area): (usize, &u32)| DeclaredRoom {
                        name: format!("音乐教室{}", index + 1),
                        purpose: RoomPurpose::Music,
                        area_m2: Decimal::from(area + 1),
                    };
                    declared.rooms = Some(sizes.iter().enumerate().map(room).collect());
                }
                if figures {
                    for stage in &stages {
                        declared.figures.insert(
                            FigureKey { quantity: "pupils".parse().unwrap(), part: stage.part() },
                            Decimal::from(sizes.iter().sum::<u32>()),
                        );
                        declared.figures.insert(
                            FigureKey { quantity: "teachers".parse().unwrap(), part: stage.part() },
                            Decimal::from(sizes[0]),
                        );
                    }
                    if super::kinds::own_parts(kind).contains(&Part::Senior) {
                        declared.figures.insert(key("pupils:senior"), Decimal::from(7_u32));
                    }
                    declared.figures.insert(key("teaching_area_m2:whole"), area);
                    declared.figures.insert(key("equipment_value_yuan:whole"), value);
                    declared.answers.insert("A3-3".parse().unwrap(), boarding);
                }
                let school = School {
                    id: SchoolId::new("2137000001").unwrap(),
                    name,
                    jurisdiction: county(),
                    kind,
                    parent: None,
                    attached: [Part::Kindergarten].into_iter().filter(|_| listed).collect(),
                    setting: Setting::Rural,
                    sponsor,
                    built_year: boarding.then_some(2016),
                    boarding,
                    dense_centre,
                    place: figures.then(|| ("41.796".parse().unwrap(), "-0.5".parse().unwrap())),
                };
                (school, declared)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read_back_equal(mut schools in proptest::collection::vec(schools(), 1..4)) {
        for (index, (school, _)) in schools.iter_mut().enumerate() {
            school.id = SchoolId::new(format!("{:010}", 2_137_000_001 + index as u64)).unwrap();
        }
        let bytes = write::csv(&write::school_sheet(&schools));
        let parsed = parse(&bytes, "a.csv", &county());
        prop_assert_eq!(&parsed.errors, &[]);
        prop_assert_eq!(parsed.schools, schools);
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..400), zip in any::<bool>()) {
        let bytes = if zip { [b"PK\x03\x04".as_slice(), &bytes].concat() } else { bytes };
        let _ = parse(&bytes, "a", &county());
    }

    #[test]
    fn no_cells_bring_the_reader_down(cells in proptest::collection::vec("[0-9０-９.,;=+()（）万元无是否小学-]{0,8}", 12)) {
        let _ = with("小学在校生数,在校生数,音乐教室面积,小学各班人数,教学仪器设备值（万元）,图书册数,A1-1,建校年份,纬度,经度,附设班,主校标识码", &cells.join(","));
    }
}

#[test]
fn the_county_sheet_is_read_back_equal() {
    let mut declared = Declared::default();
    declared.figures.insert(key("rotated_teachers:whole"), Decimal::from(31_u32));
    declared.figures.insert(key("teacher_salary_yuan:whole"), "91234.56".parse().unwrap());
    declared.answers.insert("A2-10".parse().unwrap(), false);
    let bytes = write::csv(&write::county_sheet(&declared));
    let parsed = parse(&bytes, "a.csv", &county());
    assert_eq!((parsed.errors, parsed.county), (vec![], Some(declared)));
}

fn workbook(sheets: &[duxue_protocol::api::TemplateSheet]) -> Vec<u8> {
    let mut book = Workbook::new();
    for sheet in sheets {
        let page = book.add_worksheet().set_name(&sheet.name).unwrap();
        for (row, cells) in (0..).zip(&sheet.rows) {
            for (column, cell) in (0..).zip(cells).filter(|(_, cell)| !cell.is_empty()) {
                page.write_string(row, column, cell).unwrap();
            }
        }
    }
    book.save_to_buffer().unwrap()
}

/// Every column and item of the template is read, and its explanations are not.
#[test]
fn the_template_is_imported_empty_and_filled_in_with_its_examples() {
    for id in ["cn-youzhi-2017", "cn-jiben-2012"] {
        let text = duxue_standards::builtin::text(id).unwrap();
        let standard = duxue_standards::Standard::load(&[text]).unwrap();
        let made = template::template(&standard, &county());
        let empty = parse(&workbook(&made.sheets), "template.xlsx", &county());
        assert_eq!((empty.errors, empty.warnings, empty.schools), (vec![], vec![], vec![]), "{id}");
        assert_eq!(empty.county, None, "what is not filled in takes nothing away");

        let mut filled = made.sheets.clone();
        let notes = &made.sheets[2].rows;
        let titles = filled[0].rows[0].clone();
        let example = |title: &String| {
            let row = notes.iter().find(|row| row[0].split_once(' ').is_some_and(|(_, name)| name == title));
            row.unwrap_or_else(|| panic!("{title} is not explained")).clone()
        };
        let rows: Vec<Vec<String>> = titles.iter().map(example).collect();
        assert!(rows.iter().all(|row| !row[2].is_empty() && !row[3].is_empty()), "{id}: {rows:#?}");
        filled[0].rows.push(rows.iter().map(|row| row[4].clone()).collect());
        for row in &mut filled[1].rows[1..] {
            row[2] = if row[0].contains('-') { "是" } else { "1" }.to_owned();
        }
        let parsed = parse(&workbook(&filled), "template.xlsx", &county());
        assert_eq!((&parsed.errors, &parsed.warnings), (&vec![], &vec![]), "{id}");
        let (school, declared) = only(&parsed);
        assert_eq!((school.name.as_str(), school.kind), ("示例学校", SchoolKind::NineYear));
        let asked = standard.quantities.values().filter(|quantity| !quantity.county);
        for quantity in asked {
            let known = declared.figures.keys().any(|key| key.quantity == quantity.id);
            assert!(known, "{id}: {} is not in the template", quantity.id);
        }
        let county = parsed.county.clone().unwrap_or_default();
        let items = standard.quantities.values().filter(|quantity| quantity.county).count();
        assert_eq!(county.figures.len(), items, "{id}");
        let level = duxue_standards::standard::Level::County;
        let (own, others): (Vec<_>, Vec<_>) =
            standard.questions().into_iter().partition(|(_, of, _)| *of == level);
        assert_eq!((county.answers.len(), declared.answers.len()), (own.len(), others.len()), "{id}");
    }
}

/// Ids and Chinese names of the national standard are the ones read here.
#[test]
fn the_sheets_know_every_quantity_of_the_national_standard() {
    let text = duxue_standards::builtin::text("cn-youzhi-2017").unwrap();
    let standard: toml::Table = text.parse().unwrap();
    let mut county_ids = Vec::new();
    for quantity in standard["quantity"].as_array().unwrap() {
        let id = quantity["id"].as_str().unwrap();
        let name = super::words::key(quantity["zh"].as_str().unwrap());
        if quantity.get("county").is_some() {
            let known = super::county::COUNTY_QUANTITIES.iter().find(|known| known.id == id);
            assert!(known.is_some_and(|known| known.names.contains(&name.as_str())), "{id} {name}");
            county_ids.push(id);
        } else {
            let known = super::columns::quantity(id);
            assert!(known.is_some_and(|known| known.names.contains(&name.as_str())), "{id} {name}");
        }
    }
    let ours: Vec<_> = super::county::COUNTY_QUANTITIES.iter().map(|quantity| quantity.id).collect();
    assert_eq!(ours, county_ids);
}
