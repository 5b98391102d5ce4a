//! Sessions: a host's sign of life, given while its agent runs and reaches the store.
//!
//! Real agents give one every ten seconds. Here all that are due are given whenever somebody looks, and before
//! every fault, which comes to the same and leaves idle hours idle.

use crate::fleet::Fleet;
use crate::machine::Agent;
use crate::words::{Key, Value};

/// How long a session stands after the last sign, in milliseconds.
const SESSION_MILLIS: u64 = 30_000;

/// Between two signs, in milliseconds.
const SIGN_MILLIS: u64 = 10_000;

impl Fleet {
    /// Every agent that can gives its sign of life; sessions without one lapse.
    pub(crate) fn keep_sessions(&mut self) {
        if self.store_away > 0 {
            return;
        }
        for machine in 0..self.machines.len() {
            let due = |agent: &Agent| agent.session.is_none() || self.now - agent.signed >= SIGN_MILLIS;
            if self.machines[machine].awake().is_some_and(due) && self.answers(machine) && self.hears(machine)
            {
                self.sign(machine);
            }
        }
        let before = self.store.revision();
        self.store.lapse(self.now);
        debug_assert!(self.store.revision() >= before, "a lapse is a write, and nobody watches sessions");
    }

    fn sign(&mut self, machine: usize) {
        let now = self.now;
        let at = &mut self.machines[machine];
        let key = Key::Ipam(ipam::Key::Session(at.identity.host.clone()));
        let Some(agent) = &mut at.agent else { return };
        agent.signed = now;
        let kept = agent.session.is_some_and(|session| self.store.keep_alive(&key, session, now));
        if !kept {
            let sign = ipam::SignOfLife { boot: at.identity.boot.clone() };
            agent.session = Some(self.store.begin_session(
                key,
                Value::Ipam(ipam::Value::Session(sign)),
                SESSION_MILLIS,
                now,
            ));
        }
    }
}
