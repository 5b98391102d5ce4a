//! What is left to chance: numbers that are the same in every run of one seed.

/// A stream of numbers. Two streams of one seed with different names have nothing to do with each other, so
/// that an act left out of a story changes as little as possible of the rest.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/).
        let salt = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut chance = Self(seed ^ salt);
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number from `first` to `last`, both included.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// Mostly small, seldom large: most pauses are short, some are long.
    pub(crate) fn skewed(&mut self, last: u64) -> u64 {
        let end = self.between(1, last);
        let end = self.between(1, end);
        self.below(end + 1)
    }

    /// Up to so many hours, in milliseconds.
    pub(crate) fn hours(&mut self, last: u64) -> i64 {
        i64::try_from(self.below(last * 3_600_000)).unwrap_or(0)
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A place in a list of `len` things.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// One of them; the list must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.place(of.len())]
    }
}
