//! Our nftables table, through nft's JSON (libnftables-json(5)).

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use nftables::batch::Batch;
use nftables::expr::{
    CT, Expression, Fib, FibFlag, FibResult, Meta, MetaKey, NamedExpression, Payload, PayloadField, Prefix,
};
use nftables::helper::{
    DEFAULT_ARGS, DEFAULT_NFT, NftablesError, apply_ruleset_with_args_async,
    get_current_ruleset_with_args_async,
};
use nftables::schema::{self, NfListObject, NfObject, Nftables};
use nftables::stmt::{self, JumpTarget, Mangle, NAT, NATFamily, Operator, Statement};
use nftables::types::{NfChainPolicy, NfChainType, NfFamily, NfHook};

use super::fault::Fault;
use crate::firewall::{Chain, FirewallRule, Match, Verdict};
use crate::{Firewall, mark};

const CHAINS: [Chain; 9] = [
    Chain::Early,
    Chain::Arriving,
    Chain::Publish,
    Chain::PublishLocal,
    Chain::Input,
    Chain::Forward,
    Chain::FromVlan,
    Chain::FromBridge,
    Chain::Leaving,
];

/// The rules that are there, in words; `None` when there is no table of ours.
pub(super) async fn sentences() -> io::Result<Option<Vec<String>>> {
    let list = ["list", "table", "inet", mark::NFT_TABLE];
    let table = match get_current_ruleset_with_args_async(DEFAULT_NFT, list).await {
        Ok(table) => table,
        Err(error) if says_absent(&error) => return Ok(None),
        Err(error) => return Err(told(error)),
    };
    let of_rule = |object: &NfObject| match object {
        // A rule without a comment is none of ours; its empty sentence makes the table differ.
        NfObject::ListObject(NfListObject::Rule(rule)) => {
            let place = CHAINS.iter().position(|chain| rule.chain == chain.to_string());
            Some((place, rule.comment.as_deref().unwrap_or_default().to_owned()))
        }
        _ => None,
    };
    let mut rules: Vec<_> = table.objects.iter().filter_map(of_rule).collect();
    // nft keeps the order within a chain; between chains it promises none.
    rules.sort_by_key(|(place, _)| *place);
    Ok(Some(rules.into_iter().map(|(_, sentence)| sentence).collect()))
}

/// nft gives no code, only the kernel's ENOENT in words.
pub(super) fn says_absent(error: &NftablesError) -> bool {
    matches!(error, NftablesError::NftFailed { stderr, .. } if stderr.contains("No such file or directory"))
}

/// What nft said, in one line.
pub(super) fn told(error: NftablesError) -> io::Error {
    match error {
        NftablesError::NftFailed { stderr, .. } => io::Error::other(stderr.trim().to_owned()),
        NftablesError::NftExecution { inner, .. } => inner,
        other => io::Error::other(other),
    }
}

/// One transaction: no packet meets half a table.
pub(super) async fn replace(firewall: &Firewall) -> Result<(), Fault> {
    let mut batch = Batch::new();
    // Adding first makes the deletion of a table that is not there succeed.
    batch.add(table());
    batch.delete(table());
    batch.add(table());
    for chain in CHAINS {
        batch.add(NfListObject::Chain(declare(chain)));
    }
    for rule in &firewall.rules {
        batch.add(NfListObject::Rule(write(rule)));
    }
    apply(batch.to_nftables()).await
}

pub(super) async fn remove() -> Result<(), Fault> {
    let mut batch = Batch::new();
    batch.add(table());
    batch.delete(table());
    apply(batch.to_nftables()).await
}

async fn apply(ruleset: Nftables<'_>) -> Result<(), Fault> {
    let applied = apply_ruleset_with_args_async(&ruleset, DEFAULT_NFT, DEFAULT_ARGS).await;
    applied.map_err(|error| told(error).into())
}

fn table() -> NfListObject<'static> {
    let name = mark::NFT_TABLE.into();
    NfListObject::Table(schema::Table { family: NfFamily::INet, name, handle: None })
}

/// A chain with its hook; the priorities are netfilter's own names for these places
/// (linux/netfilter_ipv4.h).
fn declare(chain: Chain) -> schema::Chain<'static> {
    let base = match chain {
        Chain::Early => Some((NfChainType::Filter, NfHook::Prerouting, -300)),
        Chain::Arriving => Some((NfChainType::Filter, NfHook::Prerouting, -150)),
        Chain::Publish => Some((NfChainType::NAT, NfHook::Prerouting, -100)),
        Chain::PublishLocal => Some((NfChainType::NAT, NfHook::Output, -100)),
        Chain::Input => Some((NfChainType::Filter, NfHook::Input, 0)),
        Chain::Forward => Some((NfChainType::Filter, NfHook::Forward, 0)),
        Chain::Leaving => Some((NfChainType::NAT, NfHook::Postrouting, 100)),
        Chain::FromVlan | Chain::FromBridge => None,
    };
    schema::Chain {
        family: NfFamily::INet,
        table: mark::NFT_TABLE.into(),
        name: chain.to_string().into(),
        _type: base.map(|(kind, _, _)| kind),
        hook: base.map(|(_, hook, _)| hook),
        prio: base.map(|(_, _, priority)| priority),
        policy: base.map(|_| NfChainPolicy::Accept),
        ..schema::Chain::default()
    }
}

fn write(rule: &FirewallRule) -> schema::Rule<'static> {
    let mut expr: Vec<Statement<'static>> = rule.when.iter().flat_map(condition).collect();
    expr.extend(verdict(&rule.then));
    schema::Rule {
        family: NfFamily::INet,
        table: mark::NFT_TABLE.into(),
        chain: rule.chain.to_string().into(),
        expr: expr.into(),
        comment: Some(rule.to_string().into()),
        ..schema::Rule::default()
    }
}

fn condition(condition: &Match) -> Vec<Statement<'static>> {
    match condition {
        Match::In(link) => vec![is(meta(MetaKey::Iifname), text(link))],
        Match::Out(link) => vec![is(meta(MetaKey::Oifname), text(link))],
        Match::From(network) => vec![is(address(network, "saddr"), prefix(network))],
        Match::To(network) => vec![is(address(network, "daddr"), prefix(network))],
        Match::ToHost => {
            let fib = Fib { result: FibResult::Type, flags: HashSet::from([FibFlag::Daddr]) };
            vec![is(Expression::Named(NamedExpression::Fib(fib)), text("local"))]
        }
        Match::Port(protocol, port) => {
            vec![is(header(&protocol.to_string(), "dport"), Expression::Number((*port).into()))]
        }
        Match::Established => {
            let states = Expression::List(vec![text("established"), text("related")]);
            vec![has(connection("state"), states)]
        }
        Match::Translated => vec![has(connection("status"), text("dnat"))],
        Match::Published => vec![is(connection("mark"), Expression::Number(mark::PUBLISHED))],
    }
}

fn verdict(verdict: &Verdict) -> Vec<Statement<'static>> {
    let published = Expression::Number(mark::PUBLISHED);
    match verdict {
        Verdict::Accept => vec![Statement::Accept(None)],
        Verdict::Drop => vec![Statement::Drop(None)],
        Verdict::Goto(chain) => vec![Statement::Goto(JumpTarget { target: chain.to_string().into() })],
        Verdict::MarkPublished => {
            vec![Statement::Mangle(Mangle { key: meta(MetaKey::Mark), value: published })]
        }
        Verdict::Publish { container, port } => {
            let remember = Statement::Mangle(Mangle { key: connection("mark"), value: published });
            vec![remember, Statement::DNAT(Some(translate(*container, Some(*port))))]
        }
        Verdict::SourceNat(address) => vec![Statement::SNAT(Some(translate(*address, None)))],
    }
}

fn translate(address: IpAddr, port: Option<u16>) -> NAT<'static> {
    NAT {
        addr: Some(text(address)),
        family: Some(if address.is_ipv4() { NATFamily::IP } else { NATFamily::IP6 }),
        port: port.map(|port| Expression::Number(port.into())),
        flags: None,
    }
}

fn is(left: Expression<'static>, right: Expression<'static>) -> Statement<'static> {
    Statement::Match(stmt::Match { left, right, op: Operator::EQ })
}

/// One of the flags on the right is set on the left.
fn has(left: Expression<'static>, right: Expression<'static>) -> Statement<'static> {
    Statement::Match(stmt::Match { left, right, op: Operator::IN })
}

fn text(value: impl ToString) -> Expression<'static> {
    Expression::String(value.to_string().into())
}

fn meta(key: MetaKey) -> Expression<'static> {
    Expression::Named(NamedExpression::Meta(Meta { key }))
}

fn connection(key: &'static str) -> Expression<'static> {
    Expression::Named(NamedExpression::CT(CT { key: key.into(), family: None, dir: None }))
}

fn header(protocol: &str, field: &'static str) -> Expression<'static> {
    let field = PayloadField { protocol: protocol.to_owned().into(), field: field.into() };
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(field)))
}

fn address(network: &IpNetwork, field: &'static str) -> Expression<'static> {
    header(if network.is_ipv4() { "ip" } else { "ip6" }, field)
}

fn prefix(network: &IpNetwork) -> Expression<'static> {
    let addr = Box::new(text(network.network()));
    Expression::Named(NamedExpression::Prefix(Prefix { addr, len: network.prefix().into() }))
}
