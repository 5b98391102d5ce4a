//! Figures for Prometheus, in OpenMetrics text, at `/metrics`.

use ::api::Counts;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The type that Prometheus expects. Source: OpenMetrics 1.0.0, "Overall Structure".
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All figures. Clones count the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    addresses: Family<AddressLabels, Gauge>,
    provider_calls: Family<CallLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AddressLabels {
    pool: String,
    zone: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    provider: &'static str,
    call: &'static str,
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("berth");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The agent's version", build);
        let addresses = Family::default();
        registry.register("addresses", "Addresses by pool, zone and state", addresses.clone());
        let provider_calls = Family::default();
        registry.register("provider_calls", "Calls to the provider by outcome", provider_calls.clone());
        Self { registry: Arc::new(registry), addresses, provider_calls }
    }
}

impl Metrics {
    /// Sets the addresses of a pool in a zone.
    pub fn addresses(&self, pool: &str, zone: &str, counts: &Counts) {
        let Counts {
            assigned,
            cooling,
            free,
            leaving,
            not_retaken,
            unheld,
            elsewhere,
            quarantined,
            set_aside,
        } = *counts;
        let states = [
            ("assigned", assigned),
            ("cooling", cooling),
            ("free", free),
            ("leaving", leaving),
            ("not_retaken", not_retaken),
            ("unheld", unheld),
            ("elsewhere", elsewhere),
            ("quarantined", quarantined),
            ("set_aside", set_aside),
        ];
        for (state, count) in states {
            let labels = AddressLabels { pool: pool.into(), zone: zone.into(), state };
            self.addresses.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Counts a call to the provider.
    pub fn provider_called(&self, provider: &'static str, call: &'static str, succeeded: bool) {
        let outcome = if succeeded { "ok" } else { "error" };
        self.provider_calls.get_or_create(&CallLabels { provider, call, outcome }).inc();
    }

    /// All figures as text.
    pub fn text(&self) -> String {
        let mut figures = String::new();
        // Writing to a string cannot fail; a figure that cannot be written is missing from the text.
        let _ = text::encode(&mut figures, &self.registry);
        figures
    }
}

/// Listens at `address` for whoever collects the figures.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers `/metrics` until `stop`.
pub async fn serve(listener: TcpListener, metrics: Metrics, stop: CancellationToken) -> io::Result<()> {
    let answer = async move || ([(CONTENT_TYPE, OPENMETRICS)], metrics.text());
    let router = Router::new().route("/metrics", get(answer));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn figures_are_named_by_pool_zone_and_state() {
        let metrics = Metrics::default();
        metrics.addresses("default", "1404267", &Counts { assigned: 2, ..Counts::default() });
        metrics.provider_called("SoftLayer", "subnets", true);
        metrics.provider_called("SoftLayer", "subnets", true);
        metrics.provider_called("SoftLayer", "place_order", false);
        let text = metrics.text();
        let mut lines: Vec<_> = text.lines().filter(|line| !line.ends_with(" 0")).collect();
        lines.sort_unstable();
        expect![[r##"
            # EOF
            # HELP berth_addresses Addresses by pool, zone and state.
            # HELP berth_build The agent's version.
            # HELP berth_provider_calls Calls to the provider by outcome.
            # TYPE berth_addresses gauge
            # TYPE berth_build info
            # TYPE berth_provider_calls counter
            berth_addresses{pool="default",zone="1404267",state="assigned"} 2
            berth_build_info{version="0.1.0"} 1
            berth_provider_calls_total{provider="SoftLayer",call="place_order",outcome="error"} 1
            berth_provider_calls_total{provider="SoftLayer",call="subnets",outcome="ok"} 2"##]]
        .assert_eq(&lines.join("\n"));
    }
}
