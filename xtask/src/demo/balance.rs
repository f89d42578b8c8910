//! Makes the county's coefficient of variation of backbone teachers in
//! primary schools flip by rounding: above 0.500, printed 0.500.

use num_bigint::BigUint;

use super::school::{School, Stage};
use crate::process::{Failure, Outcome};

/// Pupils below which a teaching point is not counted.
const SMALLEST_POINT: u64 = 50;

/// Squares of the limit 0.500 and of 0.5005, from which 0.501 is printed.
const LIMIT: (u32, u32) = (1, 4);
const PRINTED_ABOVE: (u32, u32) = (1_002_001, 4_000_000);

/// The schools that count, each with the index of the row that it is part
/// of: a branch site is part of its parent's.
struct Rows {
    pupils: Vec<u64>,
    of_school: Vec<Option<usize>>,
    /// Common multiple of all pupils, and its quotient by each.
    common: BigUint,
    quotients: Vec<BigUint>,
}

impl Rows {
    fn of(schools: &[School]) -> Self {
        let mut pupils: Vec<u64> = Vec::new();
        let mut of_school: Vec<Option<usize>> = vec![None; schools.len()];
        for (index, school) in schools.iter().enumerate() {
            let Some(stage) = &school.stages[0] else { continue };
            let own = stage.pupils();
            let excluded = matches!(school.kind, "特殊教育学校" | "职业学校")
                || (school.kind == "教学点" && own < SMALLEST_POINT);
            if excluded {
                continue;
            }
            let parent = schools.iter().position(|other| Some(&other.id) == school.parent.as_ref());
            if let Some(row) = parent.and_then(|parent| of_school[parent]) {
                pupils[row] += own;
                of_school[index] = Some(row);
            } else {
                of_school[index] = Some(pupils.len());
                pupils.push(own);
            }
        }
        let common = pupils.iter().fold(BigUint::from(1_u32), |product, count| product * *count);
        let quotients = pupils.iter().map(|count| &common / *count).collect();
        Self { pupils, of_school, common, quotients }
    }

    /// Numerator and denominator of the squared coefficient:
    /// (P·Σ(X²/p) − T²) / T², both times the common multiple.
    fn square(&self, schools: &[School]) -> (BigUint, BigUint) {
        let mut backbone = vec![0_u64; self.pupils.len()];
        for (school, row) in schools.iter().zip(&self.of_school) {
            if let (Some(row), Some(stage)) = (row, &school.stages[0]) {
                backbone[*row] += stage.backbone;
            }
        }
        let all: u64 = self.pupils.iter().sum();
        let total: u64 = backbone.iter().sum();
        let squares: BigUint =
            backbone.iter().zip(&self.quotients).map(|(count, quotient)| quotient * (count * count)).sum();
        let denominator = &self.common * (total * total);
        (squares * all - &denominator, denominator)
    }

    fn is_above(&self, schools: &[School], (over, under): (u32, u32)) -> bool {
        let (numerator, denominator) = self.square(schools);
        numerator * under > denominator * over
    }

    fn flips(&self, schools: &[School]) -> bool {
        self.is_above(schools, LIMIT) && !self.is_above_or_at(schools, PRINTED_ABOVE)
    }

    fn is_above_or_at(&self, schools: &[School], (over, under): (u32, u32)) -> bool {
        let (numerator, denominator) = self.square(schools);
        numerator * under >= denominator * over
    }
}

/// Adds and moves backbone teachers until the exact coefficient is above the
/// limit and below what still prints as the limit.
///
/// # Errors
/// [`Failure`] if no such assignment is found near the drawn one.
pub(super) fn flip_by_rounding(schools: &mut [School]) -> Outcome {
    let rows = Rows::of(schools);
    let free = |school: &School| school.case.is_empty() && school.stages[0].is_some();
    let indices = |keep: &dyn Fn(&School) -> bool| -> Vec<usize> {
        (0..schools.len()).filter(|at| rows.of_school[*at].is_some() && keep(&schools[*at])).collect()
    };
    let key = indices(&|school| free(school) && school.key);
    let others = indices(&|school| free(school) && !school.key);
    // Key schools gather more until the county is just beyond the limit.
    for at in key.iter().cycle().take(1_000) {
        if rows.is_above(schools, LIMIT) {
            break;
        }
        change(&mut schools[*at], 1);
    }
    for at in &key {
        for other in &others {
            for (there, here) in [(0, 0), (1, 0), (1, 1), (2, 0), (0, 1), (2, 1)] {
                let before = (schools[*at].clone(), schools[*other].clone());
                let possible = change(&mut schools[*at], -there) && change(&mut schools[*other], here);
                if possible && rows.flips(schools) {
                    return Ok(());
                }
                (schools[*at], schools[*other]) = before;
            }
        }
    }
    Err(Failure("no assignment of backbone teachers flips the coefficient by rounding".to_owned()))
}

/// Changes a school's backbone teachers; they stay teachers of the school and
/// do not fall below 85 % of the requirement.
fn change(school: &mut School, by: i64) -> bool {
    let Some(stage) = school.stages[0].as_mut() else { return false };
    let Some(backbone) = stage.backbone.checked_add_signed(by) else { return false };
    let floor = |stage: &Stage| stage.pupils() * 85;
    if backbone * 10_000 < floor(stage) {
        return false;
    }
    stage.backbone = backbone;
    stage.teachers = stage.teachers.max(backbone + stage.pe_art);
    true
}
