//! Whether a benchmark was asked for, and how much of it.
//!
//! Must not: know what is measured.

/// How much a benchmark does. Only `cargo bench` gives `--bench`: without it,
/// `cargo test --benches` has built and begun it, and wants to see it end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Nothing: it was not asked for.
    Nothing,
    /// A short run, which shows that it works.
    Quick,
    /// All of it.
    Whole,
}

impl Run {
    /// By the program's arguments: `--quick` is a short run wherever it stands.
    pub fn of_arguments() -> Run {
        Run::of(std::env::args().skip(1))
    }

    fn of(arguments: impl Iterator<Item = String>) -> Run {
        let (mut bench, mut quick) = (false, false);
        for argument in arguments {
            bench |= argument == "--bench";
            quick |= argument == "--quick" || argument == "--test";
        }
        match (bench, quick) {
            (_, true) => Run::Quick,
            (true, false) => Run::Whole,
            (false, false) => Run::Nothing,
        }
    }
}

#[cfg(test)]
#[allow(unused, reason = "the benchmarks themselves have no harness")]
mod tests {
    use super::*;

    #[test]
    fn without_being_asked_a_benchmark_does_nothing() {
        let of = |list: &[&str]| Run::of(list.iter().map(|text| (*text).to_owned()));
        assert_eq!(of(&[]), Run::Nothing);
        assert_eq!(of(&["some_test"]), Run::Nothing);
        assert_eq!(of(&["--bench"]), Run::Whole);
        assert_eq!(of(&["--bench", "--quick"]), Run::Quick);
        assert_eq!(of(&["--quick"]), Run::Quick);
        assert_eq!(of(&["--test"]), Run::Quick);
    }
}
