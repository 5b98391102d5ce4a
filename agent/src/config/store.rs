//! `[store]`: where the cluster's shared state is.

use std::path::PathBuf;

use store::{EtcdOptions, EtcdTls, EtcdUser};

use super::reader::Section;
use super::values;

/// `[store]`: where the cluster's shared state is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// `kind = "embedded"`: one file on this host, `<state_dir>/store.redb`; a cluster of one host.
    #[default]
    Embedded,
    /// `kind = "etcd"`: an etcd that all hosts of the cluster reach.
    ///
    /// - `endpoints`, required: one URL a member, `http://HOST:PORT` or, with `ca`, `https://HOST:PORT`.
    /// - `prefix`: what all keys begin with; default `berth/<cluster>/`. Clusters that share an etcd must
    ///   differ in it.
    /// - `ca`: a PEM file with the authorities that may have signed etcd's certificate.
    /// - `cert`, `key`: our certificate and its private key, where etcd asks for one.
    /// - `username`, `password_file`: a user of etcd's own authentication. The password is the file's text.
    ///
    /// `key` and `password_file` must belong to root, mode 0600 or less.
    Etcd(EtcdOptions),
}

#[derive(Clone, Copy)]
enum Kind {
    Embedded,
    Etcd,
}

/// Options that make sense with etcd only.
const OF_ETCD: [&str; 7] = ["endpoints", "prefix", "ca", "cert", "key", "username", "password_file"];

impl StoreKind {
    /// `cluster` is its name, if that is right.
    pub(super) fn read(mut section: Section<'_>, cluster: Option<&str>) -> Self {
        let kinds = [("embedded", Kind::Embedded), ("etcd", Kind::Etcd)];
        let kind = section.read("kind", |value| values::one_of(value, &kinds)).unwrap_or(Kind::Embedded);
        let store = match kind {
            Kind::Embedded => {
                for option in OF_ETCD {
                    section.refuse(option, "goes with `kind = \"etcd\"` only", "remove it, or change `kind`");
                }
                Self::Embedded
            }
            Kind::Etcd => read_etcd(&mut section, cluster).map_or(Self::Embedded, Self::Etcd),
        };
        section.finish();
        store
    }
}

/// None where mistakes were noted.
fn read_etcd(section: &mut Section<'_>, cluster: Option<&str>) -> Option<EtcdOptions> {
    let example = "`endpoints = [\"https://10.0.0.1:2379\", \"https://10.0.0.2:2379\"]`";
    let ca = section.read("ca", values::absolute_path);
    let secured = section.has("ca");
    let endpoints = section.required("endpoints", example, |value| values::etcd_endpoints(value, secured));
    let prefix = section.read("prefix", values::key_prefix);
    let identity = pair(section, ("cert", values::absolute_path), ("key", values::absolute_path));
    if !secured {
        section.refuse("cert", "goes with `ca` only", "name the authority of etcd's certificate as `ca`");
    }
    let user = pair(section, ("username", values::name), ("password_file", values::absolute_path));
    Some(EtcdOptions {
        endpoints: endpoints?,
        prefix: prefix.unwrap_or_else(|| format!("berth/{}/", cluster.unwrap_or_default())),
        tls: ca.map(|ca| EtcdTls { ca, identity }),
        user: user.map(|(name, password_file): (String, PathBuf)| EtcdUser { name, password_file }),
    })
}

type Reader<T> = fn(&toml::de::DeValue<'_>) -> Result<T, values::Wrong>;

/// Two options of which none makes sense alone.
fn pair<A, B>(
    section: &mut Section<'_>,
    one: (&'static str, Reader<A>),
    other: (&'static str, Reader<B>),
) -> Option<(A, B)> {
    for (present, absent) in [(one.0, other.0), (other.0, one.0)] {
        if !section.has(absent) {
            let problem = format!("needs `{absent}` beside it");
            section.refuse(present, &problem, &format!("write `{absent}` too, or remove `{present}`"));
        }
    }
    let (one, other) = (section.read(one.0, one.1), section.read(other.0, other.1));
    Some((one?, other?))
}
