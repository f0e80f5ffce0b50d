//! Whether a PDF opens without a password: the standard handler's check of an empty
//! user password, as ISO 32000-2 has it (7.6.4).
//!
//! Must not: try any other password, or decrypt a page.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use md5::{Digest, Md5};
use ring::digest::{SHA256, SHA384, SHA512, digest};

/// What a PDF says about its encryption.
#[derive(Debug)]
pub(super) struct Terms {
    /// `R`: which way of encrypting.
    pub revision: i64,
    /// `Length`.
    pub key_bits: i64,
    /// `P`.
    pub permissions: i64,
    /// `O`.
    pub owner: Vec<u8>,
    /// `U`.
    pub user: Vec<u8>,
    /// `EncryptMetadata`.
    pub metadata: bool,
    /// The first half of the file's `ID`.
    pub id: Vec<u8>,
}

/// What a password shorter than 32 bytes is filled up with.
const PADDING: [u8; 32] = [
    0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08,
    0x2e, 0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
];

/// Whether the empty password opens it; `None`: these terms are not known here.
pub(super) fn opens_without_password(terms: &Terms) -> Option<bool> {
    match terms.revision {
        2..=4 => by_md5(terms),
        5 | 6 => by_sha(terms),
        _ => None,
    }
}

fn by_md5(terms: &Terms) -> Option<bool> {
    let owner = terms.owner.get(..32)?;
    let user = terms.user.get(..16)?;
    // A signed number of 32 bits; some write it without its sign.
    let permissions = (terms.permissions as u32).to_le_bytes();
    let mut hash = Md5::new();
    hash.update(PADDING);
    hash.update(owner);
    hash.update(permissions);
    hash.update(&terms.id);
    if terms.revision >= 4 && !terms.metadata {
        hash.update([0xff; 4]);
    }
    let mut key: [u8; 16] = hash.finalize().into();
    if terms.revision == 2 {
        let whole = terms.user.get(..32)?;
        return Some(rc4(&key[..5], &PADDING) == whole);
    }
    let len = match terms.revision {
        4 => 16,
        _ => usize::try_from(terms.key_bits / 8).ok()?.clamp(5, 16),
    };
    for _ in 0..50 {
        key = Md5::digest(&key[..len]).into();
    }
    let mut hash = Md5::new();
    hash.update(PADDING);
    hash.update(&terms.id);
    let mut check = rc4(&key[..len], &hash.finalize());
    for round in 1..=19_u8 {
        let turned: Vec<u8> = key[..len].iter().map(|b| b ^ round).collect();
        check = rc4(&turned, &check);
    }
    Some(check == user)
}

fn by_sha(terms: &Terms) -> Option<bool> {
    let hash = terms.user.get(..32)?;
    let salt = terms.user.get(32..40)?;
    let empty = match terms.revision {
        5 => digest(&SHA256, salt).as_ref().to_vec(),
        _ => hardened(salt),
    };
    Some(empty.get(..32)? == hash)
}

/// The hash of an empty password (algorithm 2.B): at least 64 rounds.
fn hardened(salt: &[u8]) -> Vec<u8> {
    let mut key = digest(&SHA256, salt).as_ref().to_vec();
    for round in 0_u32.. {
        let mut data = key.repeat(64);
        encrypt(&mut data, &key);
        let rest = data[..16].iter().map(|b| u32::from(*b)).sum::<u32>() % 3;
        let algorithm = match rest {
            0 => &SHA256,
            1 => &SHA384,
            _ => &SHA512,
        };
        key = digest(algorithm, &data).as_ref().to_vec();
        let last = data.last().copied().map_or(0, u32::from);
        // A byte is at most 255, so there are fewer than 300 rounds.
        if round >= 63 && last + 32 <= round + 1 {
            break;
        }
    }
    key.truncate(32);
    key
}

/// AES-128 in CBC mode, in place. `key` holds the key and then the first vector; the
/// length of `data` is a multiple of 16.
fn encrypt(data: &mut [u8], key: &[u8]) {
    let mut word = [0; 16];
    word.copy_from_slice(&key[..16]);
    let cipher = Aes128::new(&word.into());
    let mut before = [0; 16];
    before.copy_from_slice(&key[16..32]);
    for chunk in data.as_chunks_mut::<16>().0 {
        for (byte, mask) in chunk.iter_mut().zip(before) {
            *byte ^= mask;
        }
        let mut block = (*chunk).into();
        cipher.encrypt_block(&mut block);
        *chunk = block.into();
        before = *chunk;
    }
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut state: [u8; 256] = std::array::from_fn(|n| n as u8);
    let mut j = 0_u8;
    for i in 0..256 {
        j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
        state.swap(i, usize::from(j));
    }
    let (mut i, mut j) = (0_u8, 0_u8);
    let turn = |byte: &u8| {
        i = i.wrapping_add(1);
        j = j.wrapping_add(state[usize::from(i)]);
        state.swap(usize::from(i), usize::from(j));
        let at = state[usize::from(i)].wrapping_add(state[usize::from(j)]);
        byte ^ state[usize::from(at)]
    };
    data.iter().map(turn).collect()
}
