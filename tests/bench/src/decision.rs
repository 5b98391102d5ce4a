//! assign_pure_us: the decision alone, without journal, disk or threads, at 0 and at 99 % full.

use std::time::Instant;

use anyhow::Result;
use ipam::{
    Answer, Block, BlockId, BootId, ClusterRecord, ClusterState, Effect, Generation, Host, Identity, Input,
    Key, Persisted, Pool, Prefix, RequestId, Revision, Seen, Sent, Subnet, Timestamp, Value,
};
use ipnetwork::IpNetwork;

use crate::Size;
use crate::agents::{ANY, ROOM, pool, subnet, zone};
use crate::report::{micros, say};

/// A host whose journal and store say yes to everything.
struct Solo {
    host: Host,
    revision: u64,
    requests: u64,
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    let (rounds, pairs) = (size.of(9, 3), size.of(20_000, 200));
    for (name, subnets, held) in [("", 1, ROOM - 1), ("_200_subnets", 200, ROOM - 1)] {
        for (fill, in_use) in [("0", 0), ("99", held - 2)] {
            let mut solo = Solo::new(subnets)?;
            solo.hold(held)?;
            for _ in 0..in_use {
                solo.assign()?;
            }
            let measured: Result<Vec<f64>> = (0..rounds).map(|_| solo.round(pairs)).collect();
            say(&format!("assign_pure_us{name}_{fill}_percent_full"), "us", &measured?);
        }
    }
    Ok(())
}

impl Solo {
    fn new(subnets: usize) -> Result<Solo> {
        let identity = Identity {
            host: "h1".into(),
            instance: "i-1".into(),
            boot: BootId("boot-1".into()),
            zones: [zone()].into(),
        };
        let cidrs = (0..subnets).map(subnet).collect::<Result<Vec<_>>>()?;
        let host = Host::recover(identity, Timestamp(1_000), []);
        let mut solo = Solo { host, revision: 1, requests: 0 };
        for prefix in solo.host.watches() {
            let entries = listed(&prefix, &cidrs);
            // What it was shown commits has moved the store on.
            let revision = Revision(solo.revision);
            solo.settle(Input::Listed { prefix, revision, entries });
        }
        Ok(solo)
    }

    /// Holds this many free addresses of one block.
    fn hold(&mut self, count: usize) -> Result<()> {
        let addresses: Vec<_> = (0..count).map(|_| self.assign()).collect::<Result<_>>()?;
        addresses.into_iter().for_each(|address| self.release(address));
        Ok(())
    }

    /// The mean of this many assignments, each with what the journal's word brings. Releases are not timed.
    fn round(&mut self, pairs: usize) -> Result<f64> {
        let mut taken = std::time::Duration::ZERO;
        for _ in 0..pairs / 2 {
            let begun = Instant::now();
            let two = [self.assign()?, self.assign()?];
            taken += begun.elapsed();
            two.into_iter().for_each(|address| self.release(address));
        }
        Ok(micros(taken) / (pairs / 2 * 2) as f64)
    }

    fn assign(&mut self) -> Result<std::net::IpAddr> {
        self.requests += 1;
        let request = RequestId(self.requests);
        let answer = self.settle(Input::Assign { request, pool: pool(), wish: ANY, endpoint: None });
        let Some(Ok(Answer::Assigned(assignment))) = answer else {
            return Err(anyhow::anyhow!("not answered from what is held: {answer:?}"));
        };
        Ok(assignment.address)
    }

    fn release(&mut self, address: std::net::IpAddr) {
        self.requests += 1;
        self.settle(Input::Release { request: RequestId(self.requests), address });
    }

    /// Feeds an input and what follows from it; the last answer.
    fn settle(&mut self, input: Input) -> Option<Result<Answer, ipam::Refusal>> {
        let mut inputs = vec![input];
        let mut answer = None;
        while let Some(input) = inputs.pop() {
            for effect in self.host.step(Timestamp(1_000), input) {
                match effect {
                    Effect::Persist { token, .. } => {
                        inputs.push(Input::Persisted { token, outcome: Persisted::Done });
                    }
                    Effect::Send { token, .. } => {
                        self.revision += 1;
                        let outcome = Sent::Committed { revision: Revision(self.revision) };
                        inputs.push(Input::Sent { token, outcome });
                    }
                    Effect::Answer { result, .. } => answer = Some(result),
                    Effect::Read { .. } | Effect::Silence { .. } => (),
                }
            }
        }
        answer
    }
}

fn listed(prefix: &Prefix, cidrs: &[IpNetwork]) -> Vec<Seen> {
    let generation = Generation { number: 1, id: 7 };
    let cluster = ClusterRecord { id: "bench".into(), generation, state: ClusterState::Open };
    let mut all = vec![
        (Key::Cluster, Value::Cluster(cluster)),
        (Key::Pool(pool()), Value::Pool(Pool { name: pool(), cooling_millis: 0 })),
    ];
    for cidr in cidrs {
        let opened = Subnet { cidr: *cidr, pool: pool(), zone: zone(), gateway: cidr.iter().nth(1) };
        all.push((Key::Subnet(*cidr), Value::Subnet(opened)));
        all.extend(BlockId::all_of(*cidr).map(|id| {
            (Key::Block { zone: zone(), block: id }, Value::Block(Block::open(id, 0, &Default::default())))
        }));
    }
    let of_prefix = all.into_iter().filter(|(key, _)| prefix.contains(key));
    of_prefix.map(|(key, value)| Seen { key, value: Some(value), revision: Revision(1) }).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, ensure};

    use super::*;

    #[test]
    fn it_is_what_is_held_that_is_assigned() -> Result<()> {
        let mut solo = Solo::new(1)?;
        solo.hold(100)?;
        let before = solo.revision;
        let first = solo.assign()?;
        solo.release(first);
        ensure!(solo.revision == before, "the store was asked");
        let again = solo.assign().context("it did not cool")?;
        ensure!(again != first, "the longest-free address comes first");
        Ok(())
    }
}
