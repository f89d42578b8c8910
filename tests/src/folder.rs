//! Data folders as a whole.

use std::path::Path;

/// Copies a folder with all that is in it.
///
/// # Panics
/// If the disk fails.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// The paths of all files in a folder and those below it, in order.
///
/// # Panics
/// If the disk fails.
#[must_use]
pub fn files(folder: &Path) -> Vec<String> {
    fn collect(folder: &Path, below: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(below).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(folder, &path, found);
            } else if let Ok(name) = path.strip_prefix(folder) {
                found.push(name.to_string_lossy().into_owned());
            }
        }
    }
    let mut found = Vec::new();
    collect(folder, folder, &mut found);
    found.sort();
    found
}
