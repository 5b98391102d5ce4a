//! Which containers a segment may have, in some kilobytes: a Bloom filter over their names and ids.
//!
//! A look-up by container alone would read every page of every segment; with this it reads those of some percent.
//! Burton H. Bloom, "Space/time trade-offs in hash coding with allowable errors" (1970): with ten bits an entry and
//! seven of them set, one in a hundred others is taken for an entry.

use crate::interval::Interval;
use crate::query::ID_DIGITS_MIN;
use std::collections::BTreeSet;

/// Bits for each entry.
const BITS_EACH: usize = 10;

/// Bits that are set for each entry.
const SET_EACH: u64 = 7;

/// Docker's short ids have so many digits.
const ID_DIGITS_SHORT: usize = 12;

/// The names and ids in these intervals, as bytes to keep.
pub(crate) fn filter(intervals: &[Interval]) -> Vec<u8> {
    let containers = intervals.iter().filter_map(|interval| interval.container.as_ref());
    let entries = containers.flat_map(|it| {
        let ids = [ID_DIGITS_MIN, ID_DIGITS_SHORT].into_iter().filter_map(|digits| it.id.get(..digits));
        ids.map(|id| hash(ID, id)).chain([hash(NAME, &it.name)]).collect::<Vec<_>>()
    });
    let entries: BTreeSet<u64> = entries.collect();
    let mut bits = vec![0; (entries.len() * BITS_EACH).div_ceil(8)];
    for entry in entries {
        for at in places(entry, bits.len()) {
            bits[at / 8] |= 1 << (at % 8);
        }
    }
    bits
}

/// Whether a container that is called so, or whose id begins so, may be among them.
pub(crate) fn may_have(filter: &[u8], named: &str) -> bool {
    let has = |entry: u64| places(entry, filter.len()).all(|at| filter[at / 8] & (1 << (at % 8)) != 0);
    let digits = if named.len() >= ID_DIGITS_SHORT { ID_DIGITS_SHORT } else { ID_DIGITS_MIN };
    // With nothing in it there is nothing in the segment that has a name.
    !filter.is_empty() && (has(hash(NAME, named)) || named.get(..digits).is_some_and(|id| has(hash(ID, id))))
}

const NAME: u8 = 0;
const ID: u8 = 1;

fn places(entry: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let (one, other) = (entry & 0xffff_ffff, entry >> 32 | 1);
    let bits = (bytes * 8).max(1) as u64;
    (0..SET_EACH).map(move |turn| (one.wrapping_add(turn.wrapping_mul(other)) % bits) as usize)
}

/// FNV-1a with 64 bits: the same on every machine and in every version.
fn hash(kind: u8, text: &str) -> u64 {
    let bytes = [kind].into_iter().chain(text.bytes());
    let fnv = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Its high bits differ little for short texts: spread what the low ones know.
    fnv ^ fnv.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it_is_found_and_few_others_are() {
        let container = |number: u64| crate::Container {
            id: format!("{:016x}{:048x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number),
            name: format!("web-{number}"),
            network: "cloud".into(),
        };
        let interval = |number: u64| Interval {
            address: [10, 0, 0, 2].into(),
            epoch: ipam::Epoch {
                generation: ipam::Generation { number: 1, id: 1 },
                take: 1,
                counter: number,
            },
            host: "h1".into(),
            endpoint: None,
            container: Some(container(number)),
            from: crate::Moment(0),
            from_offset: 0,
            earlier: false,
            unknown: false,
            end: None,
        };
        let bits = filter(&(0..700).map(interval).collect::<Vec<_>>());
        assert!(bits.len() < 2_700, "{} bytes", bits.len());
        for number in 0..700 {
            let it = container(number);
            assert!(may_have(&bits, &it.name) && may_have(&bits, &it.id[..5]) && may_have(&bits, &it.id));
        }
        let strangers = (1_000..11_000).filter(|number| may_have(&bits, &format!("db-{number}"))).count();
        // One in a hundred, and as many again because four letters of a name could begin an id.
        assert!(strangers < 400, "{strangers} of 10000");
        assert!(!may_have(&filter(&[]), "web-1"));
    }
}
