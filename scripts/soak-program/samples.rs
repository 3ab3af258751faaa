//! What the process held, second by second, and whether that grew.

use crate::proxy::Holds;
use std::fmt::Write as _;

/// Memory may grow by so much over the run: the allocator keeps what a coincidence of large
/// bodies took.
const SLACK_KIB: u64 = 8 << 10;

/// And by this part.
const SLACK_PERCENT: u64 = 15;

/// A sample per second.
#[derive(Default)]
pub struct Samples(Vec<Holds>);

/// The first and the last third of the time after the warm-up.
struct Thirds {
    first: Holds,
    last: Holds,
}

impl Samples {
    /// Adds one.
    pub fn add(&mut self, holds: Holds) {
        self.0.push(holds);
    }

    /// Medians of the first and the last third after the warm-up (in samples).
    fn thirds(&self, warm_up: usize) -> Option<Thirds> {
        let after = self.0.get(warm_up..).filter(|after| after.len() >= 3)?;
        let third = after.len() / 3;
        Some(Thirds { first: median(&after[..third]), last: median(&after[after.len() - third..]) })
    }

    /// What is wrong with them, if anything.
    pub fn faults(&self, warm_up: usize) -> Vec<String> {
        let Some(Thirds { first, last }) = self.thirds(warm_up) else {
            return vec!["too few samples".to_owned()];
        };
        let mut faults = Vec::new();
        let most = first.resident_kib * (100 + SLACK_PERCENT) / 100 + SLACK_KIB;
        if last.resident_kib > most {
            faults.push(format!(
                "memory grows: {} KiB, then {} KiB",
                first.resident_kib, last.resident_kib
            ));
        }
        // Connections come and go; a leak of one in a thousand adds up.
        if last.files > first.files * 13 / 10 + 20 {
            faults.push(format!("files grow: {}, then {}", first.files, last.files));
        }
        if last.threads > first.threads + 2 {
            faults.push(format!("threads grow: {}, then {}", first.threads, last.threads));
        }
        faults
    }

    /// Medians, and the highest there was.
    pub fn table(&self, warm_up: usize) -> String {
        let mut table =
            String::from("| the proxy held | MiB | files | threads |\n|---|--:|--:|--:|\n");
        let highest = Holds {
            resident_kib: self.0.iter().map(|holds| holds.resident_kib).max().unwrap_or(0),
            files: self.0.iter().map(|holds| holds.files).max().unwrap_or(0),
            threads: self.0.iter().map(|holds| holds.threads).max().unwrap_or(0),
        };
        let mut rows = vec![("at most", highest)];
        if let Some(Thirds { first, last }) = self.thirds(warm_up) {
            rows.insert(0, ("in the first third after the warm-up", first));
            rows.insert(1, ("in the last third", last));
        }
        for (when, holds) in rows {
            let _ = writeln!(table, "{}", row(when, holds));
        }
        table
    }
}

/// A row of the table.
pub fn row(when: &str, holds: Holds) -> String {
    let (whole, tenth) = (holds.resident_kib / 1024, holds.resident_kib % 1024 * 10 / 1024);
    format!("| {when} | {whole}.{tenth} | {} | {} |", holds.files, holds.threads)
}

fn median(of: &[Holds]) -> Holds {
    let middle = |of_each: fn(&Holds) -> u64| {
        let mut all: Vec<u64> = of.iter().map(of_each).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Holds {
        resident_kib: middle(|holds| holds.resident_kib),
        files: middle(|holds| holds.files),
        threads: middle(|holds| holds.threads),
    }
}
