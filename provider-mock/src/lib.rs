//! A simulated cloud that speaks the providers' own APIs, with real packets on request.
