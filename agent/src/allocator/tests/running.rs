//! What Docker's side may rely on while the store is away.

use std::collections::BTreeMap;

use hostnet::{IfName, Mac};
use ipnetwork::IpNetwork;

use super::super::*;
use super::rig::*;
use crate::docker::{Addresses, Endpoint, Network, NetworkId, Pages, Stage};
use crate::wanted::wanted;

fn pages(assignment: &Assignment) -> Pages {
    let id = NetworkId("n".into());
    let network =
        Network { id: id.clone(), pool: pool(), zone: zone(), subnet: subnet(), internal: false, mtu: None };
    let endpoint = Endpoint {
        id: "web".into(),
        network: id.clone(),
        address: IpNetwork::new(assignment.address, subnet().prefix()).unwrap(),
        gateway: assignment.gateway,
        epoch: assignment.epoch,
        mac: Mac([2, 0x42, 10, 0, 0, 2]),
        ports: Vec::new(),
        published: false,
        stage: Stage::Joined,
    };
    Pages {
        networks: [(id, network)].into(),
        endpoints: [("web".into(), endpoint)].into(),
        lent: BTreeMap::new(),
    }
}

#[tokio::test]
async fn an_agent_restarted_without_the_store_wants_the_routes_of_running_containers() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let assignment = agent.run_container("web").await;
    let pages = pages(&assignment);
    let interfaces = [(zone(), IfName::parse("eth0").unwrap())].into();
    agent.stop().await;
    rig.store.go_away();
    let agent = rig.start().await;
    let in_use = Addresses::in_use(&agent.allocator).await.unwrap();
    let wanted = wanted(&pages, &in_use.assigned, &interfaces).unwrap();
    assert_eq!(wanted.addresses.keys().collect::<Vec<_>>(), [&assignment.address]);
    assert_eq!(wanted.ports.len(), 1);
}
