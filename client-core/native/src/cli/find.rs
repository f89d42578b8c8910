//! Which school of which round a person means.

use std::collections::BTreeSet;

use duxue_client_core::{CommandError, Subject};
use duxue_document::RoundId;
use duxue_document::school::School;
use duxue_protocol::problem::Problem;

/// A school by its code or name, or by a part of its name that only one has.
/// What is written must never land in another school or round than was meant,
/// so that nothing is chosen where several fit.
///
/// # Errors
/// `client.unknown_school`; `client.ambiguous_school` and
/// `client.ambiguous_round`, each with what to add.
pub fn school<'a>(
    known: impl Iterator<Item = (&'a RoundId, &'a School)>,
    round: Option<&str>,
    text: &str,
) -> Result<Subject, Problem> {
    let in_round = |(of, _): &(&RoundId, &School)| round.is_none_or(|wanted| wanted == of.as_str());
    let fits = |(_, school): &(&RoundId, &School)| !text.is_empty() && school.name.contains(text);
    let is_exactly = |(_, school): &(&RoundId, &School)| school.id.as_str() == text || school.name == text;
    let known: Vec<_> = known.filter(in_round).filter(|found| is_exactly(found) || fits(found)).collect();
    let exact: Vec<_> = known.iter().copied().filter(is_exactly).collect();
    let found = if exact.is_empty() { known } else { exact };
    let schools: BTreeSet<_> = found.iter().map(|(_, school)| &school.id).collect();
    match (schools.len(), found.as_slice()) {
        (0, _) | (_, []) => Err(CommandError::UnknownSchool.problem().with_detail(text)),
        (1, [(round, school)]) => Ok(Subject { round: (*round).clone(), school: school.id.clone() }),
        (1, _) => Err(ambiguous_round(found.iter().map(|(round, _)| *round))),
        _ => Err(ambiguous_school(&found)),
    }
}

fn ambiguous_school(found: &[(&RoundId, &School)]) -> Problem {
    let each: BTreeSet<String> =
        found.iter().map(|(_, school)| format!("{} {}", school.id, school.name)).collect();
    Problem::new(
        "client.ambiguous_school",
        "有几所学校符合：请写学校标识码",
        "several schools match: give the school's code",
    )
    .with_detail(each.into_iter().collect::<Vec<_>>().join(", "))
}

/// Several rounds fit; the detail is what to add to the command.
pub fn ambiguous_round<'a>(rounds: impl Iterator<Item = &'a RoundId>) -> Problem {
    let each: BTreeSet<String> = rounds.map(|round| format!("--round {round}")).collect();
    Problem::new(
        "client.ambiguous_round",
        "有几个督导轮次：请用 --round 指定",
        "there are several rounds: name one with --round",
    )
    .with_detail(each.into_iter().collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use duxue_document::school::{SchoolKind, Setting};

    use super::*;

    fn school_of(id: &str, name: &str) -> School {
        School {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            jurisdiction: "340207".parse().unwrap(),
            kind: SchoolKind::Primary,
            parent: None,
            attached: BTreeSet::new(),
            setting: Setting::Urban,
            sponsor: 4,
            built_year: None,
            boarding: false,
            dense_centre: false,
            place: None,
        }
    }

    #[test]
    fn nothing_is_chosen_where_several_rounds_or_schools_fit() {
        let schools = [
            ("r1", school_of("3402070001", "镜湖小学")),
            ("r1", school_of("3402070002", "镜湖小学东校区")),
            ("r1", school_of("3402070003", "实验学校")),
            ("r1", school_of("3402070004", "实验学校")),
            ("r1", school_of("3402070005", "北门小学")),
            ("r2", school_of("3402070001", "镜湖小学")),
        ]
        .map(|(round, school)| (round.parse::<RoundId>().unwrap(), school));
        let cases = [
            (None, "3402070005", Ok(("r1", "3402070005"))),
            (None, "北门", Ok(("r1", "3402070005"))),
            (Some("r2"), "3402070001", Ok(("r2", "3402070001"))),
            (Some("r1"), "镜湖小学", Ok(("r1", "3402070001"))),
            (None, "3402070001", Err(("client.ambiguous_round", "--round r1 | --round r2"))),
            (None, "镜湖小学", Err(("client.ambiguous_round", "--round r1 | --round r2"))),
            (None, "实验学校", Err(("client.ambiguous_school", "3402070003 实验学校, 3402070004 实验学校"))),
            (
                Some("r1"),
                "镜湖",
                Err(("client.ambiguous_school", "3402070001 镜湖小学, 3402070002 镜湖小学东校区")),
            ),
            (Some("r3"), "3402070001", Err(("client.unknown_school", "3402070001"))),
            (None, "", Err(("client.unknown_school", ""))),
        ];
        for (round, text, expected) in cases {
            let found = school(schools.iter().map(|(round, school)| (round, school)), round, text);
            match (&found, expected) {
                (Ok(subject), Ok((round, school))) => {
                    assert_eq!((subject.round.as_str(), subject.school.as_str()), (round, school), "{text}");
                }
                (Err(problem), Err((code, detail))) => {
                    assert_eq!(problem.code, code, "{text}");
                    assert_eq!(problem.detail.as_deref(), Some(detail), "{text}");
                }
                _ => panic!("{text}: {found:?}"),
            }
        }
    }
}
