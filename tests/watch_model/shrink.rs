//! Makes a failing list smaller: delta debugging (Zeller, Hildebrandt:
//! "Simplifying and Isolating Failure-Inducing Input", 2002), without its
//! second half: parts are taken out, halves first and single steps last.
//!
//! Must not: know what the list is of.

/// A smaller list that `fails` as well: none of its steps can be left out,
/// unless `over` said to stop before that was known. `steps` itself must fail.
pub fn smallest<T: Clone>(
    steps: &[T],
    mut fails: impl FnMut(&[T]) -> bool,
    over: impl Fn() -> bool,
) -> Vec<T> {
    let mut left = steps.to_vec();
    let mut part = left.len().div_ceil(2);
    while part > 0 && !left.is_empty() {
        let mut shrunk = false;
        let mut from = 0;
        while from < left.len() {
            if over() {
                return left;
            }
            let to = (from + part).min(left.len());
            let without = [&left[..from], &left[to..]].concat();
            if fails(&without) {
                // What comes after is now at `from`.
                left = without;
                shrunk = true;
            } else {
                from = to;
            }
        }
        if part == 1 && !shrunk {
            break;
        }
        part = if shrunk {
            part.min(left.len())
        } else {
            part / 2
        };
    }
    left
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::smallest;

    #[test]
    fn only_what_is_needed_is_left() {
        let all: Vec<u32> = (0..200).collect();
        for needed in [&[17][..], &[3, 150], &[0, 1, 199], &[90, 91, 92, 93, 180]] {
            let tried = Cell::new(0);
            let fails = |list: &[u32]| {
                tried.set(tried.get() + 1);
                needed.iter().all(|n| list.contains(n))
            };
            assert_eq!(smallest(&all, fails, || false), needed);
            assert!(tried.get() < 400, "{} tries", tried.get());
        }
        assert!(smallest(&all, |_| true, || false).is_empty());
        assert_eq!(smallest(&all, |_| false, || false), all);
    }

    #[test]
    fn an_order_that_matters_is_kept() {
        let all: Vec<u32> = (0..64).rev().collect();
        let fails = |list: &[u32]| {
            let place = |n| list.iter().position(|m| *m == n);
            matches!((place(40), place(9)), (Some(a), Some(b)) if a < b)
        };
        assert_eq!(smallest(&all, fails, || false), [40, 9]);
    }

    #[test]
    fn it_ends_in_time_with_what_it_has() {
        let all: Vec<u32> = (0..64).collect();
        let tried = Cell::new(0);
        let fails = |list: &[u32]| {
            tried.set(tried.get() + 1);
            list.contains(&5)
        };
        let left = smallest(&all, fails, || tried.get() >= 2);
        assert!(left.contains(&5) && left.len() < 64, "{left:?}");
        assert_eq!(tried.get(), 2);
    }
}
