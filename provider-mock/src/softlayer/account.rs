//! `SoftLayer_Account`: the way to everything that the account owns.

use super::record::{BARE, Class, Object, Reading, Record, value, view, views};
use super::{Answer, ApiError, Call, Caller, Service};
use crate::cloud::Cloud;
use crate::cloud::spec::{AccountSpec, MachineKind, NetworkSpace};
use crate::cloud::subnet::Subnet;
use crate::softlayer::record::View;

pub(super) struct Accounts;

pub(super) static ACCOUNT: Class = Class {
    name: "SoftLayer_Account",
    locals: &["id", "accountStatusId", "brandId", "companyName", "isReseller"],
    relations: &[
        ("subnets", &super::subnet::SUBNET),
        ("privateSubnets", &super::subnet::SUBNET),
        ("publicSubnets", &super::subnet::SUBNET),
        ("networkVlans", &super::vlan::VLAN),
        ("privateNetworkVlans", &super::vlan::VLAN),
        ("publicNetworkVlans", &super::vlan::VLAN),
        ("virtualGuests", &super::machine::GUEST),
        ("hardware", &super::machine::SERVER),
        ("orders", &super::order::ORDER),
        ("users", &super::order::USER),
        ("tags", &super::tag::TAG),
        ("securityGroups", &super::security::GROUP),
        ("adcLoadBalancers", &super::local::VIRTUAL_ADDRESS),
        ("datacentersWithSubnetAllocations", &super::location::LOCATION),
    ],
    always_empty: &[
        "networkGateways",
        "applicationDeliveryControllers",
        "globalIpRecords",
        "staticIpSubnets",
    ],
    ..BARE
};

impl Service for Accounts {
    fn name(&self) -> &'static str {
        "SoftLayer_Account"
    }

    fn read<'c>(
        &self,
        cloud: &'c Cloud,
        caller: &Caller,
        call: &Call,
    ) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getCurrentUser").then(|| {
            let user = caller.user.and_then(|id| cloud.users.get(&id)).ok_or_else(ApiError::access_denied)?;
            Ok(Answer::One(&super::order::USER, Some(view(cloud, user))))
        })
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        let account = &cloud.spec.account;
        id.is_none_or(|id| id == account.id.to_string()).then(|| view(cloud, account))
    }
}

impl<'c> Record<'c> for View<'c, AccountSpec> {
    fn class(&self) -> &'static Class {
        &ACCOUNT
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let cloud = self.cloud;
        Some(match property {
            "id" => value(self.it.id),
            "accountStatusId" => value(1001),
            "brandId" => value(2),
            "companyName" => value(&self.it.company),
            "isReseller" => value(0),
            "subnets" => views(cloud, cloud.visible_subnets()),
            "privateSubnets" => subnets_in(cloud, NetworkSpace::Private),
            "publicSubnets" => subnets_in(cloud, NetworkSpace::Public),
            "networkVlans" => views(cloud, cloud.vlans.values()),
            "privateNetworkVlans" => vlans_in(cloud, NetworkSpace::Private),
            "publicNetworkVlans" => vlans_in(cloud, NetworkSpace::Public),
            "virtualGuests" => machines(cloud, MachineKind::Virtual),
            "hardware" => machines(cloud, MachineKind::Hardware),
            "orders" => views(cloud, cloud.orders.values()),
            "users" => views(cloud, cloud.users.values()),
            "tags" => views(cloud, cloud.tags.values()),
            "adcLoadBalancers" => views(cloud, cloud.local_balancers.values()),
            "securityGroups" => views(cloud, cloud.security_groups.values()),
            "datacentersWithSubnetAllocations" => views(cloud, cloud.datacenters.values()),
            _ => return None,
        })
    }
}

fn subnets_in(cloud: &Cloud, space: NetworkSpace) -> Reading<'_> {
    let inside = |subnet: &&Subnet| cloud.vlans.get(&subnet.vlan).is_some_and(|vlan| vlan.space == space);
    views(cloud, cloud.visible_subnets().filter(inside))
}

fn vlans_in(cloud: &Cloud, space: NetworkSpace) -> Reading<'_> {
    views(cloud, cloud.vlans.values().filter(|vlan| vlan.space == space))
}

fn machines(cloud: &Cloud, kind: MachineKind) -> Reading<'_> {
    views(cloud, cloud.machines.values().filter(|machine| machine.kind == kind))
}
