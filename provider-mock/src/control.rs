//! The control endpoint: HTTP and JSON, beside the API and no part of it.
//!
//! | request | body | does |
//! |---|---|---|
//! | `GET /state` | | shows everything there is |
//! | `GET /requests` | | shows the API calls so far |
//! | `GET /faults` | | shows the faults in force |
//! | `POST /faults` | a [`Fault`](crate::Fault) | adds one; answers `{"id":1}` |
//! | `DELETE /faults/{id}`, `DELETE /faults` | | removes one, all |
//! | `POST /clock/advance` | `{"secs":3600}` | puts the clock forward; what is due happens |
//! | `PUT /delays` | [`Delays`](crate::Delays) | for what begins from now on |
//! | `PUT /limits` | `{"requests_per_second":5}` | throttles |
//! | `POST /machines` | a [`MachineSpec`](crate::MachineSpec) | adds one; answered when its wires are there |
//! | `DELETE /machines/{hostname}` | | deletes one, with its wires |
//! | `PUT /machines/{hostname}/power` | `{"state":"HALTED"}` | what the API says of it; the wires stay |
//! | `POST /machines/{hostname}/transactions` | `{"name":"REBOOT"}` | begins one; it ends by itself |
//! | `POST /reset` | | the cloud as described, no faults |
//!
//! A fault: `{"method":"placeOrder","next":10,"hits":3,"effect":{"kind":"cut_after"}}`. Effects are those of
//! [`Effect`](crate::Effect): `delay` (`ms`), `error` (`status`, `code`, `text`), `internal_error`,
//! `internal_error_as200`, `empty_body`, `unauthorized`, `rate_limited`, `cut_before`, `cut_after`,
//! `silent_before`, `silent_after`, `stale` (`ms`). Errors are answered as `{"error":"text"}` with 400 or 404.
