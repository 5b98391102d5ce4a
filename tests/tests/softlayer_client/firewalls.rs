//! `slcli securitygroup`, `slcli firewall` and the SDK's firewall manager against the simulated cloud.

use serde_json::json;

use crate::{Fixture, column};

#[tokio::test]
async fn slcli_makes_shows_edits_and_deletes_security_groups() {
    let it = Fixture::start().await;
    let script = "
id = slcli('sg create -n web -d hello')['id']
result = {'list': slcli('sg list')}
slcli(f'sg edit -n web2 {id}')
result['added'] = slcli(f'sg rule-add --direction ingress -p tcp --port-min 22 --port-max 22 -r 10.0.0.0/8 {id}')
rule = slcli(f'sg rule-list {id}')[0]['id']
slcli(f'sg rule-edit --port-max 23 {id} {rule}')
result['shown'] = slcli(f'sg detail {id}')
result['removed'] = slcli(f'sg rule-remove {id} {rule}')
result['none'] = slcli(f'sg rule-list {id}')
slcli(f'sg delete {id}')
result['after'] = slcli('sg list')";
    let it = it.python(script).await;
    let names = ["allow_ssh", "allow_http", "allow_https", "allow_outbound", "allow_all", "web"];
    assert_eq!(column(&it["list"], "name"), names);
    assert!(it["added"][0]["requestId"].is_string(), "{it}");
    assert_eq!((&it["shown"]["name"], &it["shown"]["description"]), (&json!("web2"), &json!("hello")));
    let rule = &it["shown"]["rules"][0];
    assert_eq!((&rule["portRangeMin"], &rule["portRangeMax"]), (&json!(22), &json!(23)));
    assert_eq!((&rule["remoteIp"], &rule["protocol"]), (&json!("10.0.0.0/8"), &json!("tcp")));
    assert!(it["removed"][0]["requestId"].is_string(), "{it}");
    assert_eq!(it["none"], json!([]));
    assert_eq!(column(&it["after"], "name"), names[..5]);
}

#[tokio::test]
async fn slcli_attaches_a_group_to_an_interface_and_the_sdk_finds_it_in_the_event_log() {
    let it = Fixture::start().await;
    let script = "
guest = client.call('Account', 'getVirtualGuests', mask='id,hostname')[0]['id']
id = slcli('sg create -n web')['id']
request = slcli(f'sg interface-add -s {guest} -i private {id}')[0]['requestId']
result = {'list': slcli(f'sg interface-list {id}'), 'refused': fails(f'sg delete {id}')}
filter = {'metaData': {'operation': f'*= {request}'}}
result['log'] = client.call('Event_Log', 'getAllObjects', filter=filter)
slcli(f'sg interface-remove -s {guest} -i private {id}')
result['none'] = slcli(f'sg interface-list {id}')";
    let it = it.python(script).await;
    assert_eq!(column(&it["list"], "hostname"), ["host1"]);
    assert_eq!(column(&it["list"], "interface"), ["PRIVATE"]);
    assert!(it["refused"].as_str().unwrap_or_default().contains("network components are attached"), "{it}");
    assert_eq!(column(&it["log"], "eventName"), ["Network Component Added to Security Group"]);
    assert_eq!(it["none"], json!([]));
}

#[tokio::test]
async fn the_sdk_replaces_the_rules_of_a_firewall_and_slcli_shows_them() {
    let it = Fixture::start().await;
    let script = "
row = run('firewall list')[1]
firewall = client.call('Network_Vlan', 'getObject', id=1235, mask='networkVlanFirewall[id]')['networkVlanFirewall']['id']
manager = SoftLayer.FirewallManager(client)
rule = {'orderValue': 1, 'action': 'permit', 'protocol': 'tcp', 'sourceIpAddress': '0.0.0.0',
        'sourceIpSubnetMask': '0.0.0.0', 'destinationIpAddress': '203.0.113.5',
        'destinationIpSubnetMask': '255.255.255.255', 'destinationPortRangeStart': 80,
        'destinationPortRangeEnd': 80, 'version': 4, 'notes': 'web'}
result = {'list': row, 'request': manager.edit_dedicated_fwl_rules(firewall, [rule]),
          'rules': manager.get_dedicated_fwl_rules(firewall), 'shown': slcli(f'firewall detail vlan:{firewall}')}
result['read back'] = error_of(lambda: manager.edit_dedicated_fwl_rules(
    firewall, client.call('Network_Vlan_Firewall', 'getRules', id=firewall)))";
    let it = it.python(script).await;
    assert!(it["list"].to_string().contains("VLAN - dedicated"), "{it}");
    assert!(it["request"]["applyDate"].is_string(), "{it}");
    let rule = &it["rules"][0];
    assert_eq!((&rule["action"], &rule["destinationPortRangeStart"]), (&json!("permit"), &json!(80)));
    assert_eq!((&rule["sourceIpSubnetMask"], &rule["notes"]), (&json!("0.0.0.0"), &json!("web")));
    assert_eq!(it["shown"]["networkVlaniD"], 1235);
    assert!(it["shown"]["rules"].to_string().contains("203.0.113.5:80-80"), "{it}");
    assert!(it["read back"]["text"].as_str().unwrap_or_default().contains("'status'"), "{it}");
}
