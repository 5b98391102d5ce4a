//! `berth host`: who is in the cluster, who is silent, who was evicted.

use crate::fake::FakeAgent;
use crate::given::at;
use api::*;
use expect_test::expect;

fn hosts() -> Answer<Vec<Host>> {
    let host = Host {
        id: "vm-1001".into(),
        this: true,
        hostname: Some("docker1".into()),
        instance: Some("1001".into()),
        kind: Some(MachineKind::Virtual),
        datacenter: Some("dal05".into()),
        incarnation: 1,
        boot_id: Some("0b7e".into()),
        attachments: vec![Attachment {
            zone: "vlan-1234".into(),
            network: "private".into(),
            interface: Some("eth0".into()),
            vlan: Some(1234),
        }],
        identity_from: Source::Cloud,
        life: HostLife::Alive,
        holds: 12,
        unswept: 0,
        eviction: None,
    };
    Answer::new([Source::Store, Source::Cloud], vec![host])
}

#[test]
fn hosts_are_listed_with_their_zones() {
    FakeAgent::new().answers("GET /v1/hosts", hosts()).check(
        "host list",
        expect![[r#"
            HOST            HOSTNAME  MACHINE  DATACENTER  ZONES      LIFE   HOLDS  INCARNATION
            vm-1001 (this)  docker1   virtual  dal05       vlan-1234  alive     12            1
            --- exit 0
        "#]],
    );
}

#[test]
fn this_host_is_shown_with_whose_word_its_identity_is() {
    FakeAgent::new().answers("GET /v1/hosts", hosts()).check(
        "host show",
        expect![[r#"
            host           vm-1001
            hostname       docker1
            instance       1001
            machine        virtual
            datacenter     dal05
            life           alive
            holds          12 addresses
            incarnation    1
            boot           0b7e
            identity from  cloud

            ZONE       NETWORK  INTERFACE  VLAN
            vlan-1234  private  eth0       1234
            --- exit 0
        "#]],
    );
}

pub(crate) fn silent_host() -> Host {
    let said = Some("paused or suspended".into());
    let life = HostLife::Silent { since: Some(at("14:02:00")), said, next: Some(at("14:05:00")) };
    Host { id: "vm-1002".into(), this: false, life, holds: 3, ..hosts().answer.swap_remove(0) }
}

pub(crate) fn evicted_host() -> Host {
    let eviction = Eviction {
        at: "2026-11-22T14:02:00Z".into(),
        by: "vm-1001".into(),
        why: "forced by ann: the rack burnt down".into(),
    };
    Host {
        id: "vm-1003".into(),
        this: false,
        life: HostLife::Evicted,
        holds: 0,
        unswept: 2,
        eviction: Some(eviction),
        incarnation: 2,
        ..hosts().answer.swap_remove(0)
    }
}

#[test]
fn a_silent_host_is_shown_with_what_the_provider_says() {
    let answer = Answer::new([Source::Store], vec![silent_host()]);
    FakeAgent::new().answers("GET /v1/hosts", answer).check("host show vm-1002", expect![[r#"
        host           vm-1002
        hostname       docker1
        instance       1001
        machine        virtual
        datacenter     dal05
        life           silent
        holds          3 addresses
        incarnation    1
        boot           0b7e
        identity from  cloud
        vm-1002 has been silent since 2026-11-22 14:02:00; the provider says: paused or suspended; asked next 2026-11-22 14:05:00

        ZONE       NETWORK  INTERFACE  VLAN
        vlan-1234  private  eth0       1234
        --- exit 0
    "#]]);
}

#[test]
fn an_eviction_is_answered_with_its_record_and_what_is_left_to_do() {
    let answer = Answer::new([Source::Store], evicted_host());
    FakeAgent::new()
        .answers(
            r#"POST /v1/hosts/evict {"host":"vm-1003","who":"ann","powered_off":false,"force":"fire"}"#,
            answer,
        )
        .check(
            "host evict vm-1003 --force --because fire",
            expect![[r#"
            HOST     HOSTNAME  MACHINE  DATACENTER  ZONES      LIFE     HOLDS  INCARNATION
            vm-1003  docker1   virtual  dal05       vlan-1234  evicted      0            2
            vm-1003 was evicted 2026-11-22T14:02:00Z by vm-1001: forced by ann: the rack burnt down
            vm-1003: 2 addresses still to go to quarantine; the zone's role does it by itself
            --- exit 0
            hint: its addresses are in quarantine and then free; `berth status` shows what keeps one there
        "#]],
        );
}
