//! Faults on request: which calls go wrong, and how.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index;
use serde::{Deserialize, Serialize};

/// Something that goes wrong with calls of the API. As JSON for the control endpoint:
/// `{"method":"placeOrder","next":3,"hits":1,"effect":{"kind":"cut_after"}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only calls of this service, as `SoftLayer_Product_Order`; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only calls of this method, as `placeOrder`; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only calls by this user; anybody if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// For how many matching calls the fault is about (m); until it is removed if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
    /// How many of those it hits (n), spread by the cloud's seed; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<u32>,
    /// What happens to a call that is hit.
    pub effect: Effect,
}

/// What happens to a call that is hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Executed and answered, this much later (milliseconds of real time before the execution).
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Not executed; answered with this error.
    Error {
        /// HTTP status.
        status: u16,
        /// SoftLayer's exception code, as `SoftLayer_Exception_Public`.
        code: String,
        /// The text.
        text: String,
    },
    /// Not executed; HTTP 500 `Internal Error`.
    InternalError,
    /// Not executed; the same body with HTTP 200 (softlayer-go `session/rest.go` knows it).
    InternalErrorAs200,
    /// Executed; answered with HTTP 200 and nothing.
    EmptyBody,
    /// Not executed; HTTP 401.
    Unauthorized,
    /// Not executed; the error of the rate limit.
    RateLimited,
    /// Not executed; the connection is reset.
    CutBefore,
    /// Executed; the connection is reset instead of an answer.
    CutAfter,
    /// Not executed; no answer ever comes.
    SilentBefore,
    /// Executed; no answer ever comes.
    SilentAfter,
    /// Executed this much later (milliseconds of real time), also if the caller is dead by then; no answer ever comes.
    Late {
        /// Milliseconds.
        ms: u64,
    },
    /// A read is answered from the state this long ago (milliseconds of the cloud's clock). Writes are not touched.
    Stale {
        /// Milliseconds.
        ms: u64,
    },
}

/// Names an injected fault, to remove it.
pub type FaultId = u64;

impl Fault {
    /// The next call of `method` is hit.
    pub fn once(method: &str, effect: Effect) -> Self {
        Self { next: Some(1), ..Self::always(method, effect) }
    }

    /// Every call of `method` is hit, until the fault is removed.
    pub fn always(method: &str, effect: Effect) -> Self {
        Self { method: Some(method.to_owned()), ..Self::everywhere(effect) }
    }

    /// Every call is hit, until the fault is removed.
    pub fn everywhere(effect: Effect) -> Self {
        Self { service: None, method: None, user: None, next: None, hits: None, effect }
    }

    /// Of the next `next` matching calls, `hits` are hit.
    pub fn some(mut self, hits: u32, next: u32) -> Self {
        self.hits = Some(hits);
        self.next = Some(next);
        self
    }

    fn is_about(&self, service: &str, method: &str, user: Option<&str>) -> bool {
        self.service.as_deref().is_none_or(|wanted| wanted == service)
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && (self.user.is_none() || self.user.as_deref() == user)
    }
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    injected: Vec<Injected>,
    last: FaultId,
}

#[derive(Debug)]
struct Injected {
    id: FaultId,
    fault: Fault,
    /// Whether each of the next calls is hit, the next one last; `None`: every call, for good.
    plan: Option<Vec<bool>>,
}

impl Faults {
    pub(crate) fn inject(&mut self, seed: u64, fault: Fault) -> FaultId {
        self.last += 1;
        let plan = fault.next.map(|next| plan_hits(seed ^ self.last, next, fault.hits.unwrap_or(next)));
        self.injected.push(Injected { id: self.last, fault, plan });
        self.last
    }

    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.injected.len();
        self.injected.retain(|injected| injected.id != id);
        self.injected.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.injected.clear();
    }

    pub(crate) fn in_force(&self) -> Vec<(FaultId, Fault)> {
        self.injected.iter().map(|injected| (injected.id, injected.fault.clone())).collect()
    }

    /// What happens to this call: every fault that is about it counts it, those that hit it apply in turn.
    pub(crate) fn meet(&mut self, service: &str, method: &str, user: Option<&str>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for injected in &mut self.injected {
            if !injected.fault.is_about(service, method, user) {
                continue;
            }
            let hit = injected.plan.as_mut().is_none_or(|plan| plan.pop().unwrap_or(false));
            if hit {
                effects.push(injected.fault.effect.clone());
            }
        }
        self.injected.retain(|injected| injected.plan.as_ref().is_none_or(|plan| !plan.is_empty()));
        effects
    }
}

/// Chooses which `hits` of `next` calls are hit; the same for the same seed.
fn plan_hits(seed: u64, next: u32, hits: u32) -> Vec<bool> {
    let mut plan = vec![false; next as usize];
    let mut chance = StdRng::seed_from_u64(seed);
    for position in index::sample(&mut chance, plan.len(), plan.len().min(hits as usize)) {
        plan[position] = true;
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits_of(seed: u64, fault: Fault, calls: usize) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.inject(seed, fault);
        (0..calls).map(|_| !faults.meet("SoftLayer_Account", "getSubnets", None).is_empty()).collect()
    }

    #[test]
    fn n_of_the_next_m_calls_are_hit_and_then_no_more() {
        let hits = hits_of(7, Fault::everywhere(Effect::InternalError).some(3, 10), 30);
        assert_eq!(hits.iter().filter(|hit| **hit).count(), 3);
        assert!(hits[10..].iter().all(|hit| !hit));
    }

    #[test]
    fn the_same_seed_hits_the_same_calls_and_another_seed_others() {
        let fault = Fault::everywhere(Effect::InternalError).some(5, 20);
        assert_eq!(hits_of(1, fault.clone(), 20), hits_of(1, fault.clone(), 20));
        assert_ne!(hits_of(1, fault.clone(), 20), hits_of(2, fault, 20));
    }

    #[test]
    fn a_fault_about_another_method_is_neither_met_nor_used_up() {
        let mut faults = Faults::default();
        faults.inject(1, Fault::once("placeOrder", Effect::CutAfter));
        assert_eq!(faults.meet("SoftLayer_Account", "getSubnets", None), []);
        assert_eq!(faults.meet("SoftLayer_Product_Order", "placeOrder", None), [Effect::CutAfter]);
        assert_eq!(faults.meet("SoftLayer_Product_Order", "placeOrder", None), []);
    }

    #[test]
    fn a_fault_about_one_user_spares_the_others() {
        let mut faults = Faults::default();
        faults.inject(1, Fault { user: Some("a".into()), ..Fault::everywhere(Effect::Unauthorized) });
        assert_eq!(faults.meet("SoftLayer_Account", "getObject", Some("b")), []);
        assert_eq!(faults.meet("SoftLayer_Account", "getObject", Some("a")), [Effect::Unauthorized]);
    }
}
