//! A thread with a network namespace of its own, in which others have something done.

use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, gettid};

type Job = Box<dyn FnOnce() + Send>;

/// It ends with the value.
pub(super) struct Room {
    jobs: mpsc::Sender<Job>,
    id: Pid,
}

impl Room {
    pub(super) fn new() -> Result<Room> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (told, id) = mpsc::channel();
        thread::spawn(move || {
            let there = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid());
            told.send(there).unwrap_or(());
            todo.into_iter().for_each(|job| job());
        });
        Ok(Room { jobs, id: id.recv()?? })
    }

    /// By which `ip link set … netns` knows it.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// Runs something there.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (told, done) = mpsc::channel();
        self.jobs.send(Box::new(move || told.send(job()).unwrap_or(()))).ok().context("its thread ended")?;
        done.recv().context("its thread ended")?
    }
}
