use super::*;
use crate::capacity::Writer;
use ipam::{HostId, Incarnation, PoolName};
use provider::order::OrderEvent;
use provider::{Network, OrderRequest, ZoneId};

fn ambiguous(candidates: &[&str]) -> OrderRecord {
    let zone = ZoneId::new("1234");
    let request = OrderRequest { zone: zone.clone(), network: Network::Private, prefix: 26 };
    let at = jiff::Timestamp::UNIX_EPOCH;
    let intent = provider::OrderIntent { request, price: "13981".into(), intended_at: at };
    let candidates = candidates.iter().map(|order| OrderId::new(*order)).collect();
    let doubt = OrderEvent::Doubted { reason: "nobody knows".into(), candidates };
    OrderRecord {
        pool: PoolName::from("default"),
        zone,
        number: 1,
        writer: Writer { host: HostId::from("h1"), incarnation: Incarnation(1), process: "p".into() },
        order: Order::intended(intent).apply(doubt, at).unwrap(),
    }
}

fn commands(record: &OrderRecord) -> Vec<String> {
    next(record).into_iter().map(|step| step.command).collect()
}

#[test]
fn an_order_in_doubt_can_be_each_of_its_candidates_or_nothing() {
    assert_eq!(
        commands(&ambiguous(&["83211", "83212"])),
        [
            "berth order settle default-1234-1 --is 83211",
            "berth order settle default-1234-1 --is 83212",
            "berth order settle default-1234-1 --nothing-ordered",
        ]
    );
}

#[test]
fn an_order_in_doubt_without_candidates_may_still_be_one_that_only_the_portal_shows() {
    assert_eq!(
        commands(&ambiguous(&[])),
        [
            "berth order settle default-1234-1 --is NUMBER",
            "berth order settle default-1234-1 --nothing-ordered",
        ]
    );
}

#[test]
fn an_order_on_its_way_leaves_nothing_to_decide() {
    let mut record = ambiguous(&["83211"]);
    let at = jiff::Timestamp::UNIX_EPOCH;
    record.order = record.order.apply(OrderEvent::OperatorFound(OrderId::new("83211")), at).unwrap();
    assert_eq!(commands(&record), [""; 0]);
}
