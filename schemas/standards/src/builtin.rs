//! The standard files that come with the crate.

/// Ids and texts of the built-in files.
const FILES: [(&str, &str); 3] = [
    ("cn-youzhi-2017", include_str!("../data/cn-youzhi-2017.toml")),
    ("cn-jiben-2012", include_str!("../data/cn-jiben-2012.toml")),
    ("example-overlay", include_str!("../data/example-overlay.toml")),
];

/// The text of a built-in standard file.
#[must_use]
pub fn text(id: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == id).map(|(_, text)| *text)
}

/// The ids of all built-in files.
#[must_use]
pub fn ids() -> [&'static str; 3] {
    FILES.map(|(id, _)| id)
}
