//! The Merkle tree of an append-only log (RFC 6962, section 2.1): its root, inclusion proofs and
//! consistency proofs. Pure.

use sha2::{Digest as _, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf.
#[must_use]
pub fn leaf(bytes: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(bytes)
        .finalize()
        .into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let hash = Sha256::new().chain_update([1]);
    hash.chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root of these leaves.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(below(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The largest power of two below a number of at least 2.
fn below(count: usize) -> usize {
    let half = count.next_power_of_two() / 2;
    if half == count { half / 2 } else { half }
}

/// The proof that the leaf with this index (from 0) is in the tree.
#[must_use]
pub fn inclusion(leaves: &[Hash], number: usize) -> Vec<Hash> {
    if leaves.len() < 2 || number >= leaves.len() {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(below(leaves.len()));
    let (mut proof, beside) = if number < left.len() {
        (inclusion(left, number), root(right))
    } else {
        (inclusion(right, number - left.len()), root(left))
    };
    proof.push(beside);
    proof
}

/// Whether a proof shows that a leaf is in the tree of this size and root.
#[must_use]
pub fn is_included(leaf: Hash, (number, size): (u64, u64), proof: &[Hash], root: &Hash) -> bool {
    if number >= size {
        return false;
    }
    let (mut first, mut last, mut hash) = (number, size - 1, leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if first % 2 == 1 || first == last {
            hash = node(beside, &hash);
            while first != 0 && first.is_multiple_of(2) {
                (first, last) = (first / 2, last / 2);
            }
        } else {
            hash = node(&hash, beside);
        }
        (first, last) = (first / 2, last / 2);
    }
    last == 0 && hash == *root
}

/// The proof that the first `first` leaves are the beginning of the tree.
#[must_use]
pub fn consistency(leaves: &[Hash], first: usize) -> Vec<Hash> {
    if first == 0 || first > leaves.len() {
        return Vec::new();
    }
    part(leaves, first, true)
}

fn part(leaves: &[Hash], first: usize, whole: bool) -> Vec<Hash> {
    if first == leaves.len() {
        return if whole {
            Vec::new()
        } else {
            vec![root(leaves)]
        };
    }
    let (left, right) = leaves.split_at(below(leaves.len()));
    let (mut proof, beside) = if first <= left.len() {
        (part(left, first, whole), root(right))
    } else {
        (part(right, first - left.len(), false), root(left))
    };
    proof.push(beside);
    proof
}

/// Whether a proof shows that the first tree is the beginning of the second; each is a size and a
/// root.
#[must_use]
pub fn is_beginning(first: (u64, &Hash), second: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((first_size, first_root), (second_size, second_root)) = (first, second);
    if first_size == 0 {
        return proof.is_empty();
    }
    if first_size >= second_size {
        return first_size == second_size && first_root == second_root && proof.is_empty();
    }
    let mut path: Vec<&Hash> = proof.iter().collect();
    if first_size.is_power_of_two() {
        path.insert(0, first_root);
    }
    let Some((begin, rest)) = path.split_first() else {
        return false;
    };
    let (mut fewer, mut more) = (first_size - 1, second_size - 1);
    while fewer % 2 == 1 {
        (fewer, more) = (fewer / 2, more / 2);
    }
    let (mut old, mut new) = (**begin, **begin);
    for beside in rest {
        if more == 0 {
            return false;
        }
        if fewer % 2 == 1 || fewer == more {
            old = node(beside, &old);
            new = node(beside, &new);
            while fewer != 0 && fewer.is_multiple_of(2) {
                (fewer, more) = (fewer / 2, more / 2);
            }
        } else {
            new = node(&new, beside);
        }
        (fewer, more) = (fewer / 2, more / 2);
    }
    more == 0 && old == *first_root && new == *second_root
}

/// The roots of a log's complete subtrees, largest first: enough to append to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    /// The number of leaves.
    pub size: u64,
    /// One root for each bit set in `size`.
    pub roots: Vec<Hash>,
}

impl Frontier {
    /// Appends a leaf.
    pub fn add(&mut self, leaf: Hash) {
        let (mut hash, mut size) = (leaf, self.size);
        while size % 2 == 1 {
            let Some(left) = self.roots.pop() else { break };
            hash = node(&left, &hash);
            size /= 2;
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else {
            return root(&[]);
        };
        roots.fold(*last, |right, left| node(left, &right))
    }
}

/// The hash as hexadecimal digits.
#[must_use]
pub fn hex(hash: &Hash) -> String {
    use std::fmt::Write as _;
    hash.iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing into a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Parses hexadecimal digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_that_of_the_rfc() {
        // Test vectors of Certificate Transparency's own implementation.
        let inputs: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[
                0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
                0x6e, 0x6f,
            ],
        ];
        let leaves: Vec<Hash> = inputs.iter().map(|input| leaf(input)).collect();
        assert_eq!(
            hex(&root(&[])),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(&root(&leaves[..1])),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex(&root(&leaves)),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    #[test]
    fn proofs_hold_for_what_is_so_and_for_nothing_else() {
        let leaves: Vec<Hash> = (0..40_u8).map(|number| leaf(&[number])).collect();
        let mut frontier = Frontier::default();
        for size in 1..=leaves.len() {
            let all = &leaves[..size];
            let whole = root(all);
            frontier.add(all[size - 1]);
            assert_eq!(frontier.root(), whole, "{size}");
            let many = size as u64;
            for number in 0..size {
                let proof = inclusion(all, number);
                let place = (number as u64, many);
                assert!(
                    is_included(all[number], place, &proof, &whole),
                    "{number} of {size}"
                );
                assert!(!is_included(leaf(b"x"), place, &proof, &whole));
                let other = ((number as u64 + 1) % many, many);
                assert!(size == 1 || !is_included(all[number], other, &proof, &whole));
                let mut longer = proof.clone();
                longer.push(whole);
                assert!(!is_included(all[number], place, &longer, &whole));
            }
            for first in 1..=size {
                let before = root(&all[..first]);
                let proof = consistency(all, first);
                let few = first as u64;
                assert!(
                    is_beginning((few, &before), (many, &whole), &proof),
                    "{first} of {size}"
                );
                let other = leaf(b"x");
                assert!(!is_beginning((few, &other), (many, &whole), &proof));
                assert!(!is_beginning((few, &before), (many, &other), &proof));
            }
        }
        assert_eq!(unhex(&hex(&leaves[3])), Some(leaves[3]));
        assert_eq!(unhex("zz"), None);
    }
}
