//! The parts of a key as text: joined by slashes, what could be mistaken for one escaped.

use ipnetwork::IpNetwork;

/// Joins parts with slashes, escaping in each what would make the key ambiguous.
pub(super) fn join(parts: &[&str]) -> String {
    parts.iter().map(|part| escape(part)).collect::<Vec<_>>().join("/")
}

/// The parts of a key as they were joined. None if an escape is broken.
pub(super) fn split(key: &str) -> Option<Vec<String>> {
    key.split('/').map(unescape).collect()
}

/// A subnet with a dash where people write a slash.
pub(super) fn subnet(subnet: &IpNetwork) -> String {
    format!("{}-{}", subnet.ip(), subnet.prefix())
}

/// The subnet that was written by [`subnet`].
pub(super) fn parse_subnet(text: &str) -> Option<IpNetwork> {
    let (address, prefix) = text.rsplit_once('-')?;
    IpNetwork::new(address.parse().ok()?, prefix.parse().ok()?).ok()
}

/// Percent-escapes the slash, the percent sign, and control characters.
fn escape(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for character in part.chars() {
        match character {
            '/' | '%' | '\0'..='\x1f' | '\x7f' => escaped.push_str(&format!("%{:02X}", u32::from(character))),
            _ => escaped.push(character),
        }
    }
    escaped
}

fn unescape(part: &str) -> Option<String> {
    let mut unescaped = String::with_capacity(part.len());
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('%') {
        unescaped.push_str(before);
        let digits = after.get(..2)?;
        unescaped.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        rest = &after[2..];
    }
    unescaped.push_str(rest);
    Some(unescaped)
}
