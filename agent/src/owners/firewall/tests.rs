//! What owners of firewalls promise, at a simulated cloud that speaks SoftLayer's real protocol, with agents that can be
//! killed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use api::{Outside, Peer, PolicyEntry, Service, ServicePort};
use ipam::HostId;
use provider_mock::cloud::firewall::{FirewallProtocol, FirewallRule};
use provider_mock::{Delays, Effect, Fault};
use services::Member;
use store::layout::Item;

use super::FirewallRecord;
use crate::owners::tests::world::{self, Agent, PATIENCE, TIMING, World};

/// The VLAN of the members: it has a firewall.
const VLAN: u64 = 1235;

/// The security group that the service names.
const GROUP: &str = "web-hosts";

struct Site {
    world: World,
    agent: Option<Agent>,
}

impl Site {
    /// A cluster with an agent, and a firewall with a rule of somebody else's.
    async fn new() -> Self {
        Self::with(Delays::NONE).await
    }

    async fn with(delays: Delays) -> Self {
        let world = World::with(delays).await;
        world.cloud.live().put_firewall_rules(VLAN, vec![theirs()]);
        let agent = Some(world.agent("h1"));
        Self { world, agent }
    }

    /// The agent dies; nothing of it is left but what it sent.
    async fn is_killed(&mut self) {
        self.agent = None;
        self.world.falls_silent("h1").await;
    }

    async fn declare(&self, zones: &[u64], groups: &[&str]) {
        let port = ServicePort { name: None, port: 80.try_into().unwrap(), transport: Default::default() };
        let outside = Outside {
            zones: zones.iter().map(u64::to_string).collect(),
            security_groups: groups.iter().map(ToString::to_string).collect(),
        };
        let service = Service {
            ports: vec![port],
            policies: vec![PolicyEntry { from: vec![Peer::Anybody], port: None }],
            firewall: Some(outside),
            ..services::implied("web", [])
        };
        self.world.put(Item::Service("web".into()), &service).await;
    }

    /// A container with this address is in the service, under this epoch.
    async fn comes(&self, number: u8, counter: u64) {
        self.world.write(&member(number, counter, "h2")).await;
    }

    /// The same, in the private VLAN of a machine of the cloud.
    async fn comes_to(&self, machine: &str, number: u8) {
        let id = self.world.cloud.live().present().machine(machine).unwrap().id;
        let member = member(number, 1, &format!("virtual-{id}"));
        self.world.write(&Member { zone: "1234".into(), ..member }).await;
    }

    /// Whom the firewall lets in for us, by number.
    fn let_in(&self) -> BTreeSet<u8> {
        let cloud = self.world.cloud.live().present();
        let rules = &cloud.firewall_of(VLAN).unwrap().rules;
        let ours = rules.iter().filter(|rule| rule.notes == "berth:demo");
        ours.map(|rule| rule.destination.ip().octets()[3]).collect()
    }

    async fn lets_in(&self, expected: &[u8]) {
        let expected: BTreeSet<u8> = expected.iter().copied().collect();
        self.until(&format!("{expected:?} are let in"), async || self.let_in() == expected).await;
    }

    async fn is_free(&self, number: u8) {
        self.until(&format!("{number} waits for nobody"), async || !self.world.waits(number).await).await;
    }

    /// Waits for it. At every moment, whoever is let in has an address that waits for it.
    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let waiting = async {
            while !holds().await {
                for number in self.let_in() {
                    assert!(
                        self.world.waits(number).await,
                        "{number} could be used again while the firewall is open to it"
                    );
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "not true: {what}; let in are {:?}", self.let_in());
    }

    /// What is nobody of ours is as it was.
    fn leaves_strangers_alone(&self) {
        let cloud = self.world.cloud.live().present();
        let rules = &cloud.firewall_of(VLAN).unwrap().rules;
        let others: Vec<_> = rules.iter().filter(|rule| rule.notes != "berth:demo").collect();
        assert_eq!(others, [&theirs()], "a rule of somebody else's was touched");
    }

    /// How many lists were sent to the firewall, and accepted.
    fn updates(&self) -> usize {
        let requests = self.world.cloud.live().requests();
        requests.iter().filter(|it| it.method == "createObject" && it.status == Some(200)).count()
    }

    /// What the owner says of a firewall.
    async fn says(&self, firewall: &str) -> Option<FirewallRecord> {
        let key = Item::Firewall(firewall.into()).key();
        let entry = store::Store::get(&self.world.store, &key).await.unwrap().entry?;
        Some(store::layout::decode(&key, &entry.value).unwrap())
    }

    async fn complains(&self, firewall: &str, words: &str) {
        let has = async || {
            let record = self.says(firewall).await.unwrap_or_default();
            record.troubles.iter().any(|trouble| trouble.contains(words))
        };
        self.until(&format!("it is told: {words}"), has).await;
    }

    /// The other groups of a machine, and ours, in force: by name, how many interfaces each is at.
    fn group(&self) -> Option<(usize, usize)> {
        let cloud = self.world.cloud.live().present();
        let group = cloud.security_group(GROUP)?;
        Some((group.rules_in_force.len(), group.components_in_force.len()))
    }

    async fn has_group(&self, expected: Option<(usize, usize)>) {
        self.until(&format!("rules and interfaces are {expected:?}"), async || self.group() == expected)
            .await;
    }
}

fn theirs() -> FirewallRule {
    FirewallRule {
        order: 1,
        permit: true,
        protocol: FirewallProtocol::Tcp,
        source: "0.0.0.0/0".parse().unwrap(),
        destination: "198.51.100.5/32".parse().unwrap(),
        ports: Some((22, 22)),
        notes: "ssh".into(),
    }
}

fn member(number: u8, counter: u64, host: &str) -> Member {
    Member {
        host: HostId::from(host),
        zone: VLAN.to_string().as_str().into(),
        ..world::member(number, counter)
    }
}

#[tokio::test]
async fn containers_are_let_in_as_they_come_and_their_addresses_wait_until_they_are_let_in_no_more() {
    let site = Site::new().await;
    site.declare(&[VLAN], &[]).await;
    for number in 1..=5 {
        site.comes(number, 1).await;
    }
    site.lets_in(&[1, 2, 3, 4, 5]).await;
    assert!(site.updates() <= 3, "each container was an update of its own: {}", site.updates());
    site.world.goes(1).await;
    site.is_free(1).await;
    assert_eq!(site.let_in(), [2, 3, 4, 5].into());
    site.world.withdraw().await;
    site.lets_in(&[]).await;
    site.until("nothing is known of it", async || site.says("zone-1235").await.is_none()).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn an_update_that_is_accepted_and_never_applied_is_sent_again() {
    let site = Site::new().await;
    site.declare(&[VLAN], &[]).await;
    site.world.cloud.live().deafen_firewall(VLAN, 1);
    let begun = Instant::now();
    site.comes(1, 1).await;
    site.until("it is told", async || site.says("zone-1235").await.is_some_and(|it| it.pending.is_some()))
        .await;
    site.lets_in(&[1]).await;
    assert!(begun.elapsed() >= TIMING.apply_max, "it was sent again before it could be known to be lost");
    assert_eq!(site.updates(), 2);
    site.world.cloud.live().deafen_firewall(VLAN, 1);
    site.world.goes(1).await;
    site.is_free(1).await;
    assert!(site.let_in().is_empty());
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn an_update_takes_its_time_and_is_not_sent_twice() {
    let site = Site::with(Delays { firewall_ms: 700, ..Delays::NONE }).await;
    site.declare(&[VLAN], &[]).await;
    site.comes(1, 1).await;
    site.lets_in(&[1]).await;
    site.comes(2, 1).await;
    site.world.goes(1).await;
    site.lets_in(&[2]).await;
    site.is_free(1).await;
    assert_eq!(site.updates(), 2);
}

#[tokio::test]
async fn an_owner_that_is_killed_in_mid_update_is_followed_by_another() {
    let mut site = Site::with(Delays { firewall_ms: 500, ..Delays::NONE }).await;
    site.declare(&[VLAN], &[]).await;
    site.comes(1, 1).await;
    site.until("it was sent", async || site.updates() == 1).await;
    site.is_killed().await;
    let _second = site.world.agent("h2");
    site.world.goes(1).await;
    site.comes(2, 1).await;
    site.lets_in(&[2]).await;
    site.is_free(1).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn an_owner_that_stops_while_a_list_is_awaited_is_waited_for() {
    let mut site = Site::with(Delays { firewall_ms: 700, ..Delays::NONE }).await;
    site.declare(&[VLAN], &[]).await;
    // Until no call of whoever might have been before can land.
    tokio::time::sleep(TIMING.call_max + TIMING.apply_max + TIMING.term_confirmed_for).await;
    site.comes(1, 1).await;
    site.until("it was sent", async || site.updates() == 1).await;
    site.agent.take().unwrap().stop().await;
    site.world.falls_silent("h1").await;
    let _second = site.world.agent("h2");
    site.world.goes(1).await;
    site.lets_in(&[1]).await;
    site.lets_in(&[]).await;
    site.is_free(1).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn a_deposed_owner_s_list_that_lands_late_is_found_before_the_address_is_used_again() {
    let mut site = Site::new().await;
    site.declare(&[VLAN], &[]).await;
    site.until("it is looked at", async || site.says("zone-1235").await.is_some()).await;
    site.world.cloud.live().inject(Fault::once("createObject", Effect::Late { ms: 1_200 }));
    site.comes(1, 1).await;
    site.until("it is about to be let in", async || site.world.waits(1).await).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    site.is_killed().await;
    let _second = site.world.agent("h2");
    site.world.goes(1).await;
    site.lets_in(&[1]).await;
    site.lets_in(&[]).await;
    site.is_free(1).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn a_list_whose_answer_was_lost_is_awaited_and_errors_are_waited_out() {
    let site = Site::new().await;
    site.declare(&[VLAN], &[]).await;
    site.world.cloud.live().inject(Fault::once("createObject", Effect::CutAfter));
    site.comes(1, 1).await;
    site.lets_in(&[1]).await;
    for effect in [Effect::RateLimited, Effect::InternalError, Effect::CutBefore] {
        site.world.cloud.live().inject(Fault::once("createObject", effect));
    }
    site.comes(2, 1).await;
    site.lets_in(&[1, 2]).await;
    site.world.goes(1).await;
    site.is_free(1).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn what_is_edited_by_hand_is_mended_and_others_rules_are_left() {
    let site = Site::new().await;
    site.declare(&[VLAN], &[]).await;
    site.comes(1, 1).await;
    site.comes(2, 1).await;
    site.lets_in(&[1, 2]).await;
    // Somebody loses ours for the second, and opens the first one's to more ports.
    let wide = FirewallRule {
        order: 2,
        destination: "10.60.0.1/32".parse().unwrap(),
        ports: Some((1, 1_000)),
        notes: "berth:demo".into(),
        ..theirs()
    };
    site.world.cloud.live().put_firewall_rules(VLAN, vec![theirs(), wide]);
    site.lets_in(&[1, 2]).await;
    let exact = || {
        let cloud = site.world.cloud.live().present();
        let ours = cloud.firewall_of(VLAN).unwrap().rules.iter().filter(|it| it.notes == "berth:demo");
        ours.clone().all(|rule| rule.ports == Some((80, 80)))
    };
    site.until("it is open on its port alone", async || exact()).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn containers_come_and_go_while_the_provider_is_away_and_all_is_in_line_when_it_is_back() {
    let site = Site::new().await;
    site.declare(&[VLAN], &[]).await;
    site.comes(1, 1).await;
    site.lets_in(&[1]).await;
    let away = site.world.cloud.live().inject(Fault::everywhere(Effect::CutBefore));
    site.world.goes(1).await;
    for number in 2..8 {
        site.comes(number, 1).await;
        if number % 2 == 0 {
            site.world.goes(number).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(site.world.waits(1).await, "its address is let go of while nobody can see that it is closed");
    site.world.cloud.live().remove_fault(away);
    site.lets_in(&[3, 5, 7]).await;
    site.is_free(1).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn orphans_are_found_after_the_store_was_lost() {
    let mut site = Site::new().await;
    site.declare(&[VLAN], &[]).await;
    site.comes(1, 1).await;
    site.comes(2, 1).await;
    site.lets_in(&[1, 2]).await;
    site.is_killed().await;
    site.world.lose_the_store().await;
    site.declare(&[VLAN], &[]).await;
    site.comes(2, 7).await;
    let _agent = site.world.agent("h1");
    // Of what was lost with the store nobody can know at once: no address of it is used before hosts account for it.
    let is_gone = async {
        while site.let_in() != [2].into() || !site.world.waits(2).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_gone).await.unwrap();
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn a_firewall_that_lets_everything_in_is_not_closed_by_our_first_rule() {
    let site = Site::new().await;
    site.world.cloud.live().put_firewall_rules(VLAN, Vec::new());
    site.declare(&[VLAN, 1234], &[]).await;
    site.comes(1, 1).await;
    site.complains("zone-1235", "drops all else").await;
    assert_eq!(site.updates(), 0);
    site.complains("zone-1234", "the firewall of VLAN 1234 is not there").await;
    site.world.cloud.live().put_firewall_rules(VLAN, vec![theirs()]);
    site.lets_in(&[1]).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn a_group_is_made_for_the_hosts_of_members_and_goes_with_the_last_of_them() {
    let site = Site::new().await;
    site.world.cloud.live().put_security_group("allow_ssh", "vm1");
    site.declare(&[], &[GROUP]).await;
    site.comes_to("vm1", 1).await;
    site.has_group(Some((1, 1))).await;
    assert!(!site.world.waits(1).await, "an address waits for what cannot tell it from others");
    site.world.goes(1).await;
    site.has_group(None).await;
    site.world.withdraw().await;
    site.until("nothing is known of it", async || site.says("group-web-hosts").await.is_none()).await;
}

#[tokio::test]
async fn the_first_group_of_an_interface_is_for_a_person_to_attach() {
    let site = Site::new().await;
    site.declare(&[], &[GROUP]).await;
    site.comes_to("vm1", 1).await;
    site.complains("group-web-hosts", "attach a first one").await;
    assert_eq!(site.group(), Some((1, 0)));
    site.world.cloud.live().put_security_group("allow_ssh", "vm1");
    site.has_group(Some((1, 1))).await;
    site.until("nothing is in the way", async || {
        site.says("group-web-hosts").await.is_some_and(|it| it.troubles.is_empty())
    })
    .await;
}

#[tokio::test]
async fn a_group_of_somebody_else_is_neither_changed_nor_attached() {
    let site = Site::new().await;
    site.declare(&[], &["allow_all"]).await;
    site.comes_to("vm1", 1).await;
    site.complains("group-allow_all", "was not made by this cluster").await;
    let cloud = site.world.cloud.live().present();
    let group = cloud.security_group("allow_all").unwrap();
    assert_eq!((group.rules.len(), group.components.len()), (2, 0));
}
