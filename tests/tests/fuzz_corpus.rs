//! The corpora of the fuzz targets, replayed on every run of the tests.

use std::path::Path;

use duxue_tests::fuzzed::TARGETS;
use duxue_tests::hostile::own_peak_memory_kib;

/// What replaying all of it may cost at its peak, in KiB. It was 153 MiB.
const MEMORY_KIB: u64 = 384 << 10;

#[test]
fn every_file_of_every_corpus_does_no_harm() {
    let corpora = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus"));
    let targets = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/fuzz_targets"));
    for (name, target) in TARGETS {
        assert!(targets.join(format!("{name}.rs")).is_file(), "{name} is fuzzed");
        let files = std::fs::read_dir(corpora.join(name)).expect("a corpus").flatten();
        let mut replayed = 0;
        for file in files {
            let bytes = std::fs::read(file.path()).expect("a file of the corpus");
            println!("{name}: {}", file.file_name().to_string_lossy());
            target(&bytes);
            // Every file also cut off, and with its first byte changed.
            for cut in 0..bytes.len().min(200) {
                target(&bytes[..bytes.len() - cut - 1]);
            }
            if let [first, rest @ ..] = bytes.as_slice() {
                target(&[&[first ^ 1], rest].concat());
            }
            replayed += 1;
        }
        assert!(replayed >= 4, "{name} has {replayed} files");
        let peak = own_peak_memory_kib().expect("Linux tells");
        println!("{name}: peak memory of all until now {} MiB", peak >> 10);
        assert!(peak < MEMORY_KIB, "{name}: {peak} KiB");
    }
}
