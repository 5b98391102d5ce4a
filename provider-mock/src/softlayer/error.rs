//! The errors of the API: an HTTP status, an exception code and a text.
//!
//! Codes and texts are those of SoftLayer's documentation and of issues about its clients. The HTTP status of
//! errors that nobody recorded is 500, like most that were.

use serde_json::{Value, json};

/// An error as the API answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) text: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, text: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), text: text.into() }
    }

    pub(crate) fn access_denied() -> Self {
        Self::new(401, "SoftLayer_Exception_Public", "Access Denied. ")
    }

    /// Also for what exists but belongs to somebody else.
    pub(crate) fn no_object(id: &str) -> Self {
        let by_uuid = id.contains('-');
        let what = if by_uuid { "global identifier" } else { "id" };
        Self::new(
            404,
            "SoftLayer_Exception_ObjectNotFound",
            format!("Unable to find object with {what} of '{id}'."),
        )
    }

    pub(crate) fn not_found(text: &str) -> Self {
        Self::new(404, "SoftLayer_Exception_NotFound", text)
    }

    pub(crate) fn no_method(method: &str) -> Self {
        let text = format!("Function (\"{method}\") is not a valid method for this service.");
        Self::new(500, "SoftLayer_Exception_Public", text)
    }

    pub(crate) fn no_service() -> Self {
        Self::new(500, "SoftLayer_Exception_Public", "Service does not exist")
    }

    pub(crate) fn bad_request() -> Self {
        Self::new(400, "SoftLayer_Exception_WebService_BadRequest", "Bad request")
    }

    pub(crate) fn bad_property(property: &str, class: &str) -> Self {
        let text = format!("Property '{property}' not valid for '{class}'.");
        Self::new(500, "SoftLayer_Exception_WebService_ObjectMask", text)
    }

    pub(crate) fn mask_syntax(line: usize, column: usize, found: &str) -> Self {
        let text = format!("Error on line {line} at column {column}: Expected PROPERTY, got '{found}'");
        Self::new(500, "SoftLayer_Exception_Common_Parser", text)
    }

    pub(crate) fn rate_limit(limit: u32) -> Self {
        let text = format!("Rate limit of {limit} requests for every 1 second(s) exceeded.");
        Self::new(500, "SoftLayer_Exception_WebService_RateLimitExceeded", text)
    }

    pub(crate) fn internal() -> Self {
        Self::new(500, "SoftLayer_Exception_Public", "Internal Error")
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(500, "SoftLayer_Exception_InvalidValue", text)
    }

    pub(crate) fn public(text: impl Into<String>) -> Self {
        Self::new(500, "SoftLayer_Exception_Public", text)
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.text, "code": self.code })
    }
}
