//! What became of a request that was not answered as it should be.
//!
//! The one question that matters is whether it may have been executed, or may still be. Only what is shown
//! below to be decided before execution counts as refused; everything else is in doubt. The names of etcd's
//! errors are those of `api/v3rpc/rpctypes/error.go`, where they arise was read in `etcdserver/v3_server.go`
//! and `etcdserver/apply.go` of 3.4, and has not changed in 3.5.

use std::error::Error;
use std::fmt;
use std::io;

use tonic::{Code, ConnectError};

use crate::StoreError;

/// Why, for people.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Fault {
    /// It never left, or was turned away unseen. May be sent again, to another member.
    Untouched(Cause),
    /// It may have been executed, or may be later.
    InDoubt(Cause),
    /// It was turned away, and will be until somebody does something about it.
    Refused(StoreError),
    /// There is no room. Whether it was executed is open; that it will not be later is certain.
    NoRoom(Cause),
    /// The revision asked for is forgotten.
    Compacted,
    /// The lease is gone.
    NoLease,
}

impl Fault {
    /// What an error of the client means.
    pub(super) fn of(error: etcd_client::Error, endpoint: &str) -> Fault {
        match error {
            etcd_client::Error::GRpcStatus(status) => Fault::of_status(status, endpoint),
            // So the client says that a lease was gone when it was to be kept alive.
            etcd_client::Error::LeaseKeepAliveError(said) if said == "lease not found" => Fault::NoLease,
            // Made while the request is still being put together.
            error @ (etcd_client::Error::InvalidArgs(_)
            | etcd_client::Error::InvalidUri(_)
            | etcd_client::Error::InvalidMetadataValue(_)
            | etcd_client::Error::EndpointError(_)
            | etcd_client::Error::EndpointsNotManaged) => Fault::Untouched(said(endpoint, &error)),
            etcd_client::Error::TransportError(error) => Fault::of_transport(&error, endpoint, &error),
            error => Fault::InDoubt(said(endpoint, &error)),
        }
    }

    fn of_status(status: tonic::Status, endpoint: &str) -> Fault {
        let cause = || said(endpoint, &status.message());
        // etcd's own answers begin so, whatever their code. The rest is what was heard of the connection:
        // there even a code such as PermissionDenied may be the transport's.
        let Some(words) = status.message().strip_prefix("etcdserver: ") else {
            return match status.source() {
                Some(source) => Fault::of_transport(source, endpoint, &status.message()),
                None => Fault::InDoubt(cause()),
            };
        };
        match (status.code(), words) {
            // Checked before anything is proposed.
            (_, "too many requests") => Fault::Untouched(cause()),
            // The interceptor's answer to `hasleader`, before the request is looked at.
            (_, "no leader") => Fault::Untouched(cause()),
            // Found when the request is about to be executed, and then it is not: the user's rights changed
            // since the token was given. A new token helps.
            (_, "revision of auth store is old") => Fault::Untouched(cause()),
            // The token is checked before anything is proposed. The client has tried a new one already.
            (Code::Unauthenticated, _) => Fault::Refused(StoreError::Denied(cause())),
            // Checked before and at execution, instead of it.
            (Code::PermissionDenied, _) => Fault::Refused(StoreError::Denied(cause())),
            // Not the request's answer but that of the authentication before it.
            (
                _,
                "authentication is not enabled"
                | "authentication failed, invalid user ID or password"
                | "user name is empty"
                | "user name not found",
            ) => Fault::Refused(StoreError::Denied(cause())),
            // Checked before anything is proposed. Our own limits are below etcd's defaults.
            (_, "request is too large" | "too many operations in txn request") => {
                Fault::Refused(StoreError::Refused(cause()))
            }
            // While the alarm stands etcd refuses, but the request that raises it may have been executed:
            // quotaApplierV3 applies it first and answers this in place of the result.
            (_, "mvcc: database space exceeded") => Fault::NoRoom(cause()),
            (_, "mvcc: required revision has been compacted") => Fault::Compacted,
            (_, "requested lease not found") => Fault::NoLease,
            // "request timed out" and its kin: proposed, and the answer did not come. "leader changed" and
            // "server stopped": nobody knows. And what a later etcd may say.
            _ => Fault::InDoubt(cause()),
        }
    }

    /// What the transport says. Only a connection that was never made is certain to have carried nothing.
    fn of_transport(
        error: &(dyn Error + 'static),
        endpoint: &str,
        words: &(impl fmt::Display + ?Sized),
    ) -> Fault {
        let chain = || std::iter::successors(Some(error), |error| (*error).source());
        let unconnected = chain().any(|error| error.is::<ConnectError>());
        let tls = chain().find_map(tls_error).map(ToString::to_string);
        let deepest = chain().last().map_or_else(|| words.to_string(), ToString::to_string);
        match (unconnected, tls) {
            (true, Some(tls)) => Fault::Refused(StoreError::Certificate(said(endpoint, &tls))),
            (true, None) => Fault::Untouched(said(endpoint, &deepest)),
            // With TLS 1.3 a server refuses our certificate only after we think that we are connected.
            (false, Some(tls)) => Fault::InDoubt(Box::new(TlsEnded(said(endpoint, &tls)))),
            (false, None) => Fault::InDoubt(Box::new(LinkBroke(said(endpoint, &deepest)))),
        }
    }

    /// No answer in time.
    pub(super) fn silence(endpoint: &str) -> Fault {
        Fault::InDoubt(said(endpoint, "no answer"))
    }

    /// An answer without the header that etcd always sends.
    pub(super) fn headless() -> Fault {
        Fault::InDoubt("an answer of etcd has no header".into())
    }

    /// The error of the first request over a new connection with TLS.
    ///
    /// A server that does not accept our certificate may say so, or just close: with TLS 1.3 its word often
    /// comes too late to be heard.
    pub(super) fn of_first_look(self) -> StoreError {
        match self {
            Fault::InDoubt(cause) if cause.is::<LinkBroke>() => StoreError::Certificate(
                format!("{cause}, right after the connection was made: so do servers that refuse ours")
                    .into(),
            ),
            fault => fault.of_look(),
        }
    }

    /// The error of a request that changes nothing, for which it does not matter whether it was executed.
    pub(super) fn of_look(self) -> StoreError {
        match self {
            Fault::InDoubt(cause) if cause.is::<TlsEnded>() => StoreError::Certificate(cause),
            Fault::Untouched(cause) | Fault::InDoubt(cause) => StoreError::Unavailable(cause),
            Fault::Refused(error) => error,
            Fault::NoRoom(cause) => StoreError::NoRoom(cause),
            Fault::Compacted => StoreError::Unavailable("etcd forgets faster than it can be read".into()),
            Fault::NoLease => StoreError::Unavailable("etcd ended a session that has just begun".into()),
        }
    }
}

/// What TLS said, if it is what ended the connection.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<rustls::Error>() {
        Some(tls) => Some(tls),
        // An I/O error hides what it was made from.
        None => error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref(),
    }
}

/// TLS ended a connection that was thought to stand.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct TlsEnded(Cause);

/// The connection ended, and nobody said why.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct LinkBroke(Cause);

fn said(endpoint: &str, words: &(impl fmt::Display + ?Sized)) -> Cause {
    format!("{endpoint}: {words}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: Code, message: &str) -> Fault {
        Fault::of(etcd_client::Error::GRpcStatus(tonic::Status::new(code, message)), "http://e1:2379")
    }

    #[test]
    fn what_may_have_been_executed_is_in_doubt() {
        for (code, message) in [
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure"),
            (Code::Unavailable, "etcdserver: request timed out, possibly due to connection lost"),
            (Code::Unavailable, "etcdserver: leader changed"),
            (Code::Unavailable, "etcdserver: server stopped"),
            (Code::Unavailable, "etcdserver: something that a later etcd says"),
            (Code::Unknown, "raft proposal dropped"),
            (Code::DeadlineExceeded, "context deadline exceeded"),
            (Code::Cancelled, "operation was canceled"),
            // Also where the code looks like a refusal: the transport uses it too.
            (Code::PermissionDenied, "h2 protocol error"),
            (Code::ResourceExhausted, "h2 protocol error"),
            (Code::Internal, "h2 protocol error"),
        ] {
            let fault = fault(code, message);
            assert!(matches!(fault, Fault::InDoubt(_)), "{message}: {fault:?}");
        }
    }

    #[test]
    fn what_is_decided_before_execution_is_refused_or_sent_again() {
        for message in ["too many requests", "no leader", "revision of auth store is old"] {
            let fault = fault(Code::Unavailable, &format!("etcdserver: {message}"));
            assert!(matches!(fault, Fault::Untouched(_)), "{message}: {fault:?}");
        }
        let denied = fault(Code::PermissionDenied, "etcdserver: permission denied");
        assert!(matches!(denied, Fault::Refused(StoreError::Denied(_))), "{denied:?}");
        let large = fault(Code::InvalidArgument, "etcdserver: request is too large");
        assert!(matches!(large, Fault::Refused(StoreError::Refused(_))), "{large:?}");
    }

    #[test]
    fn no_room_is_neither_a_refusal_nor_a_late_commit() {
        let full = fault(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
        assert!(matches!(full, Fault::NoRoom(_)), "{full:?}");
    }

    #[test]
    fn a_connection_that_was_never_made_carried_nothing() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let connect = ConnectError(Box::new(refused));
        let status = tonic::Status::from_error(Box::new(connect));
        let fault = Fault::of(etcd_client::Error::GRpcStatus(status), "http://e1:2379");
        assert!(matches!(&fault, Fault::Untouched(cause) if cause.to_string().contains("e1")), "{fault:?}");
        let broken = tonic::Status::from_error(Box::new(io::Error::from(io::ErrorKind::BrokenPipe)));
        let fault = Fault::of(etcd_client::Error::GRpcStatus(broken), "http://e1:2379");
        assert!(matches!(fault, Fault::InDoubt(_)), "{fault:?}");
    }
}
