//! Asks other hosts for what only their disks have.
//!
//! Hosts share nothing but the store, so a question is a key there, and its answer another: both lapse by
//! themselves, one of each stands for two hosts at a time, and none is larger than a value may be. What that costs
//! beside other ways is told in `docs/decisions/0008-ledger.md`.

use super::look::{Found, Unseen};
use super::{Ledger, LedgerError, in_time};
use ::ledger::letter::{ASKED_AT_ONCE_MAX, Ask, Name, Told};
use ::ledger::{Interval, Query};
use futures::{StreamExt, stream};
use ipam::HostId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::layout::Item;
use store::{Revision, Transaction};
use tokio::time::Instant;

/// How long a host that gives signs of life may take for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long it may take to say what time it is there: that is asked by the way.
const TIME_WITHIN: Duration = Duration::from_secs(1);

/// When a letter lapses that nobody takes away.
pub(super) const LETTER_LAPSES: Duration = Duration::from_secs(15);

/// Between two looks for an answer: the first and the longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// So many hosts are asked at once.
const HOSTS_AT_ONCE: usize = 8;

/// Clocks that differ by less are taken for the same, in milliseconds.
const CLOCK_APART_MILLIS: i64 = 1_000;

/// What one host told.
#[derive(Default)]
struct Heard {
    intervals: Vec<Interval>,
    /// What it does not have, or was not got from it.
    left: Vec<Unseen>,
    /// How far its clock is ahead of ours, in milliseconds.
    ahead: Option<i64>,
    /// Why it did not tell all.
    silent: Option<String>,
}

impl Ledger {
    /// Asks living hosts for the segments that could not be seen from here. What stays unseen says why.
    pub(super) async fn look_elsewhere(&self, query: &Query, found: &mut Found) -> Result<(), LedgerError> {
        let mut open = std::mem::take(&mut found.unseen);
        if open.is_empty() {
            return Ok(());
        }
        // One key a pair of hosts: who looks up at the same time waits.
        let _turn = self.0.asking.lock().await;
        let keepers: BTreeSet<HostId> = open.iter().flat_map(|unseen| unseen.keepers.clone()).collect();
        let mut silent = self.silent_of(&keepers).await?;
        while !found.is_full() {
            let mut letters: BTreeMap<HostId, Vec<Unseen>> = BTreeMap::new();
            let mut left = Vec::new();
            for unseen in open.drain(..) {
                // The same one for as long as it answers, another for other segments.
                let willing = unseen.keepers.iter().filter(|keeper| !silent.contains_key(*keeper));
                let place = usize::try_from(unseen.summary.period).unwrap_or(0);
                let willing: Vec<&HostId> = willing.collect();
                match willing.get(place % willing.len().max(1)) {
                    Some(keeper) => letters.entry((*keeper).clone()).or_default().push(unseen),
                    None => left.push(unseen),
                }
            }
            open = left;
            if letters.is_empty() {
                break;
            }
            let asked = letters.into_iter().map(async |(keeper, segments)| {
                let heard = self.ask(&keeper, segments, query).await;
                (keeper, heard)
            });
            let heard: Vec<(HostId, Heard)> =
                stream::iter(asked).buffer_unordered(HOSTS_AT_ONCE).collect().await;
            for (keeper, heard) in heard {
                found.add(heard.intervals);
                open.extend(heard.left);
                found.clocks.extend(heard.ahead.map(|ahead| (keeper.clone(), ahead)));
                silent.extend(heard.silent.map(|why| (keeper, why)));
            }
        }
        for unseen in &mut open {
            let whys = unseen
                .keepers
                .iter()
                .filter_map(|keeper| Some((keeper.clone(), silent.get(keeper)?.clone())));
            unseen.why = whys.collect();
        }
        found.unseen = open;
        Ok(())
    }

    /// Asks the living hosts of an answer what time it is there. Where nobody but this host is told of, nobody is
    /// asked.
    pub(super) async fn look_at_clocks(&self, found: &mut Found) -> Result<(), LedgerError> {
        let hosts: BTreeSet<HostId> = found.intervals.iter().map(|interval| interval.host.clone()).collect();
        let known = |host: &HostId| *host == self.0.host || found.clocks.contains_key(host);
        let hosts: BTreeSet<HostId> =
            hosts.into_iter().filter(|host| !known(host)).take(HOSTS_AT_ONCE).collect();
        if hosts.is_empty() {
            return Ok(());
        }
        let _turn = self.0.asking.lock().await;
        let silent = self.silent_of(&hosts).await?;
        let alive = hosts.into_iter().filter(|host| !silent.contains_key(host));
        let asked = alive.map(async |host| {
            let ask = Ask { number: rand::random(), query: Query::default(), segments: Vec::new() };
            let told = self.send(&host, &ask, TIME_WITHIN).await.ok()?;
            Some((host, told.1))
        });
        let told: Vec<Option<(HostId, i64)>> =
            stream::iter(asked).buffer_unordered(HOSTS_AT_ONCE).collect().await;
        found.clocks.extend(told.into_iter().flatten());
        Ok(())
    }

    /// Those that give no sign of life.
    async fn silent_of(&self, hosts: &BTreeSet<HostId>) -> Result<BTreeMap<HostId, String>, LedgerError> {
        let mut silent = BTreeMap::new();
        for host in hosts {
            if self.get(&Item::Session(host.0.clone()).key()).await?.entry.is_none() {
                silent.insert(host.clone(), "gives no sign of life".to_owned());
            }
        }
        Ok(silent)
    }

    /// Asks one host for these segments, letter by letter.
    async fn ask(&self, keeper: &HostId, mut segments: Vec<Unseen>, query: &Query) -> Heard {
        let mut heard = Heard::default();
        while !segments.is_empty() && heard.intervals.len() < super::look::FOUND_MAX {
            let named = segments.iter().take(ASKED_AT_ONCE_MAX).map(|unseen| {
                let (block, period) = (unseen.summary.block, unseen.summary.period);
                Name { block, period, writer: unseen.summary.writer.clone() }
            });
            let ask = Ask { number: rand::random(), query: query.clone(), segments: named.collect() };
            match self.send(keeper, &ask, ANSWER_WITHIN).await {
                Ok((told, ahead)) if told.head.read > 0 => {
                    heard.ahead = Some(ahead);
                    heard.intervals.extend(told.intervals);
                    let gone_through = segments.drain(..told.head.read.min(segments.len()));
                    for (place, mut unseen) in gone_through.enumerate() {
                        if told.head.lacking.contains(&place) {
                            unseen.keepers.remove(keeper);
                            heard.left.push(unseen);
                        }
                    }
                }
                Ok(_) | Err(LedgerError::Late) => {
                    heard.silent = Some(format!("did not answer within {} s", ANSWER_WITHIN.as_secs()));
                    break;
                }
                Err(error) => {
                    heard.silent =
                        Some(format!("could not be asked: {}", crate::troubles::with_causes(&error)));
                    break;
                }
            }
        }
        heard.left.extend(segments);
        heard
    }

    /// Sends one question and waits for its answer: that, and how far the clock there is ahead of ours.
    async fn send(&self, keeper: &HostId, ask: &Ask, within: Duration) -> Result<(Told, i64), LedgerError> {
        let (asker, keeper) = (self.0.host.0.clone(), keeper.0.clone());
        let key = Item::Ask { keeper: keeper.clone(), asker: asker.clone() }.key();
        let answer_key = Item::Told { asker, keeper }.key();
        let sent = self.now();
        let session = in_time(self.0.store.begin_session(&key, ask.pack()?, LETTER_LAPSES)).await?;
        let answer = self.await_answer(&answer_key, ask.number, within).await;
        // Whatever is left of it lapses by itself.
        let _ = in_time(self.0.store.end_session(&session)).await;
        let (told, revision) = answer?;
        let _ =
            self.commit(Transaction::new().unchanged(answer_key.clone(), revision).delete(answer_key)).await;
        let half = i64::try_from(self.now().0.saturating_sub(sent.0) / 2).unwrap_or(0);
        let there = i64::try_from(told.head.now.0).unwrap_or(i64::MAX);
        let ahead = there - i64::try_from(sent.0).unwrap_or(i64::MAX) - half;
        // What the letters' way explains is no difference.
        let differs = ahead.abs() > half + CLOCK_APART_MILLIS;
        Ok((told, if differs { ahead } else { 0 }))
    }

    async fn await_answer(
        &self,
        key: &store::Key,
        number: u64,
        within: Duration,
    ) -> Result<(Told, Revision), LedgerError> {
        let end = Instant::now() + within;
        let mut pause = PAUSES.0;
        loop {
            if let Some(entry) = self.get(key).await?.entry {
                let told = Told::unpack(&entry.value)?;
                if told.head.number == number {
                    return Ok((told, entry.revision));
                }
            }
            if Instant::now() >= end {
                return Err(LedgerError::Late);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}
