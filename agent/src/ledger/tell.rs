//! Answers other hosts that ask for what only this host's disk has.

use super::ask::LETTER_LAPSES;
use super::{Ledger, LedgerError, in_time};
use crate::troubles::with_causes;
use ::ledger::letter::Ask;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;
use store::layout::{Item, Under};
use store::{Event, Key};

/// Before the store is followed again after it went away.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The last question of each asker that was answered, while it stands.
type Answered = BTreeMap<String, u64>;

impl Ledger {
    /// Answers for ever. Only this host's own questions are looked at, so the work does not grow with the fleet.
    pub(super) async fn answer_others(self) {
        let mut answered = Answered::new();
        loop {
            let Err(error) = self.answer_while_told(&mut answered).await;
            tracing::debug!(error = with_causes(&error), "following again what others ask of the ledger");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn answer_while_told(&self, answered: &mut Answered) -> Result<Infallible, LedgerError> {
        let prefix = Under::AsksOf { keeper: self.0.host.0.clone() }.prefix();
        let asked = in_time(self.0.store.range(&prefix)).await?;
        for entry in &asked.entries {
            self.answer(&entry.key, &entry.value, answered).await?;
        }
        let mut watch = in_time(self.0.store.watch(&prefix, asked.revision)).await?;
        loop {
            // Whatever ended the watch, all is read again.
            let change = watch.next().await.map_err(|_| LedgerError::Again)?;
            for event in change.events {
                match event {
                    Event::Put { key, value } => self.answer(&key, &value, answered).await?,
                    Event::Deleted(key) => {
                        if let Some(Item::Ask { asker, .. }) = Item::of(&key) {
                            answered.remove(&asker);
                        }
                    }
                }
            }
        }
    }

    async fn answer(&self, key: &Key, value: &[u8], answered: &mut Answered) -> Result<(), LedgerError> {
        let Some(Item::Ask { keeper, asker }) = Item::of(key) else { return Ok(()) };
        // What cannot be read was written by a newer Berth: the asker hears nothing, and says so.
        let Ok(ask) = Ask::unpack(value) else { return Ok(()) };
        if answered.get(&asker) == Some(&ask.number) {
            return Ok(());
        }
        let (number, now) = (ask.number, self.now());
        let told = self.with_shelf(move |shelf| Ok(shelf.tell(&ask, now))).await??;
        let answer = Item::Told { asker: asker.clone(), keeper }.key();
        in_time(self.0.store.begin_session(&answer, told, LETTER_LAPSES)).await?;
        answered.insert(asker, number);
        Ok(())
    }
}
