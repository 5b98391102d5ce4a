//! How we prove that a thing in the kernel is ours. What does not carry its mark is never changed.
//!
//! A mark has to be there from the first moment, or a crash in between would leave a thing that nobody
//! dares to remove. So links carry an interface *group*, which the kernel sets as it makes the link (an
//! alias can only follow; ours is for people); routes, rules and neighbour proxies a *protocol* number;
//! nftables has a table of its own.

/// Routes, rules and neighbour proxies of ours: their protocol number. Free in the kernel's
/// `linux/rtnetlink.h` and in iproute2's `rt_protos`, and outside of FRR's 186 to 199.
pub const PROTOCOL: u8 = 171;

/// Links of ours: their group ("bert" as a number).
pub const LINK_GROUP: u32 = 0x6265_7274;

/// How the aliases of our links begin.
pub const ALIAS: &str = "berth:";

/// The nftables table of ours, of family `inet`.
pub const NFT_TABLE: &str = "berth";

/// The nftables table of ours that says who may reach whom, of family `inet`.
pub const NFT_POLICY_TABLE: &str = "berth_policy";

/// The comment of our rules in a chain that is not ours.
pub const COMMENT: &str = "berth";

/// Connection mark and packet mark of published connections (`-p`).
pub const PUBLISHED: u32 = 0x6265_7274;

/// Priority of `fwmark PUBLISHED lookup main`: what came through a published port is answered the way
/// the host itself would answer.
pub const PRIORITY_PUBLISHED: u32 = 7170;

/// Priority of `from SUBNET lookup main suppress_prefixlength 0`: what main knows better than by its
/// default route.
pub const PRIORITY_MAIN: u32 = 7171;

/// Priority of `from SUBNET lookup T`: the rest leaves through the subnet's own gateway.
pub const PRIORITY_SUBNET: u32 = 7172;
