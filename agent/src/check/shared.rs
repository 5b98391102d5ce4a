//! What the store and this host's journal say of the shared state: does it add up, and is anything nobody's?

use ::api::{Finding, Source, Word};
use ipam::{BlockView, HoldingCounts, View};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// S5: set aside, quarantined, held and free make up the block, and what the block shows with this host
/// is what its journal has.
pub(super) fn broken_sums(view: &View) -> Vec<Finding> {
    let blocks = || view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    let broken = blocks().filter(|block| {
        let counts = &block.counts;
        counts.set_aside + counts.quarantined + counts.held + counts.free != counts.total
    });
    let sums = broken.map(|block| Finding {
        promise: Some("S5".into()),
        subject: block.id.to_string(),
        problem: format!("its addresses do not add up: {:?}", block.counts),
        words: Vec::new(),
        hint: Some("please report this with the output of `berth -o json check`".into()),
    });
    sums.chain(blocks().filter_map(|block| forgotten(view, block))).collect()
}

/// Held by this host in the store, and not known to its journal: nobody would ever use or return it.
fn forgotten(view: &View, block: &BlockView) -> Option<Finding> {
    let shown = block.holders.get(&view.host).copied().unwrap_or(0);
    let HoldingCounts { free, assigned, cooling, leaving, not_retaken } = block.here;
    let here = free + assigned + cooling + leaving + not_retaken;
    // Under way, or not heard of yet: the journal is about to follow.
    let settled = block.operation.is_none() && view.not_ready.is_none() && not_retaken == 0;
    (settled && shown > here).then(|| Finding {
        promise: Some("S5".into()),
        subject: block.id.to_string(),
        problem: format!("{} addresses of it are held by this host and not in its journal", shown - here),
        words: vec![
            Word::of(Source::Journal, format!("holds {here}")),
            Word::of(Source::Store, format!("shows {shown} as held by {}", view.host)).differing(true),
        ],
        hint: Some("if it stays so: stop berthd, run `berthd --rebuild`, start it again".into()),
    })
}

/// L4: held by nobody that there is.
pub(super) fn lost(view: &View) -> Vec<Finding> {
    let finding = |(address, by): (&IpAddr, &ipam::Holder)| {
        let (life, hint) = match view.hosts.get(&by.host) {
            Some(now) => (
                format!("which is in its incarnation {now} since"),
                "whoever has the zone's capacity role sweeps it up: `berth status` on each host says who has it",
            ),
            None => (
                "which is no host of this cluster".to_owned(),
                "nobody will give it back: please report this with the output of `berth -o json check`",
            ),
        };
        let says = format!("held by {} in its incarnation {}, {life}", by.host, by.incarnation);
        Finding {
            promise: Some("L4".into()),
            subject: address.to_string(),
            problem: "its holder is gone".into(),
            words: vec![Word::of(Source::Store, says).differing(true)],
            hint: Some(hint.into()),
        }
    };
    view.lost.iter().map(finding).collect()
}

/// L4: a reservation and the mark on its address are written together, so neither stands alone.
pub(super) fn marks(view: &View) -> Vec<Finding> {
    let blocks = || view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    let marked = blocks().flat_map(|block| &block.addresses);
    let marked = marked.filter_map(|it| Some((it.address, it.reservation.as_ref()?.to_string())));
    let marked: BTreeMap<IpAddr, String> = marked.collect();
    let is_shown = |address: IpAddr| blocks().any(|block| block.id.contains(address));
    let named = view.reservations.iter().filter(|it| is_shown(it.address));
    let named: BTreeMap<IpAddr, String> = named.map(|it| (it.address, it.name.to_string())).collect();
    let all = marked.keys().chain(named.keys()).collect::<std::collections::BTreeSet<_>>();
    let finding = |address: &IpAddr| {
        let says = |what: &str, name: Option<&String>| match name {
            Some(name) => format!("{what} {name}"),
            None => format!("{what} nothing"),
        };
        Finding {
            promise: Some("L4".into()),
            subject: address.to_string(),
            problem: "its reservation and the mark in its block differ".into(),
            words: vec![
                Word::of(Source::Store, says("reservations say", named.get(address))).differing(true),
                Word::of(Source::Store, says("the block says", marked.get(address))).differing(true),
            ],
            hint: Some("`berth address release NAME`, then `berth address reserve NAME` again".into()),
        }
    };
    let differ = all.into_iter().filter(|address| marked.get(address) != named.get(address));
    differ.map(finding).collect()
}
