//! A thousand seeds, each a story of its own; and the seeds that once broke a promise, by name.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use simulation::{Plan, Sometimes, Story, Sum, run, shrink};

/// How many stories are told.
const SEEDS: u64 = 1_500;

/// What all stories together came to.
#[derive(Default)]
struct Told {
    sum: Sum,
    broken: Vec<String>,
}

#[test]
fn every_promise_is_kept_under_every_seed_and_everything_was_put_to_the_test() {
    let (next, told) = (AtomicU64::new(1), Mutex::new(Told::default()));
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| tell_stories(&next, &told));
        }
    });
    let Told { sum, broken } = told.into_inner().expect("no thread panicked");
    println!("{SEEDS} seeds: {sum}; reached:\n{}", sum.coverage());
    assert_eq!(broken, Vec::<String>::new());
    assert_eq!(sum.coverage().missing(), Vec::<Sometimes>::new(), "never reached");
}

fn tell_stories(next: &AtomicU64, told: &Mutex<Told>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed > SEEDS {
            return;
        }
        let ended = run(&Plan::of(seed), Story::silent());
        let mut told = told.lock().expect("no thread panicked");
        told.sum.add(&ended);
        if let Some(broken) = ended.broken
            && told.broken.is_empty()
        {
            let short = shrink(&Plan::of(seed));
            let only: Vec<String> = short.only.iter().flatten().map(ToString::to_string).collect();
            told.broken.push(format!("make sim SEED={seed} ONLY={}: {broken}", only.join(",")));
        }
    }
}

#[test]
fn a_seed_tells_the_same_story_again_word_for_word() {
    let plan = Plan { steps: 30, ..Plan::of(7) };
    let (once, again) = (run(&plan, Story::told()), run(&plan, Story::told()));
    assert!(once.story.lines().len() > 10);
    assert_eq!(once.story.lines(), again.story.lines());
}
