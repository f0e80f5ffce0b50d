//! An access list as the kernel keeps it (acl(5), `posix_acl_xattr.h`), and what
//! it lets somebody do. Pure.
//!
//! Must not: look at a file.

/// Who a user is, to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// Its number.
    pub uid: u32,
    /// Its groups.
    pub gids: Vec<u32>,
}

/// One entry: whom it is for, and the bits of `rwx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    whom: Whom,
    bits: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    Owner,
    User(u32),
    Group,
    NamedGroup(u32),
    Mask,
    Others,
}

/// An access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

/// What an access list says of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    May,
    /// No entry gives it.
    MayNot,
    /// An entry gives it, and the mask takes it away: a `chmod` of the group's
    /// bits changes the mask.
    Masked,
}

impl Acl {
    /// Reads the value of `system.posix_acl_access`; `None`: not one that is
    /// known.
    pub fn parse(value: &[u8]) -> Option<Acl> {
        let (version, entries) = value.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*version) != 2 || entries.len() % 8 != 0 {
            return None;
        }
        let entry = |e: &[u8]| {
            let whom = u16::from_le_bytes([e[0], e[1]]);
            let id = u32::from_le_bytes([e[4], e[5], e[6], e[7]]);
            Some(Entry {
                whom: match whom {
                    0x01 => Whom::Owner,
                    0x02 => Whom::User(id),
                    0x04 => Whom::Group,
                    0x08 => Whom::NamedGroup(id),
                    0x10 => Whom::Mask,
                    0x20 => Whom::Others,
                    _ => return None,
                },
                bits: u32::from(u16::from_le_bytes([e[2], e[3]])),
            })
        };
        entries
            .chunks_exact(8)
            .map(entry)
            .collect::<Option<_>>()
            .map(Acl)
    }

    /// Whether `who` may do what `bit` stands for, of a file that `uid` and
    /// `gid` own; in the order of acl(5), "access check algorithm".
    pub fn lets(&self, who: &Identified, uid: u32, gid: u32, bit: u32) -> Verdict {
        let bits = |whom: Whom| self.0.iter().find(|e| e.whom == whom).map(|e| e.bits);
        let may = |bits: u32| match bits & bit == bit {
            true => Verdict::May,
            false => Verdict::MayNot,
        };
        let mask = bits(Whom::Mask).unwrap_or(0o7);
        let masked = |bits: u32| match may(bits) {
            Verdict::May if mask & bit != bit => Verdict::Masked,
            verdict => verdict,
        };
        if who.uid == uid {
            return may(bits(Whom::Owner).unwrap_or(0));
        }
        if let Some(bits) = bits(Whom::User(who.uid)) {
            return masked(bits);
        }
        let groups: Vec<u32> = self
            .0
            .iter()
            .filter(|e| match e.whom {
                Whom::Group => who.gids.contains(&gid),
                Whom::NamedGroup(id) => who.gids.contains(&id),
                _ => false,
            })
            .map(|e| e.bits)
            .collect();
        // Of several groups one that gives it is enough.
        match groups.iter().find(|bits| **bits & bit == bit) {
            Some(bits) => masked(*bits),
            None if groups.is_empty() => may(bits(Whom::Others).unwrap_or(0)),
            None => Verdict::MayNot,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `tag`, `rwx`, `id` of each entry, as setfacl writes them.
    pub fn encoded(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut value = 2_u32.to_le_bytes().to_vec();
        for (tag, bits, id) in entries {
            value.extend(tag.to_le_bytes());
            value.extend(bits.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        value
    }

    const NOBODY: u32 = u32::MAX;

    #[test]
    fn the_first_entry_that_fits_decides_and_the_mask_limits_it() {
        let who = Identified {
            uid: 7,
            gids: vec![8, 9],
        };
        let acl = |user: u16, group: u16, mask: u16, others: u16| {
            Acl::parse(&encoded(&[
                (0x01, 7, NOBODY),
                (0x02, user, 7),
                (0x04, 0, NOBODY),
                (0x08, group, 9),
                (0x10, mask, NOBODY),
                (0x20, others, NOBODY),
            ]))
            .unwrap()
        };
        for (what, acl, wanted) in [
            ("a named user", acl(4, 0, 7, 0), Verdict::May),
            ("a lost mask", acl(4, 0, 0, 0), Verdict::Masked),
            ("a named user without", acl(0, 4, 7, 4), Verdict::MayNot),
        ] {
            assert_eq!(acl.lets(&who, 1, 1, 0o4), wanted, "{what}");
        }
        let groups = Acl::parse(&encoded(&[
            (0x01, 7, NOBODY),
            (0x04, 0, NOBODY),
            (0x08, 4, 9),
            (0x10, 4, NOBODY),
            (0x20, 0, NOBODY),
        ]))
        .unwrap();
        assert_eq!(groups.lets(&who, 1, 8, 0o4), Verdict::May, "one is enough");
        assert_eq!(groups.lets(&who, 7, 1, 0o4), Verdict::May, "the owner");
        let stranger = Identified {
            uid: 5,
            gids: vec![],
        };
        assert_eq!(groups.lets(&stranger, 1, 1, 0o4), Verdict::MayNot);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        assert_eq!(Acl::parse(b""), None);
        assert_eq!(Acl::parse(&3_u32.to_le_bytes()), None);
        assert_eq!(Acl::parse(&encoded(&[(0x40, 7, 1)])), None);
    }
}
