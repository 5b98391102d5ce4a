//! The command line: what can be asked. Help, completions and man pages are generated from here.

use clap::{Parser, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

/// Asks the Berth agent of this host, and says whose word the answer is.
///
/// Data goes to stdout, everything else to stderr. Exit code 0 is yes, 1 is no, 2 is "could not tell".
#[derive(Parser)]
#[command(name = "berth", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// The agent's socket.
    #[arg(
        long,
        global = true,
        env = "BERTH_SOCKET",
        hide_env_values = true,
        default_value = "/run/berth/berth.sock",
        value_name = "PATH"
    )]
    pub(crate) socket: PathBuf,

    /// Tables for people, or JSON for scripts.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Output,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// How an answer is printed.
#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Output {
    /// Tables for people.
    #[default]
    Table,
    /// The agent's answer, word for word; stable within a version of the API.
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// How the agent and everything it stands on is doing; exit 1 if something is not well.
    Status,
    /// What users ask addresses from.
    Pool {
        #[command(subcommand)]
        verb: PoolVerb,
    },
    /// The cloud's subnets behind the pools.
    Subnet {
        #[command(subcommand)]
        verb: SubnetVerb,
    },
    /// Addresses: who has them, and who could.
    Address {
        #[command(subcommand)]
        verb: AddressVerb,
    },
    /// Docker networks of our driver on this host.
    Network {
        #[command(subcommand)]
        verb: NetworkVerb,
    },
    /// Services: named sets of containers, and who takes part in them.
    Service {
        #[command(subcommand)]
        verb: ServiceVerb,
    },
    /// Lets go of a container, or of a host with all its containers, before it ends. Needs root.
    ///
    /// It stays in its services and gets nothing new: out of names, weight 0 at load balancers; connections that it has
    /// go on. Waits until that is so; exit 1 if it is not after --wait.
    Drain {
        /// A container of this host, by its name or id; or a host of the cluster, by its id or name.
        what: String,
        /// Gives it work again.
        #[arg(long)]
        undo: bool,
        /// How long to wait, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
    /// What DNS answers here to a name, or to an address, and on whose word; exit 1 if nothing.
    Name {
        /// A name such as web.demo.internal, or an address.
        name: String,
    },
    /// Subnets that were asked of the cloud.
    Order {
        #[command(subcommand)]
        verb: OrderVerb,
    },
    /// The hosts of the cluster.
    Host {
        #[command(subcommand)]
        verb: HostVerb,
    },
    /// The cluster's record in the store that its hosts share.
    Cluster {
        #[command(subcommand)]
        verb: ClusterVerb,
    },
    /// The store as a whole.
    Store {
        #[command(subcommand)]
        verb: StoreVerb,
    },
    /// Do journal, store, kernel, Docker and cloud agree? Exit 1 if not, 2 if one of them is silent.
    Check,
    /// Is the ground the agent stands on sound? Exit 1 if not; each trouble with its cure.
    Doctor,
    /// Prints completions for a shell.
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Writes the man pages.
    #[command(hide = true)]
    Man {
        /// The directory to write them to.
        directory: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum PoolVerb {
    /// All pools with their addresses by state.
    List,
    /// One pool: its limits, and what it has in each zone.
    Show {
        /// The pool's name.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum SubnetVerb {
    /// All subnets with their addresses by state.
    List,
    /// One subnet.
    Show {
        /// The subnet, such as 10.11.4.0/26.
        subnet: ipnetwork::IpNetwork,
    },
    /// Hands out nothing more of a subnet, and returns it to the cloud when it is empty. Needs root.
    Drain {
        /// The subnet, such as 10.11.4.0/26.
        subnet: ipnetwork::IpNetwork,
    },
    /// Keeps a subnet that is being emptied. Needs root.
    Undrain {
        /// The subnet, such as 10.11.4.0/26.
        subnet: ipnetwork::IpNetwork,
    },
}

#[derive(Subcommand)]
pub(crate) enum AddressVerb {
    /// The addresses that are in use, cooling, reserved or set aside.
    List {
        /// Only this pool's.
        #[arg(long)]
        pool: Option<String>,
        /// The free ones too.
        #[arg(long)]
        all: bool,
    },
    /// One address: what journal, store, kernel, Docker and cloud say of it; or who had it in the past.
    ///
    /// With --at or --during: exit 1 if nobody had it then, 2 if that could not be told.
    Show {
        /// The address.
        address: IpAddr,
        /// Who had it at this moment, such as 2026-11-20T14:05:00Z, or 2026-11-20T14:05 on this clock.
        #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
        at: Option<jiff::Timestamp>,
        /// Who had it between these moments; either may be left out.
        #[arg(long, value_name = "A..B", value_parser = crate::time::during, conflicts_with = "at")]
        during: Option<crate::time::During>,
    },
    /// Who had an address, which ones a container had, what a host had: all that is known, oldest first.
    ///
    /// Exit 1 if nothing is known of it, 2 if that could not be told.
    #[command(group(clap::ArgGroup::new("of").required(true).multiple(true)))]
    History {
        /// Of this address.
        #[arg(group = "of")]
        address: Option<IpAddr>,
        /// Of containers with this name, or with an id that begins so.
        #[arg(long, group = "of", value_name = "NAME|ID")]
        container: Option<String>,
        /// Of this host.
        #[arg(long, group = "of")]
        host: Option<String>,
        /// Only what was between these moments; either may be left out.
        #[arg(long, group = "of", value_name = "A..B", value_parser = crate::time::during)]
        during: Option<crate::time::During>,
        /// One assignment a line, as JSON: for export.
        #[arg(long)]
        json_lines: bool,
    },
    /// Would a request be granted, and if not, why? Changes nothing; exit 1 if it would be refused.
    Explain {
        /// This very address; without it, any.
        address: Option<IpAddr>,
        /// The pool to ask.
        #[arg(long)]
        pool: Option<String>,
        /// Any IPv6 address instead of any IPv4 address.
        #[arg(long, conflicts_with = "address")]
        ipv6: bool,
    },
    /// Reserves an address under a name that outlives containers. Needs root.
    Reserve {
        /// The name.
        name: String,
        /// This very address; without it, any free one.
        #[arg(long)]
        address: Option<IpAddr>,
        /// The pool to take it from.
        #[arg(long)]
        pool: Option<String>,
    },
    /// Ends a reservation. Needs root. A container that has the address keeps it.
    Release {
        /// The reservation's name.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum NetworkVerb {
    /// All networks with their pools and containers.
    List,
    /// One network and its containers.
    Show {
        /// Its name, its id, or the beginning of its id.
        network: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum ServiceVerb {
    /// All services, declared or made by labels of containers.
    List,
    /// One service: what is declared, and each container in it.
    Show {
        /// The service's name.
        name: String,
    },
    /// What applying a declaration would change; exit 1 if anything.
    Diff {
        /// The file; - is stdin.
        file: PathBuf,
    },
    /// Declares a service. Needs root.
    ///
    /// A file declares one service, such as
    ///
    ///     name = "web"
    ///     [[port]]
    ///     port = 8080
    ///
    /// and its containers are those with the label berth.service=web, or those that `selector` names.
    #[command(verbatim_doc_comment)]
    Apply {
        /// The file; - is stdin.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Takes a declaration back. Needs root. Containers go on as they are.
    Delete {
        /// The service's name.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum OrderVerb {
    /// All orders and how far they are.
    List,
    /// One order: all that is known of it, and what can be done about it.
    Show {
        /// The order's id, or the beginning of it.
        order: String,
    },
    /// Says what became of an order in doubt. Needs root.
    #[command(group(clap::ArgGroup::new("word").required(true)))]
    Settle {
        /// The order's id.
        order: String,
        /// It is this order at the provider.
        #[arg(long, group = "word", value_name = "NUMBER")]
        is: Option<String>,
        /// Nothing was ordered.
        #[arg(long, group = "word")]
        nothing_ordered: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum HostVerb {
    /// All hosts of the cluster.
    List,
    /// One host.
    Show {
        /// The host's id; without it, this one.
        host: Option<String>,
    },
    /// What the agent would change in this host's kernel now; exit 1 if anything.
    Plan,
    /// Takes a dead host's addresses away: they go to quarantine, then to others. Needs root.
    ///
    /// Refused while anything speaks against it: its session stands in the store, the provider says that it
    /// runs or may go on, somebody answers for its addresses. A host that the provider says is off or deleted
    /// is evicted by itself, within three minutes of its last sign of life.
    Evict {
        /// The host's id, as `berth host list` shows it.
        host: String,
        /// You state that the machine is powered off, not paused and not only cut off: for when the provider
        /// cannot say, or there is none. If that is untrue, two containers may end up with one address.
        #[arg(long)]
        powered_off: bool,
        /// Whatever speaks against it; goes on record.
        #[arg(long, requires = "because")]
        force: bool,
        /// Why it is forced.
        #[arg(long, requires = "force", value_name = "WHY")]
        because: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum ClusterVerb {
    /// The cluster of this host's store.
    Show,
    /// Founds the cluster in a store on etcd, once; its hosts wait for it. Needs root.
    Init,
}

#[derive(Subcommand)]
pub(crate) enum StoreVerb {
    /// Writes everything the store has, at one revision, to a file.
    Backup {
        /// The file; it is replaced if it exists.
        file: PathBuf,
    },
    /// Makes a store anew that was lost for good, without a usable backup. Needs root.
    ///
    /// On one host of the cluster, over the empty or frozen store: its subnets are opened again on the provider's
    /// word, in a new generation, and every host that meets it claims what it holds; running containers feel
    /// nothing. What nobody claims stays in quarantine until every host that is remembered has answered, or is
    /// gone on your word, and you said --no-others. Give it again to see who is awaited, to go
    /// on where it was cut short, or to say more. Exit 1 while somebody is awaited.
    Rebuild {
        /// You state that no host but those that are listed uses addresses of this cluster. If that is untrue,
        /// two containers may end up with one address.
        #[arg(long)]
        no_others: bool,
        /// You state that this host is powered off, not paused and not only cut off; may be given again.
        #[arg(long, value_name = "HOST")]
        gone: Vec<String>,
    },
}
