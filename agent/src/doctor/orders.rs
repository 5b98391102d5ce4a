//! Does an order wait for an operator? Nothing more is ordered for its pool until it is settled.

use super::{bad, good, unknown};
use crate::api::{Desk, all_orders};
use ::api::{Examination, Order, OrderState};

const NAME: &str = "orders in doubt";

pub(super) async fn examine(desk: &Desk) -> Vec<Examination> {
    match all_orders(desk).await {
        Ok(orders) => judge(&orders),
        Err(silence) => vec![unknown(NAME, silence.because)],
    }
}

fn judge(orders: &[Order]) -> Vec<Examination> {
    let doubt = |order: &Order| match &order.state {
        OrderState::InDoubt { reason } => Some(in_doubt(&order.id, reason)),
        _ => None,
    };
    let found: Vec<_> = orders.iter().filter_map(doubt).collect();
    if found.is_empty() { vec![good(NAME, "none")] } else { found }
}

fn in_doubt(id: &str, reason: &str) -> Examination {
    let cure = format!(
        "`berth order show {id}` says what is known; then `berth order settle {id} --is NUMBER`, or \
         `berth order settle {id} --nothing-ordered`"
    );
    bad(NAME, format!("{id}: {reason}"), cure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::api::Verdict;

    fn order(state: OrderState) -> Order {
        Order {
            id: "default-1234-1".into(),
            provider_order: None,
            pool: "default".into(),
            zone: "1234".into(),
            prefix: 26,
            state,
            subnet: None,
            since: None,
            trouble: None,
            next_try: None,
        }
    }

    #[test]
    fn an_order_in_doubt_is_bad_and_its_cure_names_the_commands_that_settle_it() {
        let doubt = OrderState::InDoubt { reason: "2 orders may be it".into() };
        let examinations = judge(&[order(OrderState::Open), order(doubt)]);
        assert_eq!(examinations.len(), 1);
        assert_eq!(examinations[0].found, "default-1234-1: 2 orders may be it");
        let cure = examinations[0].cure.as_deref().unwrap_or_default();
        for command in ["order show", "order settle", "--is NUMBER", "--nothing-ordered"] {
            assert!(cure.contains(command), "{cure}");
        }
    }

    #[test]
    fn orders_that_go_on_by_themselves_are_good() {
        let examinations = judge(&[order(OrderState::Placed)]);
        assert_eq!((examinations.len(), examinations[0].verdict), (1, Verdict::Good));
    }
}
