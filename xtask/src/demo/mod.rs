//! The demonstration county: a register with declared figures, field sheets
//! of three inspectors, and photos. All of it is synthetic and says so.
//!
//! What is chosen stands in `data/schools.csv`; the rest is drawn from a seed
//! around published averages (`data/averages.csv`), so that the same seed
//! gives the same bytes. Deliberate cases are in [`cases`]; the coefficient
//! of variation that flips by rounding is made in [`balance`].

pub mod averages;
pub mod balance;
pub mod cases;
pub mod field;
pub mod school;
pub mod sheets;

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::process::{Failure, Outcome};
use averages::Averages;
use school::School;

/// The county's name as shown.
pub const COUNTY_NAME: &str = "示例县（合成数据）";
/// The county's code: no place has it.
pub const COUNTY_CODE: &str = "990101";
/// The seed of the county that `cargo xtask run` starts with.
pub const SEED: u64 = 2017;

/// A county.
pub struct County {
    /// Its schools in the order of their ids.
    pub schools: Vec<School>,
}

impl County {
    /// Draws the county of a seed.
    ///
    /// # Errors
    /// [`Failure`] if the data beside this file is not what it should be, or
    /// if no assignment of backbone teachers has the wanted coefficient.
    pub fn draw(seed: u64) -> Outcome<Self> {
        let averages = Averages::read(include_str!("data/averages.csv"))?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut schools = Vec::new();
        for row in rows(include_str!("data/schools.csv")).skip(1) {
            let mut school = School::draw(&row, &averages, &mut random)?;
            cases::apply(&mut school)?;
            schools.push(school);
        }
        balance::flip_by_rounding(&mut schools)?;
        Ok(Self { schools })
    }
}

/// Writes the county's files to a folder: `register.xlsx`, `register.csv`,
/// `county.csv`, `field/*.jsonl` and `photos/*.jpg`.
///
/// # Errors
/// [`Failure`] if the county cannot be drawn or the folder not be written.
pub fn write(folder: &Path) -> Outcome {
    let county = County::draw(SEED)?;
    let mut files = vec![
        ("register.xlsx".to_owned(), sheets::xlsx(&county)?),
        ("register.csv".to_owned(), sheets::csv(&sheets::school_rows(&county))),
        ("county.csv".to_owned(), sheets::csv(&sheets::county_rows())),
    ];
    files.extend(field::sheets(&county)?.into_iter().map(|sheet| (sheet.file(), sheet.text().into_bytes())));
    files.extend(field::PHOTOS.iter().map(|(name, bytes)| (format!("photos/{name}"), bytes.to_vec())));
    for (name, bytes) in files {
        let path = folder.join(name);
        let written =
            path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}

/// The rows of a data file: no quotes, no comments.
fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split(',').collect())
}

#[cfg(test)]
mod tests;
