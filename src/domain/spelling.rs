//! "Did you mean": the known word that a slip of the keyboard was meant to be.
//!
//! Must not: show the word that was written. It may be a secret in a wrong
//! place; whoever asks knows whether it may be repeated.

/// The one of `known` that `name` is close to, upper and lower case aside.
pub fn did_you_mean<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_lowercase();
    // A long stranger is nobody's typing error, and may be long indeed.
    if name.is_empty() || name.len() > 64 {
        return None;
    }
    let near = |candidate: &'k str| {
        let distance = strsim::damerau_levenshtein(&name, &candidate.to_lowercase());
        let allowed = (candidate.len().max(name.len()) / 3).clamp(1, 3);
        (distance <= allowed).then_some((distance, candidate))
    };
    known.into_iter().filter_map(near).min().map(|(_, n)| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["concurrency", "quiet", "quiet_unsure", "path", "OPS40003"];
        assert_eq!(did_you_mean("concurency", known), Some("concurrency"));
        assert_eq!(did_you_mean("Quite", known), Some("quiet"));
        assert_eq!(did_you_mean("ops4003", known), Some("OPS40003"));
        assert_eq!(did_you_mean("zzz", known), None);
        assert_eq!(did_you_mean(&"q".repeat(500), known), None);
    }

    #[test]
    fn a_third_of_a_word_may_be_wrong_and_at_most_three_letters() {
        assert_eq!(did_you_mean("moth", ["path"]), None);
        assert_eq!(did_you_mean("dirctry", ["directory"]), Some("directory"));
        assert_eq!(did_you_mean("quit_nsr", ["quiet_unsure"]), None);
        assert_eq!(did_you_mean("", ["a"]), None);
    }

    #[test]
    fn what_is_longer_than_64_bytes_is_not_compared() {
        let known = "q".repeat(63);
        for (len, near) in [(64, Some(known.as_str())), (65, None)] {
            assert_eq!(did_you_mean(&"q".repeat(len), [known.as_str()]), near);
        }
    }
}
