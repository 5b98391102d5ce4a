//! How long a look-up takes over sealed segments on a disk, and how many bytes an interval has.
//!
//! Lines `name value unit`. `LEDGER_INTERVALS` says how many intervals there are: ten million if not.

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipam::{BlockId, EndpointId, Epoch, Generation, HostId};
use ledger::{Container, End, Interval, Moment, Query, Segment, Shelf, Why};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Blocks of 256 addresses among which the intervals are spread.
const BLOCKS: u64 = 40;

/// Intervals of a segment of 64 KiB.
const SEGMENT_INTERVALS: u64 = 700;

/// All of it happened within a year, from 2025-01-01.
const BEGIN_MILLIS: u64 = 1_735_689_600_000;
const YEAR_MILLIS: u64 = 365 * 86_400_000;

const LOOKUPS: usize = 2_000;
const HISTORIES: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let count: u64 = std::env::var("LEDGER_INTERVALS").map_or(Ok(10_000_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let mut random = StdRng::seed_from_u64(7);
    let begun = Instant::now();
    let (mut shelf, _) = Shelf::open(directory.path())?;
    for block in 0..BLOCKS {
        fill(&mut shelf, block, count / BLOCKS, &mut random)?;
    }
    let written = count / BLOCKS * BLOCKS;
    println!("history_intervals {written} intervals");
    println!("history_segments {} segments", shelf.all().count());
    println!("history_bytes_per_interval {:.1} bytes", shelf.bytes() as f64 / written as f64);
    println!("history_write_seconds {:.1} s", begun.elapsed().as_secs_f64());
    drop(shelf);

    let begun = Instant::now();
    let (shelf, _) = Shelf::open(directory.path())?;
    println!("history_open_seconds {:.2} s", begun.elapsed().as_secs_f64());

    let mut found = 0;
    let mut at = |random: &mut StdRng| {
        let at = Moment(BEGIN_MILLIS + random.random_range(0..YEAR_MILLIS));
        let query = Query { address: Some(any_address(random)), during: Some((at, at)), ..Query::default() };
        let begun = Instant::now();
        found += shelf.find(&query).0.len();
        begun.elapsed()
    };
    let mut lookups: Vec<Duration> = (0..LOOKUPS).map(|_| at(&mut random)).collect();
    print_quantiles("history_lookup", &mut lookups);
    println!("history_lookup_found {:.2} of all", found as f64 / LOOKUPS as f64);

    let mut histories: Vec<Duration> = (0..HISTORIES)
        .map(|_| {
            let query = Query { address: Some(any_address(&mut random)), ..Query::default() };
            let begun = Instant::now();
            let found = shelf.find(&query).0.len();
            assert!(found > 0, "every address has a history");
            begun.elapsed()
        })
        .collect();
    print_quantiles("history_whole_year", &mut histories);
    Ok(())
}

/// A block's closed intervals, in the order in which they ended.
fn fill(shelf: &mut Shelf, block: u64, count: u64, random: &mut StdRng) -> Result<(), Box<dyn Error>> {
    let id = BlockId { subnet: format!("10.{block}.0.0/24").parse()?, index: 0 };
    // Each address in turn: used most of the time, with a rest between.
    let turn = YEAR_MILLIS * 254 / count;
    let mut segment = Vec::new();
    for number in 0..count {
        let end = BEGIN_MILLIS + number * YEAR_MILLIS / count;
        let length = random.random_range(turn / 2..turn);
        let address = IpAddr::from([10, block as u8, 0, (number % 254) as u8 + 1]);
        segment.push(interval(address, number, end.saturating_sub(length), end, random));
        if segment.len() as u64 == SEGMENT_INTERVALS || number + 1 == count {
            let period = number / SEGMENT_INTERVALS;
            let (_, bytes) =
                Segment::pack(id, period, &HostId::from("vm-1404267"), std::mem::take(&mut segment))?;
            shelf.put(&bytes)?;
        }
    }
    Ok(())
}

fn interval(address: IpAddr, counter: u64, from: u64, to: u64, random: &mut StdRng) -> Interval {
    let mut id = || -> String { (0..8).map(|_| format!("{:08x}", random.random::<u32>())).collect() };
    let (endpoint, container) = (id(), id());
    Interval {
        address,
        epoch: Epoch { generation: Generation { number: 1_735_689_600, id: 0x5bd1_e995 }, take: 3, counter },
        host: HostId(format!("vm-{}", 1_404_267 + counter % 10)),
        endpoint: Some(EndpointId(endpoint)),
        container: Some(Container {
            id: container,
            name: format!("shop_web_{}", counter % 400),
            network: "cloud".into(),
        }),
        from: Moment(from),
        from_offset: 0,
        earlier: false,
        unknown: false,
        end: Some(End { at: Moment(to), offset: 0, why: Why::Released }),
    }
}

fn any_address(random: &mut StdRng) -> IpAddr {
    IpAddr::from([10, random.random_range(0..BLOCKS) as u8, 0, random.random_range(1..255)])
}

fn print_quantiles(name: &str, taken: &mut [Duration]) {
    taken.sort();
    let millis = |part: f64| taken[((taken.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!("{name}_p50_ms {:.2} ms", millis(0.50));
    println!("{name}_p99_ms {:.2} ms", millis(0.99));
}
