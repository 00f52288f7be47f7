//! A store on Redis or Valkey.

use super::FleetError;
use super::store::{Answer, Away, Refused, Store, Touch, Want};
use ::redis::{Client, Cmd, Connection, FromRedisValue, Pipeline, RedisError, Value};
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

/// A [`Store`] on Redis (5 or newer) or Valkey. Feature `fleet-redis`.
///
/// One connection for each process, made when there is something to ask, and again after an error;
/// each batch is one round trip. Time is the server's. Works through proxies and with rights that
/// forbid `SCRIPT`: the script is sent by `EVALSHA`, and by `EVAL` where the server does not know it.
/// `docs/FLEET.md` in the repository has the rights that it needs, what it stores, and for how long.
///
/// Over TLS (`rediss://`) with the feature `fleet-redis-tls`, on a cluster with
/// `fleet-redis-cluster`.
///
/// ```
/// use quell::fleet::Redis;
/// let store = Redis::new("redis://:password@10.0.0.5/3")?; // connects to nothing yet
/// let local = Redis::new("redis+unix:///run/redis.sock")?;
/// # drop((store, local));
/// # Ok::<(), quell::fleet::FleetError>(())
/// ```
pub struct Redis {
    target: Target,
    connection: Option<Link>,
}

/// How long to wait for a connection, and for each part of an answer.
const TIMEOUT: Duration = Duration::from_millis(500);

const TEXT: &str = include_str!("touch.lua");
static SCRIPT: LazyLock<::redis::Script> = LazyLock::new(|| ::redis::Script::new(TEXT));

#[derive(Clone)]
enum Target {
    Server(Client),
    #[cfg(feature = "fleet-redis-cluster")]
    Cluster(::redis::cluster::ClusterClient),
}

enum Link {
    Server(Connection),
    #[cfg(feature = "fleet-redis-cluster")]
    Cluster(Box<::redis::cluster::ClusterConnection>),
}

impl Redis {
    /// Returns a store on one server. Connects when it is first asked.
    ///
    /// # Errors
    /// [`FleetError::Address`] if `address` is none that can be used.
    pub fn new(address: &str) -> Result<Self, FleetError> {
        let client = Client::open(address).map_err(address_error)?;
        Ok(Self { target: Target::Server(client), connection: None })
    }

    /// Returns a store on a cluster, some of whose nodes are at `addresses`. Connects when it is
    /// first asked.
    ///
    /// # Errors
    /// [`FleetError::Address`] if an address cannot be used, or there is none.
    #[cfg(feature = "fleet-redis-cluster")]
    pub fn cluster<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Result<Self, FleetError> {
        let addresses: Vec<&str> = addresses.into_iter().collect();
        if addresses.is_empty() {
            return Err(FleetError::Address("a cluster needs the address of a node".into()));
        }
        let client = ::redis::cluster::ClusterClient::builder(addresses)
            .connection_timeout(TIMEOUT)
            .response_timeout(TIMEOUT)
            .retries(1)
            .build()
            .map_err(address_error)?;
        Ok(Self { target: Target::Cluster(client), connection: None })
    }
}

fn address_error(error: RedisError) -> FleetError {
    FleetError::Address(error.to_string().into())
}

impl Target {
    fn connect(&self) -> Result<Link, RedisError> {
        match self {
            Self::Server(client) => {
                let connection = client.get_connection_with_timeout(TIMEOUT)?;
                connection.set_read_timeout(Some(TIMEOUT))?;
                connection.set_write_timeout(Some(TIMEOUT))?;
                Ok(Link::Server(connection))
            }
            #[cfg(feature = "fleet-redis-cluster")]
            Self::Cluster(client) => {
                let connection = client.get_connection()?;
                connection.set_read_timeout(Some(TIMEOUT))?;
                connection.set_write_timeout(Some(TIMEOUT))?;
                Ok(Link::Cluster(connection.into()))
            }
        }
    }
}

/// What each command of a batch came to.
type Outcomes = Vec<Result<Value, RedisError>>;

impl Link {
    fn run(&mut self, commands: Vec<Cmd>) -> Result<Outcomes, RedisError> {
        match self {
            Self::Server(connection) => {
                let mut pipe = Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipe.add_command(command);
                }
                let values: Vec<Value> = pipe.ignore_errors().query(connection)?;
                Ok(values.into_iter().map(Value::extract_error).collect())
            }
            #[cfg(feature = "fleet-redis-cluster")]
            Self::Cluster(connection) => {
                let mut pipe = ::redis::cluster::cluster_pipe();
                for command in &commands {
                    pipe.add_command(command.clone());
                }
                match pipe.query::<Vec<Value>>(connection) {
                    // That of one command: each for itself, then, to know which.
                    Err(error) if error.code().is_some() => {
                        let run = |command: Cmd| match command.query(&mut **connection) {
                            Err(error) if error.code().is_none() => Err(error),
                            outcome => Ok(outcome),
                        };
                        commands.into_iter().map(run).collect()
                    }
                    values => Ok(values?.into_iter().map(Ok).collect()),
                }
            }
        }
    }
}

fn command(name: &str, script: &str, fleet: &str, touch: &Touch) -> Cmd {
    let want = match touch.want {
        Want::Deposit => "deposit",
        Want::Collect => "collect",
        Want::Claim => "claim",
        Want::Leave => "leave",
        Want::Forget => "forget",
    };
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut command = ::redis::cmd(name);
    command
        .arg(script)
        .arg(1)
        .arg(format!("{fleet}:{{{:032x}}}", touch.message))
        .arg(&touch.member.to_be_bytes()[..])
        .arg(want)
        .arg(u8::from(touch.writes))
        .arg(millis(touch.lease))
        .arg(millis(touch.expiry()))
        .arg(millis(Touch::TAKE))
        .arg(touch.total)
        .arg(touch.base)
        .arg(touch.doubt)
        .arg(touch.ack)
        .arg(touch.incarnation);
    command
}

fn answer(value: Value) -> Result<Answer, RedisError> {
    let (mine, left, sum, processes, doubt, position, reported, incarnation) =
        FromRedisValue::from_redis_value(value)?;
    let left = Duration::from_millis(left);
    Ok(Answer { mine, left, sum, processes, doubt, position, reported, incarnation })
}

/// Whether the key is something else, or was spoilt: of no consequence for others.
fn is_of_one_key(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE") || error.to_string().contains("attempt to ")
}

impl Redis {
    fn ask(&mut self, fleet: &str, batch: &[Touch]) -> Result<Outcomes, RedisError> {
        let link = match &mut self.connection {
            Some(link) => link,
            none => none.insert(self.target.connect()?),
        };
        let by_hash = |touch: &Touch| command("EVALSHA", SCRIPT.get_hash(), fleet, touch);
        let mut outcomes = link.run(batch.iter().map(by_hash).collect())?;
        let is_unknown =
            |n: &usize| outcomes[*n].as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT"));
        let unknown: Vec<usize> = (0..outcomes.len()).filter(is_unknown).collect();
        if !unknown.is_empty() {
            // Not by SCRIPT LOAD, which proxies and rights may refuse. All of them: several
            // servers may be behind this.
            let whole = |&n: &usize| command("EVAL", TEXT, fleet, &batch[n]);
            let again = link.run(unknown.iter().map(whole).collect())?;
            for (n, outcome) in unknown.into_iter().zip(again) {
                outcomes[n] = outcome;
            }
        }
        Ok(outcomes)
    }
}

impl Store for Redis {
    fn touch(
        &mut self,
        fleet: &str,
        batch: &[Touch],
        answers: &mut Vec<Result<Answer, Refused>>,
    ) -> Result<(), Away> {
        let outcomes = self.ask(fleet, batch);
        let read = || -> Result<(), RedisError> {
            for outcome in outcomes? {
                answers.push(match outcome {
                    Err(error) if is_of_one_key(&error) => Err(Refused::new(error)),
                    outcome => Ok(answer(outcome?)?),
                });
            }
            Ok(())
        };
        read().map_err(|error| {
            // What it may yet answer is not to be taken for the answer to something else.
            self.connection = None;
            Away::new(error)
        })
    }
}

impl Clone for Redis {
    /// Returns a store with a connection of its own.
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), connection: None }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address, which may have a password.
        f.debug_struct("Redis").field("is_connected", &self.connection.is_some()).finish()
    }
}
