use crate::addresses::address_report;
use crate::fake::FakeAgent;
use crate::status::status;
use expect_test::expect;

#[test]
fn json_is_the_whole_answer_with_the_names_of_those_who_gave_it() {
    FakeAgent::new().answers("GET /v1/addresses/10.11.4.18", address_report()).check(
        "-o json address show 10.11.4.18",
        expect![[r#"
            {
              "version": 1,
              "words_of": [
                "journal",
                "store",
                "kernel",
                "docker"
              ],
              "silent": [
                {
                  "source": "cloud",
                  "because": "SoftLayer is not answering"
                }
              ],
              "answer": {
                "address": {
                  "address": "10.11.4.18",
                  "pool": "default",
                  "subnet": "10.11.4.0/26",
                  "zone": "vlan-1234",
                  "state": "assigned",
                  "epoch": "1.3.41",
                  "endpoint": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
                  "container": "web-7f",
                  "network": "cloud",
                  "reservation": null
                },
                "ports": [
                  "49153->80/tcp"
                ],
                "named_by": [
                  "service web",
                  "the firewall of VLAN 1405"
                ],
                "words": [
                  {
                    "by": "journal",
                    "says": "assigned, epoch 1.3.41",
                    "differs": false
                  },
                  {
                    "by": "store",
                    "says": "held by vm-1001, take 3",
                    "differs": false
                  },
                  {
                    "by": "kernel",
                    "says": "no route",
                    "differs": true
                  },
                  {
                    "by": "docker",
                    "says": "endpoint eeeeeeeeeeee of web-7f on cloud",
                    "differs": false
                  }
                ],
                "hint": "`berth host plan` shows what the agent will do about it"
              }
            }
            --- exit 0
            cloud is silent: SoftLayer is not answering
            hint: `berth host plan` shows what the agent will do about it
        "#]],
    );
}

#[test]
fn json_has_the_same_exit_code_as_the_table() {
    FakeAgent::new().answers("GET /v1/status", status()).check(
        "status -o json",
        expect![[r#"
            {
              "version": 1,
              "words_of": [
                "agent"
              ],
              "silent": [],
              "answer": {
                "agent": "0.1.0",
                "cluster": "demo",
                "host": "vm-1001",
                "started": "2026-11-22T14:00:00Z",
                "mode": {
                  "mode": "serving"
                },
                "parts": [
                  {
                    "part": "journal",
                    "what": "/var/lib/berth/allocator.journal",
                    "condition": {
                      "condition": "good"
                    }
                  },
                  {
                    "part": "store",
                    "what": "embedded, /var/lib/berth/store.redb",
                    "condition": {
                      "condition": "good"
                    }
                  },
                  {
                    "part": "docker",
                    "what": "20.10.24 at /var/run/docker.sock",
                    "condition": {
                      "condition": "good"
                    }
                  },
                  {
                    "part": "cloud",
                    "what": "softlayer at https://api.service.softlayer.com/rest/v3.1/",
                    "condition": {
                      "condition": "failing",
                      "problem": "SoftLayer refused the API key of user demo",
                      "hint": "put a valid key into /etc/berth/softlayer.toml",
                      "since": "2026-11-22T14:02:00Z",
                      "next_try": "2026-11-22T14:05:00Z"
                    }
                  }
                ],
                "pools": [
                  {
                    "pool": "default",
                    "zone": "vlan-1234",
                    "counts": {
                      "assigned": 2,
                      "cooling": 1,
                      "free": 29,
                      "leaving": 0,
                      "not_retaken": 0,
                      "unheld": 28,
                      "elsewhere": 0,
                      "quarantined": 0,
                      "set_aside": 4
                    }
                  }
                ],
                "orders": [
                  {
                    "id": "default-1404267-1",
                    "provider_order": "83211",
                    "pool": "default",
                    "zone": "vlan-1234",
                    "prefix": 26,
                    "state": "placed",
                    "subnet": null,
                    "since": "2026-11-22T14:02:00Z",
                    "trouble": "SoftLayer is not answering",
                    "next_try": "2026-11-22T14:05:00Z"
                  }
                ],
                "hosts": [],
                "quarantine": [],
                "names": {
                  "domain": "demo.internal",
                  "at": [
                    "10.0.0.5:53"
                  ]
                }
              }
            }
            --- exit 1
            hint: put a valid key into /etc/berth/softlayer.toml
        "#]],
    );
}
