//! Segments on a disk: one file each, in a folder a block.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ipam::{BlockId, HostId};

use crate::interval::{Interval, Moment};
use crate::letter::{ASKED_AT_ONCE_MAX, Ask, Head, Name, TOLD_BYTES_MAX, TOLD_INTERVALS_MAX, Told};
use crate::query::Query;
use crate::segment::{Segment, SegmentError, Source, Summary};

/// How a segment's file ends: any `zstd` tool reads it.
const EXTENSION: &str = ".jsonl.zst";

/// The shelf cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// A file or folder.
    #[error("cannot read or write {}; check the disk and its rights", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A segment.
    #[error("the segment {} cannot be read; another host may have a copy of it: remove this one", path.display())]
    Segment {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: SegmentError,
    },
}

/// Segments by block, begin and writer.
type Place = (BlockId, u64, HostId);

/// The segments in one folder. It alone writes there.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    segments: BTreeMap<Place, Standing>,
    bytes: u64,
}

#[derive(Debug)]
struct Standing {
    segment: Segment,
    path: PathBuf,
    bytes: u64,
}

impl Shelf {
    /// The shelf at `folder`, made if there is none, and the files on it that cannot be read.
    pub fn open(folder: impl Into<PathBuf>) -> Result<(Self, Vec<ShelfError>), ShelfError> {
        let folder = folder.into();
        make_folder(&folder)?;
        let mut shelf = Self { folder, segments: BTreeMap::new(), bytes: 0 };
        let mut unread = Vec::new();
        for below in listing(&shelf.folder)? {
            for path in listing(&below)? {
                if !path.to_string_lossy().ends_with(EXTENSION) {
                    // Left by a write that was cut short.
                    fs::remove_file(&path).map_err(at(&path))?;
                    continue;
                }
                match open(&path) {
                    Ok((segment, bytes)) => shelf.stand(segment, path, bytes),
                    Err(error) => unread.push(error),
                }
            }
        }
        Ok((shelf, unread))
    }

    /// Puts a whole segment on the shelf: when this returns, it is on the disk.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), ShelfError> {
        let folder = self.folder.clone();
        let segment = Segment::check(bytes).map_err(|source| ShelfError::Segment { path: folder, source })?;
        let (below, path) = self.place(segment.summary());
        make_folder(&below)?;
        let beside = path.with_extension("new");
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&below)?.sync_all()
        };
        write().map_err(at(&path))?;
        self.stand(segment, path, bytes.len() as u64);
        Ok(())
    }

    /// What is asked for and on this shelf, in no order; and the segments that could not be read.
    pub fn find(&self, query: &Query) -> (Vec<Interval>, Vec<ShelfError>) {
        let (found, unread, _) = self.find_some(query, usize::MAX);
        (found, unread)
    }

    /// As [`Shelf::find`], and no more than about this many: whether there was more.
    pub fn find_some(&self, query: &Query, max: usize) -> (Vec<Interval>, Vec<ShelfError>, bool) {
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        for standing in self.near(query).filter(|standing| standing.segment.summary().may_have(query)) {
            if found.len() > max {
                return (found, unread, true);
            }
            match read(standing, query) {
                Ok(intervals) => found.extend(intervals),
                Err(error) => unread.push(error),
            }
        }
        (found, unread, false)
    }

    /// Answers a host that asks for what only this shelf has.
    ///
    /// # Errors
    /// When the answer cannot be packed, which no segment of ours makes so.
    pub fn tell(&self, ask: &Ask, now: Moment) -> Result<Vec<u8>, SegmentError> {
        let mut room = TOLD_INTERVALS_MAX;
        loop {
            let packed = self.tell_up_to(ask, now, room)?;
            // One segment fits: it was a value of the store itself.
            if packed.len() <= TOLD_BYTES_MAX || room == 0 {
                return Ok(packed);
            }
            room /= 2;
        }
    }

    fn tell_up_to(&self, ask: &Ask, now: Moment, room: usize) -> Result<Vec<u8>, SegmentError> {
        let head = Head { number: ask.number, now, read: 0, lacking: Vec::new() };
        let mut told = Told { head, intervals: Vec::new() };
        for (place, Name { block, period, writer }) in ask.segments.iter().take(ASKED_AT_ONCE_MAX).enumerate()
        {
            if place > 0 && told.intervals.len() > room {
                break;
            }
            let standing = self.segments.get(&(*block, *period, writer.clone()));
            match standing.map(|standing| read(standing, &ask.query)) {
                Some(Ok(intervals)) => told.intervals.extend(intervals),
                Some(Err(_)) | None => told.head.lacking.push(place),
            }
            told.head.read += 1;
        }
        told.pack()
    }

    /// Whether this segment is on the shelf.
    pub fn has(&self, block: BlockId, period: u64, writer: &HostId) -> bool {
        self.segments.contains_key(&(block, period, writer.clone()))
    }

    /// The bytes of a segment, as they were put.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub fn bytes_of(&self, block: BlockId, period: u64, writer: &HostId) -> Result<Vec<u8>, ShelfError> {
        let name = (block, period, writer.clone());
        let path = self.segments.get(&name).map(|standing| standing.path.clone()).unwrap_or_default();
        fs::read(&path).map_err(at(&path))
    }

    /// Every segment: what is in it, and its bytes.
    pub fn all(&self) -> impl Iterator<Item = (&Summary, u64)> {
        self.segments.values().map(|standing| (standing.segment.summary(), standing.bytes))
    }

    /// The bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The segment whose last interval ended first.
    pub fn oldest(&self) -> Option<&Summary> {
        let summaries = self.segments.values().map(|standing| standing.segment.summary());
        summaries.min_by_key(|summary| summary.to)
    }

    /// Takes a segment off the shelf. One that is not there is no error.
    pub fn remove(&mut self, block: BlockId, period: u64, writer: &HostId) -> Result<(), ShelfError> {
        let name = (block, period, writer.clone());
        let Some(standing) = self.segments.get(&name) else { return Ok(()) };
        match fs::remove_file(&standing.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&standing.path)(error)),
            _ => {
                self.bytes -= standing.bytes;
                self.segments.remove(&name);
                Ok(())
            }
        }
    }

    /// The segments that may be meant: of one address, those of the blocks that have it.
    fn near<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = &'a Standing> {
        let wanted = move |name: &Place| query.address.is_none_or(|address| name.0.subnet.contains(address));
        self.segments.iter().filter(move |(name, _)| wanted(name)).map(|(_, standing)| standing)
    }

    fn stand(&mut self, segment: Segment, path: PathBuf, bytes: u64) {
        let Summary { block, period, writer, .. } = segment.summary();
        let name = (*block, *period, writer.clone());
        self.bytes += bytes;
        if let Some(before) = self.segments.insert(name, Standing { segment, path, bytes }) {
            self.bytes -= before.bytes;
        }
    }

    fn place(&self, summary: &Summary) -> (PathBuf, PathBuf) {
        let BlockId { subnet, index } = summary.block;
        let below = self.folder.join(format!("{}-{}-{index}", subnet.ip(), subnet.prefix()));
        let file = format!("{}-{}{EXTENSION}", summary.period, escaped(&summary.writer.0));
        let path = below.join(file);
        (below, path)
    }
}

/// A host's id as part of a file's name.
fn escaped(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    id.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn read(standing: &Standing, query: &Query) -> Result<Vec<Interval>, ShelfError> {
    let file = File::open(&standing.path).map_err(at(&standing.path))?;
    let found = standing.segment.find(&OnDisk(&file), query);
    found.map_err(|source| ShelfError::Segment { path: standing.path.clone(), source })
}

fn open(path: &Path) -> Result<(Segment, u64), ShelfError> {
    let file = File::open(path).map_err(at(path))?;
    let source = OnDisk(&file);
    let bytes = source.length().map_err(at(path))?;
    let segment = Segment::open(&source);
    Ok((segment.map_err(|source| ShelfError::Segment { path: path.to_owned(), source })?, bytes))
}

struct OnDisk<'a>(&'a File);

impl Source for OnDisk<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }
}

/// Only root reads who had which address.
fn make_folder(path: &Path) -> Result<(), ShelfError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

fn listing(folder: &Path) -> Result<Vec<PathBuf>, ShelfError> {
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(at(folder))).collect()
}

fn at(path: &Path) -> impl Fn(io::Error) -> ShelfError + use<'_> {
    move |source| ShelfError::File { path: path.to_owned(), source }
}
