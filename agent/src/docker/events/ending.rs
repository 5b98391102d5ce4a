//! Containers that are about to end: Docker's `kill` event is the earliest sign of a stop.

use std::collections::BTreeSet;

use bollard::models::EventMessage;

use super::Container;

/// Signals that programs take for a wish to read their files again or the like (signal(7), as numbers on Linux): HUP,
/// USR1, USR2, CHLD, CONT, STOP. Every other one may be what an image names as its STOPSIGNAL.
const HARMLESS: [&str; 6] = ["1", "10", "12", "17", "18", "19"];

/// The containers that were sent a signal to end and have not ended, by Docker's id.
#[derive(Debug, Default)]
pub(super) struct Endings(BTreeSet<String>);

impl Endings {
    /// Takes note of an event.
    pub(super) fn hear(&mut self, event: &EventMessage) {
        let Some(actor) = &event.actor else { return };
        let Some(id) = &actor.id else { return };
        match event.action.as_deref() {
            Some("kill") => {
                let signal = actor.attributes.as_ref().and_then(|attributes| attributes.get("signal"));
                if signal.is_none_or(|signal| !HARMLESS.contains(&signal.as_str())) {
                    self.0.insert(id.clone());
                }
            }
            // It may be running again before the next look.
            Some("die" | "start") => {
                self.0.remove(id);
            }
            _ => {}
        }
    }

    /// Marks those of a list, and forgets who is not in it or does not run.
    pub(super) fn mark(&mut self, containers: &mut [Container]) {
        let running =
            |id: &String| containers.iter().any(|container| container.running && container.id == *id);
        self.0.retain(running);
        for container in containers {
            container.ending = self.0.contains(&container.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::Readiness;
    use serde_json::json;

    /// As dockerd 20.10 tells it.
    fn event(action: &str, signal: Option<&str>) -> EventMessage {
        let attributes = signal.map(|signal| json!({ "name": "web", "signal": signal }));
        let actor = json!({ "ID": "abc", "Attributes": attributes.unwrap_or(json!({ "name": "web" })) });
        serde_json::from_value(json!({ "Type": "container", "Action": action, "Actor": actor })).unwrap()
    }

    fn ends(endings: &mut Endings, running: bool) -> bool {
        let mut containers = [Container {
            id: "abc".into(),
            name: "web".into(),
            labels: [].into(),
            running,
            readiness: Readiness::Ready,
            ending: false,
            attachments: vec![],
        }];
        endings.mark(&mut containers);
        containers[0].ending
    }

    #[test]
    fn a_container_that_was_sent_its_stop_signal_is_ending_until_it_has_ended() {
        for signal in ["15", "9", "3", "28"] {
            let mut endings = Endings::default();
            endings.hear(&event("kill", Some(signal)));
            assert!(ends(&mut endings, true), "signal {signal}");
            endings.hear(&event("die", None));
            assert!(!ends(&mut endings, true), "it was started again at once");
        }
    }

    #[test]
    fn a_signal_to_read_its_files_again_is_no_end() {
        let mut endings = Endings::default();
        endings.hear(&event("kill", Some("1")));
        assert!(!ends(&mut endings, true));
    }

    #[test]
    fn one_whose_end_was_not_heard_of_is_forgotten_with_its_end() {
        let mut endings = Endings::default();
        endings.hear(&event("kill", Some("15")));
        assert!(!ends(&mut endings, false));
        assert!(!ends(&mut endings, true));
    }
}
