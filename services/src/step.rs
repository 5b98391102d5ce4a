//! What whoever looks after an object of the provider does next.

/// One step: of all that is to do, what comes first. `C` is a change at the provider, `E` one of what the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<C, E> {
    /// Make this change at the provider, and look again.
    Change(C),
    /// Write this to the store, and look again.
    Record(Vec<E>),
    /// Look again in a while: the provider is at work, and says so.
    Wait(String),
    /// Nothing; and what is not as it should be although nothing can be done about it, if so.
    Rest(Vec<String>),
}
