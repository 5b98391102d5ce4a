//! What an answer means: a pure function of status and body.
//!
//! Errors come as `{"error": text, "code": "SoftLayer_Exception_…"}` with status 401, 404, 400 or 500, and also with
//! status 200 (`Internal Error`, or an empty body: "you asked for too much data").
//! Sources: softlayer-go `session/rest.go` and `sl/errors.go`; sldn.softlayer.com, article "Exception Handling".

use std::time::Duration;

use provider::ProviderError;
use serde_json::Value;

use crate::NAME;

/// How long to wait when SoftLayer throttles without saying: its window is one second.
const THROTTLED_FOR: Duration = Duration::from_secs(2);

/// Whether a call may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Risk {
    /// It only asked.
    Read,
    /// It may have.
    Change,
}

/// An answer that is none of the errors.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) value: Value,
    /// Rows that there are, before the limit.
    pub(super) total: Option<usize>,
}

/// What came over the wire.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// The header `Retry-After`, in seconds.
    pub(super) retry_after: Option<usize>,
}

/// The value that was answered, or what went wrong.
pub(super) fn judge(
    received: &Received<'_>,
    risk: Risk,
    user: &str,
    doing: &str,
) -> Result<Value, ProviderError> {
    let (provider, doing) = (NAME, doing.to_owned());
    let verdict = match read(received) {
        Ok(value) => return Ok(value),
        Err(verdict) => verdict,
    };
    Err(match verdict {
        Verdict::Unauthorized(reason) => {
            ProviderError::Unauthorized { provider, doing, user: user.to_owned(), reason }
        }
        Verdict::Gone(what) => ProviderError::Gone { provider, doing, what },
        Verdict::Throttled => {
            let asked = received.retry_after.map(|seconds| Duration::from_secs(seconds as u64));
            ProviderError::Throttled { provider, doing, retry_after: asked.unwrap_or(THROTTLED_FOR) }
        }
        Verdict::Busy(reason) => ProviderError::Busy { provider, doing, reason },
        Verdict::Refused(reason) => ProviderError::Refused { provider, doing, reason },
        Verdict::Failed(reason) => match risk {
            Risk::Read => ProviderError::Unavailable { provider, doing, source: reason.into() },
            Risk::Change => ProviderError::InDoubt { provider, doing, source: reason.into() },
        },
    })
}

/// What an error means for us.
enum Verdict {
    Unauthorized(String),
    Gone(String),
    Throttled,
    Busy(String),
    /// Understood and declined: nothing was changed.
    Refused(String),
    /// Something broke on their side: a change may have been made.
    Failed(String),
}

fn read(received: &Received<'_>) -> Result<Value, Verdict> {
    let text = String::from_utf8_lossy(received.body);
    let value = serde_json::from_str::<Value>(&text);
    if let Ok(Value::Object(object)) = &value
        && let (Some(Value::String(error)), Some(Value::String(code))) =
            (object.get("error"), object.get("code"))
    {
        return Err(by_code(received.status, code, error.trim()));
    }
    match (received.status, value) {
        (200..=299, Ok(value)) => Ok(value),
        (200..=299, Err(_)) if text.trim().is_empty() => Err(Verdict::Failed("an empty answer".to_owned())),
        // Plain strings may come without their quotes; markup or a torn document is none.
        (200..=299, Err(_)) if !text.trim_start().starts_with(['{', '[', '"', '<']) => {
            Ok(Value::String(text.trim().to_owned()))
        }
        (200..=299, Err(error)) => Err(Verdict::Failed(format!("an answer that is not JSON: {error}"))),
        (status, _) => Err(by_status(status, &shortened(&text))),
    }
}

fn by_code(status: u16, code: &str, error: &str) -> Verdict {
    let both = || format!("{error} ({code})");
    match code.strip_prefix("SoftLayer_Exception").unwrap_or(code) {
        "_WebService_RateLimitExceeded" => Verdict::Throttled,
        "_ObjectNotFound" | "_NotFound" => Verdict::Gone(missing(error)),
        "_Account_Authentication_AccessTokenValidation" => Verdict::Unauthorized(both()),
        "_NotReady" | "_Network_Timeout" => Verdict::Busy(both()),
        object if object.ends_with("_ObjectInInvalidState") => Verdict::Busy(both()),
        object if object.ends_with("_ObjectNotFound") => Verdict::Gone(missing(error)),
        _ if is_busy(error) => Verdict::Busy(both()),
        // SoftLayer's general code: with this text it failed, with any other it declined.
        "_Public" if error == "Internal Error" => Verdict::Failed(both()),
        _ if status == 401 || is_denial(error) => Verdict::Unauthorized(both()),
        _ if matches!(status, 404 | 429) => by_status(status, error),
        "" if error == "Failed to exchange token" => Verdict::Failed(both()),
        "_Public" => Verdict::Refused(both()),
        known if is_refusal(known) => Verdict::Refused(both()),
        _ if (400..=499).contains(&status) => Verdict::Refused(both()),
        // A code we have not met is no promise that nothing happened.
        _ => Verdict::Failed(both()),
    }
}

fn by_status(status: u16, text: &str) -> Verdict {
    match status {
        401 => Verdict::Unauthorized(text.to_owned()),
        404 => Verdict::Gone(missing(text)),
        429 => Verdict::Throttled,
        400..=499 if status != 408 => Verdict::Refused(format!("HTTP {status}: {text}")),
        _ => Verdict::Failed(format!("HTTP {status}: {text}")),
    }
}

/// The codes that say no before anything was done.
fn is_refusal(code: &str) -> bool {
    const REFUSALS: [&str; 10] = [
        "_WebService_BadRequest",
        "_WebService_ObjectMask",
        "_Common_Parser",
        "_InvalidValue",
        "_Public_Validation",
        "_InvalidData",
        "_AccessDenied",
        "_ObjectDuplication",
        "_Network_SecurityGroup_DeleteGroupFailed",
        "_Unavailable",
    ];
    REFUSALS.contains(&code) || code == "_Order" || code.starts_with("_Order_")
}

/// The texts of a local load balancer that another change is under way at. Source: terraform-provider-ibm,
/// `resource_ibm_lb_service.go`, which tries again after them.
fn is_busy(error: &str) -> bool {
    const TEXTS: [&str; 3] = [
        "There was a problem saving your configuration to the load balancer.",
        "The selected group could not be removed from the load balancer.",
        "The resource '480' is already in use.",
    ];
    TEXTS.iter().any(|text| error.contains(text))
}

/// The texts by which a wrong key is refused; the code with them is the general one.
fn is_denial(error: &str) -> bool {
    error.starts_with("Access Denied") || error.starts_with("Invalid API token") || error == "Expired Token"
}

/// `Unable to find object with id of '1805545'.` as a thing that is missing.
fn missing(error: &str) -> String {
    match error.split('\'').nth(1) {
        Some(id) => format!("object '{id}'"),
        None if error.is_empty() => "the object".to_owned(),
        None => format!("the object ({error})"),
    }
}

/// Enough of a foreign page to recognise it.
fn shortened(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
