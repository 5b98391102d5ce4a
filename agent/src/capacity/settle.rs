//! The operator's word on an order, and on the subnet it brought.

use provider::{
    Cause, OrderId, OrderStatus, Provider, ProviderError, ZoneId,
    order::{OrderEvent, OrderRefusal},
};
use store::Transaction;

use ipam::BlockCommand;

use super::{
    OrderKey, OrderRecord,
    act::{apply_to_blocks, rewritten},
    role::Role,
    term::Term,
    trouble::Trouble,
    view::{At, View},
};

/// What an operator decides about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// An ambiguous order is this one at the provider.
    Is(OrderId),
    /// Nothing was ordered for an ambiguous intent.
    NothingOrdered,
    /// Its subnet is to be emptied and returned.
    Drain,
    /// Its subnet is not to be returned after all.
    Undrain,
}

/// Why the operator's word was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// No such order here.
    #[error("there is no order {0} in this zone")]
    Unknown(OrderKey),
    /// Its state does not allow it.
    #[error("order {key} cannot be settled so")]
    Refused {
        /// Which.
        key: OrderKey,
        /// Why not.
        #[source]
        source: OrderRefusal,
    },
    /// That order at the provider is known as another one here.
    #[error("the provider's order {order} is {other} already")]
    Known {
        /// At the provider.
        order: OrderId,
        /// Here.
        other: OrderKey,
    },
    /// What that order brought is somewhere else.
    #[error("the provider's order {order} brought a subnet in zone {zone}, not in the zone of {key}")]
    Elsewhere {
        /// Which.
        key: OrderKey,
        /// At the provider.
        order: OrderId,
        /// Where its subnet is.
        zone: ZoneId,
    },
    /// The provider does not confirm the order.
    #[error("the provider does not say that there is an order {order}")]
    Unconfirmed {
        /// At the provider.
        order: OrderId,
        /// What it says.
        #[source]
        source: ProviderError,
    },
    /// The role is not here, or not yet.
    #[error("the orders of this zone are not looked after here: {role}")]
    NotHere {
        /// Where the role is, or what it waits for.
        role: String,
    },
    /// It could not be written down.
    #[error("the word on order {key} could not be written down")]
    NotWritten {
        /// Which.
        key: OrderKey,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopped,
}

impl<P: Provider> Role<P> {
    /// Takes the operator's word on an order.
    ///
    /// # Errors
    /// When there is no such order, its state or the provider speaks against it, or the word could not be written
    /// down.
    pub async fn settle(&mut self, key: OrderKey, settlement: Settlement) -> Result<(), SettleError> {
        let not_written =
            |trouble: Trouble| SettleError::NotWritten { key: key.clone(), source: trouble.into() };
        let (term, view) = match self.store_look().await.map_err(not_written)? {
            Ok(found) => found,
            Err(role) => return Err(SettleError::NotHere { role }),
        };
        let Some(at) = view.orders.get(&key) else { return Err(SettleError::Unknown(key)) };
        if let Settlement::Is(order) = &settlement {
            self.check(&view, &key, order).await?;
        }
        let word = self.take_word(&term, &view, at, settlement).await;
        self.look_at_once(&key, &at.value.pool);
        match word.map_err(not_written)? {
            Ok(()) => Ok(()),
            Err(source) => Err(SettleError::Refused { key, source }),
        }
    }

    /// A mistyped number must not become an order that is waited for in vain, nor one subnet two.
    async fn check(&self, view: &View, key: &OrderKey, order: &OrderId) -> Result<(), SettleError> {
        let is_it =
            |(other, at): &(&OrderKey, &At<OrderRecord>)| *other != key && at.value.order.id() == Some(order);
        if let Some((other, _)) = view.orders.iter().find(is_it) {
            return Err(SettleError::Known { order: order.clone(), other: other.clone() });
        }
        match self.parts.provider.order_status(order).await {
            Ok(OrderStatus::Delivered(subnet)) if subnet.zone != *self.zone() => {
                Err(SettleError::Elsewhere { key: key.clone(), order: order.clone(), zone: subnet.zone })
            }
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::Unconfirmed { order: order.clone(), source }),
        }
    }

    /// Writes the operator's word. The inner error says that the order's state does not allow it.
    pub(super) async fn take_word(
        &self,
        term: &Term,
        view: &View,
        at: &At<OrderRecord>,
        settlement: Settlement,
    ) -> Result<Result<(), OrderRefusal>, Trouble> {
        let (event, command) = match settlement {
            Settlement::Is(order) => (OrderEvent::OperatorFound(order), None),
            Settlement::NothingOrdered => (OrderEvent::OperatorForgot, None),
            Settlement::Drain => (OrderEvent::Drain, Some(BlockCommand::Drain)),
            Settlement::Undrain => (OrderEvent::Undrain, Some(BlockCommand::Undrain)),
        };
        let order = match at.value.order.apply(event, self.wall()) {
            Ok(order) => order,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let record = OrderRecord { order, ..at.value.clone() };
        let transaction = match command {
            Some(command) => apply_to_blocks(view, at, &command)?,
            None => Transaction::new(),
        };
        self.commit(term, rewritten(at, &record, transaction)?).await?;
        Ok(Ok(()))
    }
}
