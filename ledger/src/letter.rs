//! What one host asks another about segments that only the other's disk has, and what that one answers.
//!
//! A letter goes through the store, so it is small: an [`Ask`] names a few hundred segments, a [`Told`] has what
//! was found in as many of them as fit, and says how many those were. The asker asks again for the rest.
//! Both are JSON lines in a zstd frame, as pages of segments are.

use ipam::{BlockId, HostId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::interval::{Interval, Moment};
use crate::query::Query;
use crate::segment::{SegmentError, pack_lines, unpack_lines};

/// Segments that one letter asks about: half a second of reading at most, and some kilobytes.
pub const ASKED_AT_ONCE_MAX: usize = 256;

/// Bytes that one answer may have: what a store takes as one value, with room for what stands round it.
pub const TOLD_BYTES_MAX: usize = 128 * 1024;

/// Intervals that one answer has before it stops at the end of a segment.
pub const TOLD_INTERVALS_MAX: usize = 500;

/// A question to a host that keeps these segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Tells it from other questions of the same host: an answer has the same.
    pub number: u64,
    /// What is asked for.
    pub query: Query,
    /// In which segments, in this order. None: what time it is there.
    pub segments: Vec<Name>,
}

/// What names a segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// Its block.
    pub block: BlockId,
    /// When it was begun, in seconds since 1970.
    pub period: u64,
    /// Who wrote it.
    pub writer: HostId,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What this host's clock says.
    pub head: Head,
    /// What was found.
    pub intervals: Vec<Interval>,
}

/// What stands before the intervals of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The question's.
    pub number: u64,
    /// The wall clock of who answers.
    pub now: Moment,
    /// How many of the segments were gone through, from the first.
    pub read: usize,
    /// Which of those could not be read there, by their place in the question.
    pub lacking: Vec<usize>,
}

impl Ask {
    /// As it is sent.
    ///
    /// # Errors
    /// When it cannot be packed.
    pub fn pack(&self) -> Result<Vec<u8>, SegmentError> {
        pack_lines(std::slice::from_ref(self))
    }

    /// As it was written.
    ///
    /// # Errors
    /// When it is not a question.
    pub fn unpack(bytes: &[u8]) -> Result<Self, SegmentError> {
        unpack_lines(bytes)?.pop().ok_or(SegmentError::Damaged("a question is empty"))
    }
}

impl Told {
    /// As it is sent.
    ///
    /// # Errors
    /// When it cannot be packed.
    pub fn pack(&self) -> Result<Vec<u8>, SegmentError> {
        let lines: Vec<Line<'_>> =
            [Line::Head(&self.head)].into_iter().chain(self.intervals.iter().map(Line::Interval)).collect();
        pack_lines(&lines)
    }

    /// As it was written.
    ///
    /// # Errors
    /// When it is not an answer.
    pub fn unpack(bytes: &[u8]) -> Result<Self, SegmentError> {
        let mut lines = unpack_lines::<serde_json::Value>(bytes)?.into_iter();
        let head = lines.next().ok_or(SegmentError::Damaged("an answer is empty"))?;
        let intervals = lines.map(read::<Interval>).collect::<Result<_, _>>()?;
        Ok(Self { head: read(head)?, intervals })
    }
}

fn read<T: DeserializeOwned>(line: serde_json::Value) -> Result<T, SegmentError> {
    Ok(serde_json::from_value(line)?)
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Head(&'a Head),
    Interval(&'a Interval),
}
