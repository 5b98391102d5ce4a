use super::*;
use crate::Tag;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn intended() -> Order {
    let request = OrderRequest { zone: ZoneId::new("7"), network: Network::Private, prefix: 29 };
    Order::intended(OrderIntent { request, price: "13981".into(), intended_at: at(0) })
}

fn subnet() -> CloudSubnet {
    CloudSubnet {
        id: SubnetId::new("55"),
        cidr: "10.0.0.8/29".parse().unwrap(),
        gateway: Some("10.0.0.9".parse().unwrap()),
        zone: ZoneId::new("7"),
        tags: vec![Tag::new("berth:demo")],
        note: None,
    }
}

fn doubted() -> OrderEvent {
    OrderEvent::Doubted { reason: "two orders match".into(), candidates: vec![] }
}

fn placed() -> OrderEvent {
    OrderEvent::Placed(OrderId::new("1234"))
}

/// Walks an order through events that must all be possible.
fn walk(order: Order, events: impl IntoIterator<Item = OrderEvent>) -> Order {
    events.into_iter().zip(1..).fold(order, |order, (event, second)| order.apply(event, at(second)).unwrap())
}

#[test]
fn an_order_is_placed_delivered_opened_drained_and_returned() {
    use OrderEvent as E;
    let open = walk(intended(), [placed(), E::Delivered(subnet()), E::Opened]);
    assert_eq!(open.state.name(), "open");
    assert_eq!(open.since, at(3));
    assert_eq!(open.id(), Some(&OrderId::new("1234")));
    assert_eq!(open.subnet().map(|s| s.cidr), Some("10.0.0.8/29".parse().unwrap()));
    let returned = walk(open, [E::Drain, E::Return, E::Returned]);
    assert!(!returned.is_paid_for());
}

#[test]
fn an_adopted_subnet_begins_as_delivered_without_an_order() {
    let open = walk(Order::adopted(&subnet(), at(0)), [OrderEvent::Opened]);
    assert_eq!((open.id(), open.intent()), (None, None));
    assert!(open.is_paid_for());
}

#[test]
fn only_the_operator_settles_an_ambiguous_order() {
    let ambiguous = walk(intended(), [doubted()]);
    assert!(ambiguous.is_in_flight() && ambiguous.is_paid_for());
    assert!(ambiguous.apply(placed(), at(9)).is_err());
    assert!(ambiguous.apply(OrderEvent::Declined("no".into()), at(9)).is_err());
    assert_eq!(walk(ambiguous.clone(), [OrderEvent::OperatorForgot]).state.name(), "failed");
    let found = walk(ambiguous, [OrderEvent::OperatorFound(OrderId::new("1"))]);
    assert_eq!(found.id(), Some(&OrderId::new("1")));
}

#[test]
fn a_subnet_on_its_way_back_is_never_opened_again() {
    use OrderEvent as E;
    let returning = walk(Order::adopted(&subnet(), at(0)), [E::Opened, E::Drain, E::Return]);
    assert!(returning.apply(E::Undrain, at(9)).is_err());
    assert!(returning.apply(E::Opened, at(9)).is_err());
}

#[test]
fn a_subnet_is_returned_only_after_it_was_drained() {
    let open = walk(Order::adopted(&subnet(), at(0)), [OrderEvent::Opened]);
    let refusal = open.apply(OrderEvent::Return, at(9)).unwrap_err();
    assert_eq!(refusal.to_string(), "an order that is open cannot become returning");
}

#[test]
fn hearing_the_same_twice_changes_nothing() {
    let once = walk(intended(), [placed()]);
    assert_eq!(once.apply(placed(), at(60)).unwrap(), once);
}

#[test]
fn a_placed_order_does_not_become_another_one() {
    let once = walk(intended(), [placed()]);
    assert!(once.apply(OrderEvent::Placed(OrderId::new("999")), at(60)).is_err());
}

#[test]
fn a_placed_order_that_is_doubted_keeps_its_number_for_the_operator() {
    let doubted = walk(intended(), [placed(), doubted()]);
    let OrderState::Ambiguous { candidates, .. } = doubted.state else { panic!("{doubted:?}") };
    assert_eq!(candidates, [OrderId::new("1234")]);
}

#[test]
fn orders_that_came_to_nothing_are_remembered_so_that_they_are_not_found_again() {
    let declined = walk(intended(), [placed(), OrderEvent::Declined("no credit".into())]);
    assert_eq!(declined.known_ids(), [&OrderId::new("1234")]);
    let others = OrderEvent::Doubted { reason: "two match".into(), candidates: vec![OrderId::new("8")] };
    assert_eq!(walk(intended(), [others, OrderEvent::OperatorForgot]).known_ids(), [&OrderId::new("8")]);
}

#[test]
fn an_order_reads_back_as_it_was_written() {
    for order in [
        intended(),
        walk(intended(), [placed()]),
        walk(intended(), [doubted()]),
        walk(intended(), [placed(), OrderEvent::Delivered(subnet())]),
    ] {
        let written = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&written).unwrap(), order);
    }
}
