//! `berth cluster show | init`: the cluster's record in the store.

use crate::agent::{Agent, AskError};
use crate::args::ClusterVerb;
use crate::page::Page;
use crate::table::{moment, or_dash, pairs};
use api::{Answer, Cluster, paths};

pub(crate) async fn answer(agent: &Agent, verb: &ClusterVerb) -> Result<Page, AskError> {
    match verb {
        ClusterVerb::Show => Ok(page(&agent.get::<Cluster>(paths::CLUSTER).await?)),
        ClusterVerb::Init => {
            let answer = agent.post::<Cluster>(paths::CLUSTER, &()).await?;
            Ok(page(&answer).hint(Some("its hosts join by themselves within half a minute")))
        }
    }
}

fn page(answer: &Answer<Cluster>) -> Page {
    let Cluster { name, id, generation, frozen, founded } = &answer.answer;
    let text = pairs([
        ("cluster", name.clone()),
        ("id", id.clone()),
        ("generation", generation.clone()),
        ("state", if *frozen { "frozen" } else { "open" }.to_owned()),
        ("founded", or_dash(founded.map(moment))),
    ]);
    Page::new(answer, text)
}
