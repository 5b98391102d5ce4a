//! The bytes of a journal: a header, then one frame a record. All numbers are little-endian.
//!
//! ```text
//! header   "berthjnl"  form: u32  crc32c(the 12 bytes before): u32
//! frame    length: u32  crc32c(length): u32  crc32c(payload): u32  payload: length bytes
//! payload  {"form":1,"record":…}
//! ```
//!
//! The length has a checksum of its own: a flipped bit in it must not make a record in the middle look
//! like one that was cut off at the end.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes before the first frame.
pub(super) const HEADER_BYTES: u64 = 16;

/// Bytes that one record may have. A full block with its names has a tenth of that.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

const MAGIC: &[u8; 8] = b"berthjnl";

/// The form of header and frames that this build writes, and the newest that it reads.
const FILE_FORM: u32 = 1;

/// The form of records that this build writes, and the newest that it reads.
const RECORD_FORM: u32 = 1;

const FRAME_HEADER_BYTES: usize = 12;

/// What a frame seldom exceeds: room to begin with.
const FRAME_BYTES_USUAL: usize = 512;

#[derive(Serialize)]
struct Written<'a, R> {
    form: u32,
    record: &'a R,
}

#[derive(Deserialize)]
struct Form {
    form: u32,
}

#[derive(Deserialize)]
struct Whole<R> {
    record: R,
}

/// What was found in a file.
pub(super) struct Scanned<'a> {
    /// The records.
    pub(super) payloads: Vec<&'a [u8]>,
    /// Bytes that are header and whole frames; what follows is a record cut off at the end.
    pub(super) length: usize,
}

/// A file that cannot be read as a journal.
#[derive(Debug)]
pub(super) enum Damage {
    /// Its bytes are not as they were written.
    Bytes { offset: u64, what: &'static str },
    /// It has a newer form.
    Newer { found: u32, known: u32 },
}

/// A record that cannot be read.
pub(super) enum Unread {
    Newer { found: u32, known: u32 },
    Unreadable { number: usize, source: serde_json::Error },
}

/// A record that cannot be written.
pub(super) enum Refused {
    TooLarge { bytes: usize },
    Unwritable(serde_json::Error),
}

/// The first bytes of every journal.
pub(super) fn header() -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend(FILE_FORM.to_le_bytes());
    header.extend(crc32c::crc32c(&header).to_le_bytes());
    header
}

/// The frames of `records`, one after the other.
pub(super) fn encode_all<R: Serialize>(records: &[R]) -> Result<Vec<u8>, Refused> {
    let mut frames = Vec::with_capacity(records.len() * FRAME_BYTES_USUAL);
    for record in records {
        let start = frames.len();
        frames.extend([0; FRAME_HEADER_BYTES]);
        serde_json::to_writer(&mut frames, &Written { form: RECORD_FORM, record })
            .map_err(Refused::Unwritable)?;
        let (header, payload) = frames[start..].split_at_mut(FRAME_HEADER_BYTES);
        if payload.len() > RECORD_BYTES_MAX {
            return Err(Refused::TooLarge { bytes: payload.len() });
        }
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        header[..4].copy_from_slice(&length);
        header[4..8].copy_from_slice(&crc32c::crc32c(&length).to_le_bytes());
        header[8..].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    }
    Ok(frames)
}

/// The records of every payload, in order.
pub(super) fn decode_all<R: DeserializeOwned>(payloads: &[&[u8]]) -> Result<Vec<R>, Unread> {
    payloads.iter().enumerate().map(|(at, payload)| decode(payload, at + 1)).collect()
}

/// The record of a payload, the `number`th of its file.
fn decode<R: DeserializeOwned>(payload: &[u8], number: usize) -> Result<R, Unread> {
    let unreadable = |source| Unread::Unreadable { number, source };
    // The form first: a newer record may not even have the fields that we look for.
    let Form { form } = serde_json::from_slice(payload).map_err(unreadable)?;
    if form > RECORD_FORM {
        return Err(Unread::Newer { found: form, known: RECORD_FORM });
    }
    let Whole { record } = serde_json::from_slice(payload).map_err(unreadable)?;
    Ok(record)
}

/// Finds the frames of a file.
pub(super) fn scan(content: &[u8]) -> Result<Scanned<'_>, Damage> {
    check_header(content)?;
    let mut payloads = Vec::new();
    let mut length = HEADER_BYTES as usize;
    loop {
        match first_frame(&content[length..]) {
            Frame::Whole(payload) => {
                payloads.push(payload);
                length += FRAME_HEADER_BYTES + payload.len();
            }
            Frame::End | Frame::CutOff => return Ok(Scanned { payloads, length }),
            Frame::Damaged(what) => return Err(Damage::Bytes { offset: length as u64, what }),
        }
    }
}

impl Damage {
    /// The file no longer shows all that was written to it.
    pub(super) fn lost(at: usize) -> Damage {
        Damage::Bytes { offset: at as u64, what: "records that were written are gone" }
    }
}

fn check_header(content: &[u8]) -> Result<(), Damage> {
    let damage = |what| Damage::Bytes { offset: 0, what };
    // A journal comes into being with its header, by a rename.
    let header = content.get(..HEADER_BYTES as usize).ok_or(damage("the header is cut off"))?;
    let (fields, crc) = header.split_at(12);
    let (magic, form) = fields.split_at(8);
    if magic != MAGIC {
        return Err(damage("this is not a journal"));
    }
    if crc32c::crc32c(fields) != number(crc) {
        return Err(damage("the header's checksum is wrong"));
    }
    if number(form) > FILE_FORM {
        return Err(Damage::Newer { found: number(form), known: FILE_FORM });
    }
    Ok(())
}

enum Frame<'a> {
    Whole(&'a [u8]),
    /// Nothing more.
    End,
    /// The file ends before the frame does.
    CutOff,
    Damaged(&'static str),
}

fn first_frame(rest: &[u8]) -> Frame<'_> {
    if rest.is_empty() {
        return Frame::End;
    }
    let Some((header, rest)) = rest.split_at_checked(FRAME_HEADER_BYTES) else {
        return Frame::CutOff;
    };
    let length = number(&header[..4]);
    if crc32c::crc32c(&header[..4]) != number(&header[4..8]) {
        return match is_hole(&header[8..]) && is_hole(rest) {
            true => Frame::CutOff,
            false => Frame::Damaged("the checksum of a record's length is wrong"),
        };
    }
    if length as usize > RECORD_BYTES_MAX {
        return Frame::Damaged("a record is larger than any can be");
    }
    let Some((payload, rest)) = rest.split_at_checked(length as usize) else {
        return Frame::CutOff;
    };
    if crc32c::crc32c(payload) != number(&header[8..]) {
        return match payload.ends_with(&[0]) && is_hole(rest) {
            true => Frame::CutOff,
            false => Frame::Damaged("a record's checksum is wrong"),
        };
    }
    Frame::Whole(payload)
}

/// Whether these last bytes of a file may be room that the file system made for what it then lost with
/// the power: zeros. No record that was written ends with one.
fn is_hole(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
