//! `berth address list | show | history | explain | reserve | release`.

use super::words;
use crate::agent::{Agent, AskError};
use crate::args::AddressVerb;
use crate::page::{Page, Verdict};
use crate::table::{list, moment, or_dash, table};
use crate::time::During;
use api::{Address, AddressReport, AddressState, Explanation, Reservation, Reserve, Silence, paths};

pub(crate) async fn answer(agent: &Agent, verb: &AddressVerb) -> Result<Page, AskError> {
    match verb {
        AddressVerb::List { pool, all } => {
            let query = [("pool", pool.clone()), ("all", all.then(|| "true".into()))];
            let answer = agent.query::<Vec<Address>>(paths::ADDRESSES, &query).await?;
            Ok(Page::new(&answer, addresses(&answer.answer)))
        }
        AddressVerb::Show { address, at: Some(at), .. } => {
            super::history::shown(agent, *address, During { from: Some(*at), to: Some(*at) }).await
        }
        AddressVerb::Show { address, during: Some(during), .. } => {
            super::history::shown(agent, *address, *during).await
        }
        AddressVerb::History { address, container, host, during, json_lines } => {
            let of = super::history::Of {
                address: *address,
                container: container.clone(),
                host: host.clone(),
                during: during.unwrap_or_default(),
            };
            super::history::history(agent, &of, *json_lines).await
        }
        AddressVerb::Show { address, .. } => {
            let path = format!("{}/{address}", paths::ADDRESSES);
            let answer = agent.get::<AddressReport>(&path).await?;
            let text = show(&answer.answer, &answer.silent);
            Ok(Page::new(&answer, text).hint(answer.answer.hint.as_ref()))
        }
        AddressVerb::Explain { address, pool, ipv6 } => {
            let address = address.map(|address| address.to_string());
            let family = ipv6.then(|| "v6".into());
            let query = [("pool", pool.clone()), ("address", address), ("family", family)];
            let answer = agent.query::<Explanation>(paths::EXPLAIN, &query).await?;
            Ok(explain(&answer))
        }
        AddressVerb::Reserve { name, address, pool } => {
            let wanted = Reserve { name: name.clone(), pool: pool.clone(), address: *address };
            let answer = agent.post::<Reservation>(paths::RESERVATIONS, &wanted).await?;
            let Reservation { name, address, pool } = &answer.answer;
            Ok(Page::new(&answer, format!("{address}  reserved as {name}  pool {pool}\n")))
        }
        AddressVerb::Release { name } => {
            let query = [("name", Some(name.clone()))];
            let answer = agent.delete::<Reservation>(paths::RESERVATIONS, &query).await?;
            let Reservation { name, address, pool } = &answer.answer;
            Ok(Page::new(&answer, format!("{address}  no longer reserved as {name}  pool {pool}\n")))
        }
    }
}

fn addresses(addresses: &[Address]) -> String {
    let row = |address: &Address| {
        vec![
            address.address.to_string(),
            address.pool.clone(),
            address.state.name().into(),
            detail(address),
            or_dash(address.container.as_ref().or(address.endpoint.as_deref().map(short).as_ref())),
            or_dash(address.network.as_deref().map(short)),
            or_dash(address.reservation.as_ref()),
        ]
    };
    let headings = ["address", "pool", "state", "detail", "container", "network", "reserved as"];
    table(&headings, addresses.iter().map(row))
}

fn detail(address: &Address) -> String {
    match &address.state {
        AddressState::Cooling { until: Some(until), why } => format!("{why}, until {}", moment(*until)),
        AddressState::Cooling { why, .. }
        | AddressState::Quarantined { why }
        | AddressState::SetAside { why } => why.clone(),
        AddressState::Elsewhere { host } => format!("held by {host}"),
        AddressState::Assigned => address.epoch.as_ref().map_or("-".into(), |epoch| format!("epoch {epoch}")),
        AddressState::Free | AddressState::Leaving | AddressState::NotRetaken | AddressState::Unheld => {
            "-".into()
        }
    }
}

/// Docker's ids are known by their first twelve digits; names are shorter than a full id.
fn short(id: &str) -> String {
    if id.len() == 64 { id.chars().take(12).collect() } else { id.to_owned() }
}

fn show(report: &AddressReport, silent: &[Silence]) -> String {
    let address = &report.address;
    let mut heading = vec![address.address.to_string(), address.state.name().into()];
    heading.extend(address.container.clone());
    heading.extend((!report.ports.is_empty()).then(|| format!("ports {}", list(&report.ports))));
    heading.extend(address.reservation.as_ref().map(|name| format!("reserved as {name}")));
    heading.push(format!("pool {}", address.pool));
    heading.push(format!("subnet {}", address.subnet));
    heading.push(format!("zone {}", address.zone));
    let silent = silent.iter().map(|silence| format!("  {:8} silent\n", silence.source));
    let named = (!report.named_by.is_empty()).then(|| format!("  named by {}\n", list(&report.named_by)));
    let named = named.unwrap_or_default();
    format!("{}\n{named}{}{}", heading.join("  "), words(&report.words), silent.collect::<String>())
}

fn explain(answer: &api::Answer<Explanation>) -> Page {
    let explanation = &answer.answer;
    let text = match (explanation.granted, explanation.address) {
        (true, Some(address)) => format!("yes: {address}, {}\n", explanation.because),
        (true, None) => format!("yes: {}\n", explanation.because),
        (false, _) => format!("no: {}\n", explanation.because),
    };
    let verdict = if explanation.granted { Verdict::Yes } else { Verdict::No };
    Page::new(answer, text).hint(explanation.hint.as_ref()).verdict(verdict)
}
