use super::reader::Document;
use super::*;
use expect_test::{Expect, expect};

const EXAMPLE: &str = include_str!("../../../deploy/berth.toml");

fn check(text: &str, expected: Expect) {
    let rejected = Config::parse(text).expect_err("this text has mistakes");
    expected.assert_eq(&format!("{}\n", rejected.mistakes));
}

/// The example with its commented options switched on: `#key = …` and `#[section]`, not `# prose`.
fn example_in_full() -> String {
    let switched_on = |line: &str| match line.strip_prefix('#') {
        Some(option) if option.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => option.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(switched_on).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_a_good_configuration() {
    let config = Config::parse(EXAMPLE).expect("deploy/berth.toml has no mistake");
    assert_eq!(config.rim, Rim::default());
    assert_eq!(config.pools[0].cooling, Duration::from_secs(30));
}

#[test]
fn the_example_shows_every_option() {
    let in_full = example_in_full()
        .replace("kind = \"softlayer\"", "kind = \"static\"")
        .replace("kind = \"embedded\"", "kind = \"etcd\"");
    let document = Document::parse(&in_full);
    Config::read(&document).expect("the example in full has no mistake");
    let shown: toml::Value = toml::from_str(&in_full).expect("the example in full is TOML");
    for option in document.known() {
        let found = option.split('.').try_fold(&shown, |table, key| {
            let table = if let toml::Value::Array(tables) = table { tables.first()? } else { table };
            table.get(key)
        });
        assert!(found.is_some(), "deploy/berth.toml does not show `{option}`");
    }
}

#[test]
fn the_example_shows_the_defaults() {
    let shown = example_in_full();
    let without = |shown: &str, begin: &str, end: &str| {
        let begin = shown.find(begin).expect("the example has what is left out");
        let end = shown.find(end).expect("the example goes on behind it");
        format!("{}{}", &shown[..begin], &shown[end..])
    };
    let plain = without(&shown, "[provider.static]", "# What users ask");
    let plain = without(&plain, "# For kind = \"etcd\" only", "[provider]");
    let in_full = Config::parse(&plain).expect("the example in full has no mistake");
    assert_eq!(in_full, Config::parse(EXAMPLE).expect("deploy/berth.toml has no mistake"));
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_places() {
    check(
        r#"
clutser = "demo"
[host]
state_dir = "var/lib"
[store]
kind = "etc"
[provider]
kind = "softlayer"
endpoint = 7
[[pool]]
name = "default"
prefix = 40
exclude = ["10.0.0.5/24"]
colling_secs = 3
[[pool]]
subnets_max = "two"
"#,
        expect![[r#"
            the configuration has 11 mistakes
              line 1, column 1: `cluster` is missing; write `cluster = "NAME"`
              line 2, column 1: `clutser` is not an option; write `cluster`
              line 4, column 13: `state_dir` is "var/lib", which depends on where the agent was started; begin it with `/`
              line 6, column 8: `kind` is "etc", which is not known; write "embedded" or "etcd"
              line 9, column 12: `endpoint` is a whole number, not a text; write "https://api.service.softlayer.com/rest/v3.1/"
              line 10, column 1: `subnets_max` is missing in [[pool]]; write `subnets_max = 2`, the spending limit: at most so many subnets in a zone
              line 12, column 10: `prefix` is 40, which is out of range; write a number from 24 to 30
              line 13, column 11: `exclude` is "10.0.0.5/24", which is an address inside a range; write "10.0.0.0/24"
              line 14, column 1: `colling_secs` is not an option in [[pool]]; write `cooling_secs`
              line 15, column 1: `name` is missing in [[pool]]; write `name = "default"`
              line 16, column 15: `subnets_max` is a text, not a number; write a number from 0 to 1024
        "#]],
    );
}

#[test]
fn text_that_is_not_toml_is_reported_alone_because_the_rest_cannot_be_told() {
    check(
        "cluster = \"demo\"\nprovider = { kind = \n[[pool]]\nname=\"a\"\n",
        expect![[r#"
            the configuration has 3 mistakes
              line 3, column 3: string values must be quoted, expected literal string; write it as TOML: `key = value` under `[section]`
              line 4, column 1: missing comma between key-value pairs, expected `,`; write it as TOML: `key = value` under `[section]`
              line 4, column 9: unclosed inline table, expected `}`; write it as TOML: `key = value` under `[section]`
        "#]],
    );
}

#[test]
fn an_empty_file_is_told_what_it_needs() {
    check(
        "",
        expect![[r#"
        the configuration has 3 mistakes
          line 1, column 1: `cluster` is missing; write `cluster = "NAME"`
          line 1, column 1: `kind` is missing in [provider]; write `kind = "softlayer"`
          line 1, column 1: there is no `pool`; write [[pool]] with `name = "default"` and `subnets_max = 2`
    "#]],
    );
}

#[test]
fn a_static_provider_needs_a_place_and_a_router_in_each_subnet() {
    check(
        r#"
cluster = "demo"
[provider]
kind = "static"
[provider.static]
zone = "rack1"
interface = "an-interface-too-long"
[[provider.static.subnet]]
cidr = "10.11.4.0/26"
gateway = "10.11.5.1"
[[provider.static.subnet]]
cidr = "10.11.6.0"
[[pool]]
name = "default"
subnets_max = 2
"#,
        expect![[r#"
            the configuration has 4 mistakes
              line 7, column 13: `interface` is "an-interface-too-long", which no interface can be called; write its name as `ip link` shows it
              line 10, column 11: `gateway` is 10.11.5.1, which is not in 10.11.4.0/26; write the router's address in that subnet
              line 11, column 1: `gateway` is missing in [[provider.static.subnet]]; write `gateway = "10.11.4.1"`
              line 12, column 8: `cidr` is "10.11.6.0", which has no prefix length; write it with one, such as "10.11.4.0/26"
        "#]],
    );
}

#[test]
fn sections_written_in_the_wrong_brackets_are_told_the_right_ones() {
    check(
        "cluster = \"demo\"\nhost = 3\n[provider]\nkind=\"softlayer\"\nstatic = {}\n[pool]\nname = \"default\"\n",
        expect![[r#"
            the configuration has 3 mistakes
              line 2, column 8: `host` is a whole number, not a section; write `[host]` on a line of its own
              line 5, column 10: `static` goes with `kind = "static"` only; remove it, or change `kind`
              line 6, column 1: there may be several of `pool`, so one pair of brackets is too few; write `[[pool]]`
        "#]],
    );
}

#[test]
fn a_bad_file_still_says_where_the_sockets_are() {
    let text = "[docker]\nplugin_socket = \"/tmp/plugin.sock\"\n[api]\nsocket = 3\n";
    let rejected = Config::parse(text).expect_err("there is no cluster");
    assert_eq!(rejected.rim.docker.plugin_socket, Path::new("/tmp/plugin.sock"));
    assert_eq!(rejected.rim.api, ApiConfig::default());
}

#[test]
fn a_file_that_is_not_there_is_a_mistake_with_its_path() {
    let rejected = Config::load(Path::new("/nowhere/berth.toml")).expect_err("there is no such file");
    expect![[r#"
        /nowhere/berth.toml has a mistake
          the file cannot be read: No such file or directory (os error 2); write it after the example deploy/berth.toml, or name another with --config"#]].assert_eq(&rejected.mistakes.to_string());
}

#[test]
fn an_endpoint_may_be_written_without_its_last_slash() {
    let text = EXAMPLE.replace(
        "#endpoint = \"https://api.service.softlayer.com/rest/v3.1/\"",
        "endpoint = \"http://10.0.80.11/rest/v3.1\"",
    );
    let config = Config::parse(&text).expect("this endpoint is good");
    let ProviderConfig::SoftLayer { endpoint, .. } = config.provider else {
        panic!("the example is SoftLayer's")
    };
    assert_eq!(endpoint, "http://10.0.80.11/rest/v3.1/");
}

const ETCD: &str = r#"
cluster = "demo"
[store]
kind = "etcd"
endpoints = ["https://e1:2379", "https://e2:2379/"]
ca = "/etc/berth/etcd-ca.pem"
username = "berth"
password_file = "/etc/berth/etcd-password"
[provider]
kind = "softlayer"
[[pool]]
name = "default"
subnets_max = 2
"#;

#[test]
fn clusters_that_share_an_etcd_are_kept_apart_by_their_names() {
    let StoreKind::Etcd(etcd) = Config::parse(ETCD).expect("this is good").store else {
        panic!("it names etcd")
    };
    assert_eq!(etcd.prefix, "berth/demo/");
    assert_eq!(etcd.endpoints, ["https://e1:2379", "https://e2:2379"]);
    let other = ETCD.replace("ca =", "prefix = \"/other\"\nca =");
    let StoreKind::Etcd(etcd) = Config::parse(&other).expect("this is good").store else {
        panic!("it names etcd")
    };
    assert_eq!(etcd.prefix, "/other/");
}

#[test]
fn mistakes_about_etcd_are_told_with_what_belongs_together() {
    check(
        &ETCD
            .replace("ca = \"/etc/berth/etcd-ca.pem\"", "prefix = \"a b\"\nkey = \"/k.pem\"")
            .replace("password_file = \"/etc/berth/etcd-password\"\n", ""),
        expect![[r#"
            the configuration has 4 mistakes
              line 5, column 13: `endpoints` has "https://e1:2379", but no `ca` to check etcd's certificate by; write `ca = "/etc/berth/etcd-ca.pem"`, the authority that signed it
              line 6, column 10: `prefix` is "a b"; write 1 to 128 letters, digits, `-`, `_`, `.` or `/`, such as "berth/demo/"
              line 7, column 7: `key` needs `cert` beside it; write `cert` too, or remove `key`
              line 8, column 12: `username` needs `password_file` beside it; write `password_file` too, or remove `username`
        "#]],
    );
    check(
        &ETCD
            .replace("\"https://e1:2379\"", "\"http://e1:2379\"")
            .replace("kind = \"etcd\"", "kind = \"embedded\""),
        expect![[r#"
            the configuration has 4 mistakes
              line 5, column 13: `endpoints` goes with `kind = "etcd"` only; remove it, or change `kind`
              line 6, column 6: `ca` goes with `kind = "etcd"` only; remove it, or change `kind`
              line 7, column 12: `username` goes with `kind = "etcd"` only; remove it, or change `kind`
              line 8, column 17: `password_file` goes with `kind = "etcd"` only; remove it, or change `kind`
        "#]],
    );
}
