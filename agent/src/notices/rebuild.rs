//! A store that is being made anew: who is awaited, since when, and what to type. Nothing that nobody claimed is used
//! again before.

use crate::api::Desk;
use crate::capacity::hosts_seen;
use ::api::Notice;
use ipam::Rebuild;
use ipam::role::HostsSeen;
use store::layout::{self, Item};

/// The rebuild under way, if there is one. Nothing where the store is silent: that is shown by itself.
pub(super) async fn under_way(desk: &Desk) -> Option<Notice> {
    let store = desk.store.as_ref()?;
    let entry = store.get(&Item::Rebuild.key()).await.ok()?.entry?;
    let rebuild: Rebuild = layout::decode(&entry.key, &entry.value).ok()?;
    let hosts = hosts_seen(&**store).await.ok()?;
    told(&rebuild, &hosts)
}

fn told(rebuild: &Rebuild, hosts: &HostsSeen) -> Option<Notice> {
    if rebuild.is_over(hosts) {
        return None;
    }
    let silent: Vec<String> = rebuild.silent(hosts).map(ToString::to_string).collect();
    let (awaited, cure) = match silent.split_first() {
        Some((first, _)) => (
            format!("what it held is kept of {}, which has not answered", silent.join(" and of ")),
            format!(
                "start its berthd, or, when the machine is powered off for good, say \
                 `berth store rebuild --gone {first}`"
            ),
        ),
        None => (
            "every host that is remembered has answered or is gone; there may be others".to_owned(),
            "say `berth store rebuild --no-others` if no other host uses addresses of this cluster"
                .to_owned(),
        ),
    };
    let others = match (&rebuild.no_others, silent.is_empty()) {
        (None, false) => "; then `--no-others`, if no other host uses addresses of this cluster",
        _ => "",
    };
    Some(Notice {
        about: "store rebuild".to_owned(),
        problem: format!(
            "under way since {} (by {}), and addresses that nobody claimed stay in quarantine: {awaited}",
            rebuild.at, rebuild.by
        ),
        hint: format!("{cure}{others}; `berth store rebuild` shows who is awaited"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::Generation;

    fn rebuild(gone: [Option<&str>; 2], no_others: Option<&str>) -> Rebuild {
        let gone = gone.map(|word| word.map(str::to_owned));
        Rebuild {
            generation: Generation { number: 2, id: 7 },
            by: "virtual-1".into(),
            at: "2026-03-01T12:00:00Z".into(),
            awaited: ["virtual-2".into(), "virtual-3".into()].into_iter().zip(gone).collect(),
            no_others: no_others.map(str::to_owned),
            zones: Default::default(),
        }
    }

    fn said(rebuild: &Rebuild) -> Option<Notice> {
        told(rebuild, &HostsSeen::new())
    }

    #[test]
    fn a_rebuild_under_way_names_who_is_awaited_since_when_and_what_to_type() {
        let notice = said(&rebuild([None, Some("root")], None)).unwrap();
        for part in ["since 2026-03-01T12:00:00Z", "virtual-2, which has not answered"] {
            assert!(notice.problem.contains(part), "{}", notice.problem);
        }
        for part in ["`berth store rebuild --gone virtual-2`", "`--no-others`"] {
            assert!(notice.hint.contains(part), "{}", notice.hint);
        }
    }

    #[test]
    fn when_nobody_remembered_is_awaited_the_last_word_is_asked_for_and_then_nothing() {
        let notice = said(&rebuild([Some("root"), Some("root")], None)).unwrap();
        assert!(notice.hint.contains("`berth store rebuild --no-others`"), "{}", notice.hint);
        assert_eq!(said(&rebuild([Some("root"), Some("root")], Some("root"))), None);
    }
}
