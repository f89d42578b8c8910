//! The assessment kept up to date: one changed school re-computes that school
//! and changes the county's sums by the difference.

use duxue_document::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use duxue_document::SchoolId;
use duxue_document::school::{School, Stage};

use super::coefficient::Sums;
use super::county::{self, CountyAssessment};
use super::difference::{self, CoefficientResult, Rows};
use super::over_schools::{self, OverSchools, Share};
use super::provenance::{Assessment, MadeFrom, Provenance};
use super::row::{RowCases, row_cases};
use super::rule::Scope;
use super::running::{Running, Step};
use super::school::{self, SchoolAssessment};
use super::unit::{Unit, no_schools};
use super::verdict::Verdict;
use super::{indicator, result};
use crate::input::{CountyInput, SchoolInput};
use crate::standard::{Level, Limit, Named, Standard};

/// A coefficient's rows: a stage, and the item by its position.
type Column = (Stage, usize);

/// One school with its branch sites, assessed.
#[derive(Clone)]
struct State {
    verdict: Arc<Verdict>,
    /// With reasons, once somebody has read them. They are of the same inputs
    /// as the verdict: whatever changes these replaces the state.
    explained: Arc<OnceLock<Option<Arc<SchoolAssessment>>>>,
    rows: Arc<BTreeMap<Column, RowCases>>,
    shares: Arc<Vec<Share>>,
    members: Vec<SchoolId>,
}

/// The assessment of a round, changed school by school. Whatever the order of
/// changes, the result is that of a fresh one on the same inputs. Reasons are
/// worked out when a school's assessment is first read.
#[derive(Clone)]
pub struct Assessor {
    standard: Arc<Standard>,
    as_of: String,
    inputs: BTreeMap<SchoolId, Arc<SchoolInput>>,
    county: Arc<CountyInput>,
    provenance: Provenance,
    units: BTreeMap<SchoolId, State>,
    sums: BTreeMap<Column, Sums>,
    /// Schools whose rows are open, or for which a relief lets more count.
    unsettled: BTreeMap<Column, BTreeSet<SchoolId>>,
    running: Running,
    over_schools: OverSchools,
}

impl Assessor {
    /// An assessor without schools. `as_of` is the date that the assessment
    /// speaks of, `YYYY-MM-DD`.
    #[must_use]
    pub fn new(standard: impl Into<Arc<Standard>>, as_of: impl Into<String>) -> Self {
        Self {
            standard: standard.into(),
            as_of: as_of.into(),
            inputs: BTreeMap::new(),
            county: Arc::default(),
            provenance: Provenance::default(),
            units: BTreeMap::new(),
            sums: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            running: Running::default(),
            over_schools: OverSchools::default(),
        }
    }

    /// Adds a school, or replaces what is known of it.
    pub fn set_school(&mut self, input: impl Into<Arc<SchoolInput>>) {
        let input = input.into();
        let id = input.school.id.clone();
        let before = self.inputs.insert(id.clone(), input.clone());
        let new = before.is_none();
        let same_place = before.is_some_and(|before| before.school.parent == input.school.parent);
        if same_place {
            self.compute(&self.root_of(&id));
        } else if new && self.stands_alone(&input.school) {
            self.compute_members(&id, vec![id.clone()]);
        } else {
            self.regroup(&id);
        }
    }

    /// Forgets a school.
    pub fn remove_school(&mut self, id: &SchoolId) {
        if self.inputs.remove(id).is_some() {
            self.regroup(id);
        }
    }

    /// Replaces what is known of the county itself. Schools that were held
    /// against a county figure that is now another are computed again.
    pub fn set_county(&mut self, input: impl Into<Arc<CountyInput>>) {
        let before = std::mem::replace(&mut self.county, input.into());
        let roots: Vec<SchoolId> = self
            .units
            .iter()
            .filter(|(_, state)| state.verdict.looked_at_other(&before, &self.county))
            .map(|(root, _)| root.clone())
            .collect();
        for root in roots {
            self.compute(&root);
        }
    }

    /// Says what the inputs were made from; named in the assessment.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = provenance;
    }

    /// The standard.
    #[must_use]
    pub fn standard(&self) -> &Arc<Standard> {
        &self.standard
    }

    /// The inputs of all schools.
    #[must_use]
    pub fn inputs(&self) -> &BTreeMap<SchoolId, Arc<SchoolInput>> {
        &self.inputs
    }

    /// The input of the county.
    #[must_use]
    pub fn county_input(&self) -> &Arc<CountyInput> {
        &self.county
    }

    /// The assessment of one school. A branch site is in its parent's.
    #[must_use]
    pub fn school(&self, id: &SchoolId) -> Option<&Arc<SchoolAssessment>> {
        self.explained(self.units.get(&self.root_of(id))?)
    }

    /// A school and its branch sites; `None` for a branch site.
    pub(crate) fn sites(&self, school: &SchoolId) -> Option<&[SchoolId]> {
        self.units.get(school).map(|state| state.members.as_slice())
    }

    fn explained<'s>(&self, state: &'s State) -> Option<&'s Arc<SchoolAssessment>> {
        let explain = || school::assess(&self.unit(&state.members)).map(Arc::new);
        state.explained.get_or_init(explain).as_ref()
    }

    fn unit<'s>(&'s self, members: &[SchoolId]) -> Unit<'s> {
        let campuses = members.iter().filter_map(|id| self.inputs.get(id)).map(|input| &**input).collect();
        Unit::new(&self.standard, campuses, Some(&self.county), &no_schools, &self.as_of)
    }

    /// What an assessment is made from, without making one.
    #[must_use]
    pub fn made_from(&self) -> MadeFrom {
        MadeFrom::new(&self.standard, &self.as_of, &self.provenance)
    }

    /// The county and all schools.
    #[must_use]
    pub fn assessment(&self) -> Assessment {
        Assessment {
            made_from: self.made_from(),
            county: self.county(),
            schools: self.units.values().filter_map(|state| self.explained(state)).cloned().collect(),
        }
    }

    /// The county alone.
    #[must_use]
    pub fn county(&self) -> CountyAssessment {
        county::assess(&self.standard, &self.running, self.coefficients(), self.county_indicators())
    }

    /// The school that a site is merged into: itself if it has no parent here.
    fn root_of(&self, id: &SchoolId) -> SchoolId {
        let mut root = id;
        // Parents that form a ring stop at the smallest id met.
        let mut met = BTreeSet::new();
        while let Some(parent) = self.inputs.get(root).and_then(|input| input.school.parent.as_ref()) {
            if !met.insert(root) {
                return met.into_iter().min().unwrap_or(root).clone();
            }
            if !self.inputs.contains_key(parent) {
                break;
            }
            root = parent;
        }
        root.clone()
    }

    /// Whether a school is neither a branch site nor has any.
    fn stands_alone(&self, school: &School) -> bool {
        let of_it = |input: &Arc<SchoolInput>| input.school.parent.as_ref() == Some(&school.id);
        school.parent.is_none() && !self.inputs.values().any(of_it)
    }

    /// Recomputes every unit whose members changed when `changed` came, went
    /// or moved.
    fn regroup(&mut self, changed: &SchoolId) {
        let mut groups: BTreeMap<SchoolId, Vec<SchoolId>> = BTreeMap::new();
        for id in self.inputs.keys() {
            groups.entry(self.root_of(id)).or_default().push(id.clone());
        }
        let gone: Vec<SchoolId> =
            self.units.keys().filter(|root| !groups.contains_key(*root)).cloned().collect();
        for root in gone {
            self.forget(&root);
        }
        for (root, mut members) in groups {
            // The school itself first, then its sites by id.
            members.retain(|id| *id != root);
            members.insert(0, root.clone());
            let as_before = self.units.get(&root).is_some_and(|state| state.members == members);
            if !as_before || members.contains(changed) {
                self.compute_members(&root, members);
            }
        }
    }

    fn forget(&mut self, root: &SchoolId) {
        if let Some(state) = self.units.remove(root) {
            self.change(root, &state, Step::TakeOut);
        }
    }

    fn compute(&mut self, root: &SchoolId) {
        if let Some(state) = self.units.get(root) {
            self.compute_members(root, state.members.clone());
        }
    }

    fn compute_members(&mut self, root: &SchoolId, members: Vec<SchoolId>) {
        self.forget(root);
        let unit = self.unit(&members);
        let Some(verdict) = Verdict::new(&unit) else { return };
        let mut rows = BTreeMap::new();
        for row in verdict.stages.iter().filter(|row| row.counts != Some(false)) {
            for (position, (place, item)) in self.items().into_iter().enumerate() {
                rows.insert((row.stage, position), row_cases(&unit, row, (place, item)));
            }
        }
        let shares = Arc::new(over_schools::shares(&unit));
        let (verdict, explained) = (Arc::new(verdict), Arc::default());
        let state = State { verdict, explained, rows: Arc::new(rows), shares, members };
        self.change(root, &state, Step::Add);
        self.units.insert(root.clone(), state);
    }

    /// Changes the county's sums and tallies by one school.
    fn change(&mut self, root: &SchoolId, state: &State, step: Step) {
        self.running.change(&state.verdict, step);
        self.over_schools.change(root, &state.shares, step);
        for (column, cases) in state.rows.iter() {
            let settled = cases.settled();
            if let Some(row) = settled {
                self.sums.entry(*column).or_default().change(row, if step == Step::Add { 1 } else { -1 });
            }
            if settled.is_none() || cases.relief.is_some() {
                let unsettled = self.unsettled.entry(*column).or_default();
                match step {
                    Step::Add => unsettled.insert(root.clone()),
                    Step::TakeOut => unsettled.remove(root),
                };
            }
        }
    }

    /// The indicators whose differences are tested, with their places among
    /// those of stages.
    fn items(&self) -> Vec<(usize, &crate::standard::Indicator)> {
        let items = self.standard.difference.as_ref().map(|difference| difference.items.as_slice());
        let of_stages = || self.standard.indicators.iter().filter(|item| item.level == Level::Stage);
        let place = |id: &String| of_stages().enumerate().find(|(_, item)| item.id == *id);
        items.unwrap_or_default().iter().filter_map(place).collect()
    }

    fn coefficients(&self) -> Vec<(Stage, Vec<CoefficientResult>)> {
        Stage::ALL.into_iter().map(|stage| (stage, self.coefficients_of(stage))).collect()
    }

    fn coefficients_of(&self, stage: Stage) -> Vec<CoefficientResult> {
        let Some(difference) = &self.standard.difference else { return Vec::new() };
        let limit: Option<Limit> = difference.at_most.get(&stage).copied();
        let items = self.items();
        let columns: Vec<Column> = (0..items.len()).map(|position| (stage, position)).collect();
        let all: Vec<_> = columns
            .iter()
            .map(|column| {
                move || -> Vec<&RowCases> {
                    self.units.values().filter_map(|state| state.rows.get(column)).collect()
                }
            })
            .collect();
        let rows: Vec<(String, Rows)> = items
            .iter()
            .zip(&columns)
            .zip(&all)
            .map(|(((_, item), column), all)| {
                let unsettled = self.unsettled.get(column).into_iter().flatten();
                let (eased, open): (Vec<_>, Vec<_>) = unsettled
                    .filter_map(|root| self.units.get(root)?.rows.get(column))
                    .partition(|cases| cases.settled().is_some());
                let sums = self.sums.get(column).copied().unwrap_or_default();
                (item.id.clone(), Rows { sums, open, eased, all })
            })
            .collect();
        let decimals = |id: &str| self.standard.indicator(id).map_or(2, |item| item.decimals);
        difference::decide(difference, limit, &decimals, &rows)
    }

    fn county_indicators(&self) -> Vec<result::IndicatorResult> {
        let schools = |quantity: &Named| self.over_schools.sum(&self.standard, quantity);
        let unit = Unit::new(&self.standard, Vec::new(), Some(&self.county), &schools, &self.as_of);
        let own = self.standard.indicators.iter().filter(|indicator| indicator.level == Level::County);
        own.map(|item| {
            let mut result = indicator::decide(&unit, Scope::County, item, None);
            self.over_schools.explain(&self.standard, item, &mut result);
            result
        })
        .collect()
    }
}
