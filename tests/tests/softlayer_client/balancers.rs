//! `slcli lb` against the simulated cloud.

use serde_json::json;

use crate::{Fixture, column};

/// `order` orders a balancer `web` with a listener on port 80; `shown()` is what `slcli lb detail` says of it,
/// `members()` what the SDK does (the command never shows members: it looks for them where they are not).
const ORDER: &str = "
subnet = client.call('Account', 'getPrivateSubnets', mask='id')[0]['id']
order = f'lb order -n web -d dal05 -l hello -f HTTP:80 -b HTTP:8080 -m WEIGHTED_RR -s {subnet}'
manager = SoftLayer.LoadBalancerManager(client)
def shown():
    return slcli('lb detail web')
def members():
    return manager.get_lb(manager.get_lbaas_by_name('web')['id'])
";

#[tokio::test]
async fn slcli_verifies_orders_lists_shows_and_cancels_a_balancer() {
    let it = Fixture::start().await;
    let script = format!(
        "{ORDER}
result = {{'verified': slcli(order + ' --verify'), 'none': slcli('lb list')}}
result['ordered'] = slcli(order)
result['twice'] = fails(order)
result['list'] = slcli('lb list')
result['shown'] = shown()
result['cancelled'] = slcli('lb cancel web --force')
result['gone'] = slcli('lb list')"
    );
    let it = it.python(&script).await;
    assert_eq!(it["verified"]["Load Balancer as a Service"], ".0375");
    assert_eq!(it["none"], "\"No LBaaS devices found\"");
    assert_eq!(it["ordered"]["Load Balancer as a Service"], ".0375");
    assert!(it["twice"].as_str().unwrap_or_default().contains("same name (case insensitive)"), "{it}");
    assert_eq!(column(&it["list"], "Name"), ["web"]);
    assert_eq!(column(&it["list"], "Public"), ["No"]);
    assert_eq!(column(&it["list"], "Listeners"), ["1"]);
    assert_eq!(it["shown"]["Type"], "Private to Private");
    assert_eq!(it["shown"]["Status"], "ACTIVE / ONLINE");
    assert_eq!(column(&it["shown"]["Protocols"], "Mapping"), ["HTTP:80 -> HTTP:8080"]);
    assert_eq!(it["gone"], "\"No LBaaS devices found\"");
}

#[tokio::test]
async fn slcli_adds_and_removes_members_and_shows_their_health() {
    let it = Fixture::start().await;
    let script = format!(
        "{ORDER}
slcli(order)
result = {{
    'added': slcli('lb member-add --private -m 10.50.0.5 -w 20 web'),
    'public': slcli('lb member-add --public -m 198.51.100.9 web'), 'shown': members(),
}}
member = result['shown']['members'][0]['uuid']
result['removed'] = slcli(f'lb member-del -m {{member}} web')
result['after'] = members()['members']"
    );
    let it = it.python(&script).await;
    assert_eq!(it["added"], "Member 10.50.0.5 added");
    assert!(it["public"].as_str().unwrap_or_default().contains("requires a Private IP"), "{it}");
    let member = &it["shown"]["members"][0];
    assert_eq!((&member["address"], &member["weight"]), (&json!("10.50.0.5"), &json!(20)));
    let health = json!([{ "uuid": member["uuid"], "status": "UP" }]);
    assert_eq!(it["shown"]["health"][0]["membersHealth"], health);
    assert!(it["removed"].as_str().unwrap_or_default().ends_with("removed"), "{it}");
    assert_eq!(it["after"], json!([]));
}

#[tokio::test]
async fn slcli_edits_a_health_check_and_adds_changes_and_removes_protocols() {
    let it = Fixture::start().await;
    let script = format!(
        "{ORDER}
slcli(order)
check = shown()['Health Checks'][0]['UUID']
result = {{'health': slcli(f'lb health web --uuid {{check}} -i 60 -r 3 -t 10 -u /ready'), 'checked': shown()}}
result['taken'] = slcli('lb pool-add -f 80 -b 81 web')
result['added'] = slcli('lb pool-add -P TCP -f 81 -b 9090 web')
listener = shown()['Protocols'][1]['UUID']
result['edited'] = slcli(f'lb pool-edit -f 82 web {{listener}}')
result['two'] = shown()
result['deleted'] = slcli(f'lb pool-del web {{listener}}')
result['one'] = shown()"
    );
    let it = it.python(&script).await;
    assert!(it["health"].as_str().unwrap_or_default().contains("updated successfully"), "{it}");
    assert_eq!(column(&it["checked"]["Health Checks"], "Interval"), ["60"]);
    assert_eq!(column(&it["checked"]["Health Checks"], "Retries"), ["3"]);
    assert_eq!(it["taken"], "ERROR: Frontend port 80 is already used.");
    assert_eq!(column(&it["two"]["Protocols"], "Mapping"), ["HTTP:80 -> HTTP:8080", "TCP:82 -> TCP:9090"]);
    assert_eq!(it["deleted"], "Success");
    assert_eq!(column(&it["one"]["Protocols"], "Mapping"), ["HTTP:80 -> HTTP:8080"]);
}

#[tokio::test]
async fn slcli_is_told_when_a_balancer_is_busy() {
    let it = Fixture::start_with(|spec| spec.delays.balancer_update_ms = 3_600_000).await;
    let script = format!(
        "{ORDER}
slcli(order)
slcli('lb member-add --private -m 10.50.0.5 web')
result = {{'busy': slcli('lb member-add --private -m 10.50.0.6 web'), 'shown': shown(),
           'cancel': slcli('lb cancel web --force')}}"
    );
    let it = it.python(&script).await;
    let busy = "The object is in state UPDATE_PENDING.";
    assert!(it["busy"].as_str().unwrap_or_default().contains(busy), "{it}");
    assert!(it["cancel"].as_str().unwrap_or_default().contains(busy), "{it}");
    assert_eq!(it["shown"]["Status"], "UPDATE_PENDING / ONLINE");
}
