//! A model that notices nothing proves nothing: with any one safeguard gone a promise must break.
//! With all of them, and no other difference, it holds as far.

use crate::searched::{Mix, Mutation, search, search_near};

fn breaks(safeguard: &str, words: &str) {
    let mutation = Mutation::without(safeguard).unwrap();
    let without = search(Mix::parse(words).unwrap(), Some(mutation));
    println!("{without}");
    assert!(without.broken.is_some(), "without {safeguard} no promise is broken");
    let with = search_near(Mix::parse(words).unwrap(), None, without.acts);
    println!("{with}");
    assert!(with.broken.is_none(), "a promise is broken, and no safeguard is missing");
}

#[test]
fn without_the_epoch_a_late_release_closes_a_newer_assignment() {
    breaks("epoch", "late-releases=1");
}

#[test]
fn an_answer_before_the_journal_is_forgotten_when_the_agent_dies() {
    breaks("journal-first", "kills=1");
}

#[test]
fn without_the_boot_id_a_host_evicted_while_off_uses_what_is_another_s() {
    breaks("boot-id", "power-cuts=1 evictions=1 cut-off");
}

#[test]
fn one_boot_id_for_the_whole_journal_repeats_epochs() {
    breaks("boot-per-block", "hosts=1 blocks=2 power-cuts=1 kills=1");
}

#[test]
fn without_the_asker_s_record_a_grant_reaches_a_host_that_was_evicted() {
    // In one block it holds something, or nobody would evict it; in the other it asked.
    breaks("asker", "hosts=2 blocks=2 asking=1 power-cuts=1 evictions=1");
}

#[test]
fn without_the_incarnation_an_evicted_host_takes_addresses() {
    breaks("incarnation", "power-cuts=1 evictions=1 unknown=1");
}

#[test]
fn a_quarantine_that_ends_with_the_endpoint_open_reuses_an_address_that_services_know() {
    breaks("closed-endpoint", "asking=1 services power-cuts=1 evictions=1");
}

#[test]
fn an_unknown_outcome_settled_by_absence_gives_away_an_address_in_use() {
    breaks("settling", "kills=1 unknown=1 cut-off");
}

#[test]
fn a_lagging_read_hands_back_what_was_granted_away() {
    breaks("newest-acted", "lagging");
}

#[test]
fn without_the_generation_an_opening_of_a_former_life_lands() {
    breaks("generation", "hosts=1 services unknown=1 rebuilds=1");
}
