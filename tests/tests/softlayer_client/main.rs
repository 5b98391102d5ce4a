//! The real Python client of SoftLayer (`slcli` and its SDK) against the simulated cloud: a witness that nobody
//! here wrote. What it sends and what it needs in the answers is its own (<https://github.com/softlayer/softlayer-python>).
//!
//! The client is installed once, in a virtual environment under `target/`. A machine where that cannot be done
//! fails these tests, with the reason.

mod balancers;
mod firewalls;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use provider_mock::{CloudSpec, Delays, Effect, Fault, SimulatedCloud};
use serde_json::{Value, json};

/// The version that the facts of the simulated cloud were checked with.
const CLIENT: &str = "softlayer==6.2.9";

/// A simulated cloud with the Python client pointed at it.
struct Fixture {
    cloud: SimulatedCloud,
}

impl Fixture {
    async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    async fn start_with(change: impl FnOnce(&mut CloudSpec)) -> Self {
        let mut spec = CloudSpec::small();
        spec.delays = Delays::NONE;
        // The client is quick; its calls are not what these tests count.
        spec.limits.requests_per_second = 1_000;
        change(&mut spec);
        Self { cloud: SimulatedCloud::start(spec).await.expect("the simulated cloud starts") }
    }

    /// Runs a Python script and reads its variable `result`. The script has what [`PRELUDE`] makes.
    async fn python(&self, script: &str) -> Value {
        let script = format!("{PRELUDE}\n{script}\nprint(json.dumps(result))");
        let mut command = Command::new(PYTHON.join("bin/python"));
        command.arg("-c").arg(script).arg(self.cloud.endpoint());
        // Neither a proxy nor a configuration of this machine shall lead the client elsewhere.
        for name in ["http_proxy", "https_proxy", "all_proxy", "SL_USERNAME", "SL_API_KEY"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.env("HOME", "/nonexistent").env("NO_PROXY", "*");
        // The cloud lives on this test's runtime, which must not be blocked.
        let mut command = tokio::process::Command::from(command);
        let output = command.kill_on_drop(true).output().await.expect("the Python client starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("the script failed: {errors}"))
    }

    /// The calls that the cloud has answered, as `Service/method`.
    fn calls(&self) -> Vec<String> {
        let requests = self.cloud.live().requests();
        requests
            .iter()
            .map(|call| format!("{}/{}", call.service.replace("SoftLayer_", ""), call.method))
            .collect()
    }
}

/// `slcli('…')` runs the command line client, as its program does, and reads the JSON that it prints; `fails('…')` says
/// what it prints when it fails; `order()` orders eight portable private addresses and says the subnet's id;
/// `client` is the SDK.
const PRELUDE: &str = "
import contextlib, io, json, sys, tempfile
import SoftLayer
from SoftLayer.CLI import core

endpoint = sys.argv[1]
configuration = tempfile.NamedTemporaryFile('w', suffix='.conf')
configuration.write(f'[softlayer]\\nusername = SL307608\\napi_key = simulated-key\\nendpoint_url = {endpoint}\\n')
configuration.flush()

def run(line):
    out, status = io.StringIO(), 0
    sys.argv = ['slcli', '-C', configuration.name, '-y', '--format', 'json', *line.split()]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            core.main()
        except SystemExit as end:
            status = end.code
    return status, out.getvalue()

def slcli(line):
    status, text = run(line)
    assert not status, f'slcli {line}: {text}'
    return json.loads(text) if text.strip()[:1] in ('[', '{') else text.strip()

def fails(line):
    status, text = run(line)
    assert status, f'slcli {line} succeeded: {text}'
    return text

def order():
    slcli('subnet create private 8 1234')
    return slcli('subnet list -t SECONDARY_ON_VLAN')[0]['Id']

def connect(api_key='simulated-key'):
    return SoftLayer.create_client_from_env(
        username='SL307608', api_key=api_key, endpoint_url=endpoint, timeout=10)

def error_of(work):
    try:
        return {'answer': work()}
    except SoftLayer.SoftLayerAPIError as error:
        return {'code': error.faultCode, 'text': error.faultString}

client = connect()
container = {'packageId': 0, 'prices': [{'id': 13981}], 'quantity': 1, 'endPointVlanId': 1234,
             'complexType': 'SoftLayer_Container_Product_Order_Network_Subnet'}
";

/// The virtual environment with the client in it.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(CLIENT.replace("==", "-"));
    let ready = place.join("ready");
    if !ready.exists() {
        install(&place);
        std::fs::write(ready, "").expect("the mark of a finished installation");
    }
    place
});

fn install(place: &Path) {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(place);
    must(venv, "python3 with its venv module is needed: install Debian's package python3-venv");
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", CLIENT]);
    must(pip, "the Python client could not be installed; is the package index reachable?");
}

fn must(mut command: Command, hint: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{hint}: {error}"));
    assert!(output.status.success(), "{hint}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The values of one column.
fn column(table: &Value, name: &str) -> Vec<String> {
    let rows = table.as_array().unwrap_or_else(|| panic!("no table: {table}"));
    rows.iter().map(|row| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned)).collect()
}

#[tokio::test]
async fn slcli_lists_subnets_and_narrows_them_by_all_its_options() {
    let it = Fixture::start().await;
    let script = "
order()
result = {
    'all': slcli('subnet list'),
    'narrowed': slcli('subnet list -d dal05 -t SECONDARY_ON_VLAN --network-space PRIVATE --v4'),
    'elsewhere': slcli('subnet list -d ams01'),
}";
    let shown = it.python(script).await;
    assert_eq!(column(&shown["all"], "Identifier"), ["10.40.0.0/24", "198.51.100.0/26", "10.50.0.0/29"]);
    assert_eq!(column(&shown["all"], "VLAN"), ["dal05.bcr01.777", "dal05.fcr01.888", "dal05.bcr01.777"]);
    assert_eq!(column(&shown["narrowed"], "Identifier"), ["10.50.0.0/29"]);
    assert_eq!(column(&shown["narrowed"], "Type"), ["Portable"]);
    assert_eq!(shown["elsewhere"], json!([]));
}

#[tokio::test]
async fn slcli_shows_a_subnet_by_its_id_and_by_its_network() {
    let it = Fixture::start().await;
    let script = "
id = order()
result = {
    'by_id': slcli(f'subnet detail {id}'), 'by_network': slcli('subnet detail 10.50.0.0/29'),
    'primary': slcli('subnet detail 10.40.0.0/24'),
}";
    let shown = it.python(script).await;
    let subnet = &shown["by_id"];
    assert_eq!(subnet["identifier"], "10.50.0.0/29");
    assert_eq!(subnet["subnet type"], "SECONDARY_ON_VLAN");
    assert_eq!(subnet["network space"], "PRIVATE");
    assert_eq!(subnet["gateway"], "10.50.0.1");
    assert_eq!(subnet["broadcast"], "10.50.0.7");
    assert_eq!(subnet["usable ips"], "5");
    assert_eq!(subnet["datacenter"], "dal05");
    assert_eq!(shown["by_network"], *subnet);
    assert_eq!(column(&shown["primary"]["vs"], "hostname"), ["host1", "vm1"]);
    assert_eq!(column(&shown["primary"]["hardware"], "hostname"), ["metal1"]);
}

#[tokio::test]
async fn slcli_verifies_an_order_and_nothing_is_ordered() {
    let it = Fixture::start().await;
    let costs = it.python("result = slcli('subnet create --test private 8 1234')").await;
    assert_eq!(column(&costs, "Item"), ["8 Portable Private IP Addresses", "Total monthly cost"]);
    assert_eq!(it.calls(), ["Product_Package/getItems", "Product_Order/verifyOrder"]);
    assert_eq!(it.cloud.live().dump()["orders"], json!([]));
}

#[tokio::test]
async fn slcli_orders_portable_subnets_of_several_sizes() {
    let it = Fixture::start().await;
    let script = "
for size in (4, 16, 64):
    slcli(f'subnet create private {size} 1234')
result = slcli('subnet list -t SECONDARY_ON_VLAN')";
    let rows = it.python(script).await;
    assert_eq!(column(&rows, "Identifier"), ["10.50.0.0/30", "10.50.0.16/28", "10.50.0.64/26"]);
}

#[tokio::test]
async fn slcli_sees_why_an_order_is_refused() {
    let it = Fixture::start().await;
    let text = it.python("result = fails('subnet create private 8 77')").await;
    let text = text.as_str().unwrap_or_default();
    assert!(text.contains("The VLAN with id 77 could not be found on this account."), "{text}");
}

#[tokio::test]
async fn slcli_sets_tags_and_note_and_shows_them() {
    let it = Fixture::start().await;
    let script = "
id = order()
slcli(f'subnet edit --tags berth:demo,opened --note hello {id}')
result = slcli(f'subnet detail {id}'), slcli('subnet list -t SECONDARY_ON_VLAN')";
    let shown = it.python(script).await;
    assert_eq!(shown[0]["note"], "hello");
    assert_eq!(shown[1][0]["Note"], "hello");
    assert_eq!(shown[1][0]["Tags"], json!(["berth:demo", "opened"]));
    let calls = it.calls();
    assert!(calls.contains(&"Network_Subnet/setTags".to_owned()), "{calls:?}");
    assert!(calls.contains(&"Network_Subnet/editNote".to_owned()), "{calls:?}");
}

#[tokio::test]
async fn slcli_writes_the_note_of_an_address_and_looks_addresses_up() {
    let it = Fixture::start().await;
    let script = "
order()
slcli('subnet edit-ip --note taken 10.50.0.3')
result = {
    'record': client.call('Network_Subnet_IpAddress', 'getByIpAddress', '10.50.0.3'),
    'portable': slcli('subnet lookup 10.50.0.3'), 'primary': slcli('subnet lookup 10.40.0.11'),
}";
    let shown = it.python(script).await;
    assert_eq!(shown["record"]["note"], "taken");
    assert_eq!(shown["portable"]["subnet"]["identifier"], "10.50.0.0/29");
    assert_eq!(shown["primary"]["device"]["name"], "host1.example.com");
}

#[tokio::test]
async fn slcli_cancels_a_subnet_and_it_is_gone() {
    let it = Fixture::start().await;
    let script = "
id = order()
slcli(f'subnet cancel {id}')
result = slcli('subnet list -t SECONDARY_ON_VLAN'), fails(f'subnet cancel {id}')";
    let shown = it.python(script).await;
    assert_eq!(shown[0], json!([]));
    assert!(shown[1].as_str().unwrap_or_default().contains("Unable to find object"), "{shown}");
}

#[tokio::test]
async fn a_subnet_that_is_being_reclaimed_is_listed_and_cannot_be_cancelled_again() {
    let it = Fixture::start_with(|spec| spec.delays.reclaim_ms = 3_600_000).await;
    let script = "
id = order()
slcli(f'subnet cancel {id}')
result = slcli('subnet list -t SECONDARY_ON_VLAN'), fails(f'subnet cancel {id}')";
    let shown = it.python(script).await;
    assert_eq!(column(&shown[0], "Identifier"), ["10.50.0.0/29"]);
    assert!(shown[1].as_str().unwrap_or_default().contains("can not be cancelled"), "{shown}");
}

#[tokio::test]
async fn slcli_lists_vlans_with_their_pods_and_shows_one() {
    let it = Fixture::start().await;
    let script = "
result = {
    'all': slcli('vlan list'), 'narrowed': slcli('vlan list -d dal05 -n 777'), 'one': slcli('vlan detail 1234'),
}";
    let shown = it.python(script).await;
    assert_eq!(column(&shown["all"], "Number"), ["777", "888"]);
    assert_eq!(column(&shown["all"], "Data center"), ["dal05", "dal05"]);
    assert_eq!(column(&shown["all"], "Pod"), ["Pod01", "Pod01"]);
    assert_eq!(column(&shown["narrowed"], "Id"), ["1234"]);
    assert_eq!(shown["one"]["primary_router"], "bcr01a.dal05.softlayer.com");
    assert_eq!(column(&shown["one"]["subnets"], "identifier"), ["10.40.0.0"]);
    assert_eq!(shown["one"]["vs"], json!({ "host1": "example.com", "vm1": "example.com" }));
    assert_eq!(column(&shown["one"]["hardware"], "hostname"), ["metal1"]);
}

#[tokio::test]
async fn the_sdk_reads_the_metadata_service_without_credentials() {
    let it = Fixture::start().await;
    let script = "
transport = SoftLayer.transports.RestTransport(endpoint_url=endpoint)
metadata = SoftLayer.MetadataManager(client=SoftLayer.BaseClient(transport=transport))
macs = metadata.get('backend_mac')
result = {
    'name': metadata.get('fqdn'), 'datacenter': metadata.get('datacenter'), 'macs': macs,
    'vlans': metadata.get('vlans', macs[0]), 'ids': metadata.get('vlan_ids', macs[0]),
    'router': metadata.get('router', macs[0]), 'network': metadata.private_network(),
    'user_data': metadata.get('user_data'),
}";
    let answers = it.python(script).await;
    assert_eq!(answers["name"], "host1.example.com");
    assert_eq!(answers["datacenter"], "dal05");
    assert_eq!(answers["macs"], json!(["06:00:0a:28:00:0b"]));
    assert_eq!((&answers["vlans"], &answers["ids"]), (&json!([777]), &json!([1234])));
    assert_eq!(answers["router"], "bcr01");
    assert_eq!(answers["network"]["vlan_ids"], json!([1234]));
    assert_eq!(answers["user_data"], Value::Null);
    assert!(it.cloud.live().requests().iter().all(|request| request.user.is_none()));
}

#[tokio::test]
async fn the_sdk_pages_through_a_list_and_knows_where_it_ends() {
    let it = Fixture::start().await;
    let script = "
for _ in range(5):
    client.call('Product_Order', 'placeOrder', container)
names = [row['networkIdentifier'] for row in client.iter_call('Account', 'getPrivateSubnets', limit=2)]
page = client.call('Account', 'getPrivateSubnets', mask='id,cidr', limit=2, offset=4)
result = {'names': names, 'page': len(page), 'total': page.total_count}";
    let pages = it.python(script).await;
    let expected = ["10.40.0.0", "10.50.0.0", "10.50.0.4", "10.50.0.8", "10.50.0.12", "10.50.0.16"];
    assert_eq!(pages, json!({ "names": expected, "page": 2, "total": 6 }));
}

#[tokio::test]
async fn the_sdk_meets_softlayers_errors() {
    let it = Fixture::start().await;
    it.cloud.live().inject(Fault::once("getNetworkVlans", Effect::InternalErrorAs200));
    it.cloud.live().inject(Fault::once("getHardware", Effect::RateLimited));
    let script = "
result = [
    error_of(lambda: client.call('Network_Subnet', 'getObject', id=77)),
    error_of(lambda: client.call('Account', 'getNonsense')),
    error_of(lambda: client.call('Account', 'getSubnets', mask='userData')),
    error_of(lambda: connect('wrong').call('Account', 'getObject')),
    error_of(lambda: client.call('Account', 'getHardware')),
    error_of(lambda: client.call('Account', 'getNetworkVlans')),
]";
    let errors = it.python(script).await;
    let (codes, texts) = (column(&errors, "code"), column(&errors, "text"));
    assert_eq!(codes[..5], ["404", "500", "500", "401", "500"]);
    assert_eq!(
        texts[..5],
        [
            "Unable to find object with id of '77'.",
            "Function (\"getNonsense\") is not a valid method for this service.",
            "Property 'userData' not valid for 'SoftLayer_Network_Subnet'.",
            "Access Denied. ",
            "Rate limit of 50 requests for every 1 second(s) exceeded."
        ]
    );
    // The client takes a body with HTTP 200 for an answer, whatever it says.
    assert_eq!(errors[5]["answer"]["error"], "Internal Error");
}

#[tokio::test]
async fn an_order_cut_off_after_its_execution_is_found_by_the_sdk_afterwards() {
    let it = Fixture::start().await;
    it.cloud.live().inject(Fault::once("placeOrder", Effect::CutAfter));
    let script = "
failed = error_of(lambda: client.call('Product_Order', 'placeOrder', container))
orders = client.call('Account', 'getOrders', mask='id,userRecord[username],items[itemPriceId]')
result = {'failed': 'text' in failed, 'orders': orders}";
    let found = it.python(script).await;
    assert_eq!(found["failed"], true);
    assert_eq!(found["orders"][0]["userRecord"]["username"], "SL307608");
    assert_eq!(found["orders"][0]["items"][0]["itemPriceId"], 13_981);
}
