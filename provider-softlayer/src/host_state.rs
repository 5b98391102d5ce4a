//! What became of a machine.
//!
//! | what we read | where it is described |
//! |---|---|
//! | `SoftLayer_Virtual_Guest` `powerState[keyName]`: `RUNNING`, `HALTED`, `PAUSED` | softlayer-go `Virtual_Guest.PowerState`; the key names as jclouds' SoftLayer provider knows them (`VirtualGuest.State`) |
//! | `status[keyName]`: `ACTIVE`, else not plainly there | softlayer-python fixture `Virtual_Guest/getObject` |
//! | `activeTransaction[id]` | softlayer-go: "A transaction that is still be performed on a cloud server" |
//! | `SoftLayer_Hardware_Server::getServerPowerState`: `on`, `off`, "retrieved from its remote management card" | softlayer-go `Hardware.GetServerPowerState` |
//! | `hardwareStatus[status]`: `ACTIVE`, else being provisioned or reclaimed | softlayer-go `Hardware_Status` |
//! | `Account::getCurrentUser` `hasFullVirtualGuestAccessFlag`, `hasFullHardwareAccessFlag` | softlayer-go `User_Customer` |
//!
//! An eviction rests on these words, so whatever is not plain is [`HostState::Unknown`].

use provider::{HostState, InstanceId, ProviderError};

use crate::{
    client::{Call, Client},
    wire::{KeyName, Machine, User},
};

/// The two kinds of machine, each with its own service.
#[derive(Clone, Copy)]
enum Service {
    VirtualGuest,
    HardwareServer,
}

pub(crate) async fn host_state(client: &Client, instance: &InstanceId) -> Result<HostState, ProviderError> {
    let Some((service, id)) = spelled(instance) else { return Ok(HostState::Unknown) };
    let doing = format!("asking what became of machine {instance}");
    let asked = match service {
        Service::VirtualGuest => virtual_guest(client, id, &doing).await,
        Service::HardwareServer => hardware_server(client, id, &doing).await,
    };
    match asked {
        Err(ProviderError::Gone { .. }) => gone(client, service, &doing).await,
        state => state,
    }
}

fn spelled(instance: &InstanceId) -> Option<(Service, u64)> {
    let (service, id) = instance.as_str().split_once('-')?;
    let service = match service {
        "virtual" => Service::VirtualGuest,
        "hardware" => Service::HardwareServer,
        _ => return None,
    };
    Some((service, id.parse().ok()?))
}

async fn virtual_guest(client: &Client, id: u64, doing: &str) -> Result<HostState, ProviderError> {
    let call = Call::new("SoftLayer_Virtual_Guest", "getObject", doing).of(id);
    let mask = "id,status[keyName],powerState[keyName],activeTransaction[id]";
    Ok(state_of_virtual_guest(&client.read(&call.mask(mask)).await?))
}

async fn hardware_server(client: &Client, id: u64, doing: &str) -> Result<HostState, ProviderError> {
    let power = Call::new("SoftLayer_Hardware_Server", "getServerPowerState", doing).of(id);
    let power = match client.read::<String>(&power).await {
        // The management card does not answer: nothing is known.
        Err(ProviderError::Refused { .. } | ProviderError::Busy { .. }) => return Ok(HostState::Unknown),
        power => power?,
    };
    // Read after the power state: a transaction that began before it is then seen.
    let call = Call::new("SoftLayer_Hardware_Server", "getObject", doing).of(id);
    let machine = client.read(&call.mask("id,hardwareStatus[status],activeTransaction[id]")).await?;
    Ok(state_of_hardware_server(&machine, &power))
}

fn state_of_virtual_guest(machine: &Machine) -> HostState {
    if is_in_transaction(machine) {
        return HostState::InTransaction;
    }
    match (key(&machine.status), key(&machine.power_state)) {
        ("ACTIVE", "RUNNING") => HostState::Running,
        ("ACTIVE", "HALTED") => HostState::Off,
        (_, "PAUSED" | "SUSPENDED") => HostState::Suspended,
        // Above all DISCONNECTED: the hypervisor is out of reach, and HALTED may be old news.
        _ => HostState::Unknown,
    }
}

fn state_of_hardware_server(machine: &Machine, power: &str) -> HostState {
    if is_in_transaction(machine) {
        return HostState::InTransaction;
    }
    let status = machine.hardware_status.as_ref().and_then(|status| status.status.as_deref());
    match (status, power) {
        (Some("ACTIVE"), "on") => HostState::Running,
        (Some("ACTIVE"), "off") => HostState::Off,
        _ => HostState::Unknown,
    }
}

fn is_in_transaction(machine: &Machine) -> bool {
    machine.active_transaction.as_ref().is_some_and(|transaction| transaction.id.is_some())
}

fn key(name: &Option<KeyName>) -> &str {
    name.as_ref().and_then(|name| name.key_name.as_deref()).unwrap_or_default()
}

/// A machine that we may not see looks like one that was deleted (HTTP 404 for both), so only a user that may see all
/// of them is a witness.
async fn gone(client: &Client, service: Service, doing: &str) -> Result<HostState, ProviderError> {
    let (flag, sees_all): (_, fn(&User) -> Option<bool>) = match service {
        Service::VirtualGuest => {
            ("hasFullVirtualGuestAccessFlag", |user| user.has_full_virtual_guest_access_flag)
        }
        Service::HardwareServer => ("hasFullHardwareAccessFlag", |user| user.has_full_hardware_access_flag),
    };
    let call = Call::new("SoftLayer_Account", "getCurrentUser", doing).mask(flag);
    match client.read::<User>(&call).await {
        Ok(user) if sees_all(&user) == Some(true) => Ok(HostState::Gone),
        Ok(_) | Err(ProviderError::Refused { .. } | ProviderError::Gone { .. }) => Ok(HostState::Unknown),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::client::recorded::{ok, recorded};

    fn guest(status: &str, power: &str) -> HostState {
        let machine = json!({ "status": { "keyName": status }, "powerState": { "keyName": power } });
        state_of_virtual_guest(&from_value(machine).unwrap())
    }

    fn server(status: Value, power: &str) -> HostState {
        let machine = json!({ "hardwareStatus": status });
        state_of_hardware_server(&from_value(machine).unwrap(), power)
    }

    #[test]
    fn a_halted_guest_that_the_cloud_still_reaches_is_off() {
        assert_eq!(guest("ACTIVE", "HALTED"), HostState::Off);
        assert_eq!(guest("ACTIVE", "RUNNING"), HostState::Running);
    }

    #[test]
    fn a_paused_guest_is_never_taken_for_off() {
        assert_eq!(guest("ACTIVE", "PAUSED"), HostState::Suspended);
        assert_eq!(guest("DISCONNECTED", "SUSPENDED"), HostState::Suspended);
    }

    #[test]
    fn a_guest_whose_hypervisor_is_out_of_reach_is_unknown() {
        assert_eq!(guest("DISCONNECTED", "HALTED"), HostState::Unknown);
        assert_eq!(guest("DISCONNECTED", "RUNNING"), HostState::Unknown);
    }

    #[test]
    fn words_that_we_do_not_know_are_unknown() {
        assert_eq!(guest("ACTIVE", "HIBERNATING"), HostState::Unknown);
        assert_eq!(guest("", "HALTED"), HostState::Unknown);
        assert_eq!(state_of_virtual_guest(&from_value(json!({})).unwrap()), HostState::Unknown);
        assert_eq!(server(json!({ "status": "ACTIVE" }), "unreachable"), HostState::Unknown);
        assert_eq!(server(json!(null), "off"), HostState::Unknown);
    }

    #[test]
    fn a_running_transaction_outweighs_every_power_state() {
        let machine = json!({
            "status": { "keyName": "ACTIVE" }, "powerState": { "keyName": "HALTED" }, "activeTransaction": { "id": 9 },
        });
        assert_eq!(state_of_virtual_guest(&from_value(machine).unwrap()), HostState::InTransaction);
        let machine = json!({ "hardwareStatus": { "status": "ACTIVE" }, "activeTransaction": { "id": 9 } });
        assert_eq!(state_of_hardware_server(&from_value(machine).unwrap(), "off"), HostState::InTransaction);
    }

    #[test]
    fn a_server_is_off_only_while_it_is_in_use() {
        assert_eq!(server(json!({ "status": "ACTIVE" }), "off"), HostState::Off);
        assert_eq!(server(json!({ "status": "ACTIVE" }), "on"), HostState::Running);
        assert_eq!(server(json!({ "status": "RECLAIM" }), "off"), HostState::Unknown);
    }

    #[test]
    fn only_our_own_spelling_names_a_machine() {
        for wrong in ["", "100", "virtual-", "virtual-x", "machine-1"] {
            assert!(spelled(&InstanceId::new(wrong)).is_none(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_machine_is_gone_only_on_the_word_of_a_user_that_may_see_all() {
        let not_there = r#"{"error":"Unable to find object with id of '100'.","code":"SoftLayer_Exception_ObjectNotFound"}"#;
        for (user, state) in [
            (r#"{"hasFullVirtualGuestAccessFlag":true}"#, HostState::Gone),
            (r#"{"hasFullVirtualGuestAccessFlag":false}"#, HostState::Unknown),
            (r#"{"hasFullHardwareAccessFlag":true}"#, HostState::Unknown),
            ("{}", HostState::Unknown),
        ] {
            let server = recorded([("404 Not Found", not_there.to_owned()), ok(user)]).await;
            let told = host_state(&server.client(), &InstanceId::new("virtual-100")).await.unwrap();
            assert_eq!(told, state, "{user}");
        }
    }

    #[tokio::test]
    async fn a_management_card_that_does_not_answer_tells_nothing() {
        let silent = r#"{"error":"The remote management card is not responding.","code":"SoftLayer_Exception_Public"}"#;
        let server = recorded([("500 Internal Server Error", silent.to_owned())]).await;
        let told = host_state(&server.client(), &InstanceId::new("hardware-100")).await.unwrap();
        assert_eq!(told, HostState::Unknown);
    }
}
