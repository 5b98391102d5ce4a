//! What may stand behind the `=`: one function for each kind of value, each saying what is wrong and
//! what to write instead.

use ipnetwork::IpNetwork;
use names::Domain;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use toml::de::DeValue;

/// What is wrong with a value. `problem` continues a sentence that begins with the option's name.
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) instead: String,
}

fn wrong<T>(problem: impl Into<String>, instead: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { problem: problem.into(), instead: instead.into() })
}

fn text<'a>(value: &'a DeValue<'_>, example: &str) -> Result<&'a str, Wrong> {
    match value {
        DeValue::String(text) => Ok(text.as_ref()),
        other => wrong(format!("is {}, not a text", type_name(other)), format!("write \"{example}\"")),
    }
}

/// What a value is, for people.
pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// A whole number within limits.
pub(super) fn integer<T>(value: &DeValue<'_>, limits: RangeInclusive<T>) -> Result<T, Wrong>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    let (low, high) = (limits.start(), limits.end());
    let instead = format!("write a number from {low} to {high}");
    let DeValue::Integer(number) = value else {
        return wrong(format!("is {}, not a number", type_name(value)), instead);
    };
    let read = i64::from_str_radix(number.as_str(), number.radix()).ok().and_then(|n| T::try_from(n).ok());
    match read {
        Some(read) if limits.contains(&read) => Ok(read),
        _ => wrong(format!("is {number}, which is out of range"), instead),
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(value: &DeValue<'_>, choices: &[(&str, T)]) -> Result<T, Wrong> {
    let quoted: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let instead = format!("write {}", quoted.join(" or "));
    let DeValue::String(word) = value else {
        return wrong(format!("is {}, not a text", type_name(value)), instead);
    };
    match choices.iter().find(|(choice, _)| choice == word) {
        Some((_, choice)) => Ok(*choice),
        None => wrong(format!("is \"{word}\", which is not known"), instead),
    }
}

/// A file or directory, named from the root.
pub(super) fn absolute_path(value: &DeValue<'_>) -> Result<PathBuf, Wrong> {
    let path = text(value, "/a/path")?;
    if path.starts_with('/') {
        Ok(path.into())
    } else {
        wrong(format!("is \"{path}\", which depends on where the agent was started"), "begin it with `/`")
    }
}

/// Longest path of a unix socket in bytes: `sun_path` in unix(7) has 108 with the closing zero.
const SOCKET_PATH_MAX: usize = 107;

/// The path of a unix socket.
pub(super) fn socket_path(value: &DeValue<'_>) -> Result<PathBuf, Wrong> {
    let path = absolute_path(value)?;
    match path.as_os_str().len() {
        0..=SOCKET_PATH_MAX => Ok(path),
        long => wrong(
            format!("has {long} bytes, too many for a socket"),
            format!("write a path of at most {SOCKET_PATH_MAX} bytes"),
        ),
    }
}

/// An IP address with a port.
pub(super) fn socket_address(value: &DeValue<'_>) -> Result<SocketAddr, Wrong> {
    let address = text(value, "127.0.0.1:9717")?;
    match address.parse() {
        Ok(address) => Ok(address),
        Err(_) => {
            wrong(format!("is \"{address}\", not an IP address with a port"), "write \"127.0.0.1:9717\"")
        }
    }
}

/// Yes or no.
pub(super) fn switch(value: &DeValue<'_>) -> Result<bool, Wrong> {
    match value {
        DeValue::Boolean(switch) => Ok(*switch),
        other => wrong(format!("is {}, not true or false", type_name(other)), "write true or false"),
    }
}

/// A domain for names of a cluster.
pub(super) fn domain(value: &DeValue<'_>) -> Result<Domain, Wrong> {
    let domain = text(value, "demo.internal")?;
    Domain::parse(domain)
        .or_else(|why| wrong(format!("is \"{domain}\", which {why}"), "write \"demo.internal\""))
}

/// A list of name servers: addresses, with a port where that is not 53.
pub(super) fn name_servers(value: &DeValue<'_>) -> Result<Vec<SocketAddr>, Wrong> {
    let example = "10.0.0.5";
    let DeValue::Array(items) = value else {
        return wrong(format!("is {}, not a list", type_name(value)), format!("write [\"{example}\"]"));
    };
    let server = |item: &serde_spanned::Spanned<DeValue<'_>>| {
        let server = text(item.get_ref(), example)?;
        let with_port =
            server.parse().or_else(|_| server.parse().map(|address| SocketAddr::new(address, 53)));
        with_port.or_else(|_| {
            wrong(format!("has \"{server}\", not an IP address"), format!("write \"{example}\""))
        })
    };
    items.iter().map(server).collect()
}

/// A cluster's name: it becomes a part of a tag at the provider.
pub(super) fn cluster_name(value: &DeValue<'_>) -> Result<String, Wrong> {
    let name = text(value, "demo")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=32).contains(&name.len()) && name.chars().all(plain) {
        Ok(name.into())
    } else {
        wrong(format!("is \"{name}\""), "write 1 to 32 lower-case letters, digits or `-`, such as \"demo\"")
    }
}

/// A name of a pool, zone or group.
pub(super) fn name(value: &DeValue<'_>) -> Result<String, Wrong> {
    let name = text(value, "default")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(plain) {
        Ok(name.into())
    } else {
        wrong(format!("is \"{name}\""), "write 1 to 64 letters, digits, `-`, `_` or `.`")
    }
}

/// A name that none of `taken` has; it joins them.
pub(super) fn new_name(value: &DeValue<'_>, taken: &mut Vec<String>) -> Result<String, Wrong> {
    let name = name(value)?;
    if taken.contains(&name) {
        return wrong(format!("is \"{name}\", which another section has already"), "write another name");
    }
    taken.push(name.clone());
    Ok(name)
}

/// Longest interface name in bytes: IFNAMSIZ of linux/if.h without the closing zero.
const INTERFACE_NAME_MAX: usize = 15;

/// A network interface of this host.
pub(super) fn interface_name(value: &DeValue<'_>) -> Result<String, Wrong> {
    let name = text(value, "eth0")?;
    let plain = !name.contains(|c: char| c == '/' || c.is_whitespace()) && name != "." && name != "..";
    if (1..=INTERFACE_NAME_MAX).contains(&name.len()) && plain {
        Ok(name.into())
    } else {
        wrong(
            format!("is \"{name}\", which no interface can be called"),
            "write its name as `ip link` shows it",
        )
    }
}

/// The base of a REST API. It is made to end with `/`, so that paths can be joined to it.
pub(super) fn endpoint(value: &DeValue<'_>) -> Result<String, Wrong> {
    let url = text(value, super::provider::SOFTLAYER_ENDPOINT)?;
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => {
            Ok(format!("{}/", url.trim_end_matches('/')))
        }
        _ => wrong(
            format!("is \"{url}\", not a web address"),
            format!("write \"{}\"", super::provider::SOFTLAYER_ENDPOINT),
        ),
    }
}

/// The members of an etcd: with TLS if an authority is named, and then all of them.
pub(super) fn etcd_endpoints(value: &DeValue<'_>, secured: bool) -> Result<Vec<String>, Wrong> {
    let example = if secured { "https://10.0.0.1:2379" } else { "http://10.0.0.1:2379" };
    let DeValue::Array(items) = value else {
        return wrong(format!("is {}, not a list", type_name(value)), format!("write [\"{example}\"]"));
    };
    if items.is_empty() {
        return wrong("names no member of etcd", format!("write [\"{example}\"], one URL a member"));
    }
    items.iter().map(|item| etcd_endpoint(text(item.get_ref(), example)?, secured, example)).collect()
}

fn etcd_endpoint(url: &str, secured: bool, example: &str) -> Result<String, Wrong> {
    let place = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(_), _) if !secured => {
            return wrong(
                format!("has \"{url}\", but no `ca` to check etcd's certificate by"),
                "write `ca = \"/etc/berth/etcd-ca.pem\"`, the authority that signed it",
            );
        }
        (_, Some(place)) if secured => {
            return wrong(
                format!("has \"{url}\", which is not protected, beside a `ca`"),
                format!("write \"https://{place}\", or remove `ca`"),
            );
        }
        (Some(place), _) | (_, Some(place)) => place.trim_end_matches('/'),
        (None, None) => {
            return wrong(format!("has \"{url}\", not a web address"), format!("write \"{example}\""));
        }
    };
    let port = place.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
    match port.map(str::parse::<u16>) {
        Some(Ok(1..)) if !place.contains(|c: char| c == '/' || c == '@' || c.is_whitespace()) => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        _ => wrong(
            format!("has \"{url}\", which names no host and port"),
            format!("write \"{example}\"; etcd's port is 2379"),
        ),
    }
}

/// What keys in etcd begin with. It is made to end with `/`.
pub(super) fn key_prefix(value: &DeValue<'_>) -> Result<String, Wrong> {
    let prefix = text(value, "berth/demo/")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let bare = prefix.trim_end_matches('/');
    if (1..=128).contains(&bare.len()) && bare.chars().all(plain) {
        Ok(format!("{bare}/"))
    } else {
        wrong(
            format!("is \"{prefix}\""),
            "write 1 to 128 letters, digits, `-`, `_`, `.` or `/`, such as \"berth/demo/\"",
        )
    }
}

/// A subnet: an address with all host bits zero, and a prefix length.
pub(super) fn subnet(value: &DeValue<'_>) -> Result<IpNetwork, Wrong> {
    let cidr = text(value, "10.11.4.0/26")?;
    if !cidr.contains('/') {
        return wrong(
            format!("is \"{cidr}\", which has no prefix length"),
            "write it with one, such as \"10.11.4.0/26\"",
        );
    }
    range(cidr)
}

/// A list of addresses and ranges.
pub(super) fn ranges(value: &DeValue<'_>) -> Result<Vec<IpNetwork>, Wrong> {
    let DeValue::Array(items) = value else {
        return wrong(format!("is {}, not a list", type_name(value)), "write [\"10.11.4.8/30\"]");
    };
    items.iter().map(|item| range(text(item.get_ref(), "10.11.4.8/30")?)).collect()
}

fn range(text: &str) -> Result<IpNetwork, Wrong> {
    let Ok(range) = text.parse::<IpNetwork>() else {
        return wrong(
            format!("is \"{text}\", not an address range"),
            "write an address and a prefix length, such as \"10.11.4.0/26\"",
        );
    };
    if range.ip() == range.network() {
        return Ok(range);
    }
    wrong(
        format!("is \"{text}\", which is an address inside a range"),
        format!("write \"{}/{}\"", range.network(), range.prefix()),
    )
}

/// A router's address inside its subnet. Where the subnet itself is wrong, that is the mistake to report.
pub(super) fn gateway_in(value: &DeValue<'_>, subnet: Option<IpNetwork>) -> Result<IpAddr, Wrong> {
    let gateway = text(value, "10.11.4.1")?;
    let Ok(address) = gateway.parse::<IpAddr>() else {
        return wrong(format!("is \"{gateway}\", not an address"), "write one such as \"10.11.4.1\"");
    };
    match subnet {
        Some(subnet) if !subnet.contains(address) => wrong(
            format!("is {address}, which is not in {subnet}"),
            "write the router's address in that subnet",
        ),
        _ => Ok(address),
    }
}
