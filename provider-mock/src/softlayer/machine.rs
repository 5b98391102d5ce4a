//! `SoftLayer_Virtual_Guest`, `SoftLayer_Hardware_Server`: machines, their ports, power and transactions.

use super::call::Call;
use super::component::{COMPONENT, HARDWARE_COMPONENT};
use super::dates;
use super::error::ApiError;
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, value, view, views};
use super::{Answer, Caller, Service};
use crate::cloud::Cloud;
use crate::cloud::machine::{Machine, Port, PowerState, Transaction};
use crate::cloud::spec::{MachineKind, NetworkSpace};

/// A service for one kind of machine.
pub(super) struct Machines {
    name: &'static str,
    kind: MachineKind,
}

pub(super) const VIRTUAL_GUESTS: Machines =
    Machines { name: "SoftLayer_Virtual_Guest", kind: MachineKind::Virtual };
pub(super) const HARDWARE: Machines = Machines { name: "SoftLayer_Hardware", kind: MachineKind::Hardware };
pub(super) const HARDWARE_SERVERS: Machines =
    Machines { name: "SoftLayer_Hardware_Server", kind: MachineKind::Hardware };

pub(super) static GUEST: Class = Class {
    name: "SoftLayer_Virtual_Guest",
    locals: &[
        "id",
        "globalIdentifier",
        "uuid",
        "hostname",
        "domain",
        "fullyQualifiedDomainName",
        "accountId",
        "createDate",
        "provisionDate",
        "statusId",
    ],
    relations: &[
        ("primaryIpAddress", &BARE),
        ("primaryBackendIpAddress", &BARE),
        ("datacenter", &super::location::LOCATION),
        ("location", &super::location::LOCATION),
        ("networkComponents", &COMPONENT),
        ("backendNetworkComponents", &COMPONENT),
        ("frontendNetworkComponents", &COMPONENT),
        ("primaryBackendNetworkComponent", &COMPONENT),
        ("primaryNetworkComponent", &COMPONENT),
        ("networkVlans", &super::vlan::VLAN),
        ("backendRouters", &super::vlan::ROUTER),
        ("powerState", &POWER_STATE),
        ("status", &STATUS),
        ("activeTransaction", &TRANSACTION),
        ("activeTransactions", &TRANSACTION),
    ],
    always_empty: &["tagReferences"],
    always_null: &["billingItem"],
    ..BARE
};

pub(super) static SERVER: Class = Class {
    name: "SoftLayer_Hardware_Server",
    locals: &[
        "id",
        "globalIdentifier",
        "hostname",
        "domain",
        "fullyQualifiedDomainName",
        "accountId",
        "provisionDate",
        "hardwareStatusId",
    ],
    relations: &[
        ("primaryIpAddress", &BARE),
        ("primaryBackendIpAddress", &BARE),
        ("serverPowerState", &BARE),
        ("datacenter", &super::location::LOCATION),
        ("location", &super::location::LOCATION),
        ("networkComponents", &HARDWARE_COMPONENT),
        ("backendNetworkComponents", &HARDWARE_COMPONENT),
        ("frontendNetworkComponents", &HARDWARE_COMPONENT),
        ("primaryBackendNetworkComponent", &HARDWARE_COMPONENT),
        ("primaryNetworkComponent", &HARDWARE_COMPONENT),
        ("networkVlans", &super::vlan::VLAN),
        ("backendRouters", &super::vlan::ROUTER),
        ("hardwareStatus", &STATUS),
        ("activeTransaction", &TRANSACTION),
        ("activeTransactions", &TRANSACTION),
    ],
    always_empty: &["tagReferences"],
    always_null: &["billingItem"],
    ..BARE
};

static POWER_STATE: Class =
    Class { name: "SoftLayer_Virtual_Guest_Power_State", locals: &["keyName", "name"], ..BARE };

static STATUS: Class =
    Class { name: "SoftLayer_Virtual_Guest_Status", locals: &["id", "keyName", "name", "status"], ..BARE };

static TRANSACTION: Class = Class {
    name: "SoftLayer_Provisioning_Version1_Transaction",
    locals: &["id", "createDate", "elapsedSeconds"],
    relations: &[("transactionStatus", &TRANSACTION_STATUS)],
    automatic: &["transactionStatus"],
    ..BARE
};

static TRANSACTION_STATUS: Class = Class {
    name: "SoftLayer_Provisioning_Version1_Transaction_Status",
    locals: &["name", "friendlyName"],
    ..BARE
};

impl Service for Machines {
    fn name(&self) -> &'static str {
        self.name
    }

    fn find<'c>(&self, cloud: &'c Cloud, caller: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        let id = id?;
        caller.user.and_then(|user| cloud.users.get(&user)).filter(|user| user.sees_machines)?;
        let named = |machine: &&Machine| machine.id.to_string() == id || machine.global_identifier == id;
        let found = cloud.machines.values().find(|machine| machine.kind == self.kind && named(machine));
        found.map(|machine| view(cloud, machine))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        match call.method.as_str() {
            "findByIpAddress" => Some(self.find_by_address(cloud, call)),
            "getServerPowerState" if self.kind == MachineKind::Hardware => refuse_unreachable(cloud, call),
            _ => None,
        }
    }
}

impl Machines {
    /// Looks at primary addresses only; nothing found is no error.
    fn find_by_address<'c>(&self, cloud: &'c Cloud, call: &Call) -> Result<Answer<'c>, ApiError> {
        let text = call.text(0)?;
        let machine = text.parse().ok().and_then(|address| cloud.machine_with(address));
        let machine = machine.filter(|machine| machine.kind == self.kind);
        Ok(Answer::One(class(self.kind), machine.map(|machine| view(cloud, machine))))
    }
}

/// A server's power state comes from its management card; one that does not answer is an error (a choice).
fn refuse_unreachable<'c>(cloud: &Cloud, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
    let id = call.id.as_deref()?.parse().ok()?;
    let machine = cloud.machines.get(&id)?;
    let silent = !machine.connected || machine.power == PowerState::Unknown;
    silent.then(|| Err(ApiError::public("Unable to retrieve the power state of the server.")))
}

fn class(kind: MachineKind) -> &'static Class {
    match kind {
        MachineKind::Virtual => &GUEST,
        MachineKind::Hardware => &SERVER,
    }
}

impl<'c> Record<'c> for View<'c, Machine> {
    fn class(&self) -> &'static Class {
        class(self.it.kind)
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, machine) = (self.cloud, self.it);
        let private = machine.port(NetworkSpace::Private);
        let public = machine.port(NetworkSpace::Public);
        let vlans = || machine.ports.iter().filter_map(|port| cloud.vlans.get(&port.vlan));
        let mut routers = vlans().filter_map(|vlan| cloud.routers.get(&vlan.router));
        Some(match property {
            "id" => value(machine.id),
            "globalIdentifier" | "uuid" => value(&machine.global_identifier),
            "hostname" => value(&machine.hostname),
            "domain" => value(&machine.domain),
            "fullyQualifiedDomainName" => value(machine.full_name()),
            "accountId" => value(cloud.spec.account.id),
            "createDate" | "provisionDate" => value(dates::show(machine.provisioned)),
            "statusId" => value(1001),
            "hardwareStatusId" => value(5),
            "primaryIpAddress" => value(public.map(|port| port.address)),
            "primaryBackendIpAddress" => value(private.map(|port| port.address)),
            "serverPowerState" => value(on_or_off(machine.power)),
            "datacenter" | "location" => {
                maybe(cloud, routers.next().and_then(|router| cloud.datacenters.get(&router.datacenter)))
            }
            "networkComponents" => views(cloud, &machine.ports),
            "backendNetworkComponents" => views(cloud, private),
            "frontendNetworkComponents" => views(cloud, public),
            "primaryBackendNetworkComponent" => maybe(cloud, private),
            "primaryNetworkComponent" => maybe(cloud, public),
            "networkVlans" => views(cloud, vlans()),
            "backendRouters" => views(cloud, routers),
            "powerState" => Reading::One(Some(Box::new(machine.power))),
            "status" => Reading::One(Some(Box::new(Status { connected: machine.connected }))),
            "hardwareStatus" => Reading::One(Some(Box::new(Status { connected: true }))),
            "activeTransaction" => maybe(cloud, machine.transaction.as_ref()),
            "activeTransactions" => views(cloud, machine.transaction.as_ref()),
            _ => return None,
        })
    }
}

/// What a server's management card says of its power.
fn on_or_off(power: PowerState) -> Option<&'static str> {
    match power {
        PowerState::Running | PowerState::Paused | PowerState::Suspended => Some("on"),
        PowerState::Halted => Some("off"),
        PowerState::Unknown => None,
    }
}

/// The machine that a port belongs to.
pub(super) fn owner<'c>(cloud: &'c Cloud, port: &Port) -> Option<&'c Machine> {
    cloud.machines.values().find(|machine| machine.ports.iter().any(|other| other.id == port.id))
}

impl<'c> Record<'c> for PowerState {
    fn class(&self) -> &'static Class {
        &POWER_STATE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        match property {
            "keyName" => Some(value(self.key())),
            "name" => Some(value(self.name())),
            _ => None,
        }
    }
}

/// The status of a machine. A deleted one is not found at all.
struct Status {
    connected: bool,
}

impl<'c> Record<'c> for Status {
    fn class(&self) -> &'static Class {
        &STATUS
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (id, key, name) =
            if self.connected { (1001, "ACTIVE", "Active") } else { (1002, "DISCONNECTED", "Disconnected") };
        match property {
            "id" => Some(value(id)),
            "keyName" | "status" => Some(value(key)),
            "name" => Some(value(name)),
            _ => None,
        }
    }
}

impl<'c> Record<'c> for View<'c, Transaction> {
    fn class(&self) -> &'static Class {
        &TRANSACTION
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let transaction = self.it;
        Some(match property {
            "id" => value(transaction.id),
            "createDate" => value(dates::show(transaction.began)),
            "elapsedSeconds" => value(self.cloud.today().duration_since(transaction.began).as_secs()),
            "transactionStatus" => Reading::One(Some(Box::new(TransactionStatus(transaction)))),
            _ => return None,
        })
    }
}

struct TransactionStatus<'c>(&'c Transaction);

impl<'c> Record<'c> for TransactionStatus<'c> {
    fn class(&self) -> &'static Class {
        &TRANSACTION_STATUS
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        match property {
            "name" | "friendlyName" => Some(value(&self.0.name)),
            _ => None,
        }
    }
}
