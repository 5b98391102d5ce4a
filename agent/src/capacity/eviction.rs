//! Evicts dead hosts: asks the provider for its word and sends what [`Evictions`] decides.
//!
//! [`Evictions`]: ipam::role::Evictions

use ipam::role::{EvictionStep, HostsSeen, ProviderWord, raise, sweep};
use ipam::{BlockId, Eviction, EvictionWord, HostId, Incarnation, Published, Sent, Zone};
use jiff::Timestamp;
use provider::{HostState, InstanceId, Provider};
use store::layout::Item;
use tracing::{info, warn};

use super::{
    look,
    role::Role,
    status::chain,
    term::Term,
    trouble::Trouble,
    view::{At, View},
};

/// A host whose session is absent, and that holds addresses of the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentHost {
    /// Since when it has been seen so.
    pub since: Timestamp,
    /// What the provider said of it last, if it was asked.
    pub said: Option<String>,
    /// When the provider is asked next.
    pub next: Timestamp,
}

impl<P: Provider> Role<P> {
    /// Asks about silent hosts, evicts those that are witnessed to be dead, and sweeps up after evictions.
    pub(super) async fn care_for_hosts(&mut self, term: &Term, view: &View) {
        let blocks = view.blocks_seen(self.zone());
        let me = self.parts.host.clone();
        let steps = self.evictions.look(view.now, &me, &view.hosts, &blocks);
        let asks = steps.iter().any(|step| matches!(step, EvictionStep::Ask { .. }));
        for step in steps {
            self.take_step(term, view, step).await;
        }
        // A second witness decides at once.
        if asks {
            let decided = self.evictions.look(view.now, &me, &view.hosts, &blocks);
            for step in decided.into_iter().filter(|step| matches!(step, EvictionStep::Raise { .. })) {
                self.take_step(term, view, step).await;
            }
        }
    }

    pub(super) async fn take_step(&mut self, term: &Term, view: &View, step: EvictionStep) {
        let (host, outcome) = match step {
            EvictionStep::Ask { host, instance } => {
                let word = word(self.ask_provider(&view.hosts, &instance).await);
                info!(%host, %word, "asked the provider what became of a silent host");
                self.evictions.heard(self.parts.clock.now(), &host, word);
                return;
            }
            EvictionStep::Raise { host, why } => {
                let outcome = self.evict_witnessed(term, view, &host, why).await;
                (host, outcome)
            }
            EvictionStep::Sweep { host, below, block } => {
                let outcome = self.sweep(term, &host, below, block).await;
                (host, outcome)
            }
        };
        self.look_again = true;
        if let Err(trouble) = outcome {
            self.look_again = false;
            warn!(%host, error = %chain(&trouble), "an eviction does not go on");
        }
    }

    /// What the provider says became of a machine, or why it has no word that counts.
    ///
    /// One that calls this very host dead is not believed: with the key of another account, every machine of ours
    /// is one that it has never heard of.
    pub(super) async fn ask_provider(
        &self,
        hosts: &HostsSeen,
        instance: &ipam::InstanceId,
    ) -> Result<HostState, String> {
        let provider = &self.parts.provider;
        let ask = async |instance: &ipam::InstanceId| {
            let state = provider.host_state(&InstanceId::new(instance.0.clone())).await;
            state.map_err(|error| format!("no answer: {}", chain(&error)))
        };
        let said = ask(instance).await?;
        let own = hosts.get(&self.parts.host).filter(|_| said.is_silent_for_good());
        if let Some(own) = own {
            let said = ask(&own.record.instance).await?;
            if said.is_silent_for_good() {
                return Err(format!("not believed: it says of this very host that it is {}", spoken(said)));
            }
        }
        Ok(said)
    }

    async fn evict_witnessed(
        &self,
        term: &Term,
        view: &View,
        host: &HostId,
        why: String,
    ) -> Result<(), Trouble> {
        let Some(seen) = view.hosts.get(host) else { return Ok(()) };
        let eviction = self.eviction(EvictionWord::Provider { said: why.clone() });
        match self.send(term, &raise(host, seen, eviction, false)).await? {
            Sent::Committed { .. } => warn!(%host, why, "evicted a dead host"),
            // It came back in time, or somebody else evicted it.
            Sent::Conflict { .. } => info!(%host, "a host that was to be evicted is not as it was"),
            Sent::Failed | Sent::Unknown => (),
        }
        Ok(())
    }

    /// An eviction by this host, now. The incarnation is filled in when it is written.
    pub(super) fn eviction(&self, word: EvictionWord) -> Eviction {
        let (by, at) = (self.parts.host.clone(), format!("{:.0}", self.wall()));
        Eviction { incarnation: Incarnation(0), by, at, word }
    }

    /// Sweeps one block, in as many transactions as that takes.
    async fn sweep(
        &self,
        term: &Term,
        host: &HostId,
        below: Incarnation,
        id: BlockId,
    ) -> Result<(), Trouble> {
        let why = self.why_evicted(host).await?;
        let zone = Zone(self.zone().to_string());
        loop {
            let Some(seen) = look::block(&*self.parts.store, zone.clone(), id).await? else { return Ok(()) };
            let published = self.published(host, id).await?;
            let Some(transaction) = sweep(&seen, published.as_ref(), host, below, &why) else {
                return Ok(());
            };
            match self.send(term, &transaction).await? {
                Sent::Committed { .. } => info!(%host, block = %id, "swept up after an eviction"),
                // Whatever is left shows in the next look.
                Sent::Conflict { .. } | Sent::Failed | Sent::Unknown => return Ok(()),
            }
        }
    }

    async fn published(
        &self,
        host: &HostId,
        id: BlockId,
    ) -> Result<Option<(Published, ipam::Revision)>, Trouble> {
        let key = Item::Published { host: host.0.clone(), subnet: id.subnet, index: id.index }.key();
        let entry = self.parts.store.get(&key).await?.entry;
        let found = entry.as_ref().map(look::read::<Published>).transpose()?;
        Ok(found.map(|At { value, revision }| (value, ipam::Revision(revision.0))))
    }

    async fn why_evicted(&self, host: &HostId) -> Result<String, Trouble> {
        let entry = self.parts.store.get(&Item::Eviction(host.0.clone()).key()).await?.entry;
        let eviction = entry.as_ref().map(look::read::<Eviction>).transpose()?;
        Ok(match eviction {
            Some(At { value, .. }) => value.word.to_string(),
            None => "the host began another life without it".to_owned(),
        })
    }

    /// What is known of silent hosts, for people.
    pub(super) fn silent_hosts(&self) -> std::collections::BTreeMap<HostId, SilentHost> {
        let silent = |(host, suspicion): (&HostId, ipam::role::Suspicion)| {
            let since = self.wall_at(suspicion.since);
            let said = suspicion.said.map(|word| word.to_string());
            (host.clone(), SilentHost { since, said, next: self.wall_at(suspicion.next) })
        };
        self.evictions.suspicions().map(silent).collect()
    }
}

/// The provider's answer as the word of a witness. Only a plain one is: see [`HostState`].
fn word(said: Result<HostState, String>) -> ProviderWord {
    match said {
        Ok(HostState::Gone) => ProviderWord::Deleted,
        Ok(HostState::Off) => ProviderWord::Off,
        Ok(state) => ProviderWord::NoWitness(spoken(state).to_owned()),
        Err(why) => ProviderWord::NoWitness(why),
    }
}

/// What a state is called.
pub(super) fn spoken(state: HostState) -> &'static str {
    match state {
        HostState::Running => "running",
        HostState::Off => "off, its memory lost",
        HostState::Suspended => "paused or suspended",
        HostState::InTransaction => "in a transaction of the provider",
        HostState::Gone => "deleted",
        HostState::Unknown => "unknown to the provider",
    }
}
