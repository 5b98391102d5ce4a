//! What HAProxy is told of a balancer: its configuration as a text, and what its statistics say. Pure.
//!
//! Directives and columns are those of HAProxy 2.6's configuration and management manuals.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::cloud::Id;
use crate::cloud::balancer::Measured;
use crate::cloud::balancer::setup::{Listener, Method, Protocol, Server, Session, Setup};

/// The configuration of a balancer whose virtual address is `front`. `revision` is told back by `show info`, so that
/// one sees which configuration is in force.
pub(super) fn configuration(front: Ipv4Addr, setup: &Setup, folder: &Path, revision: u64) -> String {
    let folder = folder.display();
    let mut text = format!(
        "global
    description {revision}
    stats socket {folder}/stats mode 600 level admin expose-fd listeners
    server-state-file {folder}/states

defaults
    timeout connect 5s
    retries 3
    option redispatch 1
    load-server-state-from-file global

# Without any listener HAProxy would not start. The real service keeps this port for itself, too.
listen nobody
    mode tcp
    timeout client 1s
    timeout server 1s
    bind 127.0.0.1:56501
"
    );
    for listener in &setup.listeners {
        listen(&mut text, front, setup, listener);
    }
    text
}

fn listen(text: &mut String, front: Ipv4Addr, setup: &Setup, listener: &Listener) {
    let _ = writeln!(text, "\nlisten {}", proxy(listener));
    let mut line = |words: String| {
        let _ = writeln!(text, "    {words}");
    };
    line(format!("bind {front}:{}", listener.frontend.port));
    let http = listener.frontend.protocol == Protocol::Http;
    line(format!("mode {}", if http { "http" } else { "tcp" }));
    if http {
        // A kept-alive connection of before a change is ended with an answer and not under a request.
        line("option idle-close-on-response".to_owned());
        line("option forwardfor".to_owned());
    }
    line(format!("timeout client {}s", listener.client_timeout_secs));
    line(format!("timeout server {}s", listener.server_timeout_secs));
    if let Some(max) = listener.connections_max {
        line(format!("maxconn {max}"));
    }
    let balance = if listener.method == Method::LeastConnections { "leastconn" } else { "roundrobin" };
    line(format!("balance {balance}"));
    match listener.session {
        Some(Session::SourceIp) => {
            line("stick-table type ip size 100k expire 30m".to_owned());
            line("stick on src".to_owned());
        }
        Some(Session::HttpCookie) if http => line("cookie BERTH insert indirect nocache".to_owned()),
        Some(Session::HttpCookie) | None => (),
    }
    let monitor = setup.monitor_of(listener.backend);
    let mut check = String::new();
    if let Some(monitor) = monitor {
        if let Some(path) = monitor.path.as_deref() {
            line(format!("option httpchk GET {}", plain(path)));
            line("http-check expect status 200".to_owned());
        }
        line(format!("timeout check {}s", monitor.timeout_secs));
        // Healthy again after two passes (faqs.md of the documentation).
        let _ = write!(check, " check inter {}s fall {} rise 2", monitor.interval_secs, monitor.retries_max);
    }
    for Server { id, address, port, weight } in setup.servers(listener) {
        let weight = if listener.method == Method::Weighted { weight } else { 1 };
        let cookie = if listener.session == Some(Session::HttpCookie) && http {
            format!(" cookie m{id}")
        } else {
            String::new()
        };
        line(format!("server m{id} {address}:{port} weight {weight}{cookie}{check}"));
    }
}

/// The name of a listener. The back end's port is in it, because HAProxy finds a server's remembered state by
/// names, and would remember the port with it.
fn proxy(listener: &Listener) -> String {
    format!("l{}-{}", listener.id, listener.backend.port)
}

/// A path that cannot end its line or start another word.
fn plain(path: &str) -> String {
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || "\"'\\#$".contains(letter);
    path.chars().filter(|letter| !odd(*letter)).collect()
}

/// Which revision `show info` tells of.
pub(super) fn revision(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("description: "))?.trim().parse().ok()
}

/// Reads the answer to `show stat`: comma-separated, the first line names the columns.
pub(super) fn measured(stat: &str) -> Measured {
    let mut lines = stat.trim_start_matches("# ").lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut measured = Measured::default();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |name: &str| {
            let at = names.iter().position(|it| *it == name)?;
            cells.get(at).copied()
        };
        let number = |name: &str| cell(name).and_then(|cell| cell.parse::<u64>().ok()).unwrap_or(0);
        let Some(listener) = cell("pxname").and_then(listener_of) else { continue };
        match cell("svname").unwrap_or_default() {
            "FRONTEND" => {
                measured.connections += number("scur");
                measured.connection_rate += number("rate");
                measured.bytes += number("bout");
            }
            server => {
                let Some(member) = server.strip_prefix('m').and_then(|id| id.parse().ok()) else { continue };
                measured.up.insert((listener, member), passes(&cell));
            }
        }
    }
    measured
}

fn listener_of(proxy: &str) -> Option<Id> {
    proxy.strip_prefix('l')?.split_once('-')?.0.parse().ok()
}

/// HAProxy takes a new server for up until its first check; one of weight zero is `DRAIN` while it is well.
fn passes<'a>(cell: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let checked = cell("check_status").is_some_and(|status| !status.is_empty() && status != "INI");
    checked && cell("status").is_some_and(|it| it.starts_with("UP") || it.starts_with("DRAIN"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::Timestamp;

    use super::*;
    use crate::cloud::balancer::setup::{End, Member, Monitor};

    fn setup() -> Setup {
        let backend = End { protocol: Protocol::Http, port: 8080 };
        let then = Timestamp::UNIX_EPOCH;
        Setup {
            listeners: vec![Listener {
                id: 12,
                frontend: End { protocol: Protocol::Http, port: 80 },
                backend,
                method: Method::Weighted,
                session: None,
                connections_max: Some(1000),
                client_timeout_secs: 50,
                server_timeout_secs: 60,
                only: None,
                created: then,
                modified: then,
            }],
            monitors: vec![Monitor {
                id: 14,
                backend,
                interval_secs: 5,
                timeout_secs: 2,
                retries_max: 3,
                path: Some("/ready\n#".to_owned()),
                created: then,
                modified: then,
            }],
            members: vec![Member {
                id: 15,
                address: Ipv4Addr::new(10, 50, 0, 5),
                weight: 80,
                created: then,
                modified: then,
            }],
        }
    }

    #[test]
    fn a_listener_becomes_a_proxy_with_its_members_and_their_check() {
        let text = configuration(Ipv4Addr::new(10, 40, 0, 254), &setup(), Path::new("/x"), 7);
        let at = text.find("listen l12").unwrap();
        expect![[r#"
            listen l12-8080
                bind 10.40.0.254:80
                mode http
                option idle-close-on-response
                option forwardfor
                timeout client 50s
                timeout server 60s
                maxconn 1000
                balance roundrobin
                option httpchk GET /ready
                http-check expect status 200
                timeout check 2s
                server m15 10.50.0.5:8080 weight 80 check inter 5s fall 3 rise 2
        "#]]
        .assert_eq(&text[at..]);
    }

    #[test]
    fn weights_count_in_the_weighted_method_only() {
        let mut setup = setup();
        setup.listeners[0].method = Method::RoundRobin;
        let text = configuration(Ipv4Addr::LOCALHOST, &setup, Path::new("/x"), 7);
        assert!(text.contains("server m15 10.50.0.5:8080 weight 1 check"), "{text}");
    }

    #[test]
    fn a_member_is_up_once_a_check_has_passed_and_while_it_drains() {
        let of = |status: &str, check: &str| {
            let stat = format!(
                "# pxname,svname,scur,bout,status,rate,check_status,\n\
                 l12-8080,FRONTEND,3,500,OPEN,2,,\nl12-8080,m15,1,500,{status},2,{check},\n\
                 l12-8080,BACKEND,1,500,UP,2,,\nnobody,FRONTEND,9,9,OPEN,9,,\n"
            );
            let measured = measured(&stat);
            assert_eq!((measured.connections, measured.connection_rate, measured.bytes), (3, 2, 500));
            measured.up.get(&(12, 15)).copied()
        };
        assert_eq!(of("UP", "INI"), Some(false));
        assert_eq!(of("UP 1/2", "L7OK"), Some(true));
        assert_eq!(of("DRAIN", "L7OK"), Some(true));
        assert_eq!(of("DOWN", "L4CON"), Some(false));
    }

    #[test]
    fn the_revision_in_force_is_told() {
        assert_eq!(revision("Name: HAProxy\ndescription: 7\n"), Some(7));
        assert_eq!(revision("Name: HAProxy\n"), None);
    }
}
