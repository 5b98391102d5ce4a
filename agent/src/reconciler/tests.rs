use hostnet::{Bridge, Mac, Maker, Obstacle, Reach};

use super::*;

fn name(name: &str) -> IfName {
    IfName::parse(name).unwrap()
}

fn needed() -> Needed {
    Needed { links: vec![name("berth-bmine"), name("berth-pmine")], address: "10.50.0.2".parse().unwrap() }
}

fn outcome(obstacle: Obstacle) -> Outcome {
    let bridge = |interface: &str| Bridge {
        mac: Mac([2, 0, 0, 0, 0, 1]),
        interface: name(interface),
        mtu: None,
        reach: Reach::Vlan,
        maker: Maker::Berth,
    };
    let bridges = [(name("berth-bmine"), bridge("eth0")), (name("berth-bother"), bridge("eth1"))];
    let wanted = HostNet { bridges: bridges.into(), ..HostNet::default() };
    Outcome { obstacles: vec![obstacle], wanted, ..Outcome::default() }
}

#[test]
fn an_obstacle_of_ones_own_refuses_and_another_containers_does_not() {
    let other: IpAddr = "10.50.0.3".parse().unwrap();
    for (obstacle, mine) in [
        (Obstacle::NameTaken(name("berth-pmine")), true),
        (Obstacle::NameTaken(name("berth-pother")), false),
        (Obstacle::NoInterface(name("eth0")), true),
        (Obstacle::NoInterface(name("eth1")), false),
        (Obstacle::NotIpv4(needed().address), true),
        (Obstacle::NotIpv4(other), false),
        (Obstacle::AwaitsDocker(name("berth-bmine")), true),
        (Obstacle::Stranger(name("berth-pmine")), false),
        (Obstacle::NoHostAddress(name("eth0")), false),
    ] {
        assert_eq!(outcome(obstacle.clone()).suits(Some(&needed())).is_err(), mine, "{obstacle}");
        assert!(outcome(obstacle.clone()).suits(None).is_ok(), "{obstacle}");
    }
}

#[test]
fn a_refused_change_fails_whoever_waited_for_the_pass() {
    let outcome = Outcome { refused: vec!["could not add route".into()], ..Outcome::default() };
    assert_eq!(outcome.suits(None).unwrap_err().to_string(), "could not add route");
}

#[tokio::test]
async fn without_a_task_nothing_is_brought_in_line() {
    assert!(matches!(Reconciler::absent().bring(None).await, Err(BringError::Stopped)));
    Reconciler::absent().nudge();
}
