//! The school sheet: one row a school, or one row a school and stage as in
//! 表 II-2.

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::school::{Part, School, SchoolKind, Setting, Stage};
use duxue_document::{Decimal, JurisdictionCode, SchoolId};
use duxue_protocol::problem::Problem;

use super::cells::{Row, shorten, whole};
use super::columns::{self, Attribute, Measure, Target};
use super::draft::{Draft, Figure, only_part, put_component, put_figure};
use super::grid::Sheet;
use super::headers::Header;
use super::kinds::{self, KindWord};
use super::problems;
use super::report::{At, Report};
use super::words;

/// Reads every row below the header into drafts, in the order of the sheet.
pub(super) fn read(
    sheet: &Sheet,
    header: &Header,
    county: &JurisdictionCode,
    drafts: &mut Vec<Draft>,
    report: &mut Report,
) {
    if !has_required_columns(sheet.index, header, report) {
        return;
    }
    for row in sheet.cells.range(header.first_data_row..).map(|(row, _)| *row) {
        let reader = SchoolRow { row: Row { sheet, row }, header, county };
        if reader.is_note(report) || reader.is_blank() {
            continue;
        }
        if let Some(draft) = reader.read(drafts, report) {
            drafts.push(draft);
        }
    }
}

fn has_required_columns(sheet: usize, header: &Header, report: &mut Report) -> bool {
    let required = [Attribute::Name, Attribute::Kind, Attribute::Setting, Attribute::Sponsor];
    let mut complete = true;
    for (attribute, names) in columns::ATTRIBUTES.iter().filter(|(attribute, _)| required.contains(attribute))
    {
        if header.attribute(*attribute).is_none() {
            complete = false;
            report.sheet_error(
                sheet,
                problems::COLUMN_MISSING.with_detail(names.first().copied().unwrap_or_default()),
            );
        }
    }
    for (attribute, names) in columns::ATTRIBUTES {
        if matches!(attribute, Attribute::Boarding | Attribute::DenseCentre)
            && header.attribute(*attribute).is_none()
        {
            report.row_warning(
                sheet,
                None,
                problems::ASSUMED_NO.with_detail(names.first().copied().unwrap_or_default()),
            );
        }
    }
    complete
}

struct SchoolRow<'a> {
    row: Row<'a>,
    header: &'a Header,
    county: &'a JurisdictionCode,
}

impl SchoolRow<'_> {
    fn raw(&self, attribute: Attribute) -> &str {
        self.header.attribute(attribute).map_or("", |column| self.row.sheet.text(self.row.row, column))
    }

    /// A total or a note under the table.
    fn is_note(&self, report: &mut Report) -> bool {
        let note = self.raw(Attribute::Id).is_empty()
            && self.row.sheet.cells.get(&self.row.row).is_some_and(|cells| {
                cells.keys().any(|column| {
                    let word = words::key(self.row.sheet.text(self.row.row, *column));
                    ["合计", "总计", "小计", "注", "填表", "说明"].iter().any(|start| word.starts_with(start))
                })
            });
        if note {
            report.row_warning(self.row.sheet.index, Some(self.row.row), problems::ROW_IGNORED);
        }
        note
    }

    /// Nothing in any column that means something; an ordinal alone is nothing.
    fn is_blank(&self) -> bool {
        !self.header.columns.iter().any(|(column, (target, _))| {
            !matches!(target, Target::Ignored) && self.row.sheet.get(self.row.row, *column).is_some()
        })
    }

    fn column_of(&self, attribute: Attribute) -> Option<u32> {
        self.header.attribute(attribute)
    }

    fn text(&self, attribute: Attribute, report: &mut Report) -> Option<String> {
        self.row.text(self.column_of(attribute)?, report)
    }

    fn at(&self, attribute: Attribute) -> At {
        self.row.at(self.column_of(attribute).unwrap_or(0))
    }

    fn fail<T>(&self, attribute: Attribute, problem: Problem, report: &mut Report) -> Option<T> {
        report.error(self.at(attribute), problem);
        None
    }

    fn required(&self, attribute: Attribute, report: &mut Report) -> Option<String> {
        let errors = report.errors.len();
        let text = self.text(attribute, report);
        if text.is_none() && report.errors.len() == errors {
            report.error(self.at(attribute), problems::REQUIRED);
        }
        text
    }

    /// Reads the row: a new draft, or nothing if it was joined to an earlier
    /// row of the same school or cannot be one.
    fn read(&self, drafts: &mut [Draft], report: &mut Report) -> Option<Draft> {
        let text = self.required(Attribute::Id, report)?;
        let Ok(id) = SchoolId::new(words::half_width(&text).trim()) else {
            return self.fail(Attribute::Id, problems::SCHOOL_ID.with_detail(shorten(&text)), report);
        };
        let stage = self.stage(report);
        let earlier = drafts.iter_mut().find(|draft| draft.school.id == id);
        if let (Some(draft), Some(stage)) = (earlier, stage)
            && draft.stages.insert(stage)
            && draft.stages.len() > 1
        {
            self.check_same(draft, report);
            self.read_figures(draft, Some(stage), report);
            return None;
        }
        if drafts.iter().any(|draft| draft.school.id == id) {
            return self.fail(Attribute::Id, problems::SCHOOL_DUPLICATE.with_detail(id.to_string()), report);
        }
        let mut draft = Draft {
            school: self.school(id, report)?,
            at: self.at(Attribute::Id),
            parent_at: self.column_of(Attribute::Parent).map(|column| self.row.at(column)),
            figures: BTreeMap::new(),
            totals: BTreeMap::new(),
            components: BTreeMap::new(),
            rooms: BTreeMap::new(),
            classes: BTreeMap::new(),
            answers: BTreeMap::new(),
            unread_list: false,
            stages: stage.into_iter().collect(),
        };
        self.read_figures(&mut draft, stage, report);
        Some(draft)
    }

    fn stage(&self, report: &mut Report) -> Option<Stage> {
        let text = self.text(Attribute::Stage, report)?;
        match words::part(words::half_width(&text).trim()) {
            Some(Part::Primary) => Some(Stage::Primary),
            Some(Part::Junior) => Some(Stage::Junior),
            _ => self.fail(Attribute::Stage, problems::STAGE_UNKNOWN.with_detail(shorten(&text)), report),
        }
    }

    fn school(&self, id: SchoolId, report: &mut Report) -> Option<School> {
        // Each is read before any is missed, so that one look at the report
        // shows all that is wrong in the row.
        let name = self.name(report);
        let kind = self.kind(report);
        let setting = self.setting(report);
        let sponsor = self.sponsor(report);
        let attached = self.attached(report);
        let same_county = self.is_in_county(report);
        let school = School {
            id,
            jurisdiction: self.county.clone(),
            parent: self.parent(report),
            built_year: self.built_year(report),
            boarding: self.flag(Attribute::Boarding, report),
            dense_centre: self.flag(Attribute::DenseCentre, report),
            place: self.place(report),
            name: name?,
            kind: kind?,
            setting: setting?,
            sponsor: sponsor?,
            attached: attached?,
        };
        let compulsory = [Part::Primary, Part::Junior];
        if matches!(school.kind, SchoolKind::Senior | SchoolKind::Vocational)
            && compulsory.iter().all(|part| !school.attached.contains(part))
        {
            return self.fail(Attribute::Kind, problems::KIND_WITHOUT_STAGE, report);
        }
        same_county.then_some(school)
    }

    fn name(&self, report: &mut Report) -> Option<String> {
        let name = self.required(Attribute::Name, report)?;
        let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.chars().count() > 100 {
            return self.fail(Attribute::Name, problems::NAME, report);
        }
        Some(name)
    }

    fn kind(&self, report: &mut Report) -> Option<SchoolKind> {
        let text = self.required(Attribute::Kind, report)?;
        match kinds::kind(&text) {
            KindWord::Kind(kind) => Some(kind),
            KindWord::Kindergarten => self.fail(Attribute::Kind, problems::KIND_KINDERGARTEN, report),
            KindWord::Unknown => {
                self.fail(Attribute::Kind, problems::KIND_UNKNOWN.with_detail(shorten(&text)), report)
            }
        }
    }

    fn setting(&self, report: &mut Report) -> Option<Setting> {
        let text = self.required(Attribute::Setting, report)?;
        match kinds::setting(&text) {
            Some(setting) => Some(setting),
            None => {
                self.fail(Attribute::Setting, problems::SETTING_UNKNOWN.with_detail(shorten(&text)), report)
            }
        }
    }

    fn sponsor(&self, report: &mut Report) -> Option<u8> {
        let text = self.required(Attribute::Sponsor, report)?;
        match kinds::sponsor(&text) {
            Some(code) => Some(code),
            None => self.fail(Attribute::Sponsor, problems::SPONSOR.with_detail(shorten(&text)), report),
        }
    }

    fn attached(&self, report: &mut Report) -> Option<BTreeSet<Part>> {
        let Some(text) = self.text(Attribute::Attached, report) else { return Some(BTreeSet::new()) };
        match kinds::attached(&text) {
            Ok(parts) => Some(parts),
            Err(item) => {
                self.fail(Attribute::Attached, problems::ATTACHED_UNKNOWN.with_detail(shorten(&item)), report)
            }
        }
    }

    fn is_in_county(&self, report: &mut Report) -> bool {
        let Some(text) = self.text(Attribute::Jurisdiction, report) else { return true };
        let same = words::half_width(&text).trim() == self.county.as_str();
        if !same {
            report
                .error(self.at(Attribute::Jurisdiction), problems::OTHER_COUNTY.with_detail(shorten(&text)));
        }
        same
    }

    fn parent(&self, report: &mut Report) -> Option<SchoolId> {
        let text = self.text(Attribute::Parent, report)?;
        match SchoolId::new(words::half_width(&text).trim()) {
            Ok(id) => Some(id),
            Err(_) => self.fail(Attribute::Parent, problems::SCHOOL_ID.with_detail(shorten(&text)), report),
        }
    }

    fn built_year(&self, report: &mut Report) -> Option<u16> {
        let text = self.text(Attribute::BuiltYear, report)?;
        let year = words::half_width(&text);
        match year.trim().trim_end_matches('年').parse::<u16>() {
            Ok(year) if (1800..=2100).contains(&year) => Some(year),
            _ => self.fail(Attribute::BuiltYear, problems::YEAR.with_detail(shorten(&text)), report),
        }
    }

    fn flag(&self, attribute: Attribute, report: &mut Report) -> bool {
        let Some(column) = self.column_of(attribute) else { return false };
        let errors = report.errors.len();
        let answer = self.row.yes_no(column, report);
        if answer.is_none() && report.errors.len() == errors {
            report.warning(self.row.at(column), problems::ASSUMED_NO);
        }
        answer.unwrap_or(false)
    }

    fn place(&self, report: &mut Report) -> Option<(Decimal, Decimal)> {
        let latitude = self.text(Attribute::Latitude, report);
        let longitude = self.text(Attribute::Longitude, report);
        let degrees = |text: &str, limit: i32| {
            let value = words::number(text, 0).ok()?.value;
            (value <= Decimal::from(limit) && value >= Decimal::from(-limit)).then_some(value)
        };
        match (latitude, longitude) {
            (None, None) => None,
            (Some(latitude), Some(longitude)) => match (degrees(&latitude, 90), degrees(&longitude, 180)) {
                (Some(latitude), Some(longitude)) => Some((latitude, longitude)),
                _ => self.fail(Attribute::Latitude, problems::PLACE, report),
            },
            _ => self.fail(Attribute::Latitude, problems::PLACE, report),
        }
    }

    /// A second row of a school may leave the register's cells empty but not
    /// contradict the first.
    fn check_same(&self, draft: &Draft, report: &mut Report) {
        let name = self.raw(Attribute::Name);
        let kind = self.raw(Attribute::Kind);
        if !name.is_empty() && words::key(name) != words::key(&draft.school.name) {
            report.error(self.at(Attribute::Name), problems::ROWS_DIFFER);
        }
        if !kind.is_empty() && kinds::kind(kind) != KindWord::Kind(draft.school.kind) {
            report.error(self.at(Attribute::Kind), problems::ROWS_DIFFER);
        }
    }

    fn read_figures(&self, draft: &mut Draft, stage: Option<Stage>, report: &mut Report) {
        let default = stage.map(Stage::part).or_else(|| only_part(draft));
        let is_empty = |column: u32| self.row.sheet.get(self.row.row, column).is_none();
        for (column, (target, _)) in &self.header.columns {
            let at = self.row.at(*column);
            match target {
                Target::Ignored | Target::Attribute(_) => {}
                Target::Figure { quantity, part, shift } => {
                    let Some(value) = self.row.figure(*column, quantity.measure, *shift, report) else {
                        continue;
                    };
                    put_figure(
                        draft,
                        quantity,
                        part.or(stage.map(Stage::part)),
                        Figure { value, at },
                        report,
                    );
                }
                Target::Component { index, part } => {
                    let Some(value) = self.row.figure(*column, Measure::Count, 0, report) else { continue };
                    put_component(draft, *index, part.or(default), Figure { value, at }, report);
                }
                Target::Rooms(purpose) => {
                    let Some(areas) = self.areas(*column, report) else {
                        draft.unread_list |= !is_empty(*column);
                        continue;
                    };
                    if let Some((earlier, _)) = draft.rooms.insert(*purpose, (areas.clone(), at))
                        && earlier != areas
                    {
                        report.error(at, problems::ROWS_DIFFER);
                    }
                }
                Target::ClassSizes { part } => {
                    let Some(sizes) = self.class_sizes(*column, report) else {
                        draft.unread_list |= !is_empty(*column);
                        continue;
                    };
                    match part.or(default) {
                        Some(Part::Primary) => drop(draft.classes.insert(Stage::Primary, (sizes, at))),
                        Some(Part::Junior) => drop(draft.classes.insert(Stage::Junior, (sizes, at))),
                        _ => report.error(at, problems::STAGE_NEEDED),
                    }
                }
                Target::Answer(question) => {
                    let Some(yes) = self.row.yes_no(*column, report) else { continue };
                    if draft.answers.insert(question.clone(), yes).is_some_and(|earlier| earlier != yes) {
                        report.error(at, problems::ROWS_DIFFER);
                    }
                }
            }
        }
    }

    fn areas(&self, column: u32, report: &mut Report) -> Option<Vec<Decimal>> {
        let text = self.row.text(column, report)?;
        let areas: Option<Vec<_>> = words::list(&text)
            .iter()
            .map(|item| {
                let item = item.trim_end_matches("m2").trim_end_matches("平方米");
                let number = words::number(item, 0).ok()?;
                (number.value > Decimal::ZERO && !number.rounded).then_some(number.value)
            })
            .collect();
        if areas.is_none() {
            report.error(self.row.at(column), problems::LIST_ITEM.with_detail(shorten(&text)));
        }
        areas
    }

    fn class_sizes(&self, column: u32, report: &mut Report) -> Option<Vec<u32>> {
        let text = self.row.text(column, report)?;
        let sizes: Option<Vec<_>> = words::list(&text)
            .iter()
            .map(|item| whole(words::number(item.trim_end_matches('人'), 0).ok()?.value))
            .collect();
        if sizes.is_none() {
            report.error(self.row.at(column), problems::LIST_ITEM.with_detail(shorten(&text)));
        }
        sizes
    }
}
