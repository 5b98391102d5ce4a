use super::order::{OrderRefused, Product, Wanted};
use super::subnet::Stage;
use super::*;

fn cloud(change: impl FnOnce(&mut CloudSpec)) -> Cloud {
    let mut spec = CloudSpec::small();
    change(&mut spec);
    Cloud::new(spec, Timestamp::UNIX_EPOCH).unwrap()
}

fn wanted(capacity: u32) -> Wanted {
    private_sizes().find(|wanted| wanted.portable.capacity == capacity).unwrap()
}

fn private_sizes() -> impl Iterator<Item = Wanted> {
    let all = catalogue::ITEMS.iter().filter_map(|item| Some((item, item.portable()?)));
    all.filter(|(_, portable)| portable.space == NetworkSpace::Private).map(|(item, portable)| Wanted {
        item,
        portable,
        vlan: 1234,
    })
}

fn user(cloud: &Cloud) -> Id {
    *cloud.users.keys().next().unwrap()
}

fn subnet_of(cloud: &Cloud, order: Id) -> &Subnet {
    let Product::Subnet { id, .. } = cloud.orders[&order].product else { panic!("not of a subnet") };
    &cloud.subnets[&id]
}

#[test]
fn every_size_of_the_catalogue_is_cut_with_as_many_addresses() {
    for wanted in private_sizes() {
        let mut cloud = cloud(|_| ());
        let order = cloud.place_order(user(&cloud), wanted).unwrap();
        assert_eq!(subnet_of(&cloud, order).addresses.len(), wanted.portable.capacity as usize);
    }
}

#[test]
fn an_order_is_refused_when_the_space_is_used_up_and_taken_again_after_a_return() {
    let mut cloud = cloud(|spec| {
        spec.delays = Delays::NONE;
        spec.vlans[0].portable = vec!["10.50.0.0/28".parse().unwrap()];
    });
    let user = user(&cloud);
    let first = cloud.place_order(user, wanted(8)).unwrap();
    cloud.place_order(user, wanted(8)).unwrap();
    assert_eq!(cloud.place_order(user, wanted(4)), Err(OrderRefused::NoSpace(1234)));
    let billed = subnet_of(&cloud, first).billing_item.unwrap();
    assert!(cloud.cancel(billed));
    assert!(!cloud.cancel(billed), "a billing item is cancelled once");
    let again = cloud.place_order(user, wanted(8)).unwrap();
    assert_eq!(subnet_of(&cloud, again).cidr, "10.50.0.0/29".parse().unwrap());
}

#[test]
fn the_addresses_of_a_cancelled_subnet_are_nobody_elses_until_it_is_reclaimed() {
    let mut cloud = cloud(|spec| spec.delays = Delays { reclaim_ms: 1_000, ..Delays::NONE });
    let user = user(&cloud);
    let first = cloud.place_order(user, wanted(8)).unwrap();
    let cidr = subnet_of(&cloud, first).cidr;
    cloud.cancel(subnet_of(&cloud, first).billing_item.unwrap());
    let second = cloud.place_order(user, wanted(8)).unwrap();
    assert_ne!(subnet_of(&cloud, second).cidr, cidr);
    cloud.advance(Duration::from_millis(1_000));
    let third = cloud.place_order(user, wanted(8)).unwrap();
    assert_eq!(subnet_of(&cloud, third).cidr, cidr);
}

#[test]
fn a_subnet_cancelled_before_it_is_routed_is_never_routed() {
    let mut cloud = cloud(|spec| {
        spec.delays = Delays { order_routed_ms: 1_000, reclaim_ms: 9_000, ..Delays::NONE };
    });
    let order = cloud.place_order(user(&cloud), wanted(8)).unwrap();
    cloud.cancel(subnet_of(&cloud, order).billing_item.unwrap());
    cloud.advance(Duration::from_millis(5_000));
    assert_eq!(subnet_of(&cloud, order).stage, Stage::Leaving);
    cloud.advance(Duration::from_millis(9_000));
    assert_eq!(cloud.subnets.values().filter(|subnet| subnet.vlan == 1234).count(), 1);
}

#[test]
fn things_happen_at_their_own_time_however_far_the_clock_jumps() {
    let mut cloud = cloud(|spec| {
        spec.delays = Delays { order_visible_ms: 1_000, order_routed_ms: 1_000, ..Delays::NONE };
    });
    let order = cloud.place_order(user(&cloud), wanted(8)).unwrap();
    cloud.advance(Duration::from_secs(3_600));
    let routed_at = Timestamp::UNIX_EPOCH + Duration::from_secs(2);
    assert_eq!(
        (subnet_of(&cloud, order).stage, subnet_of(&cloud, order).modified),
        (Stage::Routed, routed_at)
    );
    cloud.advance(Duration::from_secs(1));
    assert_eq!(cloud.now(), Duration::from_secs(3_600), "time never goes back");
}

#[test]
fn machines_get_addresses_that_nobody_has_and_a_mac_that_the_seed_decides() {
    let one = cloud(|_| ());
    let mut addresses: Vec<_> =
        one.machines.values().flat_map(|machine| &machine.ports).map(|port| port.address).collect();
    let all = addresses.len();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), all);
    let mac = |cloud: &Cloud| cloud.machine("vm1").unwrap().ports[0].mac.clone();
    assert_eq!(mac(&one), mac(&cloud(|_| ())));
    assert_ne!(mac(&one), mac(&cloud(|spec| spec.seed = 2)));
}
