//! Fourteen formats of logs, a thousand records each: `--ignore all` keeps the first line of
//! each message, and no other.

use crate::harness::redirected;
use crate::made::{Chance, FORMATS};

#[test]
fn presets_alone_keep_one_line_a_message() {
    for (name, messages) in FORMATS {
        let mut chance = Chance(7);
        let records: Vec<String> = (0..1000)
            .map(|n| {
                let which = if n < messages.len() {
                    n
                } else {
                    chance.below(messages.len() as u64) as usize
                };
                chance.record(messages[which])
            })
            .collect();
        let ran = redirected(["--ignore=all", "--stats"], (records.join("\n") + "\n").as_bytes());
        let kept: Vec<&str> = ran.text().lines().collect();
        assert_eq!(kept, &records[..messages.len()], "{name}");
        ran.conserves(1000);
    }
}
