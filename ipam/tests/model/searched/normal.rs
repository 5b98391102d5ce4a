//! The normal form under which two worlds are one: only what can make a difference is compared.
//!
//! Times, revisions, tokens and counters grow for ever, but the protocol only compares them, or adds
//! one. So each kind of number is replaced by its place in the order of all numbers of that kind that
//! the world still knows. Every number of the production types passes through their derived `Hash`;
//! kinds are told apart by where the story makes them begin ([`base`]), and a host's tokens, which it
//! counts from one, by their place in its hash. Nothing in production code knows of this.
//!
//! | kind | form | why it is the same world |
//! |---|---|---|
//! | revision | rank among those of the same keys | compared only, with others of one key; a new one is above all |
//! | take, operation, epoch counter | rank, a gap is 2 | compared, and one is added: neighbours stay neighbours |
//! | turn, token, count of adoptions | rank | compared only |
//! | time | over, now, to come; or exact in ticks | what is to come is passed in one stride ([`Clock`]) |
//! | 32-bit numbers (warmth, attempts) | at most 4 | more of each than a few addresses can make use of |
//! | warmth, where there is one address | 1 | nobody can hold two |
//! | when a host counts as idler | nothing, at a warmth of 1 and up to two addresses | it can mean to hold no fewer, and has no surplus |

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use ipam::{Surplus, Zone};

use super::mix::Clock;
use super::world::{ZONE, pool};

/// Where each kind of number begins.
pub(crate) mod base {
    /// Take numbers, 100,000 for each block.
    pub(crate) const TAKE: u64 = 1_000_000;
    /// Counters of assignments, 100,000 for each host.
    pub(crate) const COUNTER: u64 = 2_000_000;
    /// Operation numbers, 100,000 for each host, 10,000 for each block.
    pub(crate) const OPERATION: u64 = 3_000_000;
    /// Places in the queue of free addresses, 100,000 for each host.
    pub(crate) const TURN: u64 = 4_000_000;
    /// Names of requests.
    pub(crate) const REQUEST: u64 = 5_000_000;
    /// Numbers of generations.
    pub(crate) const GENERATION: u64 = 6_000_000;
    /// Incarnations.
    pub(crate) const INCARNATION: u64 = 7_000_000;
    /// Revisions of the store: each says in its lowest [`REVISION_SHIFT`] bits which keys were written.
    pub(crate) const REVISION: u64 = 1 << 50;
    /// One revision and the next are this many bits apart.
    pub(crate) const REVISION_SHIFT: u32 = 24;
    /// Every boot's clock, in milliseconds.
    pub(crate) const TIME: u64 = 1 << 60;
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    /// As it is.
    Plain,
    Revision,
    Take(u8),
    Counter(u8),
    Operation(u8),
    Turn(u8),
    /// Of the host whose turn it is to be hashed.
    Adopted(u8),
    Token(u8),
}

impl Kind {
    /// Whether neighbours must stay neighbours.
    fn is_counted_on(self) -> bool {
        matches!(self, Self::Take(_) | Self::Counter(_) | Self::Operation(_))
    }
}

/// Collects what a world's parts hash, and gives the digest of its normal form.
pub(crate) struct NormalForm {
    words: Vec<(Kind, u64)>,
    clock: Clock,
    /// How many addresses there are.
    addresses: usize,
    idle: Idle,
    /// The host that is being hashed, and its time.
    host: Option<(u8, u64)>,
    tokens: Tokens,
    /// What the last two words were.
    last: [Wrote; 2],
}

/// What kind of word was hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrote {
    /// A number, a length, or text.
    Number,
    /// A byte; also the end of a text.
    Byte,
    /// Which variant of an enum follows.
    Tag,
}

/// How far the search for the place of a host's tokens is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tokens {
    /// Not in a host's own state.
    Nowhere,
    /// Before the counter of assignments, which is followed by the turn and then the token.
    Before,
    AfterCounter,
    AfterTurn,
    Here,
}

/// Whether it makes a difference when a host counts as idler, which follows its warmth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Idle {
    Counts,
    /// No, and whether it will follows.
    Forgotten,
    /// No, and the time follows.
    TimeForgotten,
}

impl NormalForm {
    pub(crate) fn new(clock: Clock, addresses: usize) -> Self {
        Self {
            words: Vec::with_capacity(2_048),
            clock,
            addresses,
            idle: Idle::Counts,
            host: None,
            tokens: Tokens::Nowhere,
            last: [Wrote::Number; 2],
        }
    }

    fn wrote(&mut self, what: Wrote) {
        self.last = [self.last[1], what];
    }

    /// From here on times are those of this machine.
    pub(crate) fn machine(&mut self, number: usize, now: u64) {
        self.host = Some((number as u8, now));
    }

    /// Hashes the agent of the machine.
    pub(crate) fn agent(&mut self, agent: &impl Hash) {
        self.tokens = Tokens::Before;
        agent.hash(self);
        assert!(self.tokens == Tokens::Here, "the counters of `ipam::Host` have other places than they had");
        self.tokens = Tokens::Nowhere;
    }

    /// Hashes a token of the machine that is kept outside of its agent.
    pub(crate) fn token(&mut self, token: u64) {
        let host = self.host.map_or(0, |(host, _)| host);
        self.words.push((Kind::Token(host), token));
    }

    fn number(&mut self, number: u64) {
        let word = match number {
            base::TIME.. => (Kind::Plain, self.time(number)),
            base::REVISION.. => (Kind::Revision, number),
            base::REQUEST.. => (Kind::Plain, number),
            base::TURN.. => (Kind::Turn(part(number - base::TURN, 100_000)), number),
            base::OPERATION.. => (Kind::Operation(part(number - base::OPERATION, 10_000)), number),
            base::COUNTER.. => (Kind::Counter(part(number - base::COUNTER, 100_000)), number),
            base::TAKE.. => (Kind::Take(part(number - base::TAKE, 100_000)), number),
            1..1_000 => (self.small(), number),
            _ => (Kind::Plain, number),
        };
        if matches!(word.0, Kind::Counter(_)) && self.tokens == Tokens::Before {
            self.forget_hints();
        }
        self.tokens = match (self.tokens, word.0) {
            (Tokens::Nowhere, _) => Tokens::Nowhere,
            (Tokens::Here | Tokens::AfterTurn, _) => Tokens::Here,
            (Tokens::AfterCounter, Kind::Turn(_)) => Tokens::AfterTurn,
            (_, Kind::Counter(_)) => Tokens::AfterCounter,
            _ => Tokens::Before,
        };
        let word =
            if self.tokens == Tokens::Here && number < 1_000 { (self.token_kind(), number) } else { word };
        self.words.push(word);
    }

    /// Before a host's counters stand what it told others of its surplus, when it will next, and what
    /// was revoked. Hints of surplus never arrive here, so what was told makes no difference.
    fn forget_hints(&mut self) {
        let [.., revoked] = self.words[..] else { return };
        let end = self.words.len() - 1;
        let told = hints().iter().find(|told| self.words[..end].ends_with(told)).map(|told| told.len());
        if let (Some(told), (Kind::Plain, 0)) = (told, revoked) {
            self.words.truncate(end - told);
        }
    }

    /// The counters of a host stand side by side.
    fn interrupted(&mut self) {
        if matches!(self.tokens, Tokens::AfterCounter | Tokens::AfterTurn) {
            self.tokens = Tokens::Before;
        }
    }

    fn token_kind(&self) -> Kind {
        Kind::Token(self.host.map_or(0, |(host, _)| host))
    }

    /// A host's own small numbers count adoptions, or are tokens.
    fn small(&self) -> Kind {
        match (self.tokens, self.host) {
            (Tokens::Nowhere, _) | (_, None) => Kind::Plain,
            (Tokens::Here, Some(_)) => self.token_kind(),
            (_, Some((host, _))) => Kind::Adopted(host),
        }
    }

    fn time(&self, time: u64) -> u64 {
        let now = self.host.map_or(base::TIME, |(_, now)| now);
        match self.clock {
            Clock::Strides => match time.cmp(&now) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => 1,
                std::cmp::Ordering::Greater => 2,
            },
            // Compared only with times that lie a whole number of ticks away.
            Clock::Ticks => {
                let ahead = (time + 100 * Clock::TICK_MILLIS).saturating_sub(now);
                ahead.div_ceil(Clock::TICK_MILLIS).clamp(90, 200)
            }
        }
    }

    /// The digest: equal for worlds that differ in nothing but how their numbers are called.
    pub(crate) fn digest(mut self) -> (u64, u64) {
        self.rename();
        let mut digests = (0xcbf2_9ce4_8422_2325_u64, 0x9e37_79b9_7f4a_7c15_u64);
        for (_, word) in &self.words {
            digests.0 = (digests.0 ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
            digests.1 = (digests.1.rotate_left(5) ^ word).wrapping_mul(0x0517_cc1b_7272_20a9);
        }
        digests
    }

    fn rename(&mut self) {
        let mut known: Vec<(Kind, u64)> =
            self.words.iter().filter(|(kind, _)| *kind != Kind::Plain).copied().collect();
        known.sort_unstable();
        known.dedup();
        let mut names = Vec::with_capacity(known.len());
        let mut before: Option<((Kind, u64), u64)> = None;
        let revisions: Vec<u64> =
            known.iter().filter(|(kind, _)| *kind == Kind::Revision).map(|(_, number)| *number).collect();
        for (kind, number) in &known {
            let name = match before {
                _ if *kind == Kind::Revision => revision_name(*number, &revisions),
                Some(((same, last), name)) if same == *kind => {
                    name + if kind.is_counted_on() { (number - last).min(2) } else { 1 }
                }
                _ => 1,
            };
            names.push(name);
            before = Some(((*kind, *number), name));
        }
        for word in self.words.iter_mut().filter(|(kind, _)| *kind != Kind::Plain) {
            if let Ok(at) = known.binary_search(word) {
                word.1 = names[at];
            }
        }
    }
}

/// What a host may have told of its surplus, and when it will tell again; longest first.
fn hints() -> &'static [Vec<(Kind, u64)>] {
    static HINTS: OnceLock<Vec<Vec<(Kind, u64)>>> = OnceLock::new();
    HINTS.get_or_init(|| {
        let counted = (1..=4).map(|free| Surplus { free: [(pool(), free)].into() });
        let told =
            counted.chain([Surplus::default()]).map(|surplus| BTreeMap::from([(ZONE.into(), surplus)]));
        let told: Vec<BTreeMap<Zone, Surplus>> = told.chain([BTreeMap::new()]).collect();
        // In a moment, in either clock's words, or not at all.
        let moments = [vec![1, 2], vec![1, 101], vec![0]];
        let hints = told.iter().flat_map(|told| {
            let mut form = NormalForm::new(Clock::Strides, 0);
            told.hash(&mut form);
            moments.iter().map(move |moment| {
                let moment = moment.iter().map(|word| (Kind::Plain, *word));
                form.words.iter().copied().chain(moment).collect::<Vec<_>>()
            })
        });
        let mut hints: Vec<Vec<(Kind, u64)>> = hints.collect();
        hints.sort_by_key(|hint| std::cmp::Reverse(hint.len()));
        hints
    })
}

/// The places of a revision among those of each key that was written at it.
fn revision_name(revision: u64, known: &[u64]) -> u64 {
    let mut name = 1_u64;
    for key in 0..base::REVISION_SHIFT {
        let bit = 1 << key;
        if revision & bit != 0 {
            let place = known.iter().filter(|other| **other & bit != 0 && **other <= revision).count() as u64;
            name = name.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (u64::from(key) << 32 | place);
        }
    }
    name
}

fn part(number: u64, size: u64) -> u8 {
    u8::try_from(number / size).unwrap_or(u8::MAX)
}

impl Hasher for NormalForm {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.interrupted();
        self.wrote(Wrote::Number);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.words.push((Kind::Plain, u64::from_le_bytes(word)));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.interrupted();
        self.words.push((Kind::Plain, u64::from(number)));
        self.wrote(Wrote::Byte);
    }

    fn write_u32(&mut self, number: u32) {
        self.interrupted();
        // How often an operation did not come through follows a tag or a length, other counts a name;
        // how warm a host means to be follows a tag after a name. Attempts only stretch the wait.
        let warmth = self.last == [Wrote::Byte, Wrote::Tag];
        let attempts = !warmth && !matches!(self.last, [_, Wrote::Byte]);
        let number = match number.min(4) {
            _ if attempts && self.clock == Clock::Strides => 0,
            _ if warmth && self.addresses == 1 => 1,
            number => number,
        };
        if warmth && number == 1 && self.addresses <= 2 && self.tokens != Tokens::Nowhere {
            self.idle = Idle::Forgotten;
        }
        self.words.push((Kind::Plain, u64::from(number)));
        self.wrote(Wrote::Number);
    }

    fn write_u64(&mut self, number: u64) {
        if self.idle == Idle::TimeForgotten {
            self.idle = Idle::Counts;
        } else {
            self.number(number);
        }
        self.wrote(Wrote::Number);
    }

    fn write_usize(&mut self, number: usize) {
        self.interrupted();
        self.words.push((Kind::Plain, number as u64));
        self.wrote(Wrote::Number);
    }

    fn write_isize(&mut self, number: isize) {
        self.interrupted();
        let known = match (self.idle, number) {
            (Idle::Forgotten, 1) => Idle::TimeForgotten,
            _ => Idle::Counts,
        };
        let forgotten = std::mem::replace(&mut self.idle, known) == Idle::Forgotten;
        self.words.push((Kind::Plain, if forgotten { 0 } else { number as u64 }));
        self.wrote(Wrote::Tag);
    }
}
