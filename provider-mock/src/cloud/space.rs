//! Cutting subnets out of an address space.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

/// The lowest network of this prefix length inside `spaces` that touches nothing in `taken`.
pub(super) fn lowest_free(spaces: &[Ipv4Network], taken: &[Ipv4Network], prefix: u8) -> Option<Ipv4Network> {
    spaces.iter().filter(|space| space.prefix() <= prefix && prefix <= 32).find_map(|space| {
        let first = u64::from(u32::from(space.network()));
        let last = u64::from(u32::from(space.broadcast()));
        let size = 1_u64 << (32 - prefix);
        (first..=last).step_by(usize::try_from(size).ok()?).find_map(|start| {
            let candidate = Ipv4Network::new(Ipv4Addr::from(u32::try_from(start).ok()?), prefix).ok()?;
            let free = taken.iter().all(|other| !overlap(candidate, *other));
            free.then_some(candidate)
        })
    })
}

/// Whether two networks share an address.
pub(super) fn overlap(one: Ipv4Network, other: Ipv4Network) -> bool {
    one.contains(other.network()) || other.contains(one.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Network {
        text.parse().unwrap()
    }

    #[test]
    fn the_lowest_free_network_is_cut_aligned_and_clear_of_smaller_ones() {
        let space = [net("10.50.0.0/24")];
        assert_eq!(lowest_free(&space, &[], 26), Some(net("10.50.0.0/26")));
        assert_eq!(lowest_free(&space, &[net("10.50.0.8/29")], 26), Some(net("10.50.0.64/26")));
        assert_eq!(lowest_free(&space, &[net("10.50.0.0/25"), net("10.50.0.128/25")], 29), None);
    }

    #[test]
    fn the_second_space_is_used_when_the_first_is_full_or_too_small() {
        let spaces = [net("10.50.0.0/29"), net("10.51.0.0/24")];
        assert_eq!(lowest_free(&spaces, &[], 26), Some(net("10.51.0.0/26")));
    }
}
