//! What only other hosts' disks have, and what becomes of an answer when they are dead, deaf or of another time.

use super::*;

/// Two hosts that keep this many segments of an hour each, which are in the store no more.
async fn kept(fleet: &Fleet, segments: u64) -> (Ledger, Ledger) {
    let ((first, mut one), (second, mut two)) = (fleet.start("h1"), fleet.start("h2"));
    for counter in 1..=segments {
        one.write(vec![fleet.ended("h1", 2, counter, HOUR / 2)]).await.1.unwrap();
        fleet.clock.advance(HOUR);
        one.seal().await.unwrap();
    }
    fleet.clock.advance(25 * HOUR);
    two.keep_house().await.unwrap();
    for _ in 0..2 {
        one.keep_house().await.unwrap();
    }
    assert_eq!(fleet.values("h1").await, 0);
    (first, second)
}

async fn letters(fleet: &Fleet) -> usize {
    let all = fleet.store.range(&Under::Everything.prefix()).await.unwrap().entries;
    let is_letter =
        |entry: &&store::Entry| matches!(Item::of(&entry.key), Some(Item::Ask { .. } | Item::Told { .. }));
    all.iter().filter(is_letter).count()
}

#[tokio::test]
async fn what_only_other_disks_have_is_told_letter_by_letter_and_leaves_nothing_behind() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let count = ::ledger::letter::ASKED_AT_ONCE_MAX as u64 * 2 + 40;
    kept(&fleet, count).await;
    let (third, _) = fleet.start("h3");
    let found = look(&third, &of(2)).await;
    assert_eq!(counters(&found), (1..=count).collect::<Vec<_>>());
    assert_eq!((found.unseen.len(), found.trouble.len(), found.clocks.len()), (0, 0, 0), "{found:?}");
    assert_eq!(letters(&fleet).await, 0);
    // By container alone, of one moment.
    let asked = Query { container: Some("web-7".into()), ..Query::default() };
    assert_eq!(counters(&third.look(&asked, &[], None).await), [7]);
}

#[tokio::test]
async fn where_one_of_two_is_dead_the_other_tells_and_where_both_are_the_answer_says_so() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    kept(&fleet, 3).await;
    let (third, _) = fleet.start("h3");
    fleet.dies("h1").await;
    assert_eq!(counters(&look(&third, &of(2)).await), [1, 2, 3]);
    fleet.dies("h2").await;
    let found = look(&third, &of(2)).await;
    assert_eq!((found.intervals.len(), found.unseen.len()), (0, 3));
    let why: Vec<_> = found.unseen[0].why.iter().map(|(host, why)| format!("{host} {why}")).collect();
    assert_eq!(why, ["h1 gives no sign of life", "h2 gives no sign of life"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_lives_and_does_not_answer_is_waited_for_in_vain_for_seconds() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let (_, mut one) = fleet.start_deaf("h1", fleet.clock.clone());
    let (_, mut two) = fleet.start_deaf("h2", fleet.clock.clone());
    one.write(vec![fleet.ended("h1", 2, 1, HOUR)]).await.1.unwrap();
    fleet.clock.advance(25 * HOUR);
    for _ in 0..2 {
        one.keep_house().await.unwrap();
        two.keep_house().await.unwrap();
    }
    let (third, _) = fleet.start("h3");
    let begun = tokio::time::Instant::now();
    let found = look(&third, &of(2)).await;
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert_eq!(found.unseen[0].why.len(), 2);
    assert!(found.unseen[0].why.values().all(|why| why == "did not answer within 5 s"), "{found:?}");
    assert_eq!(letters(&fleet).await, 0);
}

#[tokio::test]
async fn a_keeper_that_lost_its_disk_is_passed_over() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let (first, _) = kept(&fleet, 2).await;
    let host = HostId::from("h1");
    let lost = first.with_shelf(move |shelf| {
        let all: Vec<_> = shelf.all().map(|(summary, _)| summary.period).collect();
        all.into_iter().try_for_each(|period| shelf.remove(block(), period, &host))
    });
    lost.await.unwrap();
    let (third, _) = fleet.start("h3");
    assert_eq!(counters(&look(&third, &of(2)).await), [1, 2]);
}

#[tokio::test]
async fn with_clocks_hours_apart_the_order_is_that_of_epochs_and_the_clock_is_named() {
    let fleet = Fleet::of(&["h1", "h2", "h3"]).await;
    let early = ManualClock::new();
    early.advance(1_000_000 * HOUR / 3 - 3 * HOUR);
    let (_, mut one) = fleet.start("h1");
    let (behind, mut two) = fleet.start_deaf("h2", early.clone());
    tokio::spawn(behind.answer_others());
    // First on h1, then on h2, whose clock is three hours behind.
    one.write(vec![fleet.ended("h1", 2, 1, HOUR)]).await.1.unwrap();
    let mut later = fleet.running("h2", 2, 2);
    later.interval.from = Moment(early.wall().as_millisecond() as u64);
    two.write(vec![later]).await.1.unwrap();
    let (third, _) = fleet.start("h3");
    let found = look(&third, &of(2)).await;
    let hosts: Vec<_> = found.intervals.iter().map(|it| it.host.to_string()).collect();
    assert_eq!(hosts, ["h1", "h2"]);
    assert!(found.intervals[1].from < found.intervals[0].from, "by the clock it is the other way round");
    assert_eq!(check::broken(&found.intervals, 0).len(), 1);
    assert_eq!(check::broken(&found.intervals, 4 * HOUR.as_millis() as u64), [""; 0]);
    let apart = found.clocks.get(&HostId::from("h2")).copied().unwrap();
    assert!((apart + 3 * HOUR.as_millis() as i64).abs() < 5_000, "{apart}");
    assert_eq!(found.clocks.len(), 1);
    // At that moment by its own clock each says that it had it.
    let then = Moment(fleet.now().0 - 1_000);
    let asked = Query { during: Some((then, then)), ..of(2) };
    assert_eq!(look(&third, &asked).await.intervals.len(), 2);
}
