//! The command line: options, help, and error messages for wrong arguments.

use crate::fields::Choice;
use crate::generate::Generate;
use crate::parse::{parse_count, parse_regex, parse_time};
use crate::records::Records;
use crate::tally::Shape;
use crate::{EXIT_FAILURE, print_error};
use clap::{Parser, ValueEnum};
use quell::Classes;
use regex::bytes::Regex;
use std::path::PathBuf;
use std::time::Duration;

/// Writes the first of each repeated line and suppresses its repeats for a while.
///
/// The lines of all FILEs are one stream. A line is written at once if no equal line was
/// written within the window. Otherwise it is counted. A summary says how many lines were
/// suppressed: when the window has passed, at the end of input and on an interrupt.
#[derive(Debug, Parser)]
#[command(version, name = "quell", after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Read these files, in this order; - is standard input, the default
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Suppress the repeats of a line for TIME after it is written: 500ms, 60s, 1m30s, 1h,
    /// 1d, or a plain number of seconds
    #[arg(
        long, value_name = "TIME", default_value = "60s", value_parser = parse_time,
        allow_negative_numbers = true
    )]
    pub(crate) window: Duration,

    /// Remember at least N different lines
    #[arg(long, value_name = "N", default_value_t = 65_536, allow_negative_numbers = true)]
    pub(crate) max_entries: usize,

    /// Leave the first N fields out of the comparison, as uniq does: a field is a run of
    /// blanks and the non-blanks after it
    #[arg(
        help_heading = "What is compared",
        short = 'f', long, value_name = "N", default_value = "0", value_parser = parse_count, allow_negative_numbers = true
    )]
    pub(crate) skip_fields: usize,

    /// Leave the first N bytes after these fields out of the comparison
    #[arg(
        help_heading = "What is compared",
        short = 's', long, value_name = "N", default_value = "0", value_parser = parse_count, allow_negative_numbers = true
    )]
    pub(crate) skip_chars: usize,

    /// Leave what REGEX matches out of the comparison; may be given more than once
    #[arg(
        help_heading = "What is compared",
        long = "mask", value_name = "REGEX", value_parser = parse_regex, allow_hyphen_values = true
    )]
    pub(crate) masks: Vec<Regex>,

    /// Leave these kinds of text out of the comparison: all, or some of
    /// time,uuid,hex,number,ip,path,ansi
    #[arg(help_heading = "What is compared", long, value_name = "CLASSES", default_value = "none")]
    pub(crate) ignore: Classes,

    /// Compare only these members of a line that is a JSON object or logfmt (name=value
    /// ...); http.status is the member status of http
    #[arg(
        help_heading = "What is compared",
        long = "key",
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "except"
    )]
    key: Vec<String>,

    /// Compare all but these members of such a line
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "What is compared")]
    except: Vec<String>,

    /// Begin a record at each line that REGEX matches; a record is compared and written as
    /// a whole
    #[arg(
        help_heading = "Records of several lines",
        long, value_name = "REGEX", value_parser = parse_regex, allow_hyphen_values = true, conflicts_with = "stack_traces"
    )]
    record_start: Option<Regex>,

    /// Add a line to the record before it if it begins with white space, a closing bracket,
    /// "at ", "Caused by:", "Traceback" or "...", or ends a trace of Python
    #[arg(long, help_heading = "Records of several lines")]
    stack_traces: bool,

    /// End lines in NUL instead of newline
    #[arg(short, long)]
    pub(crate) zero_terminated: bool,

    /// Write at the end the count and the first line of each message, as uniq -c does, in
    /// the order in which they first came
    #[arg(long, conflicts_with = "top", help_heading = "Counts instead of lines")]
    count: bool,

    /// Write at the end the counts and first lines of the N most frequent messages; a
    /// terminal shows them meanwhile
    #[arg(
        help_heading = "Counts instead of lines",
        long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true
    )]
    pub(crate) top: Option<usize>,

    /// Read the FILEs and go on as they grow, are truncated or replaced, as tail -F does
    #[arg(long)]
    pub(crate) follow: bool,

    /// Write summaries of what is suppressed to WHERE
    #[arg(
        help_heading = "Summaries", long, value_name = "WHERE", value_enum, require_equals = true, num_args = 0..=1,
        default_value = "stderr", default_missing_value = "stderr", overrides_with_all = ["summary", "no_summary"]
    )]
    pub(crate) summary: Place,

    /// Write no summaries
    #[arg(long, overrides_with_all = ["summary", "no_summary"], help_heading = "Summaries")]
    no_summary: bool,

    /// Write summaries and statistics as JSON objects, for logs of JSON lines:
    /// {"quell":{"suppressed":7,...},"level":"warn","message":"..."}
    #[arg(long, help_heading = "Summaries")]
    pub(crate) json: bool,

    /// Colour summaries
    #[arg(
        help_heading = "Summaries",
        long,
        value_name = "WHEN",
        value_enum,
        default_value = "auto"
    )]
    pub(crate) color: Color,

    /// Write counts to standard error at the end: lines read, written, suppressed, untracked
    /// (written for lack of room to remember them) and forgotten (before their window has
    /// passed); with a hint if nothing is suppressed
    #[arg(long)]
    pub(crate) stats: bool,

    /// Print a manual page or a completion script, and exit
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) generate: Option<Generate>,
}

/// The place of summaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// Standard error
    Stderr,
    /// Standard output, between the lines
    Inline,
    /// Nowhere, as with --no-summary
    None,
}

/// The use of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Returns whether text that may go to a terminal is coloured.
    pub(crate) fn on(self, terminal: bool) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Auto => {
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                terminal && !dumb && !set("NO_COLOR")
            }
            Self::Always => true,
            Self::Never => false,
        }
    }
}

const AFTER_HELP: &str = "\
Time:
  Pipes and terminals run on wall time. If every input is a regular file, the
  clock stands still: the window is the whole input, and two runs on the same
  unchanged files write the same. With inputs of both kinds, wall time holds for all.
  quell remembers at least --max-entries lines, those seen last. A line that it has
  forgotten is written when it comes again.

Comparison:
  The whole line counts, as bytes, without a CR at its end. -f applies first, then -s,
  then the masks, then --ignore.
  What a mask matches leaves a mark, so that \"a 1\" and \"1 a\" stay different; matches
  that touch leave one. --ignore leaves a mark of its own for each kind of text.
  With --key or --except, neither the order of members nor the way they are written
  counts, but their types do: 1 is not \"1\". Masks and --ignore then apply to each
  string, -f and -s to none. A line that is neither an object nor logfmt, or that has
  no member to compare, is compared as a whole.
  Lines of more than 1 MiB are compared without masks, --ignore, --key and --except.
  They wait in an unnamed temporary file until their end is read. Without room for
  that file, the line is written and counted as untracked.

Counts:
  --count and --top count over the whole input, whatever the window. They remember at
  most --max-entries messages and 256 MiB of their lines. If there are more, they
  forget the rarest: a message that comes again counts from there, and the last line
  of --count has the sum of the counts that were forgotten.

Records:
  A record ends where the next one begins, or when no input comes for half a second.
  It also ends at 1 MiB: what follows is a record of its own.

Summaries:
  A summary shows the first of the lines that it counts.
  With --mask or --ignore, a summary ends with the kinds of text left out that differ
  among these lines and the one written before them: (varying: time, mask).
  With --json this is the list \"varying\", also of --count and --top; it is empty if
  nothing differs. If --max-entries is too small to tell, there is none.

Output:
  Bytes are written as they came. A newline that is missing at the end of an input is
  added. quell flushes the output before it waits for input.
  With --json, a summary has in \"quell\" how many lines were suppressed, since when, when
  the last of them came (on wall time), and the number of the line that it shows. Beside it are the level and
  the message of that line if it is an object, else the start of the line.

Signals:
  After SIGINT (^C), SIGTERM or SIGHUP, quell writes and summarises what it has read;
  one more signal kills it at once. ^C also reaches the program that writes into a
  pipe: after the first SIGINT quell reads pipes on to their end, after the second it
  stops.

Exit status:
  0    all went well, also if the reader of the output has gone
  2    an argument is wrong, an input cannot be read (the others are), or the output
       cannot be written
  129  after SIGHUP
  130  after SIGINT
  143  after SIGTERM

Examples:
  tail -f app.log | quell --window 5m
  quell --follow --stack-traces app.log
  quell --top 10 --ignore all app.log
  quell --summary=inline --stats a.log b.log
  quell --mask '^\\d{4}-\\d\\d-\\d\\d[T ][\\d:.,]+Z?' --mask 'pid=\\d+' app.log
  quell --json --summary=inline --except ts,request_id app.jsonl";

impl Args {
    /// Parses the arguments of this process. After help or an error message, which it
    /// prints, returns the exit status.
    pub(crate) fn get() -> Result<Args, u8> {
        let mut args = Args::try_parse().map_err(|error| {
            if error.use_stderr() {
                let text = error.to_string();
                let text = text.strip_prefix("error: ").unwrap_or(&text);
                print_error(format_args!("{}", text.trim_end()));
                EXIT_FAILURE
            } else {
                // A reader of the help that has gone, such as a pager, is not an error.
                let _ = error.print();
                0
            }
        })?;
        if let Some(what) = args.generate {
            // As with the help, a reader that has gone is no error.
            let _ = what.print(&mut std::io::stdout().lock());
            return Err(0);
        }
        if args.follow
            && (args.files.is_empty() || args.files.iter().any(|of| of.as_os_str() == "-"))
        {
            print_error(format_args!("--follow needs a FILE, and cannot follow -"));
            return Err(EXIT_FAILURE);
        }
        if args.no_summary || args.shape().is_some() {
            args.summary = Place::None;
        }
        if args.files.is_empty() {
            args.files.push("-".into());
        }
        Ok(args)
    }

    /// Returns which fields of a line are compared, if not all of its text is.
    pub(crate) fn choice(&self) -> Option<Choice> {
        if !self.key.is_empty() {
            Some(Choice::Only(self.key.clone()))
        } else if !self.except.is_empty() {
            Some(Choice::Except(self.except.clone()))
        } else {
            None
        }
    }

    /// Returns how lines make up records, if they do.
    pub(crate) fn records(&self) -> Option<Records> {
        match &self.record_start {
            Some(start) => Some(Records::Start(start.clone())),
            None => self.stack_traces.then_some(Records::StackTraces),
        }
    }

    /// Returns how counts are written, if they are instead of lines.
    pub(crate) fn shape(&self) -> Option<Shape> {
        (self.count || self.top.is_some()).then(|| Shape {
            top: self.top,
            json: self.json,
            terminator: self.terminator(),
        })
    }

    /// Returns whether it is to be told which kinds of text varied: where any are left out,
    /// and something has a place for it.
    pub(crate) fn tells_varying(&self) -> bool {
        let leaves_out = !self.ignore.is_empty() || !self.masks.is_empty();
        let place = match self.shape() {
            Some(shape) => shape.json,
            None => self.summary != Place::None,
        };
        leaves_out && place
    }

    /// Returns the byte that ends a line.
    pub(crate) fn terminator(&self) -> u8 {
        if self.zero_terminated { 0 } else { b'\n' }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }
}
