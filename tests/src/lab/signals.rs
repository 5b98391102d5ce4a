//! Ctrl-C, SIGTERM and a closed terminal take every lab of this process down.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use anyhow::Result;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{place, remains};

/// Id and folder of each lab that this process owns.
static OWNED: Mutex<Vec<(String, PathBuf)>> = Mutex::new(Vec::new());

/// Set once a signal is taking the labs down.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Whether a signal is how this process is meant to end.
static AWAITED: AtomicBool = AtomicBool::new(false);

/// Waits for Ctrl-C, SIGTERM or the terminal to close; then every lab is taken down and the process ends
/// with status 0.
pub fn until_interrupted() -> ! {
    AWAITED.store(true, Ordering::SeqCst);
    loop {
        thread::park();
    }
}

/// Does not return if a signal is taking the labs down: what fails now is no failure, and the process ends
/// with the signal's own work.
pub fn give_way() {
    while ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// Watches for signals from now on; once is enough for a process.
///
/// On a thread of its own, so that it works whatever the others are waiting for.
pub(super) fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let watcher = thread::Builder::new().name("signals".to_owned()).spawn(|| match first_signal() {
            Ok(status) => take_all_down(status),
            Err(error) => eprintln!("cannot watch for Ctrl-C, `berth-lab clean` will be needed: {error:#}"),
        });
        if let Err(error) = watcher {
            eprintln!("cannot watch for Ctrl-C, `berth-lab clean` will be needed: {error}");
        }
    });
}

pub(super) fn owned(id: &str, dir: &Path) {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner).push((id.to_owned(), dir.to_owned()));
}

pub(super) fn gone(id: &str) {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner).retain(|(owned, _)| owned != id);
}

/// Waits for a signal that ends us; answers the exit status that shells expect of it.
fn first_signal() -> Result<i32> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let kind = tokio::select! {
            _ = Signal::recv(&mut interrupt) => SignalKind::interrupt(),
            _ = Signal::recv(&mut terminate) => SignalKind::terminate(),
            _ = Signal::recv(&mut hangup) => SignalKind::hangup(),
        };
        Ok(128 + kind.as_raw_value())
    })
}

fn take_all_down(status: i32) {
    ENDING.store(true, Ordering::SeqCst);
    let owned = OWNED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (id, dir) in owned {
        eprintln!("\ntaking lab {id} down …");
        let troubles = remains::remove(&id, &dir);
        match troubles.as_slice() {
            [] => eprintln!("nothing is left of it"),
            _ => eprintln!("could not remove all of it: {}", troubles.join("; ")),
        }
    }
    place::leave();
    std::process::exit(if AWAITED.load(Ordering::SeqCst) { 0 } else { status });
}
