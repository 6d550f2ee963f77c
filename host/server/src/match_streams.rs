//! Records the searches of domains that want it, to be replayed with another configuration.
//!
//! Invariant: recording delays nothing and fills no disk. A thread of its own writes; what finds its queue full is left
//! out and counted. A domain has at most [`FILES_MAX`] files of about [`FILE_BYTES_MAX`], and the oldest gives way. No
//! file has a name or a number of a user: users have pseudonyms by a key that is drawn when the host starts and is
//! never written.
//!
//! Main types: [`Streams`], the way to the thread, and [`Recorded`], a handler whose events are recorded.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use scenehost_core::matching::domain::Record;
use scenehost_core::matching::replay::{Line, Stream, pseudonym};
use scenehost_core::matching::{Event, Match};
use scenehost_core::{Context, DomainName, Meter, Service, Time, UserId};

use crate::clock::Clock;

/// How many lines may wait to be written.
const QUEUE_LEN_MAX: usize = 16_384;
/// How large a file becomes.
const FILE_BYTES_MAX: u64 = 64 * 1_024 * 1_024;
/// How many files of a domain are kept, the one that is written included.
const FILES_MAX: u32 = 4;
/// How long a domain whose file cannot be written is left alone.
const AGAIN: Duration = Duration::from_secs(10);

/// The way to the thread that writes. Cheap to clone.
#[derive(Clone)]
pub struct Streams {
    key: Arc<[u8; 32]>,
    queue: SyncSender<Entry>,
}

struct Entry {
    domain: DomainName,
    /// The folder, if it is not the host's own.
    folder: Option<String>,
    line: Line,
}

impl Streams {
    /// Starts the thread, which ends when all who record are gone. The folder is where streams go whose domains do not
    /// say another one.
    pub fn spawn(folder: PathBuf, clock: Clock, rng: &mut impl rand::CryptoRng) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE_LEN_MAX);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let files = Files { folder, file_bytes_max: FILE_BYTES_MAX, clock, of: BTreeMap::new() };
        std::thread::Builder::new().name("match-streams".to_owned()).spawn(move || files.run(&entries))?;
        Ok(Self { key: Arc::new(key), queue })
    }

    /// Records what a handler is told now, if its domain wants that and it is something that is recorded.
    fn record(&self, domain: &DomainName, record: &Record, event: &Event, now: Time) {
        let folder = match record {
            Record::Is(false) => return,
            Record::Is(true) => None,
            Record::In(folder) => Some(folder.clone()),
        };
        let Some(line) = Line::of(event, now, &|user: UserId| pseudonym(&self.key, user)) else { return };
        if self.queue.try_send(Entry { domain: domain.clone(), folder, line }).is_err() {
            lost(1);
        }
    }
}

fn lost(lines: u64) {
    metrics::counter!("scenehost_match_stream_lines_lost_total").increment(lines);
}

/// The handler of a domain, whose searches are recorded as long as its domain says so.
pub struct Recorded {
    handler: Match,
    name: DomainName,
    record: Record,
    streams: Streams,
}

impl Recorded {
    pub fn new(handler: Match, name: DomainName, record: Record, streams: Streams) -> Self {
        Self { handler, name, record, streams }
    }
}

impl Service for Recorded {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        self.streams.record(&self.name, &self.record, &event, cx.now);
        if let Event::Domain { domain, .. } = &event {
            self.record.clone_from(&domain.record);
        }
        self.handler.step(event, cx);
    }

    fn tick() -> Event {
        Match::tick()
    }

    fn deadline(&self) -> Option<Time> {
        self.handler.deadline()
    }

    fn store(up: bool) -> Option<Event> {
        Match::store(up)
    }

    fn speaks_at_once(&self) -> bool {
        self.handler.speaks_at_once()
    }

    fn is_up(&self) -> bool {
        self.handler.is_up()
    }

    fn is_over(&self) -> bool {
        self.handler.is_over()
    }

    fn meters(&self) -> Vec<Meter> {
        self.handler.meters()
    }
}

/// The files of all domains that are recorded.
struct Files {
    folder: PathBuf,
    file_bytes_max: u64,
    clock: Clock,
    of: BTreeMap<(Option<String>, DomainName), Output>,
}

/// Where the lines of a domain go.
enum Output {
    Open {
        file: BufWriter<File>,
        bytes: u64,
    },
    /// It could not be written; when it is tried again.
    Failed {
        until: Duration,
    },
}

impl Files {
    fn run(mut self, entries: &Receiver<Entry>) {
        while let Ok(first) = entries.recv() {
            self.write(first);
            while let Ok(next) = entries.try_recv() {
                self.write(next);
            }
            self.flush();
        }
    }

    fn write(&mut self, entry: Entry) {
        let now = self.clock.elapsed();
        let key = (entry.folder, entry.domain);
        let output = match self.of.remove(&key) {
            Some(Output::Failed { until }) if until > now => Ok(Output::Failed { until }),
            Some(Output::Open { file, bytes }) if bytes < self.file_bytes_max => Ok(Output::Open { file, bytes }),
            _ => open(key.0.as_ref().map_or(&self.folder, |folder| Path::new(folder)), &key.1),
        };
        let text = entry.line.text() + "\n";
        let written = output.and_then(|output| match output {
            Output::Open { mut file, bytes } => {
                file.write_all(text.as_bytes())?;
                Ok(Output::Open { file, bytes: bytes + text.len() as u64 })
            }
            failed @ Output::Failed { .. } => {
                lost(1);
                Ok(failed)
            }
        });
        let output = written.unwrap_or_else(|error| {
            lost(1);
            failed(&key.1, &error, now)
        });
        self.of.insert(key, output);
    }

    fn flush(&mut self) {
        let now = self.clock.elapsed();
        for ((_, domain), output) in &mut self.of {
            let Output::Open { file, .. } = output else { continue };
            if let Err(error) = file.flush() {
                *output = failed(domain, &error, now);
            }
        }
    }
}

fn failed(domain: &DomainName, error: &io::Error, now: Duration) -> Output {
    tracing::error!(%domain, %error, again_s = AGAIN.as_secs(), "searches cannot be recorded: lines are lost");
    Output::Failed { until: now + AGAIN }
}

/// A fresh file for a domain; those that are there become older by one, and the oldest goes.
fn open(folder: &Path, domain: &DomainName) -> io::Result<Output> {
    fs::create_dir_all(folder)?;
    let path = |age: u32| folder.join(file_name(domain, age));
    for age in (0..FILES_MAX - 1).rev() {
        match fs::rename(path(age), path(age + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(0))?;
    let mut file = BufWriter::new(file);
    let header = Stream::header(domain) + "\n";
    file.write_all(header.as_bytes())?;
    Ok(Output::Open { file, bytes: header.len() as u64 })
}

/// `duel.jsonl`, and the one before it `duel.1.jsonl`. What is no plain letter or digit is written as hexadecimal.
fn file_name(domain: &DomainName, age: u32) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let text = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    let name: String = domain.as_str().bytes().map(text).collect();
    if age == 0 { format!("{name}.jsonl") } else { format!("{name}.{age}.jsonl") }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use scenehost_core::Effects;
    use scenehost_core::config::Domain;
    use scenehost_core::matching::{Seeker, Wish};

    use super::*;

    const DOMAIN: &str = "duel";

    fn asks(user: u64) -> Event {
        let seeker = Seeker { user: UserId(user), name: "Ada".to_owned(), rating: 1_500, ..Seeker::default() };
        Event::ReqMatch {
            ticket: user,
            seekers: vec![Seeker { wish: Wish::default(), ..seeker }],
            waited_ms: 0,
            away: <_>::default(),
        }
    }

    fn line(user: u64) -> Line {
        Line::of(&asks(user), Time(user), &|user| user).expect("searches are recorded")
    }

    fn read(path: &Path) -> Stream {
        let text = fs::read_to_string(path).expect("it is there");
        Stream::parse(text.lines()).expect("it is well-formed")
    }

    fn files(folder: &Path, file_bytes_max: u64) -> Files {
        Files { folder: folder.to_owned(), file_bytes_max, clock: Clock::start(), of: BTreeMap::new() }
    }

    #[test]
    fn a_handler_s_searches_are_recorded_as_long_as_its_domain_wants_it() {
        let folder = tempfile::tempdir().expect("a temporary folder is writable");
        let mut rng = StdRng::seed_from_u64(1);
        let streams =
            Streams::spawn(folder.path().to_owned(), Clock::start(), &mut rng).expect("a thread can be started");
        let domain = |record: bool| Domain { record: Record::Is(record), ..Domain::new("fleet".into(), 2, 2) };
        let handler = Match::new(DOMAIN.into(), domain(false), None);
        let mut recorded = Recorded::new(handler, DOMAIN.into(), Record::Is(false), streams);
        let mut tell = |event: Event| {
            let mut cx = Context { now: Time(77), rng: &mut rng, out: &mut Effects::default() };
            recorded.step(event, &mut cx);
        };
        tell(asks(1));
        tell(Event::Domain { domain: Box::new(domain(true)), rule: None });
        tell(asks(2));
        tell(Event::Tick);
        tell(Event::Domain { domain: Box::new(domain(false)), rule: None });
        tell(asks(3));
        drop(recorded);
        let path = folder.path().join("duel.jsonl");
        // The thread writes all that is in its queue, and ends.
        let stream = (0..500).find_map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            let text = fs::read_to_string(&path).ok().filter(|text| text.lines().count() == 2)?;
            Some(Stream::parse(text.lines()).expect("it is well-formed"))
        });
        let stream = stream.expect("it is written soon");
        let Event::ReqMatch { ticket: 2, seekers, .. } = stream.lines[0].happened.event() else { panic!("{stream:?}") };
        assert_eq!((stream.lines[0].at_ms, seekers[0].rating, seekers[0].name.as_str()), (77, 1_500, ""));
        assert_ne!(seekers[0].user, UserId(2), "nobody knows who it was");
    }

    #[test]
    fn files_have_a_size_and_the_oldest_give_way() {
        let folder = tempfile::tempdir().expect("a temporary folder is writable");
        let mut files = files(folder.path(), 150);
        // Each file takes one line over its size: two lines.
        for user in 1..=12 {
            files.write(Entry { domain: DOMAIN.into(), folder: None, line: line(user) });
        }
        files.flush();
        let of = |age: u32| read(&folder.path().join(file_name(&DOMAIN.into(), age))).lines;
        assert_eq!(of(0), [line(11), line(12)]);
        assert_eq!(of(3), [line(5), line(6)]);
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), FILES_MAX as usize);
    }

    #[test]
    fn a_host_that_starts_again_goes_on_in_a_new_file() {
        let folder = tempfile::tempdir().expect("a temporary folder is writable");
        for user in [1, 2] {
            let mut files = files(folder.path(), FILE_BYTES_MAX);
            files.write(Entry { domain: DOMAIN.into(), folder: None, line: line(user) });
            files.flush();
        }
        let of = |age: u32| read(&folder.path().join(file_name(&DOMAIN.into(), age)));
        let mut whole = of(1);
        whole.append(of(0)).expect("they follow each other");
        assert_eq!(whole.lines, [line(1), line(2)]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_lines_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder is writable");
        let no_folder = folder.path().join("file");
        fs::write(&no_folder, "").expect("it is writable");
        let mut files = files(folder.path(), FILE_BYTES_MAX);
        let bad = || Some(no_folder.display().to_string());
        files.write(Entry { domain: DOMAIN.into(), folder: bad(), line: line(1) });
        files.write(Entry { domain: DOMAIN.into(), folder: bad(), line: line(2) });
        files.write(Entry { domain: "other/../x".into(), folder: None, line: line(3) });
        files.flush();
        assert_eq!(read(&folder.path().join("other%2f%2e%2e%2fx.jsonl")).lines, [line(3)]);
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 2);
    }
}
