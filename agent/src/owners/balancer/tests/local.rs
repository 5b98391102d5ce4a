//! The same owners at a local load balancer of 2014, which says nothing of its state and takes one edit at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use provider_mock::cloud::local::{ServerEdit, ServiceEdit, VirtualServer};
use provider_mock::{Delays, Effect, Fault};

use crate::owners::tests::world::{PATIENCE, World};

struct Site {
    world: World,
    /// Where users reach it.
    front: String,
}

impl Site {
    /// A local load balancer that somebody has a virtual server at.
    async fn new(delays: Delays) -> Self {
        let world = World::with(delays).await;
        let front = world.cloud.live().present().local_balancer().unwrap().at.address.to_string();
        let theirs = world.cloud.live().present().address_record("10.40.0.20".parse().unwrap()).unwrap().id;
        let service = ServiceEdit { address_id: Some(theirs), port: Some(8443), ..ServiceEdit::default() };
        let server = ServerEdit {
            port: Some(443),
            allocation: Some(40),
            services: vec![service],
            ..ServerEdit::default()
        };
        world.cloud.live().edit_local_balancer(&[server]).unwrap();
        let site = Self { world, front };
        site.until("it is in force", || site.servers().len() == 1).await;
        site
    }

    fn servers(&self) -> Vec<VirtualServer> {
        self.world.cloud.live().present().local_balancer().unwrap().in_force.clone()
    }

    /// Who serves at a port, by number and port, and whether enabled.
    fn at(&self, port: u16) -> BTreeSet<(u8, u16, bool)> {
        let servers = self.servers();
        let services = servers.iter().filter(|it| it.port == port).flat_map(|it| &it.services);
        services.map(|it| (it.address.octets()[3], it.port, it.enabled)).collect()
    }

    async fn serves(&self, expected: &[(u8, bool)]) {
        let expected: BTreeSet<_> = expected.iter().map(|(number, on)| (*number, 8080, *on)).collect();
        self.until(&format!("{expected:?} serve"), || self.at(80) == expected).await;
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                for (number, _, _) in self.at(80) {
                    assert!(self.world.waits(number).await, "{number} could be used again while it serves");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "not true: {what}: {:?}", self.servers());
    }

    /// What is nobody of ours is as it was.
    fn leaves_strangers_alone(&self) {
        assert_eq!(self.at(443), [(20, 8443, true)].into());
        let theirs = self.servers().into_iter().find(|it| it.port == 443).unwrap();
        assert_eq!(theirs.allocation, 40);
    }
}

#[tokio::test]
async fn members_come_are_drained_and_go_one_edit_at_a_time() {
    let site = Site::new(Delays { local_balancer_ms: 50, ..Delays::NONE }).await;
    let _agent = site.world.agent("h1");
    site.world.declare_behind(&site.front).await;
    for number in 1..=3 {
        site.world.comes(number, 1).await;
    }
    site.serves(&[(1, true), (2, true), (3, true)]).await;
    site.world.is_drained(1, 1).await;
    site.serves(&[(1, false), (2, true), (3, true)]).await;
    site.world.goes(1).await;
    site.world.is_free(1).await;
    site.serves(&[(2, true), (3, true)]).await;
    site.leaves_strangers_alone();
    site.world.withdraw().await;
    site.until("ours is gone", || site.servers().len() == 1).await;
    site.world.is_free(2).await;
    site.world.is_free(3).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn an_edit_whose_answer_was_lost_is_seen_and_one_that_is_refused_while_it_is_busy_is_made_later() {
    let site = Site::new(Delays { local_balancer_ms: 200, ..Delays::NONE }).await;
    site.world.cloud.live().inject(Fault::once("editObject", Effect::CutAfter));
    site.world.cloud.live().inject(Fault::once("editObject", Effect::InternalError));
    let _agent = site.world.agent("h1");
    site.world.declare_behind(&site.front).await;
    site.world.comes(1, 1).await;
    site.serves(&[(1, true)]).await;
    site.world.comes(2, 1).await;
    site.serves(&[(1, true), (2, true)]).await;
    site.leaves_strangers_alone();
}

#[tokio::test]
async fn what_is_edited_by_hand_is_mended() {
    let site = Site::new(Delays::NONE).await;
    let _agent = site.world.agent("h1");
    site.world.declare_behind(&site.front).await;
    site.world.comes(1, 1).await;
    site.serves(&[(1, true)]).await;
    let server = site.servers().into_iter().find(|it| it.port == 80).unwrap();
    let service = ServiceEdit {
        id: Some(server.services[0].id),
        enabled: Some(false),
        port: Some(9),
        ..ServiceEdit::default()
    };
    let edit = ServerEdit { id: Some(server.id), services: vec![service], ..ServerEdit::default() };
    site.world.cloud.live().edit_local_balancer(&[edit]).unwrap();
    site.serves(&[(1, true)]).await;
    site.leaves_strangers_alone();
}
