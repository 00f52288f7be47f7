//! What a fleet asks of a store: one operation on one message.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Keeps what the processes of a fleet tell each other.
///
/// [`Memory`](super::Memory) is the reference, `Redis` (feature `fleet-redis`) is for use, and
/// [`conformance`](super::conformance) is the suite that each must pass.
///
/// A store is called by the fleet's own thread alone, and may block: up to a limit of its own, of
/// half a second or so, lest counts be handed over late. No logging thread ever waits for it
/// longer than the fleet's [`wait`](super::FleetBuilder::wait).
///
/// A clone is for another process, or another thread: it shares what is stored, and no
/// connection.
pub trait Store: Clone + Send + 'static {
    /// Carries out each touch of `batch`, at once and completely, and appends an answer for each
    /// to `answers`, in their order. `fleet` is part of the key. No two touches of a batch are
    /// of one message.
    ///
    /// What a touch does is said in `docs/FLEET.md`, and done by [`Memory`](super::Memory). It
    /// can be repeated without harm.
    ///
    /// # Errors
    /// [`Away`] if it is not known which of them were carried out: all of them are asked again,
    /// later. The next call must not meet what is left of this one: drop the connection.
    /// [`Refused`], for one touch, if that was certainly not carried out.
    fn touch(
        &mut self,
        fleet: &str,
        batch: &[Touch],
        answers: &mut Vec<Result<Answer, Refused>>,
    ) -> Result<(), Away>;
}

/// What a member of a fleet has to say about a message, and wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The message.
    pub message: u128,
    /// The member: one entry of one process's table. Never used again.
    pub member: u128,
    /// What it wants.
    pub want: Want,
    /// Whether it can write a summary now: if not, it is given nothing to report.
    pub writes: bool,
    /// How long it wants to own the message.
    pub lease: Duration,
    /// All that it has ever counted.
    pub total: u64,
    /// How much of that it knows to be reported. Holds if the store does not know the member.
    pub base: u64,
    /// How much it has sent before and does not know to be reported: if the store does not know
    /// the member, that is in doubt.
    pub doubt: u64,
    /// Up to which position it has written summaries; 0 for none.
    pub ack: u64,
    /// In which incarnation that position is.
    pub incarnation: u64,
}

impl Touch {
    /// How long one process has to write a summary that it was given.
    pub const TAKE: Duration = Duration::from_secs(5);

    /// Returns how long the store keeps the message after this touch: 20 leases, and from ten
    /// minutes to a week.
    #[must_use]
    pub fn expiry(&self) -> Duration {
        const MINUTE: Duration = Duration::from_secs(60);
        self.lease.saturating_mul(20).clamp(10 * MINUTE, 7 * 24 * 60 * MINUTE)
    }
}

/// What a member wants, besides to hand over its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Nothing.
    Deposit,
    /// To report what is pending, if nobody owns the message, or it itself.
    Collect,
    /// To own the message, and to report what is pending then.
    Claim,
    /// To report what is pending, whoever owns the message: the process may be about to end.
    Leave,
    /// To be forgotten: all it ever counted has been reported.
    Forget,
}

/// What a store says to a [`Touch`]; all zero for one that wants to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether the member owns the message.
    pub mine: bool,
    /// How long somebody owns it yet; zero if nobody does.
    pub left: Duration,
    /// How many calls the member is to report; 0 for none.
    pub sum: u64,
    /// How many members counted these, about.
    pub processes: u64,
    /// How many of them may have been reported before.
    pub doubt: u64,
    /// How many were ever deposited.
    pub position: u64,
    /// How many of these are reported.
    pub reported: u64,
    /// Which life of the message's key this is; another one after the store has lost its memory.
    pub incarnation: u64,
}

/// The store has not answered, or not all of it: nothing is known of what became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away(Box<str>);

impl Away {
    /// Makes an error of the reason.
    pub fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string().into())
    }
}

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store is away: {}", self.0)
    }
}

impl Error for Away {}

/// The store has not carried out one touch, and will not: its key is something else, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(Box<str>);

impl Refused {
    /// Makes an error of the reason.
    pub fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string().into())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store refuses: {}", self.0)
    }
}

impl Error for Refused {}
