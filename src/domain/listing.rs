//! The order of a list of files, and its pages: a page begins behind the last file
//! of the page before it, and so holds whatever has been added meanwhile.
//!
//! Must not: ask the ledger, or hold more places than a page has.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::fmt;
use std::str::FromStr;

use super::ids::FileId;

/// Bytes of a name that count in the order; the rest is left to the number. A
/// [`Place`] has to fit in the head of a request.
const MAX_NAME: usize = 1_000;

/// What a list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// When the state last changed.
    Changed,
    /// The number: which file was seen first.
    Seen,
    /// Folder and path, without regard to case.
    Name,
    /// The size.
    Size,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: By,
    /// The latest, the last or the largest first.
    pub descending: bool,
}

impl Order {
    /// As they are spelled, the usual one first.
    pub const ALL: [&'static str; 8] = [
        "-changed", "changed", "-seen", "seen", "name", "-name", "-size", "size",
    ];
}

impl Default for Order {
    fn default() -> Order {
        Order {
            by: By::Changed,
            descending: true,
        }
    }
}

/// It is no order; [`Order::ALL`] has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoOrder;

impl FromStr for Order {
    type Err = NoOrder;
    fn from_str(text: &str) -> Result<Order, NoOrder> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let by = match name {
            "changed" => By::Changed,
            "seen" => By::Seen,
            "name" => By::Name,
            "size" => By::Size,
            _ => return Err(NoOrder),
        };
        Ok(Order { by, descending })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.descending {
            f.write_str("-")?;
        }
        f.write_str(match self.by {
            By::Changed => "changed",
            By::Seen => "seen",
            By::Name => "name",
            By::Size => "size",
        })
    }
}

/// A path without regard to case. Bytes that are not UTF-8 are all the same.
pub fn folded(path: &[u8]) -> String {
    String::from_utf8_lossy(path).to_lowercase()
}

/// What a file is ordered by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A time, a number or a size.
    Number(i64),
    /// A name, folded.
    Name(String),
}

impl Key {
    /// Of a file in this folder, at this path.
    pub fn of_name(folder: &str, path: &[u8]) -> Key {
        let mut name = format!("{}/{}", folder.to_lowercase(), folded(path));
        name.truncate(name.floor_char_boundary(MAX_NAME));
        Key::Name(name)
    }
}

/// Where a file is in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What it is ordered by.
    pub key: Key,
    /// Decides between equal ones.
    pub id: FileId,
}

impl Place {
    /// The place that [`Place`] is shown as, of a list in this order.
    ///
    /// # Errors
    /// When it is none, or one of a list that is ordered by something else.
    pub fn parse(text: &str, order: Order) -> Result<Place, NoPlace> {
        let (key, id) = text.rsplit_once('.').ok_or(NoPlace)?;
        let id = FileId(id.parse().map_err(|_| NoPlace)?);
        let key = match order.by {
            By::Name => Key::Name(from_hex(key).ok_or(NoPlace)?),
            By::Changed | By::Seen | By::Size => Key::Number(key.parse().map_err(|_| NoPlace)?),
        };
        Ok(Place { key, id })
    }
}

/// It is no place in such a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Key::Number(number) => write!(f, "{number}")?,
            Key::Name(name) => {
                for byte in name.bytes() {
                    write!(f, "{byte:02x}")?;
                }
            }
        }
        write!(f, ".{}", self.id)
    }
}

fn from_hex(text: &str) -> Option<String> {
    if text.len() > 2 * MAX_NAME || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// The next page of a list, found by looking at its files in any order.
#[derive(Debug)]
pub struct Page {
    order: Order,
    after: Option<Place>,
    most: usize,
    /// The best so far, the last of them on top; one more than the page has.
    best: BinaryHeap<Ranked>,
}

impl Page {
    /// The page of at most `most` files behind the place `after`.
    pub fn new(order: Order, after: Option<Place>, most: usize) -> Page {
        Page {
            order,
            after,
            most,
            best: BinaryHeap::new(),
        }
    }

    /// A file of the list.
    pub fn offer(&mut self, place: Place) {
        let ranked = |place| Ranked {
            place,
            descending: self.order.descending,
        };
        let it = ranked(place);
        if self
            .after
            .as_ref()
            .is_some_and(|after| it <= ranked(after.clone()))
        {
            return;
        }
        if self.best.len() > self.most {
            if self.best.peek().is_some_and(|last| it >= *last) {
                return;
            }
            self.best.pop();
        }
        self.best.push(it);
    }

    /// The files of the page in order, and whether there are more behind them.
    /// A file that changed while it was looked for may have been offered twice.
    pub fn places(self) -> (Vec<Place>, bool) {
        let more = self.best.len() > self.most;
        let best = self.best.into_sorted_vec().into_iter();
        let mut places: Vec<Place> = best.map(|ranked| ranked.place).collect();
        places.truncate(self.most);
        let mut met = HashSet::new();
        places.retain(|place| met.insert(place.id));
        (places, more)
    }
}

/// A place in a list of this direction: what comes earlier is less.
#[derive(Debug, PartialEq, Eq)]
struct Ranked {
    place: Place,
    descending: bool,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> Ordering {
        let ascending = self.place.cmp(&other.place);
        if self.descending {
            ascending.reverse()
        } else {
            ascending
        }
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn number(key: i64, id: i64) -> Place {
        Place {
            key: Key::Number(key),
            id: FileId(id),
        }
    }

    /// All pages of a list, as the numbers of their files.
    fn pages(order: &str, most: usize, all: &[Place]) -> Vec<Vec<i64>> {
        let order: Order = order.parse().unwrap();
        let (mut after, mut pages) = (None, Vec::new());
        loop {
            let mut page = Page::new(order, after, most);
            for place in all {
                page.offer(place.clone());
            }
            let (places, more) = page.places();
            pages.push(places.iter().map(|place| place.id.0).collect());
            if !more {
                return pages;
            }
            // As an address carries it.
            let spelled = places.last().unwrap().to_string();
            after = Some(Place::parse(&spelled, order).unwrap());
        }
    }

    #[test]
    fn pages_hold_every_file_once_and_in_order() {
        let all: Vec<Place> = (0..10).map(|id| number(id * 7 % 5, id)).collect();
        assert_eq!(
            pages("size", 4, &all),
            [vec![0, 5, 3, 8], vec![1, 6, 4, 9], vec![2, 7]]
        );
        assert_eq!(
            pages("-size", 4, &all),
            [vec![7, 2, 9, 4], vec![6, 1, 8, 3], vec![5, 0]]
        );
        assert_eq!(
            pages("changed", 10, &all).len(),
            1,
            "a full page is the last"
        );
        assert_eq!(pages("changed", 10, &[]), [vec![0; 0]]);
        // Offered twice: with what it was, and with what it is.
        let twice = [number(1, 1), number(2, 2), number(3, 1)];
        assert_eq!(pages("changed", 5, &twice), [[1, 2]]);
    }

    #[test]
    fn names_are_ordered_without_regard_to_case_and_fit_an_address() {
        let long = "ß".repeat(4_000);
        let names = ["b.txt", "A.txt", "Ärger.txt", "報告.pdf", "a.txt", &long];
        let all: Vec<Place> = (0..)
            .zip(names)
            .map(|(id, name)| Place {
                key: Key::of_name("Inbox", name.as_bytes()),
                id: FileId(id),
            })
            .collect();
        assert_eq!(
            pages("name", 2, &all),
            [vec![1, 4], vec![0, 5], vec![2, 3]],
            "equal names go by their numbers"
        );
        assert!(all[5].to_string().len() < 2_100);
    }

    #[test]
    fn what_is_no_order_or_no_place_is_refused() {
        for text in Order::ALL {
            assert_eq!(text.parse::<Order>().unwrap().to_string(), text);
        }
        assert_eq!(Order::default().to_string(), Order::ALL[0]);
        for text in ["", "-", "--size", "date", "Size", "+size"] {
            assert_eq!(text.parse::<Order>(), Err(NoOrder), "{text}");
        }
        let by_name: Order = "name".parse().unwrap();
        for (text, order) in [
            ("", Order::default()),
            ("5", Order::default()),
            ("x.5", Order::default()),
            ("5.x", Order::default()),
            ("6.5", by_name),
            ("zz.5", by_name),
            ("ff.5", by_name),
        ] {
            assert_eq!(Place::parse(text, order), Err(NoPlace), "{text}");
        }
        let long = format!("{}.5", "61".repeat(MAX_NAME + 1));
        assert_eq!(Place::parse(&long, by_name), Err(NoPlace));
    }
}
