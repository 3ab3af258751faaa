//! The tables.

use crate::case::{Kind, Row};
use crate::origin::Change;
use crate::polling::Polled;
use std::fmt::Write as _;
use std::time::Duration;

const KIB: f64 = 1024.0;
const MIB: f64 = KIB * KIB;

/// While nothing changes: a row for each case.
pub fn idle(rows: &[Row]) -> String {
    let mut out = String::from(
        "| streams | body | served by | MiB at start | KiB per stream | MiB kept after | core \
         | beats/s | polls/s |\n\
         |--:|--:|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let case = row.case;
        let _ = writeln!(
            out,
            "| {} | {} B | {} | {:.1} | {:.1} | {:.1} | {:.1} % | {:.0} | {:.1} |",
            case.streams,
            case.bytes,
            case.kind.name(),
            row.start / MIB,
            row.per_stream / KIB,
            row.left / MIB,
            row.idle_share * 100.0,
            row.idle_beats,
            row.idle_polls,
        );
    }
    out
}

/// While something does: a row for each case.
pub fn changes(rows: &[Row]) -> String {
    let mut out = String::from(
        "| streams | body | changes | served by | calm: µs each | p50 ms | p99 ms | max ms \
         | flood: µs each | deliveries/s | core | loss |\n\
         |--:|--:|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for row in rows {
        let case = row.case;
        let change = if case.change == Change::Field { "a field" } else { "all" };
        let [p50, p99, longest] = row.latency.map(ms);
        let _ = writeln!(
            out,
            "| {} | {} B | {change} | {} | {:.1} | {p50} | {p99} | {longest} | {:.1} | {:.0} \
             | {:.0} % | lost {} of {} |",
            case.streams,
            case.bytes,
            case.kind.name(),
            row.calm_cost,
            row.flood_cost,
            row.flood_rate,
            row.flood_share * 100.0,
            row.lost,
            case.streams,
        );
    }
    out
}

/// Pollcast against the peer and against polling.
pub fn ratios(rows: &[Row], polled: &Polled) -> String {
    let mut out = format!(
        "{} clients that poll every 2 s through the proxy in mode off: {:.0} requests/s at the \
         origin, {:.1} % of a core, {:.1} KiB resident per client.\n\n\
         | Pollcast : other | KiB per stream | idle core | calm: µs each | flood: µs each |\n\
         |---|--:|--:|--:|--:|\n",
        polled.clients,
        polled.requests,
        polled.share * 100.0,
        polled.per_client / KIB,
    );
    let find = |kind: Kind, streams: usize| {
        let fits = move |row: &&Row| {
            let case = row.case;
            case.kind == kind && case.streams == streams && case.bytes == 200
        };
        rows.iter().find(fits)
    };
    for streams in [1_000, 5_000] {
        let (Some(ours), Some(bare)) =
            (find(Kind::Shared, streams), find(Kind::Broadcaster, streams))
        else {
            continue;
        };
        let _ = writeln!(
            out,
            "| bare hyper, {streams} streams | {:.2} | {:.2} | {:.2} | {:.2} |",
            ours.per_stream / bare.per_stream,
            ours.idle_share / bare.idle_share,
            ours.calm_cost / bare.calm_cost,
            ours.flood_cost / bare.flood_cost,
        );
    }
    if let Some(ours) = find(Kind::Shared, polled.clients) {
        let _ = writeln!(
            out,
            "| polling, {} clients | {:.2} | {:.2} | | |",
            polled.clients,
            ours.per_stream / polled.per_client,
            ours.idle_share / polled.share,
        );
    }
    out
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
