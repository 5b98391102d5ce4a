//! Prints the story: headings, commands and what they said, checks, and that something takes time.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Error;

/// Tells one person at a terminal, or a log.
#[derive(Debug, Clone, Copy)]
pub struct Narrator {
    is_terminal: bool,
}

impl Narrator {
    /// Progress goes to standard error, the story to standard output.
    #[expect(clippy::new_without_default, reason = "it looks at the terminal")]
    pub fn new() -> Narrator {
        Narrator { is_terminal: stderr().is_terminal() }
    }

    /// Begins a step.
    pub fn heading(self, number: usize, title: &str, why: &str) {
        println!("\n{number}. {title}");
        for line in why.lines() {
            println!("   {line}");
        }
        println!();
    }

    /// A sentence between commands.
    pub fn say(self, text: &str) {
        println!("   {text}");
    }

    /// A command as one would type it on a machine.
    pub fn command(self, machine: &str, command: &str) {
        println!("   {machine}# {command}");
    }

    /// What a command said.
    pub fn said(self, text: &str) {
        for line in text.trim_end().lines() {
            println!("   | {line}");
        }
    }

    /// Something that was checked and holds.
    pub fn holds(self, what: &str) {
        println!("   ok: {what}");
    }

    /// Something that failed, with its causes.
    pub fn failed(self, error: &Error) {
        println!("   FAILED: {error}");
        for cause in error.chain().skip(1) {
            println!("   because: {cause}");
        }
    }

    /// Does something that may take a while, and shows that it does once a second has passed.
    pub fn during<T>(self, what: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let (done, waiting) = channel::<()>();
        let result = thread::scope(|scope| {
            scope.spawn(move || {
                // Ends when `done` is dropped.
                while waiting.recv_timeout(self.patience(start)) == Err(RecvTimeoutError::Timeout) {
                    self.progress(what, start.elapsed());
                }
            });
            let result = work();
            drop(done);
            result
        });
        self.end_progress(start.elapsed());
        result
    }

    /// A terminal's line is written anew each second; a log gets a line each ten.
    fn patience(self, start: Instant) -> Duration {
        let is_first = start.elapsed() < Duration::from_secs(1);
        Duration::from_secs(if self.is_terminal || is_first { 1 } else { 10 })
    }

    fn progress(self, what: &str, elapsed: Duration) {
        let seconds = elapsed.as_secs();
        if self.is_terminal {
            // Carriage return, text, erase to the end of the line (ECMA-48 EL).
            eprint!("\r   … {what}, {seconds} s\x1b[K");
            let _ = stderr().flush();
        } else {
            eprintln!("   … {what}, {seconds} s");
        }
    }

    fn end_progress(self, elapsed: Duration) {
        if self.is_terminal && elapsed >= Duration::from_secs(1) {
            eprint!("\r\x1b[K");
        }
    }
}
