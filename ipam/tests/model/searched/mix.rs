//! What a search covers: how big the world is, which faults may strike, and how often.
//!
//! A mix is said in words, `hosts=2 addresses=1 kills=1 unknown=1`, and is called by them.

use std::fmt;

/// A world and the faults it must bear. Everything that is no fault (asking, stopping, time, the
/// order in which things arrive) may happen at any time and without end.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    words: String,
    pub(crate) hosts: usize,
    /// The subnets, each a block.
    pub(crate) subnets: &'static [&'static str],
    pub(crate) faults: Faults,
    pub(crate) clock: Clock,
    /// On how many hosts containers are started; the others only hold what they hold.
    pub(crate) asking: usize,
    /// How many containers run on a host at once; more do not ask.
    pub(crate) containers: usize,
    /// Whether containers also ask for addresses by name (`--ip`).
    pub(crate) exact: bool,
    /// Whether an agent that starts may find the store out of reach.
    pub(crate) cut_off: bool,
    /// By how many events the watches of blocks and of hosts may lag behind, each by itself: the
    /// oldest is shown before one more waits.
    pub(crate) lagging: usize,
    /// Whether wants are on their way as long as any other call; else the store takes them at once.
    pub(crate) slow_wants: bool,
    /// Whether endpoints are opened for services, and owners name them.
    pub(crate) services: bool,
}

/// How often each fault may strike in one run of the world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// An agent's process dies; containers run on.
    pub(crate) kills: u8,
    /// A machine's power is cut; what was not synced is kept or lost.
    pub(crate) power_cuts: u8,
    /// A transaction's outcome stays unknown: it lands before anything else, later, or never.
    pub(crate) unknown: u8,
    /// The store is not reached, and that is known.
    pub(crate) unreached: u8,
    /// The answer of the store is late: watches may tell before it does.
    pub(crate) slow: u8,
    /// A write to the journal fails; it is there or not.
    pub(crate) disk: u8,
    /// A host that is off is evicted, with a witness.
    pub(crate) evictions: u8,
    /// A watch is compacted away and begins anew.
    pub(crate) compactions: u8,
    /// A release is repeated, late, for an assignment that is over.
    pub(crate) late_releases: u8,
    /// An agent's journal is lost with its disk.
    pub(crate) lost_journals: u8,
    /// The store is rebuilt under a new generation, from journals and kernels.
    pub(crate) rebuilds: u8,
    /// A subnet is drained, and opened again.
    pub(crate) drains: u8,
}

/// How time passes. Each host has a clock of its own; no two are ever compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// When time passes on a host, everything it waits for is over: retries, cooling, patience.
    Strides,
    /// Time passes in ticks: retries are over after one, patience after five, cooling after seven,
    /// warmth after fifteen.
    Ticks,
}

impl Clock {
    /// Longer than the first four retries of anything, and than the rounds of asking.
    pub(crate) const TICK_MILLIS: u64 = 2_000;
    /// Longer than everything a host waits for.
    const STRIDE_MILLIS: u64 = 60_000;

    pub(crate) fn step_millis(self) -> u64 {
        match self {
            Self::Strides => Self::STRIDE_MILLIS,
            Self::Ticks => Self::TICK_MILLIS,
        }
    }
}

impl Mix {
    /// A mix in words; without any: two hosts, one address, no fault.
    ///
    /// # Errors
    ///
    /// The word that is none.
    pub(crate) fn parse(words: &str) -> Result<Self, String> {
        let mut mix = Self {
            words: words.to_owned(),
            hosts: 2,
            subnets: subnets(1, 1)?,
            faults: Faults::default(),
            clock: Clock::Strides,
            asking: usize::MAX,
            containers: usize::MAX,
            exact: false,
            cut_off: false,
            lagging: 0,
            slow_wants: false,
            services: false,
        };
        let (mut addresses, mut blocks) = (1, 1);
        for word in words.split_whitespace() {
            let (name, number) = word.split_once('=').unwrap_or((word, "1"));
            let number: u8 = number.parse().map_err(|_| format!("{word}: not a number"))?;
            let faults = &mut mix.faults;
            match name {
                "hosts" => mix.hosts = usize::from(number.clamp(1, 3)),
                "addresses" => addresses = number,
                "blocks" => blocks = number,
                "asking" => mix.asking = usize::from(number),
                "containers" => mix.containers = usize::from(number),
                "kills" => faults.kills = number,
                "power-cuts" => faults.power_cuts = number,
                "unknown" => faults.unknown = number,
                "unreached" => faults.unreached = number,
                "slow" => faults.slow = number,
                "disk" => faults.disk = number,
                "evictions" => faults.evictions = number,
                "compactions" => faults.compactions = number,
                "late-releases" => faults.late_releases = number,
                "lost-journals" => faults.lost_journals = number,
                "rebuilds" => faults.rebuilds = number,
                "drains" => faults.drains = number,
                "exact" => mix.exact = true,
                "cut-off" => mix.cut_off = true,
                "lagging" => mix.lagging = usize::from(number),
                "slow-wants" => mix.slow_wants = true,
                "services" => mix.services = true,
                "ticks" => mix.clock = Clock::Ticks,
                _ => return Err(format!("{word}: no word of a mix")),
            }
        }
        mix.subnets = subnets(addresses, blocks)?;
        Ok(mix)
    }
}

fn subnets(addresses: u8, blocks: u8) -> Result<&'static [&'static str], String> {
    match (addresses, blocks) {
        (1, 1) => Ok(&["10.50.0.1/32"]),
        (2, 1) => Ok(&["10.50.0.0/31"]),
        (1, 2) => Ok(&["10.50.0.1/32", "10.50.1.1/32"]),
        _ => Err(format!("{blocks} blocks of {addresses} addresses: no such world")),
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
