//! Some hundreds of closed intervals as one value: in the store, and as a file.
//!
//! ```text
//! page     a zstd frame of JSON lines, one interval each, in the order of addresses and epochs
//! …
//! names    a zstd skippable frame: which containers there may be, see `names`
//! index    a zstd skippable frame: which pages there are, as JSON
//! end      length of the index: u32  crc32c of everything before: u32  "berthldg"  (inside that frame)
//! ```
//!
//! So `zstd -dc FILE` prints every interval, and a reader that wants one address opens one page of it.
//! Numbers are little-endian. Skippable frames: RFC 8878, section 3.1.2.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::IpAddr;
use std::ops::Range;

use ipam::{BlockId, HostId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::interval::{Interval, Moment};
use crate::names;
use crate::query::Query;

/// Intervals in one page: what a look-up of one address reads and no more.
pub const PAGE_INTERVALS: usize = 128;

/// Bytes that a page may unpack to. A full page of ours has some fifty kilobytes.
const PAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes that an index may have. That of the largest segment has some ten kilobytes.
const INDEX_BYTES_MAX: u64 = 1024 * 1024;

/// zstd's own default: a higher one gains a twentieth and takes three times as long.
const LEVEL: i32 = 3;

/// The form in which this build writes segments, and the newest that it reads.
const VERSION: u32 = 1;

const SKIPPABLE: u32 = 0x184D_2A5B;
const MAGIC: &[u8; 8] = b"berthldg";
const END_BYTES: u64 = 16;

/// A segment that cannot be packed or read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Not a segment, cut off, or damaged.
    #[error("this is no whole segment: {0}")]
    Damaged(&'static str),
    /// Written by a newer Berth.
    #[error(
        "the segment is written in form {found}, this Berth reads up to {VERSION}; upgrade this host's Berth"
    )]
    Newer {
        /// The form it has.
        found: u32,
    },
    /// Reading, packing or unpacking failed.
    #[error("cannot read or pack a segment")]
    Io(#[from] io::Error),
    /// A line is not an interval.
    #[error("a segment's line is not an interval")]
    Line(#[from] serde_json::Error),
}

/// Which intervals a segment has, without reading them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The block that all of them are of.
    pub block: BlockId,
    /// When the segment was begun, in seconds since 1970: its name among those of its writer.
    pub period: u64,
    /// Who wrote it.
    pub writer: HostId,
    /// How many there are.
    pub intervals: u64,
    /// When the first of them began.
    pub from: Moment,
    /// When the last of them ended.
    pub to: Moment,
    /// Whose they are: the writer's, and those of lost hosts.
    pub hosts: BTreeSet<HostId>,
}

impl Summary {
    /// Whether something that is asked for may be in the segment.
    pub fn may_have(&self, query: &Query) -> bool {
        query.address.is_none_or(|address| self.block.contains(address))
            && query.host.as_ref().is_none_or(|host| self.hosts.contains(host))
            && query.during.is_none_or(|(first, last)| self.from <= last && self.to >= first)
    }
}

#[derive(Serialize, Deserialize)]
struct Index {
    version: u32,
    summary: Summary,
    pages: Vec<Page>,
    /// Where the names are. A segment from before there were any has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Range<u64>>,
}

#[derive(Deserialize)]
struct Form {
    version: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Page {
    first: IpAddr,
    last: IpAddr,
    /// Before the first of them nothing in the page began, after the second nothing ended.
    from: Moment,
    to: Moment,
    at: u64,
    bytes: u64,
}

/// Where a segment's bytes are.
pub trait Source {
    /// How many there are.
    fn length(&self) -> io::Result<u64>;

    /// Some of them; an error if they are not all there.
    fn bytes(&self, range: Range<u64>) -> io::Result<Vec<u8>>;
}

impl Source for &[u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
        let found = self.get(place(range.start)..place(range.end));
        found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The index of a segment: finds in its bytes, wherever they are.
#[derive(Clone, Debug)]
pub struct Segment {
    summary: Summary,
    pages: Vec<Page>,
    names: Option<Range<u64>>,
}

impl Segment {
    /// Packs closed intervals of one block. Running ones may be among them: they have no end yet, and
    /// count as ended when they began.
    pub fn pack(
        block: BlockId,
        period: u64,
        writer: &HostId,
        mut intervals: Vec<Interval>,
    ) -> Result<(Summary, Vec<u8>), SegmentError> {
        intervals.sort_by_key(Interval::order);
        let mut bytes = Vec::new();
        let mut pages = Vec::new();
        for page in intervals.chunks(PAGE_INTERVALS) {
            let packed = pack_page(page)?;
            pages.push(Page {
                first: page[0].address,
                last: page[page.len() - 1].address,
                from: earliest(page),
                to: latest(page),
                at: bytes.len() as u64,
                bytes: packed.len() as u64,
            });
            bytes.extend(packed);
        }
        let summary = Summary {
            block,
            period,
            writer: writer.clone(),
            intervals: intervals.len() as u64,
            from: earliest(&intervals),
            to: latest(&intervals),
            hosts: intervals.iter().map(|interval| interval.host.clone()).collect(),
        };
        let too_long = |_| SegmentError::Damaged("its index is too long");
        let filter = names::filter(&intervals);
        bytes.extend(SKIPPABLE.to_le_bytes());
        bytes.extend(u32::try_from(filter.len()).map_err(too_long)?.to_le_bytes());
        let names = Some(bytes.len() as u64..(bytes.len() + filter.len()) as u64);
        bytes.extend(&filter);
        let index = serde_json::to_vec(&Index { version: VERSION, summary: summary.clone(), pages, names })?;
        let length = u32::try_from(index.len()).map_err(too_long)?;
        bytes.extend(SKIPPABLE.to_le_bytes());
        bytes.extend((length + END_BYTES as u32).to_le_bytes());
        bytes.extend(&index);
        bytes.extend(length.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.extend(MAGIC);
        Ok((summary, bytes))
    }

    /// Reads the index, and nothing else.
    pub fn open(source: &impl Source) -> Result<Self, SegmentError> {
        let length = source.length()?;
        let end_at = length.checked_sub(END_BYTES).ok_or(SegmentError::Damaged("it is too short"))?;
        let end = source.bytes(end_at..length)?;
        if end[8..] != MAGIC[..] {
            return Err(SegmentError::Damaged("it does not end as one"));
        }
        let index_bytes = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
        let index_at = end_at.checked_sub(index_bytes).filter(|_| index_bytes <= INDEX_BYTES_MAX);
        let index_at = index_at.ok_or(SegmentError::Damaged("its index is too long"))?;
        let index = source.bytes(index_at..end_at)?;
        let Form { version } = serde_json::from_slice(&index)?;
        if version > VERSION {
            return Err(SegmentError::Newer { found: version });
        }
        let Index { summary, pages, names, .. } = serde_json::from_slice(&index)?;
        let within = |page: &Page| page.at.checked_add(page.bytes).is_some_and(|to| to <= index_at);
        let names_within = names.as_ref().is_none_or(|it| it.start <= it.end && it.end <= index_at);
        if !pages.iter().all(within) || !names_within {
            return Err(SegmentError::Damaged("its index names what is not there"));
        }
        Ok(Self { summary, pages, names })
    }

    /// Whether every byte is as it was written.
    pub fn check(bytes: &[u8]) -> Result<Self, SegmentError> {
        let segment = Self::open(&bytes)?;
        let (before, end) = bytes.split_at(bytes.len() - 12);
        if crc32c::crc32c(before).to_le_bytes() != end[..4] {
            return Err(SegmentError::Damaged("its checksum is wrong"));
        }
        Ok(segment)
    }

    /// What there is.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What is asked for and in this segment. Only pages that may have it are read.
    pub fn find(&self, source: &impl Source, query: &Query) -> Result<Vec<Interval>, SegmentError> {
        let mut found = Vec::new();
        if !self.summary.may_have(query) || !self.may_have_named(source, query)? {
            return Ok(found);
        }
        for page in self.pages.iter().filter(|page| page.may_have(query)) {
            let intervals = unpack_page(&source.bytes(page.at..page.at + page.bytes)?)?;
            found.extend(intervals.into_iter().filter(|interval| query.wants(interval)));
        }
        Ok(found)
    }
}

impl Segment {
    /// Whether a container that is asked for may be in it. Not asked for one address: that is one page.
    fn may_have_named(&self, source: &impl Source, query: &Query) -> Result<bool, SegmentError> {
        match (&query.container, &self.names) {
            (Some(named), Some(at)) if query.address.is_none() => {
                Ok(names::may_have(&source.bytes(at.clone())?, named))
            }
            _ => Ok(true),
        }
    }
}

impl Page {
    fn may_have(&self, query: &Query) -> bool {
        query.address.is_none_or(|address| (self.first..=self.last).contains(&address))
            && query.during.is_none_or(|(first, last)| self.from <= last && self.to >= first)
    }
}

fn earliest(intervals: &[Interval]) -> Moment {
    intervals.iter().map(|interval| interval.from).min().unwrap_or_default()
}

fn latest(intervals: &[Interval]) -> Moment {
    intervals.iter().map(|interval| interval.until().unwrap_or(interval.from)).max().unwrap_or_default()
}

fn pack_page(intervals: &[Interval]) -> Result<Vec<u8>, SegmentError> {
    pack_lines(intervals)
}

fn unpack_page(packed: &[u8]) -> Result<Vec<Interval>, SegmentError> {
    unpack_lines(packed)
}

/// JSON lines as one zstd frame.
pub(crate) fn pack_lines<T: Serialize>(values: &[T]) -> Result<Vec<u8>, SegmentError> {
    let mut lines = Vec::new();
    for value in values {
        serde_json::to_writer(&mut lines, value)?;
        lines.push(b'\n');
    }
    Ok(zstd::bulk::compress(&lines, LEVEL)?)
}

/// The values of a frame of JSON lines.
pub(crate) fn unpack_lines<T: DeserializeOwned>(packed: &[u8]) -> Result<Vec<T>, SegmentError> {
    let mut lines = Vec::new();
    let unpacked = zstd::stream::read::Decoder::with_buffer(packed)?;
    // What was written elsewhere is not believed to be as small as it looks.
    if unpacked.take(PAGE_BYTES_MAX + 1).read_to_end(&mut lines)? as u64 > PAGE_BYTES_MAX {
        return Err(SegmentError::Damaged("a page of it is too large"));
    }
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?)
}
