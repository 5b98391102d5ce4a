//! Following what changes: a stream of one member, and when it breaks, that of another from where it broke.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};
use futures::stream;
use tokio::time::{Instant, sleep, timeout_at};

use super::fault::Fault;
use super::links::Link;
use super::words::{self, revision};
use super::{CALL_TIME_MAX, EtcdStore};
use crate::{Change, Event, Prefix, Revision, StoreError, Watch, WatchError};

/// Bytes that one message of a watch may have. etcd batches up to 1,000 revisions for a watch that is
/// behind, and splits none; few of them have the largest size.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The first pause before a broken stream is opened again; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause: how late an etcd that came back is noticed.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Opens the stream, so that whoever asks hears now if that cannot be done.
pub(super) async fn watch(store: &EtcdStore, prefix: &Prefix, after: Revision) -> Result<Watch, StoreError> {
    let mut follower = Follower {
        store: store.clone(),
        prefix: prefix.clone(),
        after,
        waiting: VecDeque::new(),
        open: None,
        denied: false,
    };
    match follower.open().await {
        Ok(()) => Ok(follower.follow(None)),
        // That is the watch's word, not the call's.
        Err(WatchError::Lost(error)) => Err(error),
        Err(compacted) => Ok(follower.follow(Some(compacted))),
    }
}

struct Follower {
    store: EtcdStore,
    prefix: Prefix,
    /// Everything up to this revision was shown, or never concerned the prefix.
    after: Revision,
    /// Arrived and not shown.
    waiting: VecDeque<Change>,
    open: Option<(Link, WatchStream)>,
    /// Whether a stream was denied and nothing was heard since.
    denied: bool,
}

impl Follower {
    fn follow(self, ended: Option<WatchError>) -> Watch {
        let start = (self, ended, false);
        Watch::new(Box::pin(stream::unfold(start, |(mut follower, ended, over)| async move {
            if over {
                return None;
            }
            let shown = match ended {
                Some(error) => Err(error),
                None => follower.next().await,
            };
            let over = shown.is_err();
            Some((shown, (follower, None, over)))
        })))
    }

    async fn next(&mut self) -> Result<Change, WatchError> {
        loop {
            if let Some(change) = self.waiting.pop_front() {
                return Ok(change);
            }
            if self.open.is_none() {
                self.open_again().await?;
            }
            let Some((link, stream)) = &mut self.open else { continue };
            match stream.message().await {
                Ok(Some(message)) => self.take(message).await?,
                broken => {
                    let link = link.clone();
                    let why = broken.err().map(|error| Fault::of(error, link.endpoint()));
                    tracing::debug!(prefix = %self.prefix, after = %self.after, ?why, "a watch broke");
                    self.open = None;
                    self.store.links.doubt(&link);
                }
            }
        }
    }

    /// Opens a stream until that succeeds. Only what somebody must do something about ends the watch.
    async fn open_again(&mut self) -> Result<(), WatchError> {
        let mut pause = PAUSE_MIN;
        loop {
            match self.open().await {
                Err(WatchError::Lost(StoreError::Unavailable(_))) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                opened => return opened,
            }
        }
    }

    /// Opens a stream behind what was seen, and waits until etcd says that it stands.
    async fn open(&mut self) -> Result<(), WatchError> {
        let deadline = Instant::now() + CALL_TIME_MAX;
        let links = &self.store.links;
        let link = links.sound(deadline).await.map_err(WatchError::Lost)?;
        let silence = || WatchError::Lost(Fault::silence(link.endpoint()).of_look());
        // etcd waits without a word for revisions that are yet to come. A store that was set back must not
        // be taken for a quiet one.
        let newest = match timeout_at(deadline, links.newest(&link)).await {
            Ok(Ok(newest)) => newest,
            Ok(Err(error)) => {
                links.doubt(&link);
                return Err(WatchError::Lost(error.of_look()));
            }
            Err(_) => {
                links.doubt(&link);
                return Err(silence());
            }
        };
        if newest < self.after {
            let (seen, found) = (self.after, newest);
            return Err(WatchError::Lost(StoreError::SetBack { seen, found }));
        }
        let (first, end) = self.store.space.range(&self.prefix);
        let options = WatchOptions::new()
            .with_range(end)
            .with_start_revision(words::number(self.after.next()))
            .with_progress_notify();
        let mut watches = link.client().watch_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
        let opening = async {
            let mut stream = watches.watch(first, Some(options)).await?;
            let message = stream.message().await?;
            Ok::<_, etcd_client::Error>((stream, message))
        };
        match timeout_at(deadline, opening).await {
            Ok(Ok((stream, Some(message)))) => {
                self.open = Some((link, stream));
                self.take(message).await
            }
            failed => {
                links.doubt(&link);
                Err(match failed {
                    Ok(Err(error)) => WatchError::Lost(Fault::of(error, link.endpoint()).of_look()),
                    _ => silence(),
                })
            }
        }
    }

    /// Takes in a message: changes, progress, or the stream's end.
    async fn take(&mut self, message: WatchResponse) -> Result<(), WatchError> {
        if message.canceled() {
            return self.canceled(&message).await;
        }
        self.denied = false;
        if message.events().is_empty() {
            // Progress: etcd says it of a watch that has been shown everything up to there. The first
            // message says only where the member stands.
            if !message.created() {
                let progress = message.header().map_or(self.after, |header| revision(header.revision()));
                self.after = self.after.max(progress);
            }
            return Ok(());
        }
        for event in message.events() {
            let Some(found) = event.kv() else { continue };
            let (revision, Some(key)) = (revision(found.mod_revision()), self.store.space.ours(found.key()))
            else {
                continue;
            };
            // A commit is never split between messages, so what is not above the last one was shown.
            if revision <= self.after {
                continue;
            }
            let event = match event.event_type() {
                EventType::Put => Event::Put { key, value: found.value().to_vec() },
                EventType::Delete => Event::Deleted(key),
            };
            match self.waiting.back_mut() {
                Some(change) if change.revision == revision => change.events.push(event),
                _ => self.waiting.push_back(Change { revision, events: vec![event] }),
            }
        }
        if let Some(last) = self.waiting.back() {
            self.after = last.revision;
        }
        Ok(())
    }

    async fn canceled(&mut self, message: &WatchResponse) -> Result<(), WatchError> {
        let Some((link, _)) = self.open.take() else { return Ok(()) };
        if message.compact_revision() > 0 {
            return Err(WatchError::Compacted {
                prefix: self.prefix.clone(),
                after: self.after,
                oldest: revision(message.compact_revision()),
            });
        }
        self.store.links.doubt(&link);
        let denied =
            message.cancel_reason().contains("permission denied") || message.cancel_reason().contains("auth");
        // etcd 3.4 says so of an old token too: the next link has a new one.
        if denied && std::mem::replace(&mut self.denied, true) {
            let why = format!("{}: {}", link.endpoint(), message.cancel_reason());
            return Err(WatchError::Lost(StoreError::Denied(why.into())));
        }
        sleep(PAUSE_MIN).await;
        Ok(())
    }
}
