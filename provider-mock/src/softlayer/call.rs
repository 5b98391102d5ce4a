//! A call of the API, read from an HTTP request: SLDN `article/rest.md`, and what the Python and Go clients send.

use serde_json::Value;

use super::error::ApiError;

/// What a caller wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Call {
    /// As `SoftLayer_Network_Subnet`.
    pub(crate) service: String,
    /// The initialisation parameter: an id or a UUID.
    pub(crate) id: Option<String>,
    /// As `getObject`.
    pub(crate) method: String,
    /// What comes after the method in the path: simple parameters, or a chain of relations.
    pub(crate) rest: Vec<String>,
    /// The arguments of the body.
    pub(crate) parameters: Vec<Value>,
    /// `objectMask`.
    pub(crate) mask: String,
    /// `objectFilter`.
    pub(crate) filter: String,
    /// `resultLimit`.
    pub(crate) limit: Option<Limit>,
    /// `.txt`: the answer is bare text.
    pub(crate) as_text: bool,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) offset: usize,
    pub(crate) count: usize,
}

/// The parts of an HTTP request that make a call.
pub(crate) struct HttpRequest<'r> {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub(crate) verb: &'r str,
    /// The path after the base URL, decoded.
    pub(crate) path: &'r str,
    /// The query's pairs, decoded.
    pub(crate) query: &'r [(String, String)],
    pub(crate) body: &'r [u8],
}

impl Call {
    /// Reads a call. The content type does not matter: every client sends another one.
    pub(crate) fn read(request: &HttpRequest<'_>) -> Result<Self, ApiError> {
        let mut call = Self::default();
        call.read_path(request.verb, request.path)?;
        for (name, value) in request.query {
            match name.as_str() {
                "objectMask" => call.mask.clone_from(value),
                "objectFilter" => call.filter.clone_from(value),
                "resultLimit" => call.limit = Limit::read(value),
                _ => (),
            }
        }
        // The body of a GET is ignored.
        if request.verb != "GET" {
            call.parameters = parameters(request.body)?;
        }
        Ok(call)
    }

    /// `Service[/id][/method[/rest…]][.json]`; without a method the verb says it.
    fn read_path(&mut self, verb: &str, path: &str) -> Result<(), ApiError> {
        let (path, extension) = match path.rsplit_once('.') {
            Some((path, extension @ ("json" | "txt"))) => (path, extension),
            Some((_, "xml")) => return Err(ApiError::public("This simulated cloud answers in JSON only.")),
            _ => (path, "json"),
        };
        self.as_text = extension == "txt";
        let mut segments =
            path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).peekable();
        self.service = segments.next().ok_or_else(ApiError::no_service)?;
        self.id = segments.next_if(|segment| is_id(segment));
        let spoken = segments.next();
        self.rest = segments.collect();
        self.method = match (spoken, verb) {
            (Some(method), "DELETE") if method != "deleteObject" => return Err(ApiError::bad_request()),
            (Some(method), _) => method,
            (None, "GET") => "getObject".to_owned(),
            (None, "POST") => "createObject".to_owned(),
            (None, "PUT") => "editObject".to_owned(),
            (None, "DELETE") => "deleteObject".to_owned(),
            (None, _) => return Err(ApiError::bad_request()),
        };
        Ok(())
    }

    /// The n-th argument: from the body, or from the path after the method.
    pub(crate) fn argument(&self, n: usize) -> Option<Value> {
        self.parameters.get(n).cloned().or_else(|| self.rest.get(n).cloned().map(Value::from))
    }

    /// The n-th argument as a text.
    pub(crate) fn text(&self, n: usize) -> Result<String, ApiError> {
        match self.argument(n) {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(ApiError::invalid(format!(
                "Parameter {} of {} is missing or no text.",
                n + 1,
                self.method
            ))),
        }
    }
}

impl Limit {
    /// `offset,count` or `count`. With a count of one the real API answers the first item whatever the offset.
    fn read(text: &str) -> Option<Self> {
        let (offset, count) = match text.split_once(',') {
            Some((offset, count)) => (offset.trim().parse().ok()?, count.trim().parse().ok()?),
            None => (0, text.trim().parse().ok()?),
        };
        Some(if count == 1 { Self { offset: 0, count } } else { Self { offset, count } })
    }
}

/// A number given as a number or as a text.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Numbers and UUIDs are ids, everything else is a method.
fn is_id(segment: &str) -> bool {
    let uuid =
        segment.len() == 36 && segment.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    uuid || segment.chars().all(|letter| letter.is_ascii_digit())
}

/// `{"parameters":[…]}`; no body is no arguments.
fn parameters(body: &[u8]) -> Result<Vec<Value>, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| ApiError::bad_request())?;
    match body.get("parameters") {
        Some(Value::Array(parameters)) => Ok(parameters.clone()),
        Some(_) => Err(ApiError::bad_request()),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(verb: &str, path: &str) -> (String, Option<String>, String, Vec<String>) {
        let call = Call::read(&HttpRequest { verb, path, query: &[], body: b"" }).unwrap();
        (call.service, call.id, call.method, call.rest)
    }

    fn names(
        service: &str,
        id: Option<&str>,
        method: &str,
        rest: &[&str],
    ) -> (String, Option<String>, String, Vec<String>) {
        let rest = rest.iter().map(|segment| (*segment).to_owned()).collect();
        (service.to_owned(), id.map(str::to_owned), method.to_owned(), rest)
    }

    #[test]
    fn every_spelling_of_a_method_is_the_same_call() {
        let edit = names("S", Some("12"), "editObject", &[]);
        assert_eq!(read("PUT", "S/12.json"), edit);
        assert_eq!(read("PUT", "S/12/editObject"), edit);
        assert_eq!(read("POST", "S/12/editObject.json"), edit);
        let delete = names("S", Some("12"), "deleteObject", &[]);
        assert_eq!(read("DELETE", "S/12.json"), delete);
        assert_eq!(read("GET", "S/12/deleteObject.json"), delete);
        assert_eq!(read("GET", "S/12"), names("S", Some("12"), "getObject", &[]));
        assert_eq!(read("POST", "S.json"), names("S", None, "createObject", &[]));
        assert_eq!(read("GET", "S/getAllObjects.json"), names("S", None, "getAllObjects", &[]));
    }

    #[test]
    fn a_uuid_is_an_id_and_what_follows_the_method_is_kept() {
        let uuid = "b3e7a000-0000-4000-8000-000000000001";
        assert_eq!(read("GET", &format!("S/{uuid}/getX")), names("S", Some(uuid), "getX", &[]));
        assert_eq!(read("GET", "S/getX/7/getY/8"), names("S", None, "getX", &["7", "getY", "8"]));
    }

    #[test]
    fn arguments_are_read_whatever_the_content_type_and_not_from_a_get() {
        let body = br#"{"parameters":["a,b",{"note":"x"}]}"#;
        let call = |verb| Call::read(&HttpRequest { verb, path: "S/1/m.json", query: &[], body }).unwrap();
        assert_eq!(call("POST").text(0), Ok("a,b".to_owned()));
        assert_eq!(call("PUT").parameters.len(), 2);
        assert_eq!(call("GET").parameters.len(), 0);
    }

    #[test]
    fn a_body_that_is_not_the_documented_one_is_a_bad_request() {
        for body in ["{", r#"{"parameters":1}"#] {
            let request = HttpRequest { verb: "POST", path: "S/m", query: &[], body: body.as_bytes() };
            assert_eq!(Call::read(&request), Err(ApiError::bad_request()));
        }
        let request = HttpRequest { verb: "DELETE", path: "S/1/getX", query: &[], body: b"" };
        assert_eq!(Call::read(&request), Err(ApiError::bad_request()));
    }

    #[test]
    fn a_limit_of_one_is_the_first_whatever_the_offset() {
        assert_eq!(Limit::read("2"), Some(Limit { offset: 0, count: 2 }));
        assert_eq!(Limit::read("4,2"), Some(Limit { offset: 4, count: 2 }));
        assert_eq!(Limit::read("4,1"), Some(Limit { offset: 0, count: 1 }));
    }
}
