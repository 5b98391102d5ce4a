//! The steps of orders: each is written down before it reaches the cloud, and may be repeated.

use std::collections::BTreeSet;

use ipam::{Block, BlockCommand, PoolName};
use provider::{
    CloudSubnet, OrderIntent, OrderRequest, OrderStatus, Provider, ProviderError, ZoneId,
    order::{Order, OrderEvent, OrderState},
};
use store::{
    Transaction,
    layout::{self, Item},
};
use tracing::{info, warn};

use super::{
    OrderKey, OrderRecord, Settlement, Writer,
    decide::{Action, has_passed},
    record::TakesRecord,
    role::Role,
    term::{Term, compared},
    trouble::Trouble,
    view::{At, View},
};

impl<P: Provider> Role<P> {
    pub(super) async fn act(&mut self, term: &Term, view: &View, action: &Action) -> Result<(), Trouble> {
        match action {
            Action::Adopt { pool, subnet } => self.adopt(term, view, pool, subnet).await,
            Action::Order { pool, request } => self.order(term, view, pool, request).await,
            Action::Seek(key) => self.seek(term, view, found(view, key)?).await,
            Action::Poll(key) => self.poll(term, found(view, key)?).await,
            Action::Open(key) => self.open(term, view, found(view, key)?).await,
            Action::Drain(key) => self.drain(term, view, found(view, key)?).await,
            Action::BeginReturn(key) => self.begin_return(term, view, found(view, key)?).await,
            Action::Return(key) => self.give_back(term, view, found(view, key)?).await,
            Action::Withhold(key) => {
                warn!(order = %key, "the cloud does not show an open subnet: nothing more of it is handed out");
                self.mark(term, view, found(view, key)?, &BlockCommand::Drain).await
            }
            Action::Restore(key) => {
                info!(order = %key, "the cloud shows a subnet again: it is handed out again");
                self.mark(term, view, found(view, key)?, &BlockCommand::Undrain).await
            }
        }
    }

    async fn adopt(
        &self,
        term: &Term,
        view: &View,
        pool: &PoolName,
        subnet: &CloudSubnet,
    ) -> Result<(), Trouble> {
        let order = Order::adopted(subnet, self.wall());
        let record = self.new_record(view, pool, order);
        info!(%pool, subnet = %subnet.cidr, "adopting a subnet that is tagged for this cluster");
        self.commit(term, new(&record, Transaction::new())?).await.map(drop)
    }

    async fn order(
        &mut self,
        term: &Term,
        view: &View,
        pool: &PoolName,
        request: &OrderRequest,
    ) -> Result<(), Trouble> {
        let quote = self.parts.provider.verify_order(request).await?;
        let intent =
            OrderIntent { request: request.clone(), price: quote.price, intended_at: self.provider_time() };
        let record = self.new_record(view, pool, Order::intended(intent.clone()));
        let term = self.confirming(term);
        let revision = self.commit(&term, new(&record, without_failed(view, pool))?).await?;
        info!(%pool, order = %record.key(), fee = quote.monthly_fee, "ordering {request}");

        self.check_term(&term)?;
        let key = record.key();
        let at = At { value: record, revision };
        let placed = self.parts.provider.place_order(&intent).await;
        // Noted after the call: from now on it can take at most as long as a call takes to have its effect.
        self.sent.insert(key, self.parts.clock.now());
        match placed {
            Ok(placed) => self.write_event(&term, &at, OrderEvent::Placed(placed.order)).await,
            // Looked for in the next pass.
            Err(error @ ProviderError::InDoubt { .. }) => Err(error.into()),
            Err(error) => {
                self.write_event(&term, &at, OrderEvent::Declined(error.to_string())).await?;
                Err(error.into())
            }
        }
    }

    /// Looks for the order that an intent led to.
    async fn seek(&self, term: &Term, view: &View, at: &At<OrderRecord>) -> Result<(), Trouble> {
        let Some(intent) = at.value.order.intent() else { return Ok(()) };
        // Asked before the answer is read: what is not shown now cannot have been sent after this.
        let silent = self.is_silent(&at.value, view);
        let others: BTreeSet<_> = view
            .orders
            .values()
            .filter(|other| other.value.key() != at.value.key())
            .flat_map(|other| other.value.order.known_ids())
            .collect();
        let candidates = self.parts.provider.find_orders(intent).await?.into_iter().map(|found| found.order);
        let candidates: Vec<_> = candidates.filter(|order| !others.contains(order)).collect();
        let event = match (candidates.as_slice(), silent) {
            ([order], _) => OrderEvent::Placed(order.clone()),
            ([], Silence::Certain) => OrderEvent::Declined("the provider never received it".to_owned()),
            ([], Silence::NotYet) => {
                return Err(Trouble::Waiting(
                    "the answer to the order was lost, and the provider does not show it yet".to_owned(),
                ));
            }
            ([], Silence::Never) => OrderEvent::Doubted {
                reason: format!("host {} may still be about to place it", at.value.writer.host),
                candidates,
            },
            (several, _) => OrderEvent::Doubted {
                reason: format!("{} orders at the provider may be it", several.len()),
                candidates,
            },
        };
        self.write_event(term, at, event).await
    }

    /// Whether an intent that the provider does not show can no longer become an order.
    fn is_silent(&self, record: &OrderRecord, view: &View) -> Silence {
        let ours = record.writer.host == self.me.host;
        let evicted = |writer: &Writer| {
            view.hosts.get(&writer.host).is_none_or(|host| host.record.incarnation > writer.incarnation)
        };
        if !ours && !evicted(&record.writer) {
            return Silence::Never;
        }
        let timing = &self.parts.timing;
        // A former process was dead when this one took the role.
        let quiet_since = match record.writer.process == self.me.process {
            true => self.sent.get(&record.key()).copied().or(self.since),
            false => self.since,
        };
        match quiet_since {
            Some(since)
                if has_passed(self.parts.clock.now(), since, timing.call_max + timing.staleness_max) =>
            {
                Silence::Certain
            }
            _ => Silence::NotYet,
        }
    }

    async fn poll(&self, term: &Term, at: &At<OrderRecord>) -> Result<(), Trouble> {
        let OrderState::Placed(order) = &at.value.order.state else { return Ok(()) };
        match self.parts.provider.order_status(order).await? {
            OrderStatus::Pending(_) => Ok(()),
            OrderStatus::Delivered(subnet) => self.write_event(term, at, OrderEvent::Delivered(subnet)).await,
            OrderStatus::Declined(reason) => {
                let reason = format!("the provider will not deliver it: {reason}");
                self.write_event(term, at, OrderEvent::Declined(reason)).await
            }
        }
    }

    async fn drain(&self, term: &Term, view: &View, at: &At<OrderRecord>) -> Result<(), Trouble> {
        info!(order = %at.value.key(), "emptying a subnet that was not used for long");
        self.take_word(term, view, at, Settlement::Drain).await?.map_err(|_| Trouble::Overtaken)
    }

    /// Does the same to every block of a subnet whose order stays as it is.
    async fn mark(
        &self,
        term: &Term,
        view: &View,
        at: &At<OrderRecord>,
        command: &BlockCommand,
    ) -> Result<(), Trouble> {
        let transaction = apply_to_blocks(view, at, command)?;
        let transaction = transaction.unchanged(at.value.key().key(), at.revision);
        self.commit(term, transaction).await.map(drop)
    }

    async fn begin_return(&self, term: &Term, view: &View, at: &At<OrderRecord>) -> Result<(), Trouble> {
        let record = after(&at.value, OrderEvent::Return, self.wall())?;
        let transaction = apply_to_blocks(view, at, &BlockCommand::Return)?;
        self.commit(term, rewritten(at, &record, transaction)?).await.map(drop)
    }

    /// Cancels a subnet whose blocks are final, then forgets it, with the take numbers of its blocks kept.
    async fn give_back(&self, term: &Term, view: &View, at: &At<OrderRecord>) -> Result<(), Trouble> {
        let OrderState::Returning(subnet) = &at.value.order.state else { return Ok(()) };
        self.check_term(term)?;
        self.parts.provider.return_subnet(&subnet.id).await?;
        let (takes_key, takes) = self.takes().await?;
        let highest = view.blocks_of(subnet.cidr).map(|block| block.value.take_number()).max().unwrap_or(0);
        let raised = TakesRecord { highest: takes.as_ref().map_or(0, |at| at.value.highest).max(highest) };
        let mut transaction = compared(Transaction::new(), takes_key.clone(), takes.map(|at| at.revision));
        transaction = transaction.put(takes_key.clone(), layout::encode(&takes_key, &raised)?);
        transaction = transaction.delete(Item::Subnet(subnet.cidr).key());
        for block in view.blocks_of(subnet.cidr) {
            let key = block_key(&at.value.zone, &block.value);
            transaction = transaction.unchanged(key.clone(), block.revision).delete(key);
        }
        let record = after(&at.value, OrderEvent::Returned, self.wall())?;
        info!(subnet = %subnet.cidr, "returned a subnet");
        self.commit(term, rewritten(at, &record, transaction)?).await.map(drop)
    }

    /// Writes what happened to an order.
    pub(super) async fn write_event(
        &self,
        term: &Term,
        at: &At<OrderRecord>,
        event: OrderEvent,
    ) -> Result<(), Trouble> {
        let record = after(&at.value, event, self.wall())?;
        info!(order = %record.key(), state = record.order.state.name(), "an order went on");
        self.commit(term, rewritten(at, &record, Transaction::new())?).await.map(drop)
    }

    fn new_record(&self, view: &View, pool: &PoolName, order: Order) -> OrderRecord {
        let last = view.orders_of(pool).map(|record| record.number).max().unwrap_or(0);
        let zone = self.zone().clone();
        OrderRecord { pool: pool.clone(), zone, number: last + 1, writer: self.me.clone(), order }
    }
}

/// Whether an intent's sender can still send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// It cannot, and what it sent would show by now.
    Certain,
    /// What it sent may not show yet.
    NotYet,
    /// Nobody can say: it has neither given up the role nor been evicted.
    Never,
}

fn found<'a>(view: &'a View, key: &OrderKey) -> Result<&'a At<OrderRecord>, Trouble> {
    view.orders.get(key).ok_or(Trouble::Overtaken)
}

pub(super) fn after(
    record: &OrderRecord,
    event: OrderEvent,
    now: jiff::Timestamp,
) -> Result<OrderRecord, Trouble> {
    // A refusal means that the order went on without us.
    let order = record.order.apply(event, now).map_err(|_| Trouble::Overtaken)?;
    Ok(OrderRecord { order, ..record.clone() })
}

/// The write of a record that must not be there yet.
fn new(record: &OrderRecord, transaction: Transaction) -> Result<Transaction, Trouble> {
    let key = record.key().key();
    let value = layout::encode(&key, record)?;
    Ok(transaction.absent(key.clone()).put(key, value))
}

/// The write of a record over the one that was read.
pub(super) fn rewritten(
    at: &At<OrderRecord>,
    record: &OrderRecord,
    transaction: Transaction,
) -> Result<Transaction, Trouble> {
    let key = record.key().key();
    let value = layout::encode(&key, record)?;
    Ok(transaction.unchanged(key.clone(), at.revision).put(key, value))
}

/// Forgets failures that ordered nothing, when the pool is tried anew.
fn without_failed(view: &View, pool: &PoolName) -> Transaction {
    let failed = |record: &&OrderRecord| matches!(&record.order.state, OrderState::Failed { orders, .. } if orders.is_empty());
    view.orders_of(pool)
        .filter(failed)
        .fold(Transaction::new(), |transaction, record| transaction.delete(record.key().key()))
}

pub(super) fn apply_to_blocks(
    view: &View,
    at: &At<OrderRecord>,
    command: &BlockCommand,
) -> Result<Transaction, Trouble> {
    let mut transaction = Transaction::new();
    let Some(subnet) = at.value.order.subnet() else { return Ok(transaction) };
    for block in view.blocks_of(subnet.cidr) {
        let step =
            block.value.apply(command.clone()).map_err(|refusal| Trouble::Waiting(refusal.to_string()))?;
        let key = block_key(&at.value.zone, &block.value);
        transaction = transaction.unchanged(key.clone(), block.revision);
        if step.changed {
            let value = layout::encode(&key, &step.block)?;
            transaction = transaction.put(key, value);
        }
    }
    Ok(transaction)
}

pub(super) fn block_key(zone: &ZoneId, block: &Block) -> store::Key {
    Item::Block { zone: zone.to_string(), subnet: block.id().subnet, index: block.id().index }.key()
}
