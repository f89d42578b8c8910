//! Standard files: the built-in ones are sound, and faulty ones are refused
//! with every error at its line.

use duxue_standards::{Standard, builtin};

fn load(ids: &[&str]) -> Standard {
    let texts: Vec<&str> = ids.iter().map(|id| builtin::text(id).unwrap()).collect();
    Standard::load(&texts).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

#[test]
fn the_built_in_files_are_sound() {
    load(&["cn-jiben-2012"]);
    let overlaid = load(&["cn-youzhi-2017", "example-overlay"]);
    assert_eq!(overlaid.files.len(), 2);
}
