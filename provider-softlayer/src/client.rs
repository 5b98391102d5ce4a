//! SoftLayer's REST protocol: authentication, masks, filters, paging, retries.
//!
//! Reads are repeated when nobody answered, when we were throttled, or when SoftLayer had an internal error. A change
//! is sent once; if its answer is lost the caller hears [`ProviderError::InDoubt`] and looks.
//!
//! Source: sldn.softlayer.com, articles "REST", "Object Masks", "Object Filters", "Using Result Limits".

mod budget;
mod judge;
#[cfg(test)]
pub(crate) mod recorded;
#[cfg(test)]
mod tests;

use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use provider::{Cause, ProviderError};
use reqwest::{Method, Url, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use tracing::debug;

use crate::{Credentials, NAME, wire::List};
use budget::Budget;
use judge::{Answer, Risk, judge};

/// The longest that one call may take. SoftLayer advises "a timeout of minutes"; its Go client waits 120 s.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(120);

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Tries of a read, the first included.
const TRIES: u32 = 4;
/// The wait before the second try; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Bytes that an answer may have; a page of a hundred subnets has some tens of kilobytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rows asked for at once. At most a few: SoftLayer fails with an internal error when asked for "too much data".
/// Never 1: with that limit the first row comes whatever the offset.
const PAGE: usize = 100;
/// Rows that a list may have; more is taken for a filter that was ignored.
const ROWS_MAX: usize = 20_000;

/// A client of the API, as one user.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    credentials: Credentials,
    budget: Mutex<Budget>,
    /// How far its clock was ahead of ours at the last answer.
    clock_ahead: std::sync::Mutex<Option<SignedDuration>>,
}

/// An endpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is not an address.
    #[error(
        "the SoftLayer endpoint '{endpoint}' is not an http or https address such as {}",
        crate::PRIVATE_ENDPOINT
    )]
    Malformed {
        /// What was given.
        endpoint: String,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS for the SoftLayer endpoint")]
    Tls {
        /// Why not.
        #[source]
        source: Cause,
    },
}

/// One call: which method of which object, and how much of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    service: &'static str,
    id: Option<String>,
    method: &'static str,
    arguments: Option<Value>,
    mask: Option<String>,
    filter: Option<Value>,
    page: Option<(usize, usize)>,
    anonymous: bool,
    doing: String,
}

impl Call {
    /// A call of a service's method; `doing` says in our words what it is for.
    pub(crate) fn new(service: &'static str, method: &'static str, doing: impl Into<String>) -> Self {
        Self {
            service,
            method,
            doing: doing.into(),
            id: None,
            arguments: None,
            mask: None,
            filter: None,
            page: None,
            anonymous: false,
        }
    }

    /// Of this object.
    pub(crate) fn of(mut self, id: impl ToString) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// With these arguments, in the documented order.
    pub(crate) fn with(mut self, arguments: Value) -> Self {
        self.arguments = Some(json!({ "parameters": arguments }));
        self
    }

    /// Answering only these properties.
    pub(crate) fn mask(mut self, properties: &str) -> Self {
        self.mask = Some(format!("mask[{properties}]"));
        self
    }

    /// Answering only rows that match.
    pub(crate) fn filter(mut self, filter: Value) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Without credentials: the metadata service knows the caller by its address.
    pub(crate) fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    fn path(&self) -> String {
        let id = self.id.as_ref().map(|id| format!("{id}/")).unwrap_or_default();
        format!("{}/{id}{}.json", self.service, self.method)
    }
}

impl Client {
    pub(crate) fn new(endpoint: &str, credentials: Credentials) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Malformed { endpoint: endpoint.to_owned() };
        let slash = if endpoint.ends_with('/') { "" } else { "/" };
        let base = Url::parse(&format!("{endpoint}{slash}")).map_err(|_| malformed())?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(malformed());
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(CALL_TIME_MAX)
            // A redirected POST would become a GET, and our credentials would go to another host.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| EndpointError::Tls { source: source.into() })?;
        Ok(Self {
            http,
            base,
            credentials,
            budget: Mutex::new(Budget::new(Instant::now())),
            clock_ahead: Default::default(),
        })
    }

    /// How far SoftLayer's clock is ahead of this host's, as its last answer showed.
    pub(crate) fn clock_ahead(&self) -> Option<SignedDuration> {
        *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API user's name.
    pub(crate) fn username(&self) -> &str {
        &self.credentials.username
    }

    /// Reads, repeating what may be repeated.
    pub(crate) async fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ProviderError> {
        let answer = self.read_answer(call).await?;
        understand(call, answer.value)
    }

    /// Reads every row of a list, page by page.
    pub(crate) async fn read_all<T: DeserializeOwned>(&self, call: &Call) -> Result<Vec<T>, ProviderError> {
        let mut rows = Vec::new();
        loop {
            let mut page = call.clone();
            page.page = Some((rows.len(), PAGE));
            let answer = self.read_answer(&page).await?;
            let List(mut more) = understand::<List<T>>(call, answer.value)?;
            let last = more.len() < PAGE;
            rows.append(&mut more);
            if last || answer.total.is_some_and(|total| rows.len() >= total) {
                return Ok(rows);
            }
            if rows.len() >= ROWS_MAX {
                return Err(malformed(call, format!("more than {ROWS_MAX} rows")));
            }
        }
    }

    /// Changes something: sent once, never repeated here.
    ///
    /// # Errors
    /// [`ProviderError::InDoubt`] when the change may have been made.
    pub(crate) async fn change<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ProviderError> {
        let answer = self.send(call, Risk::Change).await?;
        serde_json::from_value(answer.value).map_err(|source| in_doubt(call, source))
    }

    async fn read_answer(&self, call: &Call) -> Result<Answer, ProviderError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.send(call, Risk::Read).await {
                Err(ProviderError::Unavailable { .. } | ProviderError::Throttled { .. }) => (),
                settled => return settled,
            }
            sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause *= 2;
        }
        self.send(call, Risk::Read).await
    }

    async fn send(&self, call: &Call, risk: Risk) -> Result<Answer, ProviderError> {
        self.wait_for_a_turn().await;
        let outcome = self.exchange(call, risk).await;
        let throttled = matches!(outcome, Err(ProviderError::Throttled { .. }));
        self.budget.lock().await.learn(throttled, Instant::now());
        debug!(
            call = call.path(),
            outcome = outcome.as_ref().map_or_else(ToString::to_string, |_| "ok".into())
        );
        outcome
    }

    async fn wait_for_a_turn(&self) {
        let wait = self.budget.lock().await.reserve(Instant::now());
        sleep(wait).await;
    }

    async fn exchange(&self, call: &Call, risk: Risk) -> Result<Answer, ProviderError> {
        let request = self.request(call)?;
        let response = request.send().await.map_err(|error| lost(call, risk, error))?;
        let status = response.status().as_u16();
        let number = |name: &str| response.headers().get(name)?.to_str().ok()?.trim().parse::<usize>().ok();
        if let Some(ahead) = clock_ahead(response.headers(), Timestamp::now()) {
            *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        let (total, retry_after) = (number("SoftLayer-Total-Items"), number("Retry-After"));
        let body = read_limited(response).await.map_err(|cause| lost(call, risk, cause))?;
        let value =
            judge(&judge::Received { status, body: &body, retry_after }, risk, self.username(), &call.doing)?;
        Ok(Answer { value, total })
    }

    fn request(&self, call: &Call) -> Result<reqwest::RequestBuilder, ProviderError> {
        let mut url = self.base.join(&call.path()).map_err(|source| malformed(call, source))?;
        if let Some(mask) = &call.mask {
            url.query_pairs_mut().append_pair("objectMask", mask);
        }
        if let Some(filter) = &call.filter {
            url.query_pairs_mut().append_pair("objectFilter", &filter.to_string());
        }
        if let Some((offset, limit)) = call.page {
            url.query_pairs_mut().append_pair("resultLimit", &format!("{offset},{limit}"));
        }
        // A method with arguments is called by POST, one without by GET, changes too (`cancelService`).
        let method = if call.arguments.is_some() { Method::POST } else { Method::GET };
        let mut request = self.http.request(method, url).header(header::ACCEPT, "application/json");
        if let Some(arguments) = &call.arguments {
            request = request.json(arguments);
        }
        if !call.anonymous {
            request = request.basic_auth(self.username(), Some(self.credentials.api_key.expose()));
        }
        Ok(request)
    }
}

/// How far the clock of whoever sent these headers is ahead of `now`: `Date` in the form of RFC 9110, 5.6.7.
fn clock_ahead(headers: &header::HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().duration_since(now))
}

/// Reads a body up to the limit.
async fn read_limited(mut response: reqwest::Response) -> Result<Vec<u8>, Cause> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What it means that no whole answer came.
fn lost(call: &Call, risk: Risk, error: impl Into<Cause>) -> ProviderError {
    let cause = error.into();
    // Without a connection nothing was sent.
    let never_sent = cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect);
    match risk {
        Risk::Change if !never_sent => {
            ProviderError::InDoubt { provider: NAME, doing: call.doing.clone(), source: cause }
        }
        Risk::Change | Risk::Read => {
            ProviderError::Unavailable { provider: NAME, doing: call.doing.clone(), source: cause }
        }
    }
}

fn understand<T: DeserializeOwned>(call: &Call, value: Value) -> Result<T, ProviderError> {
    serde_json::from_value(value).map_err(|source| malformed(call, source))
}

fn malformed(call: &Call, source: impl Into<Cause>) -> ProviderError {
    ProviderError::Malformed { provider: NAME, doing: call.doing.clone(), source: source.into() }
}

fn in_doubt(call: &Call, source: impl Into<Cause>) -> ProviderError {
    ProviderError::InDoubt { provider: NAME, doing: call.doing.clone(), source: source.into() }
}
