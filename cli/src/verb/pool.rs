//! `berth pool list | show`: what users ask addresses from.

use super::{find, table_with_counts};
use crate::agent::{Agent, AskError};
use crate::args::PoolVerb;
use crate::page::Page;
use crate::table::{list, pairs};
use api::{Answer, Counts, Pool, PoolZone, paths};

pub(crate) async fn answer(agent: &Agent, verb: &PoolVerb) -> Result<Page, AskError> {
    let answer = agent.get::<Vec<Pool>>(paths::POOLS).await?;
    match verb {
        PoolVerb::List => Ok(Page::new(&answer, pools(&answer.answer))),
        PoolVerb::Show { name } => show(answer, name),
    }
}

fn pools(pools: &[Pool]) -> String {
    let row = |pool: &Pool| {
        let counts = pool.zones.iter().fold(Counts::default(), |mut sum, zone| {
            sum += zone.counts;
            sum
        });
        let subnets: usize = pool.zones.iter().map(|zone| zone.subnets.len()).sum();
        let limit = format!("{subnets} of {}", pool.watermarks.subnets_max);
        (vec![pool.name.clone(), pool.network.clone(), limit], counts)
    };
    table_with_counts(&["pool", "network", "subnets"], pools.iter().map(row))
}

fn show(answer: Answer<Vec<Pool>>, name: &str) -> Result<Page, AskError> {
    let found = find(&answer.answer, "pool", name, "berth pool list", |pool| pool.name == name)?;
    let answer = answer.map(|mut pools| pools.swap_remove(found));
    let pool = &answer.answer;
    let watermarks = &pool.watermarks;
    let mut text = pairs([
        ("pool", pool.name.clone()),
        ("network", pool.network.clone()),
        ("orders", format!("a /{} when fewer than {} are free", watermarks.prefix, watermarks.free_min)),
        ("limit", format!("{} subnets a zone", watermarks.subnets_max)),
        ("cooling", format!("{} s", pool.cooling_secs)),
        ("excluded", list(&pool.exclude)),
    ]);
    text += "\n";
    let row = |zone: &PoolZone| (vec![zone.zone.clone(), list(&zone.subnets)], zone.counts);
    text += &table_with_counts(&["zone", "subnets"], pool.zones.iter().map(row));
    Ok(Page::new(&answer, text))
}
