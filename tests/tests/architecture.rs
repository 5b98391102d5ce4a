//! The arrows between the crates, and who may know what. A wrong arrow fails like any other bug.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Every arrow that may exist between our crates. What is not here is forbidden.
const ARROWS: &[(&str, &[&str])] = &[
    ("ipam", &[]),
    ("ledger", &["ipam"]),
    ("services", &["api", "ipam", "provider"]),
    ("names", &["api", "ipam", "services"]),
    ("store", &[]),
    ("provider", &[]),
    ("hostnet", &[]),
    ("api", &[]),
    ("provider-mock", &[]),
    ("provider-softlayer", &["provider"]),
    (
        "agent",
        &["ipam", "store", "provider", "provider-softlayer", "hostnet", "ledger", "services", "names", "api"],
    ),
    ("cli", &["api"]),
    ("simulation", &["ipam", "provider", "services"]),
    (
        "bench",
        &[
            "agent",
            "api",
            "hostnet",
            "ipam",
            "ledger",
            "provider",
            "provider-mock",
            "provider-softlayer",
            "services",
            "simulation",
            "store",
            "tests",
        ],
    ),
    (
        "tests",
        &[
            "agent",
            "api",
            "hostnet",
            "ipam",
            "ledger",
            "provider",
            "provider-mock",
            "provider-softlayer",
            "store",
        ],
    ),
];

/// Libraries that only the rooms named may know: each is a border that is crossed once.
const BORDERS: &[(&str, &[&str])] = &[
    ("rtnetlink", &["hostnet"]),
    ("netlink-packet-route", &["hostnet"]),
    ("nftables", &["hostnet"]),
    ("pnet_datalink", &["hostnet"]),
    ("redb", &["store"]),
    ("zstd", &["ledger"]),
    ("hickory-proto", &["names"]),
    ("bollard", &["agent", "tests"]),
    ("reqwest", &["provider-softlayer", "cli", "tests"]),
    ("clap", &["agent", "bench", "cli", "provider-mock", "simulation", "tests"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_path_buf()
}

/// The normal (not dev) dependencies of each workspace member.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let names_of = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        normal.map(|d| d.name.clone()).collect()
    };
    metadata().packages.iter().map(|p| (p.name.to_string(), names_of(p))).collect()
}

/// The sources below a folder. Tests beside the code may know more than the code.
fn sources(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).expect("a source folder").map(|e| e.expect("its entry").path()) {
        if entry.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|e| e == "rs") {
            found.push(entry);
        }
    }
    found
}

#[test]
fn dependencies_point_down_only() {
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found = dependencies();
    assert_eq!(
        found.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        ours,
        "a new crate needs its place in ARROWS"
    );
    for (name, allowed) in ARROWS {
        let arrows: BTreeSet<&str> =
            found[*name].iter().map(String::as_str).filter(|d| ours.contains(d)).collect();
        let forbidden: Vec<_> = arrows.iter().filter(|to| !allowed.contains(to)).collect();
        assert!(forbidden.is_empty(), "{name} must not know {forbidden:?}");
    }
}

#[test]
fn each_border_is_crossed_in_one_room() {
    for (name, known) in dependencies() {
        for (library, rooms) in BORDERS {
            assert!(
                !known.contains(*library) || rooms.contains(&name.as_str()),
                "{name} must not know {library}: only {rooms:?} may"
            );
        }
    }
}

#[test]
fn ipam_does_no_input_or_output_and_reads_no_clock() {
    let known = &dependencies()["ipam"];
    for forbidden in ["tokio", "futures", "nix", "rand", "jiff", "tracing"] {
        assert!(!known.contains(forbidden), "ipam must not know {forbidden}");
    }
    let words =
        ["std::time", "std::fs", "std::net::Tcp", "std::net::Udp", "std::thread", "std::env", "HashMap"];
    for file in sources(&root().join("ipam/src")) {
        let text = fs::read_to_string(&file).expect("a source file");
        for word in words {
            assert!(!text.contains(word), "{} names {word}", file.display());
        }
    }
}

/// Where the agent reads the time of day, and what for. Hosts' clocks may be hours apart, and jump: whatever is decided
/// by time is decided by the boot-time clock.
const TIME_OF_DAY: &[(&str, &str)] = &[
    ("allocator/founding.rs", "when a cluster was founded; its number, which only has to grow"),
    ("allocator/task/hearing.rs", "the ledger's times"),
    ("api/addresses.rs", "until when, for people"),
    ("api/rebuild.rs", "when a store was made anew; the next generation, which only has to grow"),
    ("api/status.rs", "the next try, for people"),
    ("assembly.rs", "since when it runs, for people"),
    ("capacity/act.rs", "the history of an order, for people"),
    ("capacity/anew.rs", "the history of an order, for people"),
    ("capacity/eviction.rs", "when a host was evicted, for people"),
    ("capacity/open.rs", "the history of an order, for people"),
    ("capacity/role.rs", "for people; and the provider's time, which orders are looked for by"),
    ("capacity/settle.rs", "the history of an order, for people"),
    ("clock.rs", "the clock itself"),
    ("doctor.rs", "whether it can be right"),
    ("ledger.rs", "the ledger's times"),
    ("migrate.rs", "when a store was left; the next generation, which only has to grow"),
    ("rebuild.rs", "the name of a file that is put aside"),
    ("troubles.rs", "since when, for people"),
];

#[test]
fn the_time_of_day_is_read_for_people_and_for_records_only() {
    let agent = root().join("agent/src");
    let reads = |path: &&PathBuf| {
        let text = fs::read_to_string(path).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        [".wall()", "Timestamp::now()", "SystemTime"].iter().any(|word| code.contains(word))
    };
    let files = sources(&agent);
    let readers: BTreeSet<&str> =
        files.iter().filter(reads).filter_map(|path| path.strip_prefix(&agent).ok()?.to_str()).collect();
    let known: BTreeSet<&str> = TIME_OF_DAY.iter().map(|(file, _)| *file).collect();
    let unknown: Vec<_> = readers.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?} read the time of day: what for? Nothing may be decided by it");
}

#[test]
fn one_file_of_the_agent_knows_which_clouds_there_are() {
    let files = sources(&root().join("agent/src"));
    let naming = |path: &&PathBuf| {
        let text = fs::read_to_string(path).expect("a source file");
        text.contains("provider_softlayer")
    };
    let naming: Vec<_> = files.iter().filter(naming).collect();
    assert_eq!(naming.len(), 1, "only one file may name a cloud: {naming:?}");
}

#[test]
fn one_file_of_the_store_spells_a_key() {
    let layout = root().join("store/src/layout.rs");
    for folder in ["store/src", "agent/src"] {
        for file in sources(&root().join(folder)).into_iter().filter(|f| *f != layout) {
            let text = fs::read_to_string(&file).expect("a source file");
            for prefix in ["\"blocks/", "\"hosts/", "\"sessions/", "\"owners/", "\"orders/", "\"subnets/"] {
                assert!(!text.contains(prefix), "{} spells the key {prefix}…\"", file.display());
            }
        }
    }
}
